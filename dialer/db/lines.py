"""Trunks, nodes and caller numbers as lists of the API show them."""

# ruff: noqa: S608  # what is put together here are constants of this file; values are always arguments

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from campaigns.caller_numbers.number import COLUMNS, CallerNumber, caller_number
from campaigns.trunks import Trunk
from campaigns.trunks import trunk as trunk_of
from dialer.db.sql import Connection

_TRUNK = "id, name, node, endpoint, max_channels, max_cps, number_format, enabled, caller_format, caller_prefix, pai, privacy, domain, diversion"
TRUNKS = f"select {_TRUNK} from trunks where ($1::text is null or name > $1) order by name limit $2"
TRUNK = f"select {_TRUNK} from trunks where id = $1"
CREATE_TRUNK = f"""
insert into trunks (name, node, endpoint, max_channels, max_cps, number_format, enabled, caller_format, caller_prefix, pai, privacy, domain)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
returning {_TRUNK}
"""
CHANGE_TRUNK = f"""
update trunks set name = coalesce($2, name), endpoint = coalesce($3, endpoint), max_channels = coalesce($4, max_channels),
    max_cps = coalesce($5, max_cps), number_format = coalesce($6, number_format), enabled = coalesce($7, enabled),
    caller_format = coalesce($8, caller_format), caller_prefix = coalesce($9, caller_prefix), pai = coalesce($10, pai), privacy = coalesce($11, privacy),
    domain = coalesce($12, domain), diversion = nullif(coalesce($13, diversion), '')
where id = $1 returning {_TRUNK}
"""
PROJECTS_OF_TRUNK = (
    "select id from projects where trunk_id = $1 and state in ('running', 'review', 'paused', 'stopped')"
)


async def trunks(conn: Connection, *, after: str | None, limit: int) -> list[Trunk]:
    """By name."""
    return [trunk_of(row) for row in await conn.fetch(TRUNKS, after, limit)]


async def trunk(conn: Connection, trunk_id: UUID) -> Trunk | None:
    """One trunk."""
    row = await conn.fetchrow(TRUNK, trunk_id)
    return trunk_of(row) if row else None


async def create_trunk(
    conn: Connection,
    *,
    name: str,
    node: str,
    endpoint: str,
    max_channels: int,
    max_cps: Decimal,
    number_format: str,
    enabled: bool,
    caller_format: str | None,
    caller_prefix: str,
    pai: str,
    privacy: str,
    domain: str,
) -> Trunk:
    """A new trunk; our number is written as the called one unless `caller_format` says otherwise.

    Errors: UniqueViolationError (name), ForeignKeyViolationError (node), CheckViolationError (a prefix or privacy that does not fit).
    """
    row = await conn.fetchrow(
        CREATE_TRUNK, name, node, endpoint, max_channels, max_cps, number_format, enabled, caller_format or number_format, caller_prefix, pai, privacy,
        domain,
    )  # fmt: skip
    assert row is not None  # noqa: S101  # an insert that returns nothing has raised
    return trunk_of(row)


async def change_trunk(
    conn: Connection, trunk_id: UUID, *, name: str | None, endpoint: str | None, max_channels: int | None, max_cps: Decimal | None,
    number_format: str | None, enabled: bool | None, caller_format: str | None, caller_prefix: str | None, pai: str | None, privacy: str | None,
    domain: str | None, diversion: str | None,
) -> Trunk | None:  # fmt: skip
    """Change what is given; an empty `diversion` takes it away. None: there is no such trunk. Errors: as `create_trunk`, ForeignKeyViolationError (diversion)."""
    row = await conn.fetchrow(
        CHANGE_TRUNK, trunk_id, name, endpoint, max_channels, max_cps, number_format, enabled, caller_format, caller_prefix, pai, privacy, domain,
        diversion,
    )  # fmt: skip
    return trunk_of(row) if row else None


async def projects_of_trunk(conn: Connection, trunk_id: UUID) -> list[UUID]:
    """The projects in work that dial through a trunk."""
    return [row["id"] for row in await conn.fetch(PROJECTS_OF_TRUNK, trunk_id)]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRow:
    """A node and its lease."""

    name: str
    alive: bool
    lease_until: datetime | None
    started_at: datetime | None


# The lease is by the database's clock.
NODES = """
select name, coalesce(lease_until > clock_timestamp(), false) as alive, lease_until, started_at from nodes order by name limit 1000
"""


async def nodes(conn: Connection) -> list[NodeRow]:
    """All nodes."""
    return [NodeRow(**dict(row)) for row in await conn.fetch(NODES)]


CALLER_NUMBERS = f"""
select {COLUMNS} from caller_numbers
where ($1::text is null or number > $1) and ($2::uuid is null or trunk_id = $2) and ($3::text is null or state = $3)
order by number limit $4
"""
PROJECTS_OF_CALLER_NUMBER = """
select p.id from projects p join project_caller_numbers c on c.project_id = p.id
where c.caller_number_id = $1 and p.state in ('running', 'review', 'paused', 'stopped')
"""


async def caller_numbers(
    conn: Connection, *, after: str | None, trunk_id: UUID | None, state: str | None, limit: int
) -> list[CallerNumber]:
    """By number."""
    return [caller_number(row) for row in await conn.fetch(CALLER_NUMBERS, after, trunk_id, state, limit)]


async def projects_of_caller_number(conn: Connection, caller_number_id: UUID) -> list[UUID]:
    """The projects in work that may show a caller number."""
    return [row["id"] for row in await conn.fetch(PROJECTS_OF_CALLER_NUMBER, caller_number_id)]
