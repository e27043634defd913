"""Rows of a volume into a ledger that does not know them: what is there stays as it is, and nobody's row becomes another's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from recorder.ledger import Conn

_WITH_IDS: Final = "overriding system value"
_COLUMNS: Final = """
select a.attname from pg_attribute a where a.attrelid = $1::text::regclass and a.attnum > 0 and not a.attisdropped and a.attname = any($2)
and not exists (select from pg_constraint c where c.conrelid = a.attrelid and c.contype = 'f' and c.conparentid = 0 and a.attnum = any(c.conkey)
                and c.confrelid::regclass::text <> all(array['projects', 'leads', 'attempts', 'recordings', 'recording_project_keys']))
order by a.attnum
"""


async def insert(conn: Conn, table: str, rows: Sequence[Mapping[str, Any]], how: str = "") -> int:
    """Insert what is not there; of each row the columns that the table has and that refer to nothing a volume does not carry."""
    if not rows:
        return 0
    names = [row["attname"] for row in await conn.fetch(_COLUMNS, table, list(rows[0]))]
    listed = ", ".join(f'"{name}"' for name in names)
    done = await conn.execute(
        f"insert into {table} ({listed}) {how} select {listed} from jsonb_populate_recordset(null::{table}, $1::text::jsonb) on conflict do nothing",  # noqa: S608  # names from the catalogue of the database
        json.dumps([dict(row) for row in rows]),
    )
    return int(done.rpartition(" ")[2])


class _Lead(NamedTuple):
    """Ids in the ledger for a lead of a volume: the lead itself (its number may be the person's next one since), another lead of its number in the
    project; whether its id is somebody's.
    """

    same: int | None
    by_number: int | None
    taken: bool


_KNOWN: Final = """
select v.id, (select l.id from leads l where l.id = v.id and l.project_id = v.project_id and l.created_at = v.created_at) as same,
       (select l.id from leads l where l.project_id = v.project_id and l.number = v.number) as by_number,
       exists (select from leads l where l.id = v.id) as taken
from jsonb_populate_recordset(null::leads, $1::text::jsonb) v
"""
_LEADS_GO_ON: Final = (
    "select setval(pg_get_serial_sequence('leads', 'id'), greatest((select coalesce(max(id), 1) from leads), 1))"
)
_NEXT_LEAD: Final = "select nextval(pg_get_serial_sequence('leads', 'id'))"


async def leads_back(conn: Conn, rows: Sequence[dict[str, Any]]) -> dict[int, int]:
    """Bring leads back and give, by the id on the volume, the id of each that has another now: an id may be somebody else's since (the ledger was put back
    from an older backup), and a number a lead again.
    """
    leads = list({lead["id"]: lead for lead in rows}.values())
    known = await _known(conn, leads)
    await insert(conn, "leads", [lead for lead in leads if known[lead["id"]] == (None, None, False)], _WITH_IDS)
    await conn.execute(_LEADS_GO_ON)
    known, changed = await _known(conn, leads), dict[int, int]()
    for lead in leads:
        same, there, _ = known[lead["id"]]
        if same is None and there is None:
            await insert(conn, "leads", [{**lead, "id": await conn.fetchval(_NEXT_LEAD)}], _WITH_IDS)
            there = (await _known(conn, [lead]))[lead["id"]].by_number
        if same is None and there is not None:
            changed[lead["id"]] = there
    return changed


async def _known(conn: Conn, leads: Sequence[dict[str, Any]]) -> dict[int, _Lead]:
    return {
        row["id"]: _Lead(row["same"], row["by_number"], row["taken"])
        for row in await conn.fetch(_KNOWN, json.dumps(leads))
    }


def of_lead(row: dict[str, Any], changed: Mapping[int, int]) -> dict[str, Any]:
    """A row that refers to a lead, by its id in the ledger."""
    return {**row, "lead_id": changed.get(row["lead_id"], row["lead_id"])}
