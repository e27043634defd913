"""Supply: the filter and the order of a project, counted before they are used, and how long the data lasts."""

from __future__ import annotations

from uuid import UUID

from campaigns.supply import lasting as campaign_lasting
from campaigns.supply import supplies
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.projects.routes import there
from dialer.web.roles import LEAD_READERS, PLANNERS
from dialer.web.supply.types import Counted, FilterToCount, Lasting, NewSupply, Supply


@operation(
    "GET", "/projects/{project_id}/supply", roles=LEAD_READERS, summary="What a project dials, and in what order"
)
async def get_supply(call: Call, project_id: UUID) -> Supply:
    """One that nobody has set: everybody, oldest first."""
    async with call.connection() as conn:
        await there(conn, project_id)
        return Supply.model_validate(await supplies.get_supply(conn, project_id))


@operation("PUT", "/projects/{project_id}/supply", roles=PLANNERS, summary="Set what a project dials")
async def set_supply(call: Call, project_id: UUID, body: NewSupply) -> Supply:
    """Nobody outside the new filter is called from now on; an engine judges the leads by it, and says how far it is."""
    async with call.transaction() as conn:
        await there(conn, project_id)
        order = body.ordering.made()
        await supplies.set_supply(
            conn,
            project_id,
            condition=body.filter,
            ordering=order,
            alarm_hours=body.alarm_hours,
            user_id=call.identity.user_id,
        )
        said = body.model_dump(mode="json")
        await call.audit(conn, "supply_changed", "project", project_id, **said)
        return Supply.model_validate(await supplies.get_supply(conn, project_id))


@operation(
    "POST",
    "/projects/{project_id}/supply/count",
    roles=PLANNERS,
    summary="Count a filter before using it",
    timeout_s=70,
)
async def count_filter(call: Call, project_id: UUID, body: FilterToCount) -> Counted:
    """Reads all leads of the project: up to a minute."""
    async with call.connection() as conn:
        await there(conn, project_id)
        matching, leads = await supplies.count_filter(conn, project_id, body.filter)
    return Counted(matching=matching, leads=leads)


@operation(
    "GET", "/projects/{project_id}/lasting", roles=LEAD_READERS, summary="How long a project's data lasts", timeout_s=70
)
async def get_lasting(call: Call, project_id: UUID) -> Lasting:
    """At the rate of the last hour."""
    async with call.connection() as conn:
        await there(conn, project_id)
        found = await campaign_lasting.lasting(conn, project_id, call.now)
    return Lasting(
        fresh=found.fresh,
        coming_back=found.coming_back,
        per_hour=f"{found.per_hour:.1f}",
        since=found.since,
        hours=None if found.hours is None else f"{found.hours:.1f}",
        alarm_hours=found.alarm_hours,
        alarm=found.alarm,
    )
