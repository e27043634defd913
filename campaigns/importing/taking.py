"""A chunk of good rows becomes leads: COPY into a temporary table, then one statement that leaves out whoever is there already, and says why."""

# what is put together here are constants of this file; values are always arguments

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from campaigns.importing.columns import Columns
from campaigns.importing.options import Among, ImportOptions
from campaigns.importing.reading import Chunk
from campaigns.importing.rows import LeadRow, duplicate
from campaigns.imports import STATEMENT_TIMEOUT_S
from campaigns.locality.locating import PLACE, REGION
from campaigns.locality.tables import Books
from campaigns.sql import Connection
from campaigns.supply.supplies import Entry

STAGING: Final = """
create temporary table staged (line bigint, number text, others text, name text, fields text, priority smallint, reference text, carrier text, kind text)
on commit drop
"""

# Others of the client: $3 its name, $4 since when. The project itself is asked for references only; its numbers are refused by their unique index.
_IN_CLIENT: Final = """
exists (select from leads o join projects p on p.id = o.project_id
        where o.{what} = s.{what} and o.project_id <> $1 and p.client = $3 and p.client <> ''
          and ($4::timestamptz is null or o.created_at >= $4))
"""
_REFERENCE: Final = """
when s.reference is not null and exists (select from leads o where o.reference = s.reference and o.project_id = $1 and o.import_id = $2)
    then 'reference_in_file'
when s.reference is not null
     and exists (select from leads o where o.reference = s.reference and o.project_id = $1 and ($4::timestamptz is null or o.created_at >= $4))
    then 'reference_in_project'
"""

_TAKE: Final = """
with judged as (
    select s.*, case {checks} end as twice from staged s
    where $3::text is not null or $4::timestamptz is null       -- not every check uses them, and a parameter must have a type
), inserted as (
    insert into leads (project_id, import_id, number, other_numbers, name, fields, priority, reference, carrier, kind, place_id, zone, region, held, rank, state)
    select $1, $2, s.number, coalesce(string_to_array(s.others, ','), '{{}}'), s.name, s.fields::jsonb, s.priority, s.reference, s.carrier, s.kind,
           place.id, nullif(place.zone, ''), {region}, $7::boolean, $8::bigint, case when d.number is null then 'new' else 'do_not_call' end
    from judged s {place}
    left join lateral (select d.number from do_not_call d join projects p on p.id = $1
                       where d.number = s.number and (d.client is null or d.client = p.client) and (d.project_id is null or d.project_id = $1)
                         and d.expires_at is null limit 1) d on true
    where s.twice is null
    order by s.line
    on conflict (number, project_id) do nothing
    returning id, number, state
)
select min(i.id) as first_lead, max(i.id) as last_lead, count(i.id) as accepted, count(*) filter (where i.state = 'do_not_call') as do_not_call,
       coalesce(array_agg(s.line order by s.line) filter (where i.id is null), '{{}}') as lines,
       coalesce(array_agg(s.twice order by s.line) filter (where i.id is null), '{{}}') as reasons
from judged s left join inserted i using (number)
"""

_WITH_PLACE: Final = PLACE.format(used="$5", plan="$6", number="s.number")

# Number by number: the leads of this import, which may be millions by now, are not to be gone through for each chunk again.
OURS: Final = """
select s.line from unnest($3::bigint[], $4::text[]) as s (line, number)
join lateral (select l.import_id from leads l where l.number = s.number and l.project_id = $1 limit 1) l on l.import_id = $2
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a list goes, what it must not repeat, where its numbers are looked up, and how its leads enter the project's supply. `since`: from when on leads count as there already (None: from ever)."""

    import_id: UUID
    project_id: UUID
    client: str
    columns: Columns
    options: ImportOptions
    books: Books
    entry: Entry
    since: datetime | None = None

    def statement(self) -> str:
        """The statement that takes a chunk, with the checks that are wanted and no others."""
        checks = _REFERENCE if self.columns.reference is not None else ""
        if self.options.among is Among.CLIENT:
            checks += f"when {_IN_CLIENT.format(what='number')} then 'duplicate_in_client'\n"
            if self.columns.reference is not None:
                checks += f"when {_IN_CLIENT.format(what='reference')} then 'reference_in_client'\n"
        return _TAKE.format(checks=checks or "when false then ''", place=_WITH_PLACE, region=REGION)


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a chunk."""

    accepted: int
    do_not_call: int
    first_lead: int | None
    last_lead: int | None


async def take(conn: Connection, target: Target, chunk: Chunk) -> Taken:
    """Write the good rows of a chunk; those that were there already are added to its rejects."""
    if not chunk.rows:
        return Taken(0, 0, None, None)
    await conn.copy_records_to_table("staged", records=chunk.rows, columns=LeadRow._fields, timeout=STATEMENT_TIMEOUT_S)
    row = await conn.fetchrow(
        target.statement(),
        target.project_id,
        target.import_id,
        target.client,
        target.since,
        target.books.used,
        target.books.plan,
        target.entry.held,
        target.entry.rank,
        timeout=STATEMENT_TIMEOUT_S,
    )
    assert row is not None  # noqa: S101 -- an aggregate always gives a row
    if row["lines"]:
        reasons = dict(zip(row["lines"], row["reasons"], strict=True))
        unsaid = [lead for lead in chunk.rows if lead.line in reasons and reasons[lead.line] is None]
        lines, numbers = [lead.line for lead in unsaid], [lead.number for lead in unsaid]
        ours = await conn.fetch(OURS, target.project_id, target.import_id, lines, numbers, timeout=STATEMENT_TIMEOUT_S)
        in_file = {one["line"] for one in ours}
        chunk.rejects += [
            duplicate(lead, chunk.cells[lead.line], target.columns, _reason(lead.line, reasons[lead.line], in_file))
            for lead in chunk.rows
            if lead.line in reasons
        ]
    await conn.execute("truncate staged")
    return Taken(row["accepted"], row["do_not_call"], row["first_lead"], row["last_lead"])


def _reason(line: int, said: str | None, in_file: set[int]) -> str:
    return said or ("duplicate_in_file" if line in in_file else "duplicate_in_project")
