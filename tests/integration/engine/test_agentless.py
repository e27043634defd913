"""Agentless calls through an engine: message, keys, opt-out, an agent on demand, deaths; and the change of modes in mid-run."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

import pytest

from campaigns import projects, surveys
from campaigns.projects import Project
from dialer.domain.commands import ReloadProject
from dialer.domain.states import AgentState
from dialer.engine.floor import Call
from lab.postgres import Postgres
from tests.builders import NOON, a_trunk
from tests.integration.engine.conftest import Stage
from tests.unit.domain.test_survey import STEPS

pytestmark = pytest.mark.services

DOCUMENT = {"start": "hello", "steps": STEPS}


async def a_survey_project(stage: Stage, document: dict[str, Any] = DOCUMENT, **settings: Any) -> Project:
    project = await stage.project(**{"mode": "agentless", **settings})
    await surveys.save(stage.pool, project.id, document, NOON)
    await stage.engine.execute(ReloadProject(project_id=project.id))
    return project


async def heard(stage: Stage, call: Call, told: dict[str, str], key: str = "", how: str = "SUCCESS") -> dict[str, str]:
    """The step was played, and this key pressed; gives what the dialplan is told next."""
    place = (told["WAIHU_SURVEY"], told["WAIHU_STEP"], told["WAIHU_ASKED"])
    told = await stage.asterisk.ask(call.attempt_id, "/call/survey", *place, how, key)
    stage.asterisk.act(call.attempt_id, told)
    return told


async def ended(stage: Stage, call: Call, result: str) -> str:
    """The call is over, as the dialplan says; gives its outcome."""
    stage.asterisk.say_result(call.attempt_id, result)
    stage.asterisk.hang_up(call.attempt_id)
    return str((await stage.ended_row(call.attempt_id))["outcome"])


async def answers_of(stage: Stage, attempt_id: UUID) -> dict[str, str]:
    rows = await stage.pool.fetch("select step, answer from survey_answers where attempt_id = $1", attempt_id)
    return {row["step"]: row["answer"] for row in rows}


async def test_a_survey_is_played_to_its_end_without_any_agent_and_its_answers_kept(stage: Stage) -> None:
    await stage.start()
    project = await a_survey_project(stage)
    await stage.leads(project, 1)
    call = await stage.call()
    told = await stage.asterisk.answer(call.attempt_id)
    assert told == {
        "WAIHU_ACTION": "survey",
        "WAIHU_SURVEY": "1",
        "WAIHU_STEP": "hello",
        "WAIHU_ASKED": "0",
        "WAIHU_PROMPT": "hello",
        "WAIHU_KEYS_S": "0",
    }
    told = await heard(stage, call, told)
    assert (told["WAIHU_STEP"], told["WAIHU_KEYS_S"]) == ("happy", "5")
    told = await heard(stage, call, told, key="2")
    assert told["WAIHU_STEP"] == "bye"
    assert await heard(stage, call, told) == {"WAIHU_ACTION": "hangup"}
    assert await ended(stage, call, "survey_played") == "played"
    assert await answers_of(stage, call.attempt_id) == {"happy": "2"}
    found = await surveys.results(stage.pool, project.id, 1)
    assert (found.outcomes, found.answers) == ({"played": 1}, {"happy": {"2": 1}})
    assert not (await stage.row(call.attempt_id))["abandoned"]


async def test_silence_is_asked_again_and_then_goes_on_and_a_hang_up_in_the_middle_is_broken_off(stage: Stage) -> None:
    await stage.start()
    project = await a_survey_project(stage)
    await stage.leads(project, 1)
    call = await stage.call()
    told = await heard(stage, call, await stage.asterisk.answer(call.attempt_id))
    told = await heard(stage, call, told)
    assert (told["WAIHU_STEP"], told["WAIHU_ASKED"]) == ("happy", "1")
    told = await heard(stage, call, told)
    assert told["WAIHU_STEP"] == "bye"
    assert await ended(stage, call, "survey") == "broken_off"
    assert await answers_of(stage, call.attempt_id) == {"happy": ""}


async def test_an_opt_out_is_on_the_do_not_call_list_within_a_second_and_the_lead_is_not_called_again(
    stage: Stage,
) -> None:
    await stage.start()
    project = await a_survey_project(stage)
    await stage.pool.execute("insert into retry_rules values ($1, 'broken_off', interval '0', 5)", project.id)
    [lead_id] = await stage.leads(project, 1)
    call = await stage.call()
    told = await heard(stage, call, await stage.asterisk.answer(call.attempt_id))
    told = await heard(stage, call, told, key="9")
    assert told["WAIHU_PROMPT"] == "removed"

    async def listed() -> bool:
        return bool(await stage.pool.fetchval("select exists (select from do_not_call where number = $1)", call.number))

    await stage.until(listed, "the entry", timeout_s=1)
    assert await ended(stage, call, "survey") == "broken_off"
    assert await stage.pool.fetchval("select state from leads where id = $1", lead_id) == "do_not_call"
    assert len(stage.asterisk.sent_calls()) == 1


async def test_an_opt_out_holds_although_the_engine_dies_while_its_prompt_is_played(stage: Stage) -> None:
    await stage.start()
    project = await a_survey_project(stage)
    await stage.leads(project, 1)
    call = await stage.call()
    told = await heard(stage, call, await stage.asterisk.answer(call.attempt_id))
    told = await heard(stage, call, told, key="9")
    await stage.die()
    assert told["WAIHU_PROMPT"] == "removed"
    assert await stage.pool.fetchval("select array_agg(number) from do_not_call") == [call.number]


@pytest.mark.faults
async def test_an_opt_out_while_postgresql_is_away_is_written_when_it_is_back(stage: Stage, postgres: Postgres) -> None:
    await stage.start(lease_s=60)
    project = await a_survey_project(stage)
    await stage.leads(project, 1)
    call = await stage.call()
    told = await heard(stage, call, await stage.asterisk.answer(call.attempt_id))
    await stage.until(lambda: len(stage.engine.parts.journal) == 0, "all written")
    postgres.kill()
    try:
        told = await heard(stage, call, told, key="9")
        assert told["WAIHU_PROMPT"] == "removed"
        assert await heard(stage, call, told) == {"WAIHU_ACTION": "hangup"}
    finally:
        await postgres.start()
    assert await ended(stage, call, "survey_played") == "played"
    assert await stage.pool.fetchval("select array_agg(number) from do_not_call") == [call.number]
    assert await stage.pool.fetchval("select state from leads") == "do_not_call"


async def test_a_customer_who_asks_for_an_agent_gets_the_one_who_is_ready(stage: Stage) -> None:
    await stage.start()
    project = await a_survey_project(stage)
    agent_id = await stage.agent(project)
    await stage.leads(project, 1)
    call = await stage.call()
    told = await heard(stage, call, await stage.asterisk.answer(call.attempt_id))
    told = await heard(stage, call, told, key="0")
    assert told["WAIHU_ACTION"] == "bridge"
    await stage.until(lambda: stage.state(agent_id) is AgentState.TALKING, "conversation")
    assert await ended(stage, call, "bridged_end") == "connected"


async def test_without_a_ready_agent_the_survey_says_something_else_or_the_safe_harbour(stage: Stage) -> None:
    await stage.start()
    project = await a_survey_project(stage)
    await stage.leads(project, 1)
    call = await stage.call()
    told = await heard(stage, call, await stage.asterisk.answer(call.attempt_id))
    told = await heard(stage, call, told, key="0")
    assert (told["WAIHU_ACTION"], told["WAIHU_STEP"]) == ("survey", "bye")
    assert await ended(stage, call, "survey_played") == "played"
    bare = await a_survey_project(stage, {"start": "person", "steps": {"person": {"kind": "agent", "otherwise": None}}})
    await stage.leads(bare, 1)
    second = await stage.call()
    assert await stage.asterisk.answer(second.attempt_id) == {"WAIHU_ACTION": "safe_harbour"}
    assert await ended(stage, second, "safe_harbour_played") == "abandoned"


async def test_a_restarted_engine_goes_on_with_a_survey_where_it_was_also_of_an_older_version(stage: Stage) -> None:
    await stage.start()
    project = await a_survey_project(stage)
    await stage.leads(project, 1)
    call = await stage.call()
    told = await heard(stage, call, await stage.asterisk.answer(call.attempt_id))
    await stage.until(lambda: len(stage.engine.parts.journal) == 0, "all written")
    await stage.die()
    await surveys.save(stage.pool, project.id, {"start": "other", "steps": {"other": STEPS["bye"]}}, NOON)
    await stage.start()
    told = await heard(stage, call, told, key="1")
    assert (told["WAIHU_ACTION"], told["WAIHU_STEP"], told["WAIHU_SURVEY"]) == ("survey", "bye", "1")
    assert await heard(stage, call, told) == {"WAIHU_ACTION": "hangup"}
    assert await ended(stage, call, "survey_played") == "played"
    assert await answers_of(stage, call.attempt_id) == {"happy": "1"}


@pytest.mark.parametrize("said", [("1", "nowhere", "0"), ("7", "hello", "0"), ("x", "hello", "0"), ("1", "hello", "x"), ()])  # fmt: skip
async def test_a_customer_whose_place_is_not_known_hears_the_safe_harbour(stage: Stage, said: tuple[str, ...]) -> None:
    await stage.start()
    project = await a_survey_project(stage)
    await stage.leads(project, 1)
    call = await stage.call()
    await stage.asterisk.answer(call.attempt_id)
    assert await stage.asterisk.ask(call.attempt_id, "/call/survey", *said) == {"WAIHU_ACTION": "safe_harbour"}


async def test_a_customer_who_cannot_be_played_the_prompt_hears_the_safe_harbour(stage: Stage) -> None:
    await stage.start()
    project = await a_survey_project(stage)
    await stage.leads(project, 1)
    call = await stage.call()
    told = await stage.asterisk.answer(call.attempt_id)
    assert await heard(stage, call, told, how="FAILED") == {"WAIHU_ACTION": "safe_harbour"}


async def test_an_agentless_project_without_a_survey_calls_nobody_and_says_so(stage: Stage) -> None:
    await stage.start()
    project = await stage.project(mode="agentless")
    await stage.leads(project, 1)
    await stage.engine.execute(ReloadProject(project_id=project.id))

    def why() -> dict[str, Any]:
        return stage.engine.explain_project(project.id)

    await stage.until(lambda: why()["why"] == "gate", "the gate shut")
    assert "survey" in why()["reason"]
    assert stage.asterisk.sent_calls() == []


async def test_agentless_calls_keep_to_the_channels_and_the_rate_of_the_trunk(stage: Stage) -> None:
    await stage.start()
    project = await a_survey_project(stage, trunk=await a_trunk(stage.pool, max_channels=4, max_cps=20))
    await stage.leads(project, 9)
    await stage.until(lambda: len(stage.asterisk.sent_calls()) >= 4, "four calls")
    [first, last] = (await stage.pool.fetch("select min(created_at), max(created_at) from attempts"))[0]
    assert (last - first).total_seconds() > 0.09, "twenty a second, two in one breath"
    await stage.until(lambda: stage.engine.explain_project(project.id)["why"] == "trunk_channels", "channels used up")
    assert len(stage.asterisk.sent_calls()) == 4


async def test_modes_change_in_mid_run_and_nothing_is_lost(stage: Stage) -> None:
    await stage.start()
    project = await a_survey_project(stage, mode="progressive", trunk=await a_trunk(stage.pool, max_channels=3))
    await stage.leads(project, 8)
    agents = [await stage.agent(project) for _ in range(2)]

    async def set_mode(mode: str) -> None:
        await projects.update_project(stage.pool, project.id, mode=mode)
        await stage.engine.execute(ReloadProject(project_id=project.id))

    progressive = [await stage.call(1), await stage.call(2)]
    await set_mode("agentless")
    survey = await stage.call(3)
    assert [one.mode.value for one in (*progressive, survey)] == ["progressive", "progressive", "agentless"]
    assert (await stage.asterisk.answer(progressive[0].attempt_id))["WAIHU_ACTION"] == "bridge"
    told = await stage.asterisk.answer(survey.attempt_id)
    assert told["WAIHU_ACTION"] == "survey"
    await set_mode("predictive")
    assert (await heard(stage, survey, told))["WAIHU_STEP"] == "happy", "the survey goes on"
    assert (await stage.asterisk.answer(progressive[1].attempt_id))["WAIHU_ACTION"] == "bridge"
    await stage.until(lambda: all(stage.state(one) is AgentState.TALKING for one in agents), "both talk")
    for one in progressive:
        stage.asterisk.hang_up(one.attempt_id)
    assert await ended(stage, survey, "survey") == "broken_off"
    await set_mode("trial")
    await set_mode("predictive")

    async def all_called() -> bool:
        for channel in list(stage.asterisk.calls):
            stage.asterisk.refuse(UUID(channel.channel_id.removeprefix("call-")), 17, "486")
        return int(await stage.pool.fetchval("select count(*) from attempts where state = 'ended'")) >= 8

    await stage.until(all_called, "the list called to its end", timeout_s=10)
    rows = await stage.pool.fetch("select lead_id, mode, outcome from attempts")
    assert len({row["lead_id"] for row in rows}) == 8
    assert Counter(row["outcome"] for row in rows)["connected"] == 2
    assert {"progressive", "agentless", "predictive"} <= {row["mode"] for row in rows}
    assert await stage.pool.fetchval("select count(*) from live_attempts") == 0
