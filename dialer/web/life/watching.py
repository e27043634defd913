"""Stop rules of a project, and the alarms of projects."""

from __future__ import annotations

from uuid import UUID

from campaigns.life import stop_rules, watching
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.commands import reload_project
from dialer.web.life.types import Alarm, AlarmQuery, Alarms, StopRule, StopRules
from dialer.web.projects.routes import there
from dialer.web.roles import LIFE_LEADERS, REPORT_READERS


@operation(
    "GET", "/projects/{project_id}/stop-rules", roles=REPORT_READERS, summary="What makes a project stop by itself"
)
async def get_stop_rules(call: Call, project_id: UUID) -> StopRules:
    """None: nothing does."""
    async with call.connection() as conn:
        await there(conn, project_id)
        found = await watching.rules_in_force(conn, [project_id])
    return StopRules(rules=[
        StopRule(
            kind=one.rule.kind, tolerated=one.rule.tolerated, alarming=one.rule.alarming, false_stop_calls=one.rule.false_stop_calls,
            least_calls=one.rule.least_calls,
        )
        for one in found
    ])  # fmt: skip


@operation(
    "PUT", "/projects/{project_id}/stop-rules", roles=LIFE_LEADERS, summary="Say what makes a project stop by itself"
)
async def put_stop_rules(call: Call, project_id: UUID, body: StopRules) -> StopRules:
    """These and no others; one that is changed counts from now. The engine takes them at once."""
    wanted = [stop_rules.StopRule(**one.model_dump()) for one in body.rules]
    async with call.transaction() as conn:
        await there(conn, project_id)
        await watching.save_stop_rules(conn, project_id, wanted, call.now)
        await call.audit(conn, "stop_rules_set", "project", project_id, rules=body.model_dump(mode="json")["rules"])
    await reload_project(call, project_id)
    return body


@operation("GET", "/projects/{project_id}/alarms", roles=REPORT_READERS, summary="The alarms of a project")
async def get_project_alarms(call: Call, project_id: UUID, query: AlarmQuery) -> Alarms:
    """Newest first: data that runs out, stop rules that stopped it; when each was raised and cleared."""
    async with call.connection() as conn:
        await there(conn, project_id)
        found = await watching.alarms(conn, project_id, open_only=query.open, limit=query.limit)
    return Alarms(alarms=[Alarm.model_validate(one) for one in found])


@operation("GET", "/alarms", roles=REPORT_READERS, summary="The alarms of all projects")
async def get_alarms(call: Call, query: AlarmQuery) -> Alarms:
    """Newest first."""
    async with call.connection() as conn:
        found = await watching.alarms(conn, open_only=query.open, limit=query.limit)
    return Alarms(alarms=[Alarm.model_validate(one) for one in found])
