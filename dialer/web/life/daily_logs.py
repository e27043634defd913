"""The log of a project's day: drafted from facts, finished, signed, exported."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from uuid import UUID

from aiohttp import web

from campaigns.life import daily_log
from campaigns.life.daily_log import DailyLog
from campaigns.life.log_pages import markdown, table
from campaigns.tables.writing import XlsxWriter
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.fields import Day
from dialer.web.identity import actor_of
from dialer.web.life.types import DayDraft, KeptLog, KeptLogs, LogFile, LogFormat, LogsQuery, NewLog
from dialer.web.projects.routes import there
from dialer.web.roles import PLANNERS, REPORT_READERS
from dialer.web.sending import send_made

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MARKDOWN = "text/markdown; charset=utf-8"


@operation("GET", "/projects/{project_id}/logs", roles=REPORT_READERS, summary="The daily logs of a project")
async def list_logs(call: Call, project_id: UUID, query: LogsQuery) -> KeptLogs:
    """All versions, the newest day and version first."""
    async with call.connection() as conn:
        await there(conn, project_id)
        found = await daily_log.logs_of(conn, project_id, before=query.before, limit=query.limit)
    return KeptLogs(logs=[_shown(one) for one in found])


@operation("GET", "/projects/{project_id}/logs/{day}", roles=REPORT_READERS, summary="A day's facts")
async def draft_log(call: Call, project_id: UUID, day: Day) -> DayDraft:
    """What a log of this day would be drafted from now: calls, agents and their hours, steps and stops, alarms, the data that is left."""
    async with call.connection() as conn:
        project = await there(conn, project_id)
        return DayDraft(facts=await daily_log.draft(conn, project, day, call.now))


@operation("POST", "/projects/{project_id}/logs/{day}", roles=PLANNERS, summary="Save a day's log", status=201)
async def save_log(call: Call, project_id: UUID, day: Day, body: NewLog) -> KeptLog:
    """A new version with the facts as they are now; signed when the day is over. Former versions stay."""
    identity = call.identity
    async with call.transaction() as conn:
        project = await there(conn, project_id)
        kept = await daily_log.save(
            conn, project, day, notes=body.notes, sign=body.sign, user_id=identity.user_id, actor=actor_of(identity), now=call.now
        )  # fmt: skip
        await call.audit(
            conn, "daily_log_saved", "project", project_id, day=day.isoformat(), version=kept.version, signed=kept.signed, sha256=kept.sha256
        )  # fmt: skip
    return _shown(kept)


@operation(
    "GET",
    "/projects/{project_id}/logs/{day}/file",
    roles=REPORT_READERS,
    summary="A day's log as a file",
    media="application/octet-stream",
)
async def export_log(call: Call, project_id: UUID, day: Day, query: LogFile) -> web.StreamResponse:
    """A workbook or a page of Markdown, of a version or the last; nothing in it is a formula."""
    async with call.connection() as conn:
        await there(conn, project_id)
        kept = await daily_log.load(conn, project_id, day, query.version)
    workbook = query.format is LogFormat.XLSX
    with tempfile.TemporaryDirectory(prefix="export-", dir=call.deps.upload_dir) as folder:
        path = Path(folder) / "log"
        await asyncio.to_thread(write_log, kept, path, query.format)
        named = f"log-{day}-{kept.version}.{'xlsx' if workbook else 'md'}"
        return await send_made(call, path, media=XLSX if workbook else MARKDOWN, file_name=named)


def write_log(kept: DailyLog, path: Path, kind: LogFormat) -> None:
    """Write a log to a file."""
    signed = f"{kept.actor} {kept.saved_at:%Y-%m-%d %H:%M} UTC" if kept.signed else "未签字 not signed"
    if kind is LogFormat.MARKDOWN:
        path.write_text(markdown(kept.content, signed=signed), encoding="utf-8")
        return
    writer = XlsxWriter(path)
    try:
        for row in table(kept.content, signed=signed):
            writer.row(row)
    finally:
        writer.close()


def _shown(kept: DailyLog) -> KeptLog:
    content = kept.content
    return KeptLog(
        day=kept.day, version=kept.version, signed=kept.signed, actor=kept.actor, saved_at=kept.saved_at, sha256=kept.sha256,
        facts=content["facts"], notes=content["notes"],
    )  # fmt: skip
