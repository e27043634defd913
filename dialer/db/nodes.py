"""Nodes: which engine run owns which Asterisk. A lease, by the database's clock alone, so that clocks of machines need not agree."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from dialer.db.sql import Connection
from dialer.domain.errors import Conflict, NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node and who holds it. `held`: the lease has not run out, by the database's clock."""

    name: str
    holder: UUID | None
    lease_until: datetime | None
    control_url: str | None
    started_at: datetime | None
    held: bool


_COLUMNS = (
    "name, holder, lease_until, control_url, started_at, coalesce(lease_until > clock_timestamp(), false) as held"
)

_ACQUIRE = f"""
insert into nodes as n (name, holder, lease_until, control_url, started_at)
values ($1, $2, clock_timestamp() + make_interval(secs => $3), $4, clock_timestamp())
on conflict (name) do update
set holder = excluded.holder, lease_until = excluded.lease_until, control_url = excluded.control_url, started_at = excluded.started_at
where n.holder is null or n.holder = excluded.holder or n.lease_until is null or n.lease_until <= clock_timestamp()
returning {_COLUMNS}
"""  # noqa: S608 -- constants

_ONE = f"select {_COLUMNS} from nodes where name = $1"  # noqa: S608 -- constants


async def acquire(conn: Connection, name: str, holder: UUID, *, lease_s: float, control_url: str | None = None) -> Node:
    """Take the node for an engine run. Of several that try at once one gets it.

    Errors: Conflict `node_taken`, with `lease_until` in its detail: another engine holds it, or died less than a lease ago.
    """
    row = await conn.fetchrow(_ACQUIRE, name, holder, lease_s, control_url)
    if row is None:
        other = await conn.fetchrow(_ONE, name)
        until = None if other is None else other["lease_until"]
        raise Conflict(
            "node_taken",
            f"Another engine owns the node {name}; stop it, give this one another node, or wait until its lease has run out.",
            node=name,
            lease_until=None if until is None else until.isoformat(),
        )
    return Node(**row)


_RENEW = """
update nodes set lease_until = clock_timestamp() + make_interval(secs => $3)
where name = $1 and holder = $2 and lease_until > clock_timestamp()
returning name
"""


async def renew(conn: Connection, name: str, holder: UUID, *, lease_s: float) -> bool:
    """Keep the node. False: it was lost (the lease had run out, or another engine has it): place no call any more; `acquire` may get it back."""
    return await conn.fetchval(_RENEW, name, holder, lease_s) is not None


_RELEASE = "update nodes set holder = null, lease_until = null, control_url = null where name = $1 and holder = $2"


async def release(conn: Connection, name: str, holder: UUID) -> None:
    """Give the node back, so that the next engine need not wait; does nothing when it is not ours."""
    await conn.execute(_RELEASE, name, holder)


_ENSURE = "insert into nodes (name) values ($1) on conflict do nothing"


async def ensure(conn: Connection, name: str) -> None:
    """Make the row of a node that trunks and devices can be given to before its engine was ever started."""
    await conn.execute(_ENSURE, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLimits:
    """What a node may carry: calls at once, new calls a second; None: no limit of its own."""

    max_channels: int | None = None
    max_cps: Decimal | None = None


NO_LIMITS: Final = NodeLimits()

_LIMITS = "select max_channels, max_cps from nodes where name = $1"
_SET_LIMITS = "update nodes set max_channels = $2, max_cps = $3 where name = $1 returning max_channels, max_cps"


async def limits(conn: Connection, name: str) -> NodeLimits:
    """Of one node; one that is not known has none."""
    row = await conn.fetchrow(_LIMITS, name)
    return NO_LIMITS if row is None else NodeLimits(**row)


async def set_limits(conn: Connection, name: str, wanted: NodeLimits) -> NodeLimits:
    """Both are set. Errors: NotFound `node_unknown`."""
    row = await conn.fetchrow(_SET_LIMITS, name, wanted.max_channels, wanted.max_cps)
    if row is None:
        raise NotFound("node_unknown", "There is no such node.")
    return NodeLimits(**row)


_LIST = f"select {_COLUMNS} from nodes order by name"  # noqa: S608 -- constants


async def list_nodes(conn: Connection) -> list[Node]:
    """All nodes."""
    return [Node(**row) for row in await conn.fetch(_LIST)]
