"""Agentless calls on the real Asterisk: real prompts, keys as RFC 4733 events from the carrier, opt-out, an agent on demand."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from campaigns import surveys
from campaigns.projects import Project
from dialer.domain.commands import HangUp
from dialer.domain.states import AgentState
from dialer.engine.clock import SystemClock
from lab.carrier import Behaviour, number_for
from lab.voices import RATE_HZ, alaw
from tests.builders import a_lead
from tests.system.engine.conftest import Floor

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

DOCUMENT: dict[str, Any] = {
    "start": "happy",
    "steps": {
        "happy": {
            "kind": "ask",
            "prompt": "short",
            "choices": {"1": "again", "9": "remove", "0": "person"},
            "wait_s": 3,
            "tries": 1,
            "otherwise": "bye",
        },
        "again": {
            "kind": "ask",
            "prompt": "short",
            "choices": {"2": "bye"},
            "wait_s": 3,
            "tries": 2,
            "otherwise": "bye",
        },
        "remove": {"kind": "opt_out", "prompt": "short", "next": None},
        "person": {"kind": "agent", "otherwise": "bye"},
        "bye": {"kind": "play", "prompt": "long", "next": None},
    },
}
_hundreds = itertools.count(60)


def say(floor: Floor, name: str, seconds: float) -> None:
    """A prompt on the node: a tone of so many seconds."""
    tone = 8000 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * RATE_HZ)) / RATE_HZ)
    (floor.node.prompts_dir / f"{name}.alaw").write_bytes(alaw(tone.astype(np.int16)))


async def a_survey(floor: Floor, **settings: Any) -> Project:
    say(floor, "short", 0.4)
    say(floor, "long", 1.5)
    project = await floor.project(mode="agentless", **settings)
    await surveys.save(floor.pool, project.id, DOCUMENT, SystemClock().now())
    return project


async def pressing(floor: Floor, project: Project, keys: str) -> int:
    """Somebody who presses two keys, each after a second."""
    number = number_for(
        Behaviour.PRESSES_KEYS, ring_code=0, talk_code=3, serial=next(_hundreds) * 100 + int(keys), prefix="139"
    )
    floor.numbers.add(number)
    return await a_lead(floor.pool, project.id, number=number)


async def test_survey_is_heard_answered_by_keys_broken_off_and_opted_out_of(floor: Floor) -> None:
    await floor.start()
    project = await a_survey(floor)
    await floor.pool.execute("insert into retry_rules values ($1, 'played', interval '0', 3)", project.id)
    answers = await pressing(floor, project, "12")
    leaves = await pressing(floor, project, "99")
    silent = await floor.lead(project, ring=0)
    hangs_up = await floor.lead(project, ring=0, talk=0)
    await floor.pool.execute("update projects set max_attempts = 1")
    await floor.engine.parts.projects.refresh()
    rows = {row["lead_id"]: row for row in await floor.ended(4, timeout_s=40)}
    assert {lead_id: row["outcome"] for lead_id, row in rows.items()} == {
        answers: "played",
        leaves: "played",
        silent: "played",
        hangs_up: "broken_off",
    }
    assert all(row["answered_at"] and not row["bridged_at"] and not row["abandoned"] for row in rows.values())
    said = {
        (row["attempt_id"], row["step"]): row["answer"]
        for row in await floor.pool.fetch("select * from survey_answers")
    }
    assert said == {
        (rows[answers]["id"], "happy"): "1",
        (rows[answers]["id"], "again"): "2",
        (rows[leaves]["id"], "happy"): "9",
        (rows[leaves]["id"], "remove"): "opt_out",
        (rows[silent]["id"], "happy"): "",
    }
    states = {row["id"]: row["state"] for row in await floor.pool.fetch("select id, state from leads")}
    assert states[leaves] == "do_not_call"
    assert states[answers] == "exhausted"
    assert await floor.pool.fetchval("select array_agg(number) from do_not_call") == [rows[leaves]["number"]]
    heard = floor.node.spool_dir / f"{rows[silent]['id'].hex}-t.wav"
    assert heard.stat().st_size > 2 * RATE_HZ, "what was played is recorded, like any other call"
    # Opting out stops the next attempt, also in another project.
    other = await a_survey(floor)
    await a_lead(floor.pool, other.id, number=rows[leaves]["number"])
    await floor.engine.parts.projects.refresh()
    await floor.until(lambda: floor.engine.explain_project(other.id)["why"] == "leads", "nobody left to call")
    assert len(await floor.attempts()) == 4


async def test_customer_who_asks_for_an_agent_in_a_survey_gets_one(floor: Floor) -> None:
    await floor.start()
    project = await a_survey(floor)
    agent_id = await floor.agent(project)
    lead_id = await pressing(floor, project, "00")
    call = await floor.talking(agent_id)
    assert (call.lead_id, call.mode.value) == (lead_id, "agentless")
    await floor.engine.execute(HangUp(agent_id=agent_id))
    [row] = await floor.ended(1)
    assert (row["outcome"], row["agent_id"]) == ("connected", agent_id)
    await floor.becomes(agent_id, AgentState.READY, 15)
