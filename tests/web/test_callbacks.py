"""Callbacks over the API: who sees which, and those of one who is gone go to somebody who can keep them, or to nobody in particular."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dialer.domain.roles import Role
from tests.builders import NOON, a_lead, a_project, an_agent
from tests.web.conftest import House

pytestmark = pytest.mark.services


async def test_callbacks_are_listed_by_project_agent_and_sharing_and_say_which_nobody_keeps(house: House) -> None:
    project, other = await a_project(house.pool, mask_numbers=True), await a_project(house.pool)
    gone = await an_agent(house.pool)
    agent = await house.person(Role.AGENT, projects=(project.id,))
    assert agent.agent_id is not None
    made = [
        await a_lead(house.pool, of.id, state="callback", next_at=NOON + timedelta(hours=n), callback_agent_id=whose)
        for n, (of, whose) in enumerate(((project, gone), (project, agent.agent_id), (project, None), (other, gone)))
    ]
    leader = await house.person(Role.TEAM_LEADER)
    first = (await leader.ask("GET", "/callbacks", limit=3)).body
    assert [(one["lead_id"], one["kept"]) for one in first["items"]] == [
        (made[0], False),
        (made[1], True),
        (made[2], True),
    ]
    assert "****" in first["items"][0]["number"]
    rest = (await leader.ask("GET", "/callbacks", limit=3, cursor=first["next"])).body
    assert ([one["lead_id"] for one in rest["items"]], rest["next"]) == ([made[3]], None)
    for query, found in (
        ({"project_id": str(project.id)}, made[:3]),
        ({"agent_id": str(gone)}, [made[0], made[3]]),
        ({"shared": "true", "project_id": str(project.id)}, [made[2]]),
    ):
        assert [one["lead_id"] for one in (await leader.ask("GET", "/callbacks", query=query)).body["items"]] == found
    assert [one["lead_id"] for one in (await agent.ask("GET", "/callbacks")).body["items"]] == [made[1]]
    assert (await agent.ask("GET", "/callbacks", agent_id=gone)).body["items"] == []


async def test_what_one_who_is_gone_promised_is_given_to_another_or_to_everybody(house: House) -> None:
    one, two = await a_project(house.pool), await a_project(house.pool)
    gone, heir = await an_agent(house.pool), await an_agent(house.pool, projects=[one.id])
    first, second, third = [
        await a_lead(house.pool, of.id, state="callback", next_at=NOON, callback_agent_id=gone)
        for of in (one, one, two)
    ]
    leader = await house.person(Role.TEAM_LEADER)
    give = {"from_agent_id": str(gone), "to_agent_id": str(heir)}
    refused = await leader.ask("POST", "/callbacks/reassign", give)
    assert (refused.status, refused.error_id) == (409, "callback_elsewhere"), "two is not the heir's"
    moved = await leader.ask("POST", "/callbacks/reassign", give | {"project_id": str(one.id)})
    assert (moved.status, moved.body) == (200, {"moved": 2})
    assert (await leader.ask("POST", "/callbacks/reassign", {"lead_ids": [third]})).body == {"moved": 1}
    rows = await house.pool.fetch("select id, callback_agent_id, state, next_at from leads order by id")
    assert [tuple(row) for row in rows] == [
        (first, heir, "callback", NOON),
        (second, heir, "callback", NOON),
        (third, None, "callback", NOON),
    ]
    audited = await house.audited("callbacks_reassigned")
    assert sorted(row["detail"]["moved"] for row in audited) == [1, 2]


async def test_callbacks_that_cannot_be_given_on_stay_as_they_are(house: House) -> None:
    project = await a_project(house.pool)
    agent_id = await an_agent(house.pool, projects=[project.id])
    mine = await a_lead(house.pool, project.id, state="callback", next_at=NOON, callback_agent_id=agent_id)
    done = await a_lead(house.pool, project.id, state="done")
    leader = await house.person(Role.TEAM_LEADER)
    for body, error_id in (
        ({"lead_ids": [mine, done]}, "callback_unknown"),
        ({"lead_ids": [mine], "to_agent_id": str(project.id)}, "agent_unknown"),
        ({"lead_ids": [mine], "from_agent_id": str(agent_id)}, "invalid_request"),
        ({}, "invalid_request"),
        ({"lead_ids": [mine], "project_id": str(project.id)}, "invalid_request"),
    ):
        assert (await leader.ask("POST", "/callbacks/reassign", body)).error_id == error_id
    assert await house.pool.fetchval("select callback_agent_id from leads where id = $1", mine) == agent_id
