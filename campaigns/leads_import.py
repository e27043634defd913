"""Import of leads from a CSV file.

The file is read in a thread, in chunks, while PostgreSQL takes the chunk before: COPY into a temporary table, from there into `leads`, all in one transaction.
So either all good rows are there or none, memory stays the same however long the file is, and nothing of a half-read file is ever dialled.
xlsx and the like, filters and previews get their own readers beside `csv_file.py`; what follows after `lead_rows.py` stays the same for them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg

from campaigns.csv_file import CsvFile
from campaigns.errors import CampaignError, Conflict, Missing
from campaigns.imports import STATEMENT_TIMEOUT_S, advance, fail
from campaigns.lead_rows import Columns, LeadRow, Reject, duplicate, find_columns, read_row
from campaigns.reject_file import RejectFile
from campaigns.sql import Connection, Pool

CHUNK_ROWS: Final = 20_000
CHUNK_CHARACTERS: Final = 16_000_000
_NOTICE_S: Final = 2.0
_LOCK_SPACE: Final = 0x494D5052  # "IMPR"
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
    """What an import did. `do_not_call` of the accepted rows are on the do-not-call list, and marked; `reasons`: error_id → rejected rows."""

    id: UUID
    accepted: int
    rejected: int
    do_not_call: int
    reasons: dict[str, int]
    reject_path: Path | None
    encoding: str


@dataclass(slots=True)
class _Chunk:
    rows: list[LeadRow] = field(default_factory=list)
    cells: dict[int, Sequence[str]] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    position: int = 0


_BEGIN = "insert into imports (project_id, file_name, sha256, user_id) values ($1, $2, $3, $4) returning id"

_INTERRUPTED = """
update imports set state = 'failed', error_id = 'import_interrupted', ended_at = clock_timestamp()
where project_id = $1 and state = 'running' and id <> $2
"""

_STAGING = (
    "create temporary table staged (line bigint, number text, name text, fields text, priority smallint) on commit drop"
)

_TAKE = """
with inserted as (
    insert into leads (project_id, import_id, number, name, fields, priority, state)
    select $1, $2, s.number, s.name, s.fields::jsonb, s.priority, case when d.number is null then 'new' else 'do_not_call' end
    from staged s left join do_not_call d on d.number = s.number
    order by s.line
    on conflict (number, project_id) do nothing
    returning id, number, state
)
select min(i.id) as first_lead, max(i.id) as last_lead, count(i.id) as accepted, count(*) filter (where i.state = 'do_not_call') as do_not_call,
       coalesce(array_agg(s.line order by s.line) filter (where i.id is null), '{}') as duplicates
from staged s left join inserted i using (number)
"""

_OURS = """
select s.line from staged s join leads l on l.number = s.number and l.project_id = $1
where l.import_id = $2 and s.line = any ($3::bigint[])
"""

_END = """
update imports
set state = 'done', accepted = $2, rejected = $3, reject_path = $4, first_lead = $5, last_lead = $6, ended_at = clock_timestamp()
where id = $1
"""


async def import_csv(
    pool: Pool,
    *,
    project_id: UUID,
    path: Path,
    reject_dir: Path,
    file_name: str | None = None,
    mapping: Mapping[str, str] | None = None,
    region: str = "CN",
    user_id: UUID | None = None,
    progress: Callable[[ImportProgress], None] | None = None,
) -> ImportResult:
    """Take the good rows of a CSV file into a project, and write the others, with reasons, to `<reject_dir>/<import id>.csv`.

    `path` must stay as it is meanwhile. `mapping`: see `lead_rows.find_columns`.
    Errors (nothing was taken): BadInput, those of `csv_file` and `find_columns`; Missing `project_unknown`; Conflict `import_running`.
    """
    file = await asyncio.to_thread(CsvFile, path)
    try:
        columns = find_columns(file.header, mapping)
        try:
            import_id: UUID = await pool.fetchval(
                _BEGIN, project_id, (file_name or path.name)[:255], file.facts.sha256, user_id
            )
        except asyncpg.ForeignKeyViolationError as error:
            raise Missing("project_unknown", "There is no such project.") from error
        rejects = RejectFile(
            reject_dir / f"{import_id}.csv", columns.header, encoding=file.facts.encoding, delimiter=file.delimiter
        )
        try:
            return await _take_all(pool, _Import(import_id, project_id, columns, region), file, rejects, progress)
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
        file.close()


@dataclass(frozen=True, slots=True)
class _Import:
    id: UUID
    project_id: UUID
    columns: Columns
    region: str


async def _take_all(
    pool: Pool, job: _Import, file: CsvFile, rejects: RejectFile, progress: Callable[[ImportProgress], None] | None
) -> ImportResult:
    accepted = do_not_call = 0
    if progress is not None:
        progress(ImportProgress(id=job.id, bytes_read=0, bytes_in_all=file.facts.size, accepted=0, rejected=0))
    reasons: Counter[str] = Counter()
    first: int | None = None
    last: int | None = None
    chunks = _chunks(file, job.columns, job.region)
    loop = asyncio.get_running_loop()
    async with pool.acquire() as conn, conn.transaction():
        await conn.execute(f"set local statement_timeout = '{int(STATEMENT_TIMEOUT_S)}s'")
        if not await conn.fetchval(
            "select pg_try_advisory_xact_lock($1, hashtext($2))", _LOCK_SPACE, str(job.project_id)
        ):
            raise Conflict(
                "import_running", "Another file is being imported into this project; wait until that is done."
            )
        await conn.execute(
            _INTERRUPTED, job.project_id, job.id
        )  # whoever began those held the lock, and has it no more
        await conn.execute(_STAGING)
        chunk = await asyncio.to_thread(next, chunks, None)
        while chunk is not None:
            reading = loop.run_in_executor(None, next, chunks, None)
            try:
                taken = await _take(conn, job, chunk)
            finally:
                upcoming = await reading  # the file is not closed under its reader
            accepted += taken.accepted
            do_not_call += taken.do_not_call
            reasons.update(reject.error_id for reject in chunk.rejects)
            first, last = first if first is not None else taken.first_lead, taken.last_lead or last
            await asyncio.to_thread(rejects.write, sorted(chunk.rejects))
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):  # it is news, no more
                async with asyncio.timeout(_NOTICE_S):
                    await advance(pool, job.id, accepted=accepted, rejected=rejects.count)
            if progress is not None:
                progress(
                    ImportProgress(
                        id=job.id,
                        bytes_read=chunk.position,
                        bytes_in_all=file.facts.size,
                        accepted=accepted,
                        rejected=rejects.count,
                    )
                )
            chunk = upcoming
        rejects.close()
        reject_path = rejects.path if rejects.count else None
        await conn.execute(
            _END, job.id, accepted, rejects.count, None if reject_path is None else str(reject_path), first, last
        )
    if accepted >= _ANALYZE_FROM:
        await pool.execute(
            "analyze leads", timeout=STATEMENT_TIMEOUT_S
        )  # or claims go on with a plan made for a short list
    return ImportResult(
        id=job.id,
        accepted=accepted,
        rejected=rejects.count,
        do_not_call=do_not_call,
        reasons=dict(reasons),
        reject_path=reject_path,
        encoding=file.facts.encoding,
    )


def _chunks(file: CsvFile, columns: Columns, region: str) -> Iterator[_Chunk]:
    chunk, characters = _Chunk(), 0
    numbers: set[str] = set()
    for record in file:
        row = read_row(record, columns, region)
        if isinstance(row, Reject):
            chunk.rejects.append(row)
            characters += sum(map(len, record.cells))
        elif row.number in numbers:
            chunk.rejects.append(duplicate(row, record.cells, columns, in_file=True))
            characters += sum(map(len, record.cells))
        else:
            numbers.add(row.number)
            chunk.rows.append(row)
            chunk.cells[row.line] = record.cells
            characters += len(row.fields) + len(row.name)
        if len(chunk.rows) + len(chunk.rejects) >= CHUNK_ROWS or characters >= CHUNK_CHARACTERS:
            chunk.position = file.position()
            yield chunk
            chunk, characters = _Chunk(), 0
            numbers = set()
    if chunk.rows or chunk.rejects:
        chunk.position = file.position()
        yield chunk


@dataclass(frozen=True, slots=True)
class _Taken:
    accepted: int
    do_not_call: int
    first_lead: int | None
    last_lead: int | None


async def _take(conn: Connection, job: _Import, chunk: _Chunk) -> _Taken:
    """Write the good rows of a chunk; those that were there already are added to its rejects."""
    if not chunk.rows:
        return _Taken(0, 0, None, None)
    await conn.copy_records_to_table("staged", records=chunk.rows, columns=LeadRow._fields, timeout=STATEMENT_TIMEOUT_S)
    row = await conn.fetchrow(_TAKE, job.project_id, job.id, timeout=STATEMENT_TIMEOUT_S)
    assert row is not None  # noqa: S101 -- an aggregate always gives a row
    if row["duplicates"]:
        ours = await conn.fetch(_OURS, job.project_id, job.id, row["duplicates"], timeout=STATEMENT_TIMEOUT_S)
        in_file = {one["line"] for one in ours}
        wanted = set(row["duplicates"])
        chunk.rejects += [
            duplicate(lead, chunk.cells[lead.line], job.columns, in_file=lead.line in in_file)
            for lead in chunk.rows
            if lead.line in wanted
        ]
    await conn.execute("truncate staged")
    return _Taken(row["accepted"], row["do_not_call"], row["first_lead"], row["last_lead"])
