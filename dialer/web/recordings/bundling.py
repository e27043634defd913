"""What goes into a bundle of recordings, and its bytes, file by file: for the API's exports and the command line alike."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import IO, cast
from uuid import UUID
from zipfile import ZIP_STORED, ZipFile, ZipInfo
from zoneinfo import ZoneInfo

from campaigns.sql import OneConnection
from dialer.db import recording_exports, recording_marks, recording_search
from dialer.db.history import RecordingRow
from dialer.db.recording_marks import Mark
from dialer.db.recording_search import Wanted
from dialer.domain.errors import BadRequest, Conflict, NotFound
from dialer.web.deps import WebDeps
from dialer.web.masking import scrubbed, shown
from recorder import bundle
from recorder.bundle import Entry
from recorder.file_keys import WrappedKey
from recorder.paths import locate
from recorder.personal_copy import personal_copy
from recorder.sealing import Seal

MOST = 5_000
_PAGE = 500
_NO_TIME = (1980, 1, 1, 0, 0, 0)  # the index has the times; the same recordings give the same zip


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Recordings with their entries and names, in the order of the calls."""

    title: str
    project: str
    client: str
    files: Sequence[tuple[str, Entry, RecordingRow]]

    @property
    def entries(self) -> list[tuple[str, Entry]]:
        """For the index."""
        return [(name, entry) for name, entry, _ in self.files]


async def gather(
    conn: OneConnection,
    *,
    project_id: UUID,
    first_day: date,
    last_day: date,
    dispositions: Sequence[str],
    pattern: str,
) -> Bundle:
    """The recordings of a project's days (in its zone), all of them: nobody takes a part for the whole.

    Errors: NotFound `project_unknown`, BadRequest `export_too_large`, Conflict `export_not_in_store`, BadBundle.
    """
    bundle.check_pattern(pattern)
    project = await recording_exports.project(conn, project_id)
    if project is None:
        raise NotFound("project_unknown", "There is no such project.")
    name, zone, client = project[0], ZoneInfo(project[1]), project[2]
    since = datetime.combine(first_day, time(), zone)
    until = datetime.combine(last_day + timedelta(days=1), time(), zone)
    of_days = Wanted(project_id=project_id, since=since, until=until)
    away = await _found(conn, replace(of_days, state="archived"), dispositions)
    if away:
        raise Conflict(
            "export_not_in_store",
            f"{len(away)} of these recordings are on discs only: bring them back with waihu archive restore-volume, then ask again.",
        )
    rows = await _found(conn, replace(of_days, state="stored"), dispositions)
    numbers = await recording_exports.agent_numbers(conn, [row.agent_id for row in rows if row.agent_id])
    entries = [_entry(row, name, zone, numbers) for row in rows]
    named = bundle.names(entries, pattern)
    files = list(zip(named, entries, rows, strict=True))
    return Bundle(title=f"{name} {first_day} – {last_day}", project=name, client=client, files=files)


async def _found(conn: OneConnection, wanted: Wanted, dispositions: Sequence[str]) -> list[RecordingRow]:
    """In the order of the calls."""
    rows: list[RecordingRow] = []
    for disposition in dispositions or (None,):
        before: UUID | None = None
        while page := await recording_search.search(
            conn, replace(wanted, disposition=disposition), before=before, limit=_PAGE
        ):
            rows += page
            before = page[-1].attempt_id
            if len(rows) > MOST:
                raise BadRequest(
                    "export_too_large", f"These are more than {MOST} recordings: take fewer days at a time."
                )
    return sorted((row for row in rows if row.key_destroyed_at is None), key=lambda row: row.attempt_id)


def _entry(row: RecordingRow, project: str, zone: ZoneInfo, numbers: Mapping[UUID, str]) -> Entry:
    return Entry(
        recording_id=row.id, attempt_id=row.attempt_id, project=project, started_at=(row.started_at or row.created_at).astimezone(zone),
        duration_ms=row.duration_ms or 0, agent=numbers.get(row.agent_id, "") if row.agent_id else "",
        number=shown(row.number, masked=row.mask_numbers), disposition=row.disposition or "",
        note=scrubbed(row.note, row.number, masked=row.mask_numbers), lead_id=row.lead_id, sha256=(row.content_sha256 or row.sha256 or b"").hex(),
    )  # fmt: skip


async def contents(
    deps: WebDeps, made: Bundle, *, tags: Mapping[str, str], mark: Mark, clock: Callable[[], datetime]
) -> AsyncIterator[tuple[str, bytes]]:
    """Each file's path in the bundle and its bytes, the two indexes last. Recordings carry the tags and the mark, and are noted before they are given out.

    Errors: FileGone, KeysRefused.
    """
    for name, _, row in made.files:
        seal = await seal_of(deps, row)
        copy, sha256 = await asyncio.to_thread(_copied, locate(deps.store_dir, row.path or ""), seal, tags, mark.secret)
        async with deps.pool.acquire() as conn:
            await recording_marks.note_copy(conn, mark, recording_id=row.id, name=name, sha256=sha256, at=clock())
        yield name, copy
    yield "index.html", await asyncio.to_thread(bundle.index_html, made.entries, made.title)
    yield "index.xlsx", await asyncio.to_thread(bundle.index_xlsx, made.entries)


async def seal_of(deps: WebDeps, row: RecordingRow) -> Seal | None:
    """What opens a recording; None where it is not sealed. Errors: KeysRefused."""
    if row.project_key_id is None or row.wrapped_key is None:
        return None
    async with deps.pool.acquire() as conn:
        key = WrappedKey(project_key_id=row.project_key_id, wrapped=row.wrapped_key)
        return await deps.file_keys.seal(conn, row.attempt_id, key)


def _copied(path: Path, seal: Seal | None, tags: Mapping[str, str], secret: bytes) -> tuple[bytes, bytes]:
    """A copy and its hash."""
    copy = personal_copy(path, seal, tags, secret=secret)
    return copy, hashlib.sha256(copy).digest()


class GrowingZip:
    """A zip that is sent while it is made: what was added can be taken away at once. Sound is stored as it is, it does not shrink."""

    def __init__(self) -> None:
        self._out = _Out()
        self._zip = ZipFile(cast("IO[bytes]", self._out), "w", ZIP_STORED)

    def add(self, name: str, content: bytes) -> bytes:
        """Add a file; what is to be sent next."""
        self._zip.writestr(ZipInfo(name, _NO_TIME), content)
        return self._out.taken()

    def end(self) -> bytes:
        """The end of it."""
        self._zip.close()
        return self._out.taken()


class _Out:
    """Written forwards only; `zipfile` then puts lengths behind the files."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def write(self, data: bytes) -> int:
        self._waiting += data
        return len(data)

    def flush(self) -> None:
        pass

    def taken(self) -> bytes:
        taken = bytes(self._waiting)
        self._waiting.clear()
        return taken
