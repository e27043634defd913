"""The answers of a survey as a file: a row for each answered call, a column for each step that has answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from campaigns import surveys
from campaigns.numbers import for_trunk
from campaigns.projects import Project
from campaigns.sql import Pool
from campaigns.survey import StepKind, survey_of
from campaigns.surveys import Answered, Kept
from campaigns.tables.writing import Writer
from dialer.web.leads.export import ExportFormat
from dialer.web.masking import shown

OURS: Final = ("call", "lead", "number", "answered_at", "ended_at", "outcome")
_SAID = {StepKind.ASK, StepKind.OPT_OUT, StepKind.AGENT}


async def write_answers(pool: Pool, project: Project, kept: Kept, path: Path, *, kind: ExportFormat) -> int:
    """Write the answered calls of a version, oldest first, and say how many; numbers are masked where the project masks them."""
    steps = [name for name, step in survey_of(kept.document, kept.version).steps.items() if step.kind in _SAID]
    count = 0
    writer = kind.writer(path)
    try:
        writer.row([*OURS, *steps])
        async for page in surveys.pages(pool, project.id, kept.version):
            await asyncio.to_thread(_write, writer, page, project, steps)
            count += len(page)
    finally:
        await asyncio.to_thread(writer.close)
    return count


def _write(writer: Writer, page: Sequence[Answered], project: Project, steps: Sequence[str]) -> None:
    zone = ZoneInfo(project.zone)
    for one in page:
        moments = (one.answered_at, one.ended_at)
        times = ["" if at is None else at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S") for at in moments]
        number = shown(for_trunk(one.number, "national"), masked=project.mask_numbers)
        lead = "" if one.lead_id is None else str(one.lead_id)
        answers = [one.answers.get(step, "") for step in steps]
        writer.row([str(one.attempt_id), lead, number, *times, one.outcome or "", *answers])
