"""A recording is paused and resumed, whatever is lost on the way: nobody is told "paused" who is not, and no call stays muted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from dialer.domain.commands import Hold, PauseRecording, ResumeRecording, Transfer
from dialer.domain.errors import Unavailable, WaihuError
from dialer.domain.pause_table import PauseState
from dialer.domain.pauses import Mark, PauseEnd, PauseReason, mark_of
from dialer.domain.states import AgentState, CallState
from dialer.engine.clock import SystemClock
from dialer.engine.desk import pausing
from dialer.engine.floor import Call
from lab.postgres import Postgres
from tests.integration.engine.conftest import Stage
from tests.integration.engine.scripted import Channel

pytestmark = pytest.mark.services


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pausing, "TAIL_S", 0.01)
    monkeypatch.setattr(pausing, "ANSWER_S", 0.2)
    monkeypatch.setattr(pausing, "_AGAIN_S", 0.05)


async def talking(stage: Stage, **settings: Any) -> tuple[Call, UUID]:
    """A conversation, and whose it is."""
    project = await stage.project(**settings)
    await stage.leads(project, 1)
    agent_id = await stage.agent(project)
    call = await stage.call()
    await stage.asterisk.answer(call.attempt_id)
    await stage.until(lambda: stage.state(agent_id) is AgentState.TALKING, "conversation")
    await stage.engine.parts.journal.flushed(5)
    return call, agent_id


def channel_of(stage: Stage, call: Call) -> Channel:
    return stage.asterisk.channels[call.channel_id]


def card(agent_id: UUID) -> PauseRecording:
    return PauseRecording(agent_id=agent_id, reason="card_number")


async def rows(stage: Stage) -> list[asyncpg.Record]:
    await stage.engine.parts.journal.flushed(5)
    return list(await stage.pool.fetch("select * from recording_pauses order by started_at"))


async def refusal(stage: Stage, command: PauseRecording | ResumeRecording) -> WaihuError:
    with pytest.raises(WaihuError) as refused:
        await stage.engine.execute(command)
    return refused.value


async def test_a_pause_mutes_both_legs_until_it_is_resumed_and_its_row_says_where(stage: Stage) -> None:
    await stage.start()
    call, agent_id = await talking(stage)
    done = await stage.engine.execute(card(agent_id))
    assert (done.attempt_id, channel_of(stage, call).muted) == (call.attempt_id, True)
    [row] = await rows(stage)
    assert (row["reason"], row["agent_id"], row["ended_at"], row["to_ms"]) == ("card_number", agent_id, None, None)
    shown = stage.engine.feed.snapshot()["state"]["call"][str(call.attempt_id)]["recording_pause"]
    assert (shown["state"], shown["reason"]) == ("paused", "card_number")
    await stage.engine.execute(ResumeRecording(agent_id=agent_id))
    assert not channel_of(stage, call).muted
    [row] = await rows(stage)
    assert call.answered_at is not None
    assert row["ended_by"] == "agent"
    assert row["from_ms"] == pytest.approx((row["started_at"] - call.answered_at) / timedelta(milliseconds=1), abs=1)
    assert row["to_ms"] == pytest.approx((row["ended_at"] - call.answered_at) / timedelta(milliseconds=1), abs=1)
    shown = stage.engine.feed.snapshot()["state"]["call"][str(call.attempt_id)]
    assert (shown["recording_pause"], shown["recording_resumed_by"]) == (None, "agent")


async def test_what_is_asked_twice_is_done_once(stage: Stage) -> None:
    await stage.start()
    call, agent_id = await talking(stage)
    assert (await stage.engine.execute(ResumeRecording(agent_id=agent_id))).attempt_id == call.attempt_id
    for _ in range(2):
        await stage.engine.execute(card(agent_id))
    other = PauseRecording(agent_id=agent_id, reason="identity_number")
    assert (await refusal(stage, other)).error_id == "already_paused"
    for _ in range(2):
        await stage.engine.execute(ResumeRecording(agent_id=agent_id))
    await stage.engine.execute(other)
    await stage.engine.execute(ResumeRecording(agent_id=agent_id))
    assert [row["reason"] for row in await rows(stage)] == ["card_number", "identity_number"]


@pytest.mark.parametrize(
    ("reason", "note", "error_id"),
    [
        ("curiosity", "", "pause_reason_unknown"),
        ("other", "", "pause_note"),
        ("other", " ", "pause_note"),
        ("other", "x" * 101, "pause_note"),
        ("card_number", "6222 0212 3456 7890", "pause_note"),
    ],
)
async def test_a_pause_has_a_reason_and_a_note_only_where_one_is_wanted(
    stage: Stage, reason: str, note: str, error_id: str
) -> None:
    await stage.start()
    call, agent_id = await talking(stage)
    assert (await refusal(stage, PauseRecording(agent_id=agent_id, reason=reason, note=note))).error_id == error_id
    assert not channel_of(stage, call).muted
    assert await rows(stage) == []


async def test_a_project_may_want_its_conversations_whole(stage: Stage) -> None:
    await stage.start()
    _, agent_id = await talking(stage, recording_pause_limit_s=0)
    assert (await refusal(stage, card(agent_id))).error_id == "pause_not_allowed"


async def test_only_a_recorded_conversation_can_be_paused(stage: Stage) -> None:
    await stage.start()
    project = await stage.project()
    agent_id = await stage.agent(project)
    assert (await refusal(stage, card(agent_id))).error_id == "no_call"
    assert (await refusal(stage, ResumeRecording(agent_id=agent_id))).error_id == "no_call"
    await stage.leads(project, 1)
    call = await stage.call()
    await stage.asterisk.answer(call.attempt_id)
    await stage.until(lambda: call.state is CallState.BRIDGED, "conversation")
    channel_of(stage, call).variables.clear()
    assert (await refusal(stage, card(agent_id))).error_id == "not_recorded"
    await stage.engine.execute(Hold(agent_id=agent_id))
    assert (await refusal(stage, card(agent_id))).error_id == "no_conversation"


async def test_a_pause_ends_by_itself_at_the_limit_of_the_project(stage: Stage) -> None:
    await stage.start()
    call, agent_id = await talking(stage, recording_pause_limit_s=1)
    await stage.engine.execute(card(agent_id))
    await stage.until(lambda: call.pause is None, "the limit")
    assert not channel_of(stage, call).muted
    [row] = await rows(stage)
    assert row["ended_by"] == "limit"
    assert row["to_ms"] - row["from_ms"] >= 1000
    value = stage.engine.feed.snapshot()["state"]["call"][str(call.attempt_id)]
    assert value["recording_resumed_by"] == "limit"


async def test_a_pause_goes_on_while_the_customer_is_on_hold_and_can_be_ended_there(stage: Stage) -> None:
    await stage.start()
    call, agent_id = await talking(stage)
    await stage.engine.execute(card(agent_id))
    await stage.engine.execute(Hold(agent_id=agent_id))
    assert channel_of(stage, call).muted
    await stage.engine.execute(ResumeRecording(agent_id=agent_id))
    assert not channel_of(stage, call).muted


async def test_a_transfer_ends_the_pause_of_the_agent_who_leaves(stage: Stage) -> None:
    await stage.start()
    call, agent_id = await talking(stage)
    other = await stage.agent(await stage.engine.parts.projects.get(call.project_id))
    await stage.engine.execute(card(agent_id))
    await stage.engine.execute(Transfer(agent_id=agent_id, to_agent_id=other))
    await stage.until(lambda: call.pause is None, "the end of the pause")
    assert not channel_of(stage, call).muted
    assert [row["ended_by"] for row in await rows(stage)] == ["handed_over"]


async def test_a_call_that_ends_in_a_pause_closes_it_before_the_recorder_hears_of_the_end(stage: Stage) -> None:
    await stage.start()
    call, agent_id = await talking(stage)
    await stage.engine.execute(card(agent_id))
    stage.asterisk.hang_up(call.attempt_id)
    await stage.until(lambda: call.attempt_id in stage.ended, "the end")
    row = await stage.pool.fetchrow("select * from recording_pauses")
    attempt = await stage.row(call.attempt_id)
    assert row is not None
    assert (row["ended_by"], row["ended_at"]) == ("call_end", attempt["ended_at"])


async def test_an_agent_is_not_told_paused_when_asterisk_refuses(stage: Stage) -> None:
    await stage.start()
    call, agent_id = await talking(stage)
    stage.asterisk.script.fates["MixMonitorMute"] = ["refused"]
    assert (await refusal(stage, card(agent_id))).error_id == "recording_not_paused"
    assert (call.pause, await rows(stage)) == (None, [])
    assert channel_of(stage, call).variables["WAIHU_PAUSE"] == ""
    await stage.engine.execute(card(agent_id))
    assert channel_of(stage, call).muted


@pytest.mark.parametrize("fate", ["silent", "lost", "close"])
async def test_an_order_to_mute_without_an_answer_is_taken_back(stage: Stage, fate: str) -> None:
    await stage.start()
    call, agent_id = await talking(stage)
    stage.asterisk.script.fates["MixMonitorMute"] = [fate]
    assert (await refusal(stage, card(agent_id))).error_id == "recording_not_paused"
    await stage.until(lambda: call.pause is None, "certainty", 10)
    assert not channel_of(stage, call).muted
    assert [row["ended_by"] for row in await rows(stage)] == ["failed"]


async def test_no_session_with_asterisk_is_said_before_a_number_is(stage: Stage) -> None:
    await stage.start()
    _, agent_id = await talking(stage)
    stage.asterisk.script.fates["Getvar"] = ["close"]
    assert isinstance(error := await refusal(stage, card(agent_id)), Unavailable)
    assert error.error_id == "recording_not_paused"


@pytest.mark.parametrize("fates", [["close"], ["silent", "refused"], ["lost"]])
async def test_a_lost_order_to_record_again_is_repeated_until_asterisk_has_it(stage: Stage, fates: list[str]) -> None:
    await stage.start()
    call, agent_id = await talking(stage)
    await stage.engine.execute(card(agent_id))
    stage.asterisk.script.fates["MixMonitorMute"] = list(fates)
    try:
        await stage.engine.execute(ResumeRecording(agent_id=agent_id))
    except Unavailable as error:
        assert error.error_id == "recording_not_resumed"  # noqa: PT017 - it may be back in time or not
    await stage.until(lambda: call.pause is None, "sound in the legs", 10)
    assert not channel_of(stage, call).muted
    assert [row["ended_by"] for row in await rows(stage)] == ["agent"]


async def test_resume_that_asterisk_does_not_answer_says_so_and_another_pause_waits_for_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pausing, "_RESUMED_WITHIN_S", 0.1)
    await stage.start()
    call, agent_id = await talking(stage)
    await stage.engine.execute(card(agent_id))
    stage.asterisk.script.fates["MixMonitorMute"] = ["silent"] * 2
    for command in (ResumeRecording(agent_id=agent_id), card(agent_id)):
        assert (await refusal(stage, command)).error_id == "recording_not_resumed"
        assert call.pause is not None
        assert call.pause.state is PauseState.RESUMING
    await stage.until(lambda: call.pause is None, "sound in the legs", 10)
    await stage.engine.execute(card(agent_id))
    assert channel_of(stage, call).muted


@pytest.mark.parametrize("written", [True, False], ids=["row written", "row never written"])
async def test_an_engine_that_takes_over_knows_of_the_pause_and_ends_it(stage: Stage, *, written: bool) -> None:
    await stage.start()
    call, agent_id = await talking(stage, recording_pause_limit_s=1)
    await stage.engine.execute(card(agent_id))
    [before] = await rows(stage)
    await stage.die()
    if not written:
        await stage.pool.execute("delete from recording_pauses")
    await stage.start()
    await stage.until(lambda: not channel_of(stage, call).muted, "the limit, kept by the new engine")
    await stage.until(lambda: stage.engine.parts.floor.calls[call.attempt_id].pause is None, "the end of the pause")
    [row] = await rows(stage)
    assert (row["id"], row["reason"], row["agent_id"], row["ended_by"]) == (
        before["id"],
        "card_number",
        agent_id,
        "limit",
    )
    assert row["from_ms"] == pytest.approx(before["from_ms"], abs=2)


async def test_an_engine_that_takes_over_after_the_order_to_record_again_closes_the_row_at_that_moment(
    stage: Stage,
) -> None:
    await stage.start()
    call, agent_id = await talking(stage)
    await stage.engine.execute(card(agent_id))
    [before] = await rows(stage)
    await stage.die()
    ended = Mark(
        pause_id=before["id"],
        agent_id=agent_id,
        reason=PauseReason.CARD_NUMBER,
        started_at=before["started_at"],
        ended_at=before["started_at"] + timedelta(milliseconds=700),
        ended_by=PauseEnd.AGENT,
    )
    channel_of(stage, call).variables["WAIHU_PAUSE"] = str(ended)
    await stage.start()
    assert stage.engine.parts.floor.calls[call.attempt_id].pause is None
    [row] = await rows(stage)
    assert (row["ended_by"], row["to_ms"] - row["from_ms"]) == ("agent", pytest.approx(700, abs=2))


async def test_a_call_that_ended_in_a_pause_while_no_engine_lived_has_its_pause_closed(stage: Stage) -> None:
    await stage.start()
    call, agent_id = await talking(stage)
    await stage.engine.execute(card(agent_id))
    await stage.engine.parts.journal.flushed(5)
    await stage.die()
    now = SystemClock().now().timestamp()
    stage.asterisk.end_unseen(call.attempt_id, started=now - 5, answered=now - 4, ended=now, result="bridged_end")
    await stage.start()
    await stage.ended_row(call.attempt_id)
    assert [row["ended_by"] for row in await rows(stage)] == ["call_end"]


async def test_a_pause_while_postgresql_is_away_is_a_pause_and_its_row_comes_later(
    stage: Stage, postgres: Postgres
) -> None:
    await stage.start(lease_s=60.0)
    call, agent_id = await talking(stage)
    postgres.kill()
    try:
        await stage.engine.execute(card(agent_id))
        assert channel_of(stage, call).muted
        await stage.engine.execute(ResumeRecording(agent_id=agent_id))
        await stage.engine.execute(PauseRecording(agent_id=agent_id, reason="identity_number"))
    finally:
        await postgres.start()
    await stage.until(lambda: len(stage.engine.parts.journal) == 0, "the journal", timeout_s=20)
    assert [(row["reason"], row["ended_by"]) for row in await rows(stage)] == [
        ("card_number", "agent"),
        ("identity_number", None),
    ]


async def test_the_mark_on_the_channel_holds_nothing_that_was_typed(stage: Stage) -> None:
    await stage.start()
    call, agent_id = await talking(stage)
    await stage.engine.execute(PauseRecording(agent_id=agent_id, reason="other", note="the doctor's name"))
    mark = mark_of(channel_of(stage, call).variables["WAIHU_PAUSE"])
    assert mark is not None
    assert (mark.agent_id, mark.reason, mark.ended_by) == (agent_id, PauseReason.OTHER, None)
    assert "doctor" not in str(mark)
    assert mark_of(f"{uuid4().hex} nobody card_number 1") is None
