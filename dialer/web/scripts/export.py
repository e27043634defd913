"""The answers to a script as a file: a row for each call, a column for each question, each selection list and each clause."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson

from campaigns.numbers import for_trunk
from campaigns.projects import Project
from campaigns.questionnaires.answers import shown as in_words
from campaigns.questionnaires.questions import Question
from campaigns.scripts.checking import Script
from campaigns.scripts.results import Answered, pages
from campaigns.sql import Pool
from campaigns.tables.writing import Writer
from dialer.web.leads.export import ExportFormat
from dialer.web.masking import scrubbed, shown

OURS: Final = ("call", "lead", "number", "answered_at", "ended_at", "outcome", "disposition", "trial", "questionnaire")


async def write_answers(
    pool: Pool, project: Project, version: tuple[UUID, int], script: Script, path: Path, *, kind: ExportFormat, codes: bool = False
) -> int:  # fmt: skip
    """Write the calls of a version, oldest first, and say how many; numbers are masked where the project masks them. Clauses are seconds of the recording."""
    asked: dict[str, Question] = {one.name: one for one in script.document.questionnaire.asking()}
    asked |= script.selections
    clauses = [one.name for one in script.document.sections if one.must_read_before]
    count = 0
    writer = kind.writer(path)
    try:
        writer.row([*OURS, *asked, *(f"read_{name}_s" for name in clauses)])
        async for page in pages(pool, project.id, *version):
            await asyncio.to_thread(_write, writer, page, project, asked, clauses, codes)
            count += len(page)
    finally:
        await asyncio.to_thread(writer.close)
    return count


def _write(
    writer: Writer, page: Sequence[Answered], project: Project, asked: dict[str, Question], clauses: Sequence[str], codes: bool
) -> None:  # fmt: skip
    zone = ZoneInfo(project.zone)
    for one in page:
        moments = (one.answered_at, one.ended_at)
        times = ["" if at is None else at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S") for at in moments]
        number = shown(for_trunk(one.number, "national"), masked=project.mask_numbers)
        lead = "" if one.lead_id is None else str(one.lead_id)
        said = [_cell(question, one.answers.get(name), codes) for name, question in asked.items()]
        said = [scrubbed(text, one.number, masked=project.mask_numbers) for text in said]
        read = ["" if name not in one.read else f"{one.read[name] / 1000:.3f}" for name in clauses]
        ours = [one.outcome or "", one.disposition or "", "yes" if one.trial else "", one.status]
        writer.row([str(one.attempt_id), lead, number, *times, *ours, *said, *read])


def _cell(question: Question, kept: Any, codes: bool) -> str:
    if not codes:
        return in_words(question, kept)
    if isinstance(kept, list):
        return ",".join(kept)
    return orjson.dumps(kept).decode() if isinstance(kept, dict) else kept or ""
