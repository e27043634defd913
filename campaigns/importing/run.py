"""Import of leads from a file.

The file is read in a thread, in chunks, while PostgreSQL takes the chunk before, all in one transaction. So either all good rows are there or none,
memory stays the same however long the file is, and nothing of a half-read file is ever dialled.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg

from campaigns.errors import CampaignError, Conflict, Missing
from campaigns.importing.mappings import mappings_of, save_mapping
from campaigns.importing.options import ImportOptions
from campaigns.importing.reading import OpenList, chunks, open_list
from campaigns.importing.reject_file import RejectFile
from campaigns.importing.rows import LeadRow
from campaigns.importing.taking import STAGING, Target, take
from campaigns.imports import STATEMENT_TIMEOUT_S, advance, fail
from campaigns.locality.place import block_of
from campaigns.locality.tables import books, know_blocks
from campaigns.sql import Pool
from campaigns.supply.supplies import entry, judge_again

LOCK_SPACE: Final = 0x494D5052  # "IMPR"
_NOTICE_S: Final = 2.0
_ANALYZE_FROM: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportProgress:
    """How far an import is; the first comes when it has begun."""

    id: UUID
    bytes_read: int
    bytes_in_all: int
    accepted: int
    rejected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """What an import did. `do_not_call` of the accepted rows are on the do-not-call list, and marked; `reasons`: error_id → rejected rows.

    `encoding` is empty for a workbook.
    """

    id: UUID
    accepted: int
    rejected: int
    do_not_call: int
    reasons: dict[str, int]
    reject_path: Path | None
    format: str
    encoding: str
    sheet: str


_CLIENT = "select client from projects where id = $1"

_SAME_FILE = """
select id from imports where project_id = $1 and sha256 = $2 and state = 'done' order by created_at desc limit 1
"""

_BEGIN = """
insert into imports (project_id, file_name, sha256, user_id, format, encoding, sheet) values ($1, $2, $3, $4, $5, $6, $7) returning id
"""

_INTERRUPTED = """
update imports set state = 'failed', error_id = 'import_interrupted', ended_at = clock_timestamp()
where project_id = $1 and state = 'running' and id <> $2
"""

_END = """
update imports
set state = 'done', accepted = $2, rejected = $3, reject_path = $4, first_lead = $5, last_lead = $6, ended_at = clock_timestamp()
where id = $1
"""


async def client_of(pool: Pool, project_id: UUID) -> str:
    """The client of a project; empty when it has none. Errors: Missing `project_unknown`."""
    client: str | None = await pool.fetchval(_CLIENT, project_id)
    if client is None:
        raise Missing("project_unknown", "There is no such project.")
    return client


async def imported_before(pool: Pool, project_id: UUID, sha256: bytes) -> UUID | None:
    """The import of this very file into a project that still stands, if there is one."""
    found: UUID | None = await pool.fetchval(_SAME_FILE, project_id, sha256)
    return found


async def import_file(
    pool: Pool,
    *,
    project_id: UUID,
    path: Path,
    reject_dir: Path,
    file_name: str | None = None,
    options: ImportOptions | None = None,
    user_id: UUID | None = None,
    progress: Callable[[ImportProgress], None] | None = None,
) -> ImportResult:
    """Take the good rows of a file into a project, and write the others, with reasons, to `<reject_dir>/<import id>.csv` (.tsv, .xlsx).

    `path` must stay as it is meanwhile.
    Errors (nothing was taken): BadInput, those of `reading.open_list`; Missing `project_unknown`; Conflict `import_running`, `import_same_file`.
    """
    options = options or ImportOptions()
    client = await client_of(pool, project_id)
    source = await asyncio.to_thread(open_list, path, options, await mappings_of(pool, client))
    facts = source.table.facts
    try:
        if not options.again and (same := await imported_before(pool, project_id, facts.sha256)) is not None:
            raise Conflict(
                "import_same_file",
                "This very file was imported into this project before; say that it shall be imported again, or undo that import first.",
                import_id=str(same),
            )
        named = ((file_name or path.name)[:255], facts.sha256, user_id, facts.format, facts.encoding, facts.sheet)
        import_id: UUID = await pool.fetchval(_BEGIN, project_id, *named)
        rejects = RejectFile(reject_dir, str(import_id), source.columns.header, facts)
        try:
            since = await pool.fetchval("select now() - make_interval(days => $1)", options.within_days)
            target = Target(import_id=import_id, project_id=project_id, client=client, columns=source.columns, options=options, books=await books(pool), entry=await entry(pool, project_id), since=since)  # fmt: skip
            return await _take_all(pool, target, source, rejects, progress)
        except BaseException as error:
            rejects.close()
            rejects.path.unlink(missing_ok=True)
            error_id = error.error_id if isinstance(error, CampaignError) else "import_failed"
            with suppress(
                asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError
            ):  # else the next import of the project says it
                await asyncio.shield(fail(pool, import_id, error_id))
            raise
    finally:
        source.table.close()


def _blocks(rows: Iterable[LeadRow]) -> Iterator[str]:
    """Of all numbers of these people."""
    for row in rows:
        yield block_of(row.number)
        if row.others:
            yield from map(block_of, row.others.split(","))


async def _take_all(
    pool: Pool,
    target: Target,
    source: OpenList,
    rejects: RejectFile,
    progress: Callable[[ImportProgress], None] | None,
) -> ImportResult:
    accepted = do_not_call = 0
    facts = source.table.facts

    def tell(position: int) -> None:
        if progress is not None:
            progress(ImportProgress(id=target.import_id, bytes_read=position, bytes_in_all=facts.size, accepted=accepted, rejected=rejects.count))  # fmt: skip

    tell(0)
    reasons: Counter[str] = Counter()
    first: int | None = None
    last: int | None = None
    read = chunks(source, target.options.region)
    loop = asyncio.get_running_loop()
    async with pool.acquire() as conn, conn.transaction():
        await conn.execute(f"set local statement_timeout = '{int(STATEMENT_TIMEOUT_S)}s'")
        if not await conn.fetchval(
            "select pg_try_advisory_xact_lock($1, hashtext($2))", LOCK_SPACE, str(target.project_id)
        ):
            raise Conflict(
                "import_running", "Another file is being imported into this project; wait until that is done."
            )
        # Whoever began those held the lock, and has it no more.
        await conn.execute(_INTERRUPTED, target.project_id, target.import_id)
        await conn.execute(STAGING)
        chunk = await asyncio.to_thread(next, read, None)
        while chunk is not None:
            reading = loop.run_in_executor(None, next, read, None)
            try:
                await know_blocks(pool, target.books, _blocks(chunk.rows))
                taken = await take(conn, target, chunk)
            finally:
                upcoming = await reading  # the file is not closed under its reader
            accepted += taken.accepted
            do_not_call += taken.do_not_call
            reasons.update(reject.error_id for reject in chunk.rejects)
            first, last = first if first is not None else taken.first_lead, taken.last_lead or last
            await asyncio.to_thread(rejects.write, sorted(chunk.rejects))
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):  # it is news, no more
                async with asyncio.timeout(_NOTICE_S):
                    await advance(pool, target.import_id, accepted=accepted, rejected=rejects.count)
            tell(chunk.position)
            chunk = upcoming
        await asyncio.to_thread(rejects.close)
        reject_path = rejects.path if rejects.count else None
        kept = None if reject_path is None else str(reject_path)
        await conn.execute(_END, target.import_id, accepted, rejects.count, kept, first, last)
        if accepted:
            await judge_again(conn, target.project_id)
        if target.options.remember:
            await save_mapping(conn, target.client, source.mapping)
    if accepted >= _ANALYZE_FROM:
        # Or claims go on with a plan made for a short list.
        await pool.execute("analyze leads", timeout=STATEMENT_TIMEOUT_S)
    return ImportResult(
        id=target.import_id,
        accepted=accepted,
        rejected=rejects.count,
        do_not_call=do_not_call,
        reasons=dict(reasons),
        reject_path=reject_path,
        format=facts.format,
        encoding=facts.encoding,
        sheet=facts.sheet,
    )
