"""Leads as a file for people to open in a spreadsheet: numbers as they are dialled at home, masked where the project masks them, and no formula in it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from campaigns.exporting import field_names, leads_in_pages
from campaigns.leads import Lead
from campaigns.numbers import for_trunk
from campaigns.projects import Project, load_project
from campaigns.sql import Pool
from campaigns.states import LeadState
from campaigns.tables.writing import CsvWriter, Writer, XlsxWriter
from dialer.web.masking import scrubbed, shown

OURS: Final = (
    "number", "other_numbers", "kind", "province", "city", "carrier", "name", "reference", "state", "priority", "attempts", "last_outcome", "last_attempt_at", "disposition", "next_at",
)  # fmt: skip
"""The columns before the client's own; an import understands the first of them."""


class ExportFormat(StrEnum):
    """What a client's programs open."""

    XLSX = "xlsx"
    CSV = "csv"  # UTF-8 with its mark, which spreadsheets know it by
    CSV_GB18030 = "csv-gb18030"

    @property
    def suffix(self) -> str:
        """How the name of such a file ends."""
        return "xlsx" if self is ExportFormat.XLSX else "csv"

    @property
    def media(self) -> str:
        """Its Content-Type."""
        if self is ExportFormat.XLSX:
            return "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
        return f"text/csv; charset={'gb18030' if self is ExportFormat.CSV_GB18030 else 'utf-8'}"

    def writer(self, path: Path) -> Writer:
        """A writer of such files."""
        match self:
            case ExportFormat.XLSX:
                return XlsxWriter(path)
            case ExportFormat.CSV:
                return CsvWriter(path, encoding="utf-8-sig")
            case ExportFormat.CSV_GB18030:
                return CsvWriter(path, encoding="gb18030")


async def write_leads(
    pool: Pool, project_id: UUID, path: Path, *, kind: ExportFormat, state: LeadState | None = None
) -> int:
    """Write a project's leads, as of one moment, and say how many. Errors: Missing `project_unknown`."""
    count = 0
    async with pool.acquire() as conn, conn.transaction(isolation="repeatable_read", readonly=True):
        project = await load_project(conn, project_id)
        fields = await field_names(conn, project_id, state)
        writer = kind.writer(path)
        try:
            writer.row([*OURS, *fields])
            async for page in leads_in_pages(conn, project_id, state):
                await asyncio.to_thread(_write, writer, page, project, fields)
                count += len(page)
        finally:
            await asyncio.to_thread(writer.close)
    return count


def _write(writer: Writer, leads: Sequence[Lead], project: Project, fields: Sequence[str]) -> None:
    zone = ZoneInfo(project.zone)
    for lead in leads:
        numbers = (lead.number, *lead.other_numbers)
        home = [lead.kind or "", lead.province or "", lead.city or "", lead.carrier or ""]
        so_far = [lead.state.value, str(lead.priority), str(lead.attempts), lead.last_outcome or ""]
        ours = [*home, lead.name, lead.reference or "", *so_far]
        theirs = [
            lead.disposition or "",
            _local(lead.next_at, zone),
            *(_text(lead.fields.get(name)) for name in fields),
        ]
        texts = [*ours, _local(lead.last_attempt_at, zone), *theirs]
        if project.mask_numbers:
            texts = [_scrubbed(text, numbers) for text in texts]
        first, *others = (shown(for_trunk(number, "national"), masked=project.mask_numbers) for number in numbers)
        writer.row([first, " ".join(others), *texts])


def _scrubbed(text: str, numbers: Sequence[str]) -> str:
    for number in numbers:
        text = scrubbed(text, number, masked=True)
    return text


def _local(moment: datetime | None, zone: ZoneInfo) -> str:
    return "" if moment is None else moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def _text(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else str(value)
