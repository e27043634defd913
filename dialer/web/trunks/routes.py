"""Trunks to carriers, and the nodes they hang on."""

from __future__ import annotations

from uuid import UUID

from campaigns import trunks
from dialer.db import lines, nodes
from dialer.domain.errors import NotFound
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.commands import reload_project
from dialer.web.fields import Page, PageQuery, after_cursor, page_of, plain_text
from dialer.web.roles import TELEPHONY, TELEPHONY_READERS
from dialer.web.trunks.types import NewTrunk, Node, NodeLimits, NodeLimitsOut, NodeName, Nodes, Trunk, TrunkChange


@operation("GET", "/trunks", roles=TELEPHONY_READERS, summary="List trunks")
async def list_trunks(call: Call, query: PageQuery) -> Page[Trunk]:
    """By name."""
    after = after_cursor(query.cursor, plain_text)
    async with call.connection() as conn:
        rows = await lines.trunks(conn, after=after[0] if after else None, limit=query.limit + 1)
    return page_of(rows, query.limit, Trunk.model_validate, lambda row: [row.name])


@operation("POST", "/trunks", roles=TELEPHONY, summary="Create a trunk", status=201)
async def create_trunk(call: Call, body: NewTrunk) -> Trunk:
    """Its PJSIP endpoint is in the node's own configuration; here is what we may use of it."""
    async with call.transaction() as conn:
        row = await lines.create_trunk(conn, **body.model_dump())
        await call.audit(conn, "trunk_created", "trunk", row.id, **body.model_dump(mode="json"))
    return Trunk.model_validate(row)


@operation("GET", "/trunks/{trunk_id}", roles=TELEPHONY_READERS, summary="A trunk")
async def get_trunk(call: Call, trunk_id: UUID) -> Trunk:
    """One trunk."""
    async with call.connection() as conn:
        return _there(await lines.trunk(conn, trunk_id))


@operation("PATCH", "/trunks/{trunk_id}", roles=TELEPHONY, summary="Change a trunk")
async def change_trunk(call: Call, trunk_id: UUID, body: TrunkChange) -> Trunk:
    """What is left out or null stays."""
    async with call.transaction() as conn:
        trunk = _there(await lines.change_trunk(conn, trunk_id, **body.model_dump()))
        await call.audit(conn, "trunk_changed", "trunk", trunk_id, **body.model_dump(mode="json", exclude_none=True))
        projects = await lines.projects_of_trunk(conn, trunk_id)
    for project_id in projects:
        await reload_project(call, project_id)
    return trunk


@operation("GET", "/nodes", roles=TELEPHONY_READERS, summary="List Asterisk nodes")
async def list_nodes(call: Call) -> Nodes:
    """And whether an engine owns each of them now."""
    async with call.connection() as conn:
        return Nodes(items=[Node.model_validate(row) for row in await lines.nodes(conn)])


@operation("PUT", "/nodes/{name}/limits", roles=TELEPHONY, summary="Say what a node may carry")
async def put_node_limits(call: Call, name: NodeName, body: NodeLimits) -> NodeLimitsOut:
    """Customers' calls at once and new calls a second, over all its trunks; its engine takes it within seconds."""
    wanted = body.model_dump()
    async with call.transaction() as conn:
        kept = await nodes.set_limits(conn, name, nodes.NodeLimits(**wanted))
        await call.audit(conn, "node_limited", "node", name, **wanted)
    return NodeLimitsOut(name=name, max_channels=kept.max_channels, max_cps=kept.max_cps)


def _there(row: trunks.Trunk | None) -> Trunk:
    if row is None:
        raise NotFound("trunk_unknown", "There is no such trunk.")
    return Trunk.model_validate(row)
