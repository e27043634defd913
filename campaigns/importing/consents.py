"""A file of consents: who agreed, to what, when, and what proves it. The good rows are written down, the others come back with reasons, all in one transaction.

Columns are known by their headers (`COLUMNS`). What is the same for a whole file (scope, client) may be said once beside it. Times need a zone: in the
cell (`2026-06-01 09:00+08:00`) or said for the file; none is guessed.
"""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from campaigns.errors import BadInput, Conflict, Missing
from campaigns.importing.columns import KNOWN, header_like
from campaigns.importing.reject_file import RejectFile
from campaigns.importing.rows import Reject
from campaigns.numbers import normalise
from campaigns.sql import Connection, OneConnection, Pool
from campaigns.tables.open_table import open_table
from campaigns.tables.table import Record, Table

COLUMNS: Final[Mapping[str, frozenset[str]]] = {
    "number": KNOWN["number"],
    "scope": frozenset({"scope", "同意范围", "范围", "同意事项"}),
    "evidence": frozenset({"evidence", "proof", "凭证", "证据", "同意凭证"}),
    "given_at": frozenset({"given at", "given_at", "granted at", "granted_at", "同意时间", "授权时间"}),
    "client": frozenset({"client", "甲方", "委托方"}),
    "expires_at": frozenset({"expires at", "expires_at", "有效期至", "到期时间"}),
}
"""Which headers (lower case, half width) name which part of a consent."""

SHOWN: Final = 1000
"""So many rejected rows are named in the answer; a reject file has all."""

_AT_ONCE: Final = 5_000
_STATEMENT_S: Final = 300.0
_SCOPE: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")
_LONGEST: Final = {"evidence": 2000, "client": 200}

REASONS: Final[Mapping[str, str]] = {
    "scope_malformed": "A scope is a short word of small letters, digits, - _ and ., as the rules name it.",
    "evidence_missing": "There is nothing here that proves the consent.",
    "cell_too_long": "Evidence has at most 2000 characters, a client's name 200.",
    "nul_character": "The row contains a NUL character.",
    "time_malformed": "This is no time; write it as 2026-06-01 09:00.",
    "time_without_zone": "In which time zone? Write 2026-06-01 09:00+08:00, or say the zone of the file.",
    "time_ahead": "This consent would be given in the future.",
    "ends_before_it_begins": "This consent would end before it was given.",
    "quotes_broken": "The quotation marks of this line do not match.",
    "above_header": "This line stands above the names of the columns.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentOptions:
    """What a person says about a file of consents. `scope`, `client`: for rows that name none (`client` '': whoever we call for); `zone`: of times without one.

    `region`: where numbers without a country code belong. `encoding`, `sheet`: answers to what a file asked.
    """

    region: str = "CN"
    scope: str = ""
    client: str = ""
    zone: str | None = None
    encoding: str | None = None
    sheet: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentLoad:
    """What came of a file: consents written down, those that were known already, and rows that were not taken. `rejects`: the first `SHOWN` of these."""

    id: UUID
    accepted: int
    known: int
    rejected: int
    rejects: Sequence[Reject]
    reject_path: Path | None


class _Row(NamedTuple):
    number: str
    client: str
    scope: str
    evidence: str
    granted_at: datetime
    expires_at: datetime | None


class _Wrong(Exception):
    """A cell that cannot be used: its column, why."""

    def __init__(self, column: str, error_id: str, reason: str = "") -> None:
        super().__init__(column, error_id, reason or REASONS[error_id])


_BEGIN = "insert into consent_loads (file_name, sha256, user_id, created_at, accepted, known, rejected) values ($1, $2, $3, $4, 0, 0, 0) returning id"
_END = "update consent_loads set accepted = $2, known = $3, rejected = $4 where id = $1"
_TAKE = """
with standing as materialized (      -- what is known of these people, but for files that were taken back
    select c.number, c.client, c.scope, c.granted_at, c.withdrawn_at
    from consents c left join consent_loads f on f.id = c.load_id
    where c.number = any ($1::text[]) and f.undone_at is distinct from coalesce(c.withdrawn_at, 'infinity')
),
granted as (
    insert into consents (number, client, scope, evidence, granted_at, expires_at, user_id, created_at, load_id, withdrawn_at)
    select distinct on (g.number, g.client, g.scope, g.granted_at) g.number, g.client, g.scope, g.evidence, g.granted_at, g.expires_at, $7::uuid, $8, $9,
           (select max(c.withdrawn_at) from standing c where c.number = g.number and c.scope = g.scope and c.withdrawn_at >= g.granted_at)
    from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[]) g (number, client, scope, evidence, granted_at, expires_at)
    where not exists (select from standing c where c.number = g.number and c.client = g.client and c.scope = g.scope and c.granted_at = g.granted_at)
    returning number
),
due_again as (          -- who waited for it need not wait any longer
    update leads l set next_at = $8
    from (select l.id from leads l where l.number in (select number from granted) and l.state in ('new', 'retry') and l.callback_agent_id is null
            and l.last_attempt_at is null and l.next_at > $8 order by l.id for no key update) waiting
    where l.id = waiting.id
)
select count(*) from granted
"""


async def load_consents(
    pool: Pool,
    path: Path,
    *,
    options: ConsentOptions,
    now: datetime,
    file_name: str = "",
    user_id: UUID | None = None,
    reject_dir: Path | None = None,
) -> ConsentLoad:
    """Write the consents of a file down; with `reject_dir`, the rows that were not taken go to `consents-<id>.csv` (.xlsx) there.

    A consent that is there already (number, client, scope and time) is known and not written twice; one that was withdrawn after it was given is written down
    as withdrawn. Leads that waited for a consent may be called at once.
    Errors (nothing was written): BadInput `consent_columns_missing`, `scope_malformed`, `zone_unknown`, and those of `open_table`.
    """
    source = await asyncio.to_thread(_Source, path, options, now)
    name = (file_name or path.name)[:255]
    try:
        async with pool.acquire() as conn, conn.transaction():
            await conn.execute(f"set local statement_timeout = '{int(_STATEMENT_S)}s'")
            load_id: UUID = await conn.fetchval(_BEGIN, name, source.table.facts.sha256, user_id, now)
            file = None if reject_dir is None else RejectFile(reject_dir, f"consents-{load_id}", source.table.header, source.table.facts)  # fmt: skip
            try:
                done = await _take(conn, source, load_id, file, now, user_id)
            except BaseException:
                if file is not None:
                    file.close()
                    file.path.unlink(missing_ok=True)
                raise
            await conn.execute(_END, load_id, done.accepted, done.known, done.rejected)
    finally:
        source.table.close()
    return done


async def _take(
    conn: OneConnection, source: _Source, load_id: UUID, file: RejectFile | None, now: datetime, user_id: UUID | None
) -> ConsentLoad:
    accepted = taken = rejected = 0
    rejects: list[Reject] = []
    while part := await asyncio.to_thread(source.part):
        rows, wrong = part
        columns = zip(*rows, strict=True) if rows else [()] * len(_Row._fields)
        accepted += await conn.fetchval(_TAKE, *map(list, columns), user_id, now, load_id, timeout=_STATEMENT_S)
        taken += len(rows)
        rejected += len(wrong)
        rejects += wrong[: SHOWN - len(rejects)]
        if file is not None:
            await asyncio.to_thread(file.write, wrong)
    if file is not None:
        await asyncio.to_thread(file.close)
    return ConsentLoad(
        id=load_id,
        accepted=accepted,
        known=taken - accepted,
        rejected=rejected,
        rejects=rejects,
        reject_path=file.path if file is not None and file.count else None,
    )


_UNDO = "update consent_loads set undone_at = $2 where id = $1 and undone_at is null returning id"
_THERE = "select exists (select from consent_loads where id = $1)"
_END_THEM = "update consents set withdrawn_at = greatest($2, granted_at) where load_id = $1 and withdrawn_at is null"


async def undo_load(conn: Connection, load_id: UUID, *, now: datetime) -> int:
    """End the consents of a file that should not have been loaded; how many were ended. They hold no more from the next claim on. `conn` is in a transaction.

    Errors: Missing `consent_load_unknown`; Conflict `consent_load_undone`.
    """
    if await conn.fetchval(_UNDO, load_id, now) is None:
        if await conn.fetchval(_THERE, load_id):
            raise Conflict("consent_load_undone", "This file was taken back already.")
        raise Missing("consent_load_unknown", "There is no such load of consents.")
    return int((await conn.execute(_END_THEM, load_id, now, timeout=_STATEMENT_S)).split()[-1])


@dataclass(slots=True)
class _Source:
    """A file of consents that is open for reading, in parts."""

    path: Path
    options: ConsentOptions
    now: datetime
    table: Table = field(init=False)
    places: dict[str, int] = field(init=False)
    _records: Iterator[Record] = field(init=False)

    def __post_init__(self) -> None:
        if self.options.scope and not _SCOPE.fullmatch(self.options.scope):
            raise BadInput("scope_malformed", REASONS["scope_malformed"])
        try:
            ZoneInfo(self.options.zone or "UTC")
        except (KeyError, ValueError, OSError) as error:
            raise BadInput("zone_unknown", "There is no such time zone; give a name such as Asia/Shanghai.") from error
        self.table = open_table(self.path, header_like([]), encoding=self.options.encoding, sheet=self.options.sheet)
        try:
            self.places = self._find()
        except BaseException:
            self.table.close()
            raise
        above = (record._replace(error_id=record.error_id or "above_header") for record in self.table.above)
        self._records = _one_after_the_other(above, self.table)

    def _find(self) -> dict[str, int]:
        names = [unicodedata.normalize("NFKC", name).strip().lower() for name in self.table.header]
        found = {what: [at for at, name in enumerate(names) if name in known] for what, known in COLUMNS.items()}
        double = next((what for what, places in found.items() if len(places) > 1), None)
        if double is not None:
            raise BadInput(
                "header_ambiguous",
                f"Several columns could be the {double}; rename one of them.",
                columns=[self.table.header[at] for at in found[double]],
                wanted=double,
            )
        places = {what: at[0] for what, at in found.items() if at}
        wanted = {"number", "evidence", "given_at"} | (set() if self.options.scope else {"scope"})
        missing = [what for what in COLUMNS if what in wanted - places.keys()]
        if missing:
            raise BadInput(
                "consent_columns_missing",
                f"The file has no column for: {', '.join(missing)}. Name the columns number, scope, evidence and given at.",
                missing=missing,
                columns=self.table.header,
            )
        return places

    def part(self) -> tuple[list[_Row], list[Reject]] | None:
        """The next rows, and what was among them that cannot be used; None at the end."""
        rows, wrong = [], []
        for record in islice(self._records, _AT_ONCE):
            try:
                rows.append(self._row(record))
            except _Wrong as error:
                column, error_id, reason = error.args
                wrong.append(Reject(record.line, column, error_id, reason, record.cells))
        return (rows, wrong) if rows or wrong else None

    def _row(self, record: Record) -> _Row:
        if record.error_id is not None:
            raise _Wrong("", record.error_id)
        cells = {what: record.cells[at].strip() if at < len(record.cells) else "" for what, at in self.places.items()}
        named = {what: self.table.header[at] for what, at in self.places.items()}
        if any("\0" in cell for cell in cells.values()):
            raise _Wrong("", "nul_character")
        for what, longest in _LONGEST.items():
            if len(cells.get(what, "")) > longest:
                raise _Wrong(named[what], "cell_too_long")
        try:
            number = normalise(cells["number"], self.options.region).e164
        except BadInput as error:
            raise _Wrong(named["number"], error.error_id, error.message) from None
        scope = cells.get("scope") or self.options.scope
        if not _SCOPE.fullmatch(scope):
            raise _Wrong(named.get("scope", ""), "scope_malformed")
        if not cells["evidence"]:
            raise _Wrong(named["evidence"], "evidence_missing")
        given_at = self._time(cells["given_at"], named["given_at"])
        if given_at > self.now:
            raise _Wrong(named["given_at"], "time_ahead")
        ends = self._time(cells["expires_at"], named["expires_at"]) if cells.get("expires_at") else None
        if ends is not None and ends <= given_at:
            raise _Wrong(named["expires_at"], "ends_before_it_begins")
        return _Row(number, cells.get("client") or self.options.client, scope, cells["evidence"], given_at, ends)

    def _time(self, text: str, column: str) -> datetime:
        try:
            at = datetime.fromisoformat(unicodedata.normalize("NFKC", text).replace("/", "-"))
        except ValueError:
            raise _Wrong(column, "time_malformed") from None
        if not 1970 <= at.year < 9999:
            raise _Wrong(column, "time_malformed")
        if at.tzinfo is not None:
            return at
        if self.options.zone is None:
            raise _Wrong(column, "time_without_zone")
        return at.replace(tzinfo=ZoneInfo(self.options.zone))


def _one_after_the_other(first: Iterator[Record], rest: Table) -> Iterator[Record]:
    yield from first
    yield from rest
