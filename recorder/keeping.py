"""Retention in the ledger: policies, business dates, legal holds, and the verdicts on what is kept. Each statement above its function.

A removal holds the *removal lock* shared while it decides; placing or lifting a hold, and every change of a policy or a date, takes it alone. So
what is decided is decided on what is so.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, tzinfo
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from recorder.errors import BadPolicy
from recorder.retention.judge import Facts, Verdict, judge
from recorder.retention.policy import Basis, Policy, read_policy

if TYPE_CHECKING:
    from asyncpg import Record

    from recorder.ledger import Conn

PAGE: Final = 500
REMOVAL_LOCK: Final = 0x5741_4948_5501
_FIRST: Final = UUID(int=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A recording whose file somebody keeps, and what its retention stands on."""

    id: UUID
    attempt_id: UUID
    project_id: UUID
    state: str
    path: str
    sha256: bytes
    bytes: int
    duration_ms: int
    day: date
    policy: Policy | None
    facts: Facts
    verified: bool
    zone: tzinfo = UTC

    def begin_of(self, day: date) -> datetime:
        """When a day begins in the project's zone."""
        return datetime.combine(day, time(), self.zone)

    def verdict(self, day: date) -> Verdict:
        """The verdict on a day."""
        return judge(self.policy, self.facts, day)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Project:
    zone: tzinfo
    policy: Policy | None
    dates: Mapping[Basis, date]
    holds: tuple[str, ...]
    of_calls: Mapping[UUID, Mapping[Basis, date]] = field(default_factory=dict)


async def lock_shared(conn: Conn) -> None:
    """Until the end of the transaction no hold, policy or date changes."""
    await conn.execute("select pg_advisory_xact_lock_shared($1)", REMOVAL_LOCK)


async def lock_alone(conn: Conn) -> None:
    """Until the end of the transaction nothing is removed."""
    await conn.execute("select pg_advisory_xact_lock($1)", REMOVAL_LOCK)


_NEW_POLICY = """
insert into retention_policies (name, version, body, created_at, created_by)
select $1, coalesce(max(version), 0) + 1, $2::text::jsonb, $3, $4 from retention_policies where name = $1
returning version
"""


async def add_policy(conn: Conn, name: str, body: Mapping[str, Any], *, at: datetime, by: str) -> int:
    """A new version of a policy; it holds for its projects from now on. In a transaction. Raises BadPolicy `policy_invalid`."""
    read_policy(name, 1, body)
    await lock_alone(conn)
    return int(await conn.fetchval(_NEW_POLICY, name, json.dumps(body), at, by))


_POLICIES = "select name, version, body::text as body, created_at, created_by from retention_policies order by name, version desc"


async def policies(conn: Conn) -> list[dict[str, Any]]:
    """Every version of every policy, newest first within a name."""
    return [{**row, "body": json.loads(row["body"])} for row in await conn.fetch(_POLICIES)]


_USE = """
insert into project_retention (project_id, policy, since, set_by)
select $1, $2, $3, $4 where exists (select from retention_policies where name = $2)
on conflict (project_id) do update set policy = excluded.policy, since = excluded.since, set_by = excluded.set_by
"""


async def use_policy(conn: Conn, project_id: UUID, name: str, *, at: datetime, by: str) -> None:
    """Let a project follow a policy, in its newest version. In a transaction. Raises BadPolicy `policy_unknown`."""
    await lock_alone(conn)
    if await conn.execute(_USE, project_id, name, at, by) != "INSERT 0 1":
        raise BadPolicy("policy_unknown", f"There is no retention policy {name!r}: add it first.")


_SET_DATE = """
insert into business_dates (project_id, attempt_id, basis, day) values ($1, $2, $3, $4)
on conflict (project_id, basis, coalesce(attempt_id, '00000000-0000-0000-0000-000000000000')) do update set day = excluded.day
"""


async def set_date(conn: Conn, project_id: UUID, basis: Basis, day: date, *, attempt_id: UUID | None = None) -> None:
    """State a business date of a project or of one call. In a transaction."""
    await lock_alone(conn)
    await conn.execute(_SET_DATE, project_id, attempt_id, basis, day)


_HAS_CALL = """
select exists (select from attempts where id = $2 and project_id = $1) or exists (select from recordings where attempt_id = $2 and project_id = $1)
"""


async def has_call(conn: Conn, project_id: UUID, attempt_id: UUID) -> bool:
    """Whether a project has a call of this id."""
    found: bool = await conn.fetchval(_HAS_CALL, project_id, attempt_id)
    return found


_PLACE = """
insert into legal_holds (project_id, attempt_id, reason, placed_at, placed_by) values ($1, $2, $3, $4, $5) returning id
"""


async def place_hold(
    conn: Conn, project_id: UUID, reason: str, *, attempt_id: UUID | None = None, at: datetime, by: str
) -> UUID:
    """From the commit on nothing of the project (or of the call) is removed, whatever was about to be. In a transaction."""
    await lock_alone(conn)
    return UUID(str(await conn.fetchval(_PLACE, project_id, attempt_id, reason, at, by)))


_LIFT = """
update legal_holds set lifted_at = $2, lifted_by = $3, lift_reason = $4 where id = $1 and lifted_at is null
"""


async def lift_hold(conn: Conn, hold_id: UUID, reason: str, *, at: datetime, by: str) -> bool:
    """Lift it; False when there is no such open hold. In a transaction."""
    await lock_alone(conn)
    return await conn.execute(_LIFT, hold_id, at, by, reason) == "UPDATE 1"


_HOLDS = """
select id, project_id, attempt_id, reason, placed_at, placed_by, lifted_at, lifted_by, lift_reason from legal_holds
where $1::uuid is null or project_id = $1 order by placed_at desc, id limit 1000
"""


async def holds(conn: Conn, project_id: UUID | None = None) -> list[Record]:
    """Holds, newest first, the lifted ones too."""
    return list(await conn.fetch(_HOLDS, project_id))


_PROJECTS = """
select p.id, p.zone, q.policy, r.version, r.body::text as body,
       array(select h.reason from legal_holds h where h.project_id = p.id and h.attempt_id is null and h.lifted_at is null order by h.placed_at) as holds
from projects p left join project_retention q on q.project_id = p.id
     left join lateral (select version, body from retention_policies where name = q.policy order by version desc limit 1) r on true
where p.id = any($1)
"""
_DATES = "select project_id, attempt_id, basis, day from business_dates where project_id = any($1) and (attempt_id is null or attempt_id = any($2))"
_CALL_HOLDS = """
select attempt_id, array_agg(reason order by placed_at) as reasons from legal_holds
where attempt_id = any($1) and lifted_at is null group by attempt_id
"""
_COLUMNS = "id, attempt_id, project_id, state, path, sha256, bytes, duration_ms, started_at, created_at, verified_at from recordings"
_AFTER = f"""
select {_COLUMNS} where state = any($1) and ($2::uuid is null or project_id = $2) and id > $3 order by id limit $4
"""  # only our own column names
_OF = f"select {_COLUMNS} where id = any($1) and state = any($2) order by id"
_BY_ID = f"{_OF} for update"


async def kept(conn: Conn, *, states: Sequence[str], project_id: UUID | None = None) -> AsyncIterator[list[Kept]]:
    """All recordings in these states, page by page in the order of their ids."""
    last = _FIRST
    while rows := await conn.fetch(_AFTER, list(states), project_id, last, PAGE):
        last = rows[-1]["id"]
        yield await _with_facts(conn, rows)


async def kept_of(conn: Conn, ids: Sequence[UUID], *, states: Sequence[str]) -> list[Kept]:
    """These recordings; those in another state are left out."""
    return await _with_facts(conn, await conn.fetch(_OF, list(ids), list(states)))


async def kept_for_update(conn: Conn, ids: Sequence[UUID], *, states: Sequence[str]) -> list[Kept]:
    """These recordings as they are now, locked until the end of the transaction; those in another state are left out."""
    return await _with_facts(conn, await conn.fetch(_BY_ID, list(ids), list(states)))


async def _with_facts(conn: Conn, rows: Sequence[Record]) -> list[Kept]:
    project_ids, calls = list({row["project_id"] for row in rows}), [row["attempt_id"] for row in rows]
    of_project: dict[UUID, dict[Basis, date]] = {}
    of_call: dict[UUID, dict[Basis, date]] = {}
    for row in await conn.fetch(_DATES, project_ids, calls):
        dates = of_project if row["attempt_id"] is None else of_call
        dates.setdefault(row["attempt_id"] or row["project_id"], {})[Basis(row["basis"])] = row["day"]
    held = {row["attempt_id"]: tuple(row["reasons"]) for row in await conn.fetch(_CALL_HOLDS, calls)}
    projects = {
        row["id"]: _Project(
            zone=zone_of(row["zone"]),
            policy=_policy(row),
            dates=of_project.get(row["id"], {}),
            holds=tuple(row["holds"]),
        )
        for row in await conn.fetch(_PROJECTS, project_ids)
    }
    found = []
    for row in rows:
        project = projects[row["project_id"]]
        day = (row["started_at"] or row["created_at"]).astimezone(project.zone).date()
        facts = Facts(
            dates={**project.dates, **of_call.get(row["attempt_id"], {}), Basis.CALL: day},
            holds=project.holds + held.get(row["attempt_id"], ()),
        )
        values = {name: row[name] for name in ("id", "attempt_id", "project_id", "state", "path", "sha256", "bytes")}
        found.append(
            Kept(
                **values,
                duration_ms=row["duration_ms"] or 0,
                day=day,
                policy=project.policy,
                facts=facts,
                verified=row["verified_at"] is not None,
                zone=project.zone,
            )
        )
    return found


def zone_of(name: str) -> tzinfo:
    """A project's zone; UTC where it is not known here, as in the recorder's business day."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return UTC


def _policy(row: Record) -> Policy | None:
    """None also for one that cannot be read: nothing is deleted by it."""
    if row["body"] is None:
        return None
    try:
        return read_policy(row["policy"], row["version"], json.loads(row["body"]))
    except BadPolicy:
        return None
