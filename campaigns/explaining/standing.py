"""What a lead's place in a trial's sample, and a callback that was promised, mean for its call at this moment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from campaigns.explaining.results import Asked, GateResult
from campaigns.sql import Connection

_STANDING = """
select p.mode = 'trial' as in_trial, p.trial_size as size, p.trial_taken as taken,
       exists (select from trial_leads t where t.project_id = p.id and t.run = p.trial_run and t.lead_id = l.id) as sampled,
       l.state = 'callback' or l.callback_agent_id is not null as promised, l.callback_agent_id is null as shared, a.number as keeper, v.state as keeper_is,
       exists (select from serving s where s.project_id = p.id and s.agent_id = a.id) as keeper_serves,
       exists (select from serving s join agent_live r on r.agent_id = s.agent_id and r.state = 'ready' where s.project_id = p.id) as anybody
from leads l join projects p on p.id = l.project_id left join agents a on a.id = l.callback_agent_id left join agent_live v on v.agent_id = a.id
where p.id = $1 and l.id = $2
"""


async def standing_of(conn: Connection, project_id: UUID, lead_id: int) -> Any:
    """What the two gates are told by: sample, promise, and who could keep it."""
    return await conn.fetchrow(_STANDING, project_id, lead_id)


def of_trial(found: Any) -> Iterator[GateResult]:
    """In a trial: is there a place in its sample for this lead?"""
    if not found["in_trial"]:
        return
    taken = f"{found['taken']} of {found['size']} places of the trial's sample are taken"
    full = found["taken"] >= found["size"]
    if found["promised"]:
        passed = found["sampled"]
        reason = "It is of the trial's sample." if passed else "It is not of the trial's sample; its callback waits."
    else:
        passed, reason = not full, f"{taken}; nothing more is dialled." if full else f"{taken}."
    yield GateResult(gate=Asked.TRIAL, passed=passed, reason=reason)


def of_promise(found: Any) -> Iterator[GateResult]:
    """Of a callback: is somebody ready who may keep it?"""
    if not found["promised"]:
        return
    if found["shared"]:
        passed, reason = found["anybody"], "Any agent of the project may keep it, and one is ready."
        reason = reason if passed else "It is a callback, and no agent of the project is ready."
    elif not found["keeper_serves"]:
        passed = False
        reason = f"Agent {found['keeper']} promised it and does not get the project's calls: give it to somebody else."
    else:
        does = "not logged in" if found["keeper_is"] is None else f"in state {found['keeper_is']}"
        passed, reason = found["keeper_is"] == "ready", f"Agent {found['keeper']} promised it and is {does}."
    yield GateResult(gate=Asked.PROMISE, passed=passed, reason=reason)
