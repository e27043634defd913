"""The desk: an agent for themself, a leader for anybody; and it goes on while the database is away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from dialer.domain.commands import (
    AgentBreak,
    AgentLogin,
    AgentLogout,
    AgentReady,
    Dial,
    HangUp,
    Hold,
    PauseRecording,
    PreviewNext,
    PreviewSkip,
    Resume,
    ResumeRecording,
    Transfer,
    WrapUp,
)
from dialer.domain.errors import Conflict, Unavailable
from dialer.domain.roles import Role
from lab.postgres import Postgres
from tests.builders import a_lead, a_project, an_agent
from tests.web.conftest import House


async def test_each_button_becomes_its_command(house: House) -> None:
    project = await a_project(house.pool)
    agent = await house.person(Role.AGENT, projects=(project.id,))
    me, device, other = agent.agent_id, uuid4(), uuid4()
    presses: list[tuple[str, Any, Any]] = [
        (
            "login",
            {"device_id": str(device), "wanted": "ready"},
            AgentLogin(agent_id=me, device_id=device, wanted="ready"),
        ),
        ("ready", None, AgentReady(agent_id=me)),
        ("break", {"reason": "tea"}, AgentBreak(agent_id=me, reason="tea")),
        ("dial", {"project_id": str(project.id), "lead_id": 7}, Dial(agent_id=me, project_id=project.id, lead_id=7)),
        ("preview/next", {"project_id": str(project.id)}, PreviewNext(agent_id=me, project_id=project.id)),
        ("preview/skip", {"reason": "wrong name"}, PreviewSkip(agent_id=me, reason="wrong name")),
        ("hold", None, Hold(agent_id=me)),
        ("resume", None, Resume(agent_id=me)),
        (
            "recording/pause",
            {"reason": "other", "note": "a password"},
            PauseRecording(agent_id=me, reason="other", note="a password"),
        ),
        ("recording/resume", None, ResumeRecording(agent_id=me)),
        ("transfer", {"to_agent_id": str(other)}, Transfer(agent_id=me, to_agent_id=other)),
        ("hang-up", None, HangUp(agent_id=me)),
        ("wrap-up", {"disposition": "agreed", "note": "ok"}, WrapUp(agent_id=me, disposition="agreed", note="ok")),
        ("logout", None, AgentLogout(agent_id=me)),
    ]
    for path, body, command in presses:
        assert (await agent.do("POST", f"/desk/me/{path}", body))["state"] == "ready"
        assert house.engine.commands[-1] == command
        [row] = await house.audited(command.kind)
        assert (row["user_id"], row["subject_id"]) == (agent.user_id, str(me))


async def test_an_agent_cannot_touch_anothers_desk(house: House) -> None:
    agent, other = await house.person(Role.AGENT), await an_agent(house.pool)
    for path in ("ready", "hang-up", "logout"):
        assert (await agent.ask("POST", f"/desk/{other}/{path}")).error_id == "not_your_desk"
    assert (await agent.ask("GET", f"/desk/{other}")).error_id == "not_your_desk"
    assert house.engine.commands == []


async def test_a_leader_acts_for_anybody_and_the_log_says_so(house: House) -> None:
    leader, agent = await house.person(Role.TEAM_LEADER), await an_agent(house.pool)
    await leader.do("POST", f"/desk/{agent}/logout")
    assert house.engine.commands == [AgentLogout(agent_id=agent)]
    [row] = await house.audited("agent_logout")
    assert row["user_id"] == leader.user_id
    assert (await leader.ask("POST", "/desk/me/ready")).error_id == "no_agent"


async def test_what_the_engine_refuses_is_in_the_log_with_the_reason(house: House) -> None:
    project, leader, agent = await a_project(house.pool), await house.person(Role.ADMIN), await an_agent(house.pool)
    house.engine.refuse = Conflict("agent_busy", "End the call first.")
    assert (await leader.ask("POST", f"/desk/{agent}/ready")).error_id == "agent_busy"
    assert (await leader.ask("POST", f"/projects/{project.id}/start")).error_id == "agent_busy"
    for action in ("agent_ready", "project_started"):
        assert [row["detail"].get("refused") for row in await house.audited(action)] == ["agent_busy"]


async def test_an_agent_dials_only_for_projects_they_work_on(house: House) -> None:
    project = await a_project(house.pool)
    agent = await house.person(Role.AGENT)
    for path, body in (("dial", {"lead_id": 1}), ("preview/next", {})):
        answer = await agent.ask("POST", f"/desk/me/{path}", {"project_id": str(project.id), **body})
        assert answer.error_id == "project_unknown"
    assert house.engine.commands == []


@pytest.mark.parametrize("body", [{}, {"number": "13812345678", "lead_id": 1}])
async def test_dialling_takes_a_number_or_a_lead(house: House, body: dict[str, Any]) -> None:
    agent = await house.person(Role.AGENT)
    assert (
        await agent.ask("POST", "/desk/me/dial", {"project_id": str(uuid4()), **body})
    ).error_id == "invalid_request"


async def test_what_the_engine_refuses_is_told_in_its_words(house: House) -> None:
    agent = await house.person(Role.AGENT)
    house.engine.refuse = Conflict("not_in_a_call", "There is no call to hang up.")
    answer = await agent.ask("POST", "/desk/me/hang-up")
    assert (answer.status, answer.error_id) == (409, "not_in_a_call")
    house.engine.refuse = Unavailable("engine_away", "The engine does not answer.")
    assert (await agent.ask("POST", "/desk/me/hang-up")).status == 503


@pytest.mark.parametrize("body", [{}, {"reason": "boredom"}, {"reason": "other", "note": "x" * 101}])
async def test_a_pause_of_the_recording_takes_one_of_the_reasons_that_the_desk_shows(
    house: House, body: dict[str, Any]
) -> None:
    agent = await house.person(Role.AGENT)
    assert (await agent.ask("POST", "/desk/me/recording/pause", body)).error_id == "invalid_request"
    reasons = {one["code"]: one["needs_note"] for one in (await agent.get("/desk/me"))["pause_reasons"]}
    assert reasons == {"card_number": False, "identity_number": False, "other": True}


async def test_a_leader_pauses_the_recording_at_anybodys_desk_and_the_log_says_why(house: House) -> None:
    leader, agent = await house.person(Role.TEAM_LEADER), await an_agent(house.pool)
    await leader.do("POST", f"/desk/{agent}/recording/pause", {"reason": "card_number"})
    [row] = await house.audited("pause_recording")
    assert (row["user_id"], row["detail"]["reason"]) == (leader.user_id, "card_number")


async def test_the_desk_shows_call_lead_script_and_results(house: House) -> None:
    project = await a_project(house.pool, script="Good morning", mask_numbers=False)
    agent = await house.person(Role.AGENT, projects=(project.id,))
    lead = await a_lead(house.pool, project.id, name="王", number="+8613812345678")
    assert (await agent.get("/desk/me"))["state"] == "logged_out"
    house.feed.publish(
        "agent", str(agent.agent_id), {"state": "preview", "project_id": str(project.id), "lead_id": lead}
    )
    desk = await agent.get("/desk/me")
    assert (desk["state"], desk["script"], desk["lead"]["name"], desk["lead"]["number"]) == (
        "preview",
        "Good morning",
        "王",
        "+8613812345678",
    )
    assert "agreed" in {one["code"] for one in desk["dispositions"]}


@pytest.mark.faults
async def test_an_agent_can_hold_and_hang_up_while_postgresql_is_down_and_the_rows_come_later(
    house: House, postgres: Postgres
) -> None:
    agent, stranger = await house.person(Role.AGENT), await house.person(Role.AGENT)
    await agent.get("/session")
    await house.pool.execute("checkpoint")
    postgres.kill()
    try:
        for path in ("hold", "resume", "hang-up"):
            answer = await agent.ask("POST", f"/desk/me/{path}")
            assert answer.status == 200, answer.body
        assert (await agent.get("/desk/me"))["state"] == "logged_out"
        assert (await stranger.ask("POST", "/desk/me/hold")).error_id == "database_away", "nobody new gets in"
        assert (await agent.ask("GET", "/projects")).error_id == "database_away"
        house.clock.ahead = timedelta(minutes=16)
        assert (await agent.ask("POST", "/desk/me/hold")).error_id == "database_away", "not believed for ever"
        house.clock.ahead = timedelta()
        assert [command.kind for command in house.engine.commands] == ["hold", "resume", "hang_up"]
    finally:
        await postgres.start()
    await agent.do("POST", "/desk/me/ready")
    kinds = [row["action"] for row in await house.pool.fetch("select action from audit_log order by id")]
    assert kinds == ["hold", "resume", "hang_up", "agent_ready"]


async def test_departures_are_said_ahead_by_the_agent_or_a_leader_and_kept(house: House) -> None:
    agent, leader = await house.person(Role.AGENT), await house.person(Role.TEAM_LEADER)
    noon, six = (f"{datetime.now(UTC).year + 1}-06-01T{hour:02}:00:00Z" for hour in (12, 18))  # noqa: TID251
    lunch = {"at": noon, "to": "break", "reason": "lunch"}
    home = {"at": six, "to": "logged_out", "reason": ""}
    assert (await agent.do("PUT", "/desk/me/departures", {"departures": [lunch]}))["departures"] == [lunch]
    path = f"/desk/{agent.agent_id}/departures"
    assert (await leader.do("PUT", path, {"departures": [home, lunch]}))["departures"] == [lunch, home]
    assert (await agent.get("/desk/me/departures"))["departures"] == [lunch, home]
    said = await house.pool.fetchval(
        "select detail from audit_log where action = 'agent_departures_set' order by id desc"
    )
    assert len(said["departures"]) == 2
    assert (await agent.do("PUT", "/desk/me/departures", {"departures": []}))["departures"] == []


@pytest.mark.parametrize(
    ("departures", "error_id"),
    [
        ([{"at": "2020-01-01T12:00:00Z"}], "departure_past"),
        ([{"at": "2999-01-01T12:00:00Z"}] * 2, "departure_twice"),
        ([{"at": "2999-01-01T12:00:00"}], "invalid_request"),
        ([{"at": "2999-01-01T12:00:00Z", "to": "lunch"}], "invalid_request"),
    ],
)
async def test_departure_that_cannot_be_is_refused(house: House, departures: list[Any], error_id: str) -> None:
    agent = await house.person(Role.AGENT)
    answer = await agent.ask("PUT", "/desk/me/departures", {"departures": departures})
    assert (answer.status, answer.error_id) == (422, error_id)


async def test_an_agent_says_nothing_ahead_for_another(house: House) -> None:
    agent, other = await house.person(Role.AGENT), await house.person(Role.AGENT)
    answer = await agent.ask("PUT", f"/desk/{other.agent_id}/departures", {"departures": []})
    assert (answer.status, answer.error_id) == (403, "not_your_desk")
