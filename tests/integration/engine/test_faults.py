"""The engine, Asterisk or PostgreSQL dies at each step of a call: nothing is dialled twice, nothing is lost, the truth is written."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from campaigns.caller_numbers.number import Offer
from campaigns.claim import ClaimedLead, ClaimRequest, claim
from campaigns.gates import openings
from dialer.domain.commands import AgentLogout
from dialer.domain.errors import Conflict
from dialer.domain.ids import uuid7
from dialer.domain.states import AgentState, CallState
from dialer.engine import Engine, placing, rounds
from dialer.engine.clock import SystemClock
from dialer.engine.floor import Call
from tests.builders import NODE
from tests.integration.engine.conftest import Stage
from tests.protocols.fake_asterisk import Headers

pytestmark = [pytest.mark.services, pytest.mark.faults]


async def a_talking_call(stage: Stage) -> tuple[Call, UUID]:
    project = await stage.project()
    await stage.leads(project, 1)
    agent_id = await stage.agent(project)
    call = await stage.call()
    await stage.asterisk.answer(call.attempt_id)
    await stage.until(lambda: stage.state(agent_id) is AgentState.TALKING, "conversation")
    await stage.engine.parts.journal.flushed(5)
    return call, agent_id


async def test_claim_committed_and_engine_dead_before_sending_gives_the_lead_back(stage: Stage) -> None:
    await stage.start()
    project = await stage.project()
    [lead_id] = await stage.leads(project, 1)
    assert project.trunk is not None
    now = SystemClock().now()
    attempt_id = uuid7(now, bytes(range(10)))
    request = ClaimRequest(
        project_id=project.id,
        node=NODE,
        trunk_id=project.trunk.id,
        mode=project.mode,
        now=now,
        attempt_ids=(attempt_id,),
        offers=(Offer(number=project.caller_numbers[0].number, room=1),),
        openings=openings(project, now),
    )
    await stage.die()
    async with stage.pool.acquire() as conn:
        assert len(await claim(conn, request)) == 1
    await stage.start()
    row = await stage.ended_row(attempt_id)
    assert row["outcome"] == "not_sent"
    assert stage.asterisk.sent_calls() == []
    lead = await stage.pool.fetchrow("select state, attempts from leads where id = $1", lead_id)
    assert lead is not None
    assert (lead["state"], lead["attempts"]) == ("retry", 0)


async def test_claim_that_was_committed_and_whose_answer_was_lost_gives_the_lead_back_at_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[UUID] = []

    async def claim_and_lose_the_answer(conn: Any, request: ClaimRequest) -> list[ClaimedLead]:
        claimed = await claim(conn, request)
        if claimed and not lost:
            lost.extend(lead.attempt_id for lead in claimed)
            raise asyncpg.ConnectionDoesNotExistError("the server died after its commit")
        return claimed

    monkeypatch.setattr(placing, "claim", claim_and_lose_the_answer)
    await stage.start()
    project = await stage.project()
    await stage.agent(project)
    [lead_id] = await stage.leads(project, 1)
    stage.engine.parts.placing.new_list(project.id)
    await stage.until(lambda: bool(lost), "a claim whose answer is lost")
    row = await stage.ended_row(lost[0])  # within 5 s: nobody waits for what cannot come
    assert (row["outcome"], row["lead_id"]) == ("not_sent", lead_id)
    assert all(UUID(call.channel_id.removeprefix("call-")) not in lost for call in stage.asterisk.calls)


async def test_lost_answer_to_an_originate_is_reconciled_by_its_channel(stage: Stage) -> None:
    await stage.start()
    project = await stage.project(mode="ratio", ratio=1)
    agent_id = await stage.agent(project)
    stage.asterisk.script.fates["Originate"] = ["lost"]
    [_lead] = await stage.leads(project, 1)
    stage.engine.parts.placing.new_list(project.id)
    call = await stage.call()
    await stage.until(lambda: not call.fate_unknown and call.state is CallState.ORIGINATING, "fate known")
    told = await stage.asterisk.answer(call.attempt_id)
    assert told["WAIHU_ACTION"] == "bridge"
    await stage.until(lambda: stage.state(agent_id) is AgentState.TALKING, "conversation")
    assert len(stage.asterisk.sent_calls()) == 1


async def test_originate_that_asterisk_never_received_ends_not_sent_after_reconciliation(stage: Stage) -> None:
    await stage.start()
    project = await stage.project()
    await stage.agent(project)
    stage.asterisk.script.fates["Originate"] = ["silent"]
    [lead_id] = await stage.leads(project, 1)
    stage.engine.parts.placing.new_list(project.id)

    async def first_outcome() -> str | None:
        outcome: str | None = await stage.pool.fetchval(
            "select outcome from attempts where lead_id = $1 order by id limit 1", lead_id
        )
        return outcome

    async def is_over() -> bool:
        return await first_outcome() is not None

    await stage.until(is_over, "outcome", timeout_s=8)
    assert await first_outcome() == "not_sent"


async def test_call_that_rang_out_unseen_is_closed_with_the_record_of_asterisk(stage: Stage) -> None:
    await stage.start()
    project = await stage.project()
    await stage.leads(project, 1)
    await stage.agent(project)
    call = await stage.call()
    stage.asterisk.ring(call.attempt_id)
    await stage.until(lambda: call.state is CallState.RINGING, "ringing")
    await stage.engine.parts.journal.flushed(5)
    await stage.die()
    now = SystemClock().now().timestamp()
    stage.asterisk.end_unseen(call.attempt_id, started=now - 1, ended=now, cause=17)
    await stage.start()
    row = await stage.ended_row(call.attempt_id)
    assert (row["outcome"], row["hangup_cause"]) == ("busy", 17)
    assert abs(row["ended_at"].timestamp() - now) < 0.01


async def test_call_that_was_answered_and_bridged_while_the_engine_was_dead_is_recorded_as_connected(
    stage: Stage,
) -> None:
    await stage.start()
    project = await stage.project()
    await stage.leads(project, 1)
    agent_id = await stage.agent(project)
    call = await stage.call()
    stage.asterisk.ring(call.attempt_id)
    await stage.until(lambda: call.state is CallState.RINGING, "ringing")
    await stage.engine.parts.journal.flushed(5)
    device = stage.on_floor(agent_id).device_username
    await stage.die()
    now = SystemClock().now().timestamp()
    stage.asterisk.end_unseen(
        call.attempt_id,
        started=now - 5,
        answered=now - 3,
        ended=now,
        result="bridged_end",
        seat=f"PJSIP/{device}-00000001",
    )
    await stage.start()
    row = await stage.ended_row(call.attempt_id)
    assert row["outcome"] == "connected"
    assert row["answered_at"] is not None
    assert row["bridged_at"] is not None
    assert row["agent_id"] == agent_id, "the linked id names nobody; the device does"


async def test_conversation_whose_bridge_nobody_saw_is_adopted_with_the_time_of_its_answer(stage: Stage) -> None:
    await stage.start()
    call, agent_id = await a_talking_call(stage)
    await stage.die()
    await stage.pool.execute(
        "update attempts set state = 'answered', bridged_at = null, answered_at = answered_at - interval '7 seconds',"
        " ringing_at = null, sent_at = null, created_at = created_at - interval '8 seconds' where id = $1",
        call.attempt_id,
    )
    await stage.start()
    stage.asterisk.hang_up(call.attempt_id)
    row = await stage.ended_row(call.attempt_id)
    assert (row["outcome"], row["agent_id"]) == ("connected", agent_id)
    assert row["bridged_at"] == row["answered_at"]


async def test_conversation_that_ends_while_it_is_adopted_keeps_the_time_of_its_answer(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.start()
    call, agent_id = await a_talking_call(stage)
    await stage.engine.parts.journal.flushed(5)
    await stage.die()
    await stage.pool.execute(
        "update attempts set state = 'ringing', bridged_at = null, answered_at = null, ringing_at = null, sent_at = null, created_at = created_at - interval '8 seconds' where id = $1",
        call.attempt_id,
    )
    now = SystemClock().now().timestamp()
    others = stage.asterisk._do_getvar

    def ended_meanwhile(headers: Headers) -> None:
        if headers["variable"] != ["CDR(answer,u)"]:
            others(headers)
            return
        stage.asterisk._respond(headers, "Error", ("Message", "No such channel"))
        stage.asterisk.end_unseen(call.attempt_id, started=now - 7, answered=now - 4, ended=now, result="bridged_end")

    monkeypatch.setattr(stage.asterisk, "_do_getvar", ended_meanwhile)
    await stage.start()
    row = await stage.ended_row(call.attempt_id)
    assert (row["outcome"], row["agent_id"]) == ("connected", agent_id)
    assert abs(row["answered_at"].timestamp() - (now - 4)) < 0.01
    assert row["bridged_at"] == row["answered_at"]


async def test_conversation_goes_on_when_the_engine_dies_and_is_adopted_by_the_next(stage: Stage) -> None:
    await stage.start()
    call, agent_id = await a_talking_call(stage)
    await stage.die()
    await stage.start()
    adopted = stage.engine.parts.floor.calls[call.attempt_id]
    assert adopted.state is CallState.BRIDGED
    assert stage.state(agent_id) is AgentState.TALKING
    assert stage.on_floor(agent_id).seated
    stage.asterisk.hang_up(call.attempt_id)
    row = await stage.ended_row(call.attempt_id)
    assert (row["outcome"], row["agent_id"]) == ("connected", agent_id)
    await stage.until(lambda: stage.state(agent_id) is AgentState.READY, "agent ready")
    assert len(stage.asterisk.sent_calls()) == 1


async def test_customer_who_answers_while_the_engine_starts_is_bridged(stage: Stage) -> None:
    await stage.start()
    project = await stage.project(agent_wait_ms=3000)
    await stage.leads(project, 1)
    agent_id = await stage.agent(project)
    call = await stage.call()
    await stage.engine.parts.journal.flushed(5)
    await stage.die()
    engine = Engine(stage.config, stage.pool)
    await engine.start()
    stage.engines.append(engine)
    stage.asterisk.agi_port = engine.agi_port
    told = await stage.asterisk.answer(call.attempt_id)
    assert told["WAIHU_ACTION"] == "bridge"
    await stage.until(lambda: stage.state(agent_id) is AgentState.TALKING, "conversation")


async def test_call_held_during_the_death_of_the_engine_is_adopted_as_held(stage: Stage) -> None:
    await stage.start()
    call, agent_id = await a_talking_call(stage)
    stage.asterisk.unbridge(call.attempt_id)
    stage.asterisk.channels[call.channel_id].context = "waihu-hold"
    await stage.die()
    await stage.start()
    assert stage.engine.parts.floor.calls[call.attempt_id].state is CallState.HELD
    assert stage.state(agent_id) is AgentState.TALKING


async def test_events_lost_with_the_ami_session_are_made_up_by_asking(stage: Stage) -> None:
    await stage.start()
    project = await stage.project()
    await stage.leads(project, 1)
    agent_id = await stage.agent(project)
    call = await stage.call()
    stage.asterisk.fake.drop_sessions()
    channel = stage.asterisk.channels[call.channel_id]
    channel.state, channel.context = "Up", "waihu-customer"
    told = await stage.asterisk.ask(call.attempt_id)
    assert told["WAIHU_ACTION"] == "bridge"
    channel.bridge_id = stage.asterisk.seats[0].bridge_id = "bridge-unseen"
    await stage.until(lambda: stage.state(agent_id) is AgentState.TALKING, "conversation")
    assert call.state is CallState.BRIDGED


async def test_asterisk_killed_in_a_conversation_ends_the_call_and_seats_the_agent_again(stage: Stage) -> None:
    await stage.start()
    call, agent_id = await a_talking_call(stage)
    await stage.asterisk.stop()
    await asyncio.sleep(0.2)
    stage.asterisk.started_at = SystemClock().now()
    await stage.asterisk.start()
    row = await stage.ended_row(call.attempt_id)
    assert row["outcome"] == "connected"
    await stage.until(lambda: stage.state(agent_id) is AgentState.READY and stage.on_floor(agent_id).seated, "seat")


async def test_attempt_in_flight_when_asterisk_was_killed_counts_as_made(stage: Stage) -> None:
    await stage.start()
    project = await stage.project()
    [lead_id] = await stage.leads(project, 1)
    await stage.agent(project)
    call = await stage.call()
    await stage.asterisk.stop()
    stage.asterisk.started_at = SystemClock().now() + timedelta(seconds=1)
    await asyncio.sleep(0.1)
    await stage.asterisk.start()
    row = await stage.ended_row(call.attempt_id)
    assert row["outcome"] == "failed"
    assert await stage.pool.fetchval("select attempts from leads where id = $1", lead_id) == 1


async def test_second_engine_for_a_node_refuses_and_takes_over_after_the_lease(stage: Stage) -> None:
    await stage.start()
    second = Engine(stage.config, stage.pool)
    with pytest.raises(Conflict) as refusal:
        await second.start()
    assert refusal.value.error_id == "node_taken"
    await stage.die()
    await stage.start()
    assert stage.engine.ready


async def test_engine_whose_node_was_taken_places_no_more_calls(stage: Stage) -> None:
    await stage.start(lease_s=0.4)
    project = await stage.project()
    await stage.agent(project)
    await stage.pool.execute(
        "update nodes set holder = gen_random_uuid(), lease_until = now() + interval '1 minute' where name = $1", NODE
    )
    async with asyncio.timeout(20):
        await stage.engine.wait_lost()
    await stage.leads(project, 3)
    await asyncio.sleep(0.3)
    assert stage.asterisk.sent_calls() == []


async def test_stray_seat_of_nobody_is_hung_up(stage: Stage) -> None:
    await stage.start()
    project = await stage.project()
    agent_id = await stage.agent(project)
    stage.engine.parts.floor.agents.pop(agent_id)
    stage.engine.parts.floor.seats.clear()
    await stage.until(lambda: not stage.asterisk.seats, "stray seat gone")


async def test_seat_whose_hang_up_was_lost_is_let_go_as_soon_as_it_is_back_in_its_place(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "_SECOND_LOOK_S", 3600.0)  # no round of reconciliation helps
    await stage.start(audit_every_s=3600.0)
    project = await stage.project()
    agent_id = await stage.agent(project)
    [seat] = stage.asterisk.seats
    stage.asterisk.script.fates["Hangup"] = ["swallowed"]
    await stage.engine.execute(AgentLogout(agent_id=agent_id))
    await stage.until(lambda: not stage.asterisk.script.fates["Hangup"], "a hang-up that Asterisk lost")
    assert stage.asterisk.seats == [seat]
    stage.asterisk.seat_answers(seat)  # back from a bridge, say
    await stage.until(lambda: not stage.asterisk.seats, "the softphone let go")


async def test_orderly_stop_leaves_the_conversation_and_frees_the_node(stage: Stage) -> None:
    await stage.start()
    call, _agent_id = await a_talking_call(stage)
    engine = stage.engines.pop()
    await engine.stop()
    assert [channel.channel_id for channel in stage.asterisk.calls] == [call.channel_id]
    await stage.start()
    assert stage.engine.parts.floor.calls[call.attempt_id].state is CallState.BRIDGED
