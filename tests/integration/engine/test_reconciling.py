"""A round of reconciliation against what it reads late, or cannot read: nothing is dialled twice, ended twice, or turned back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from campaigns import release
from campaigns.release import EndedAttempt
from dialer.db import attempts as attempts_db
from dialer.db.attempts import LiveAttempt
from dialer.domain.commands import Hold, Resume
from dialer.domain.ids import uuid7
from dialer.domain.states import CallState
from dialer.engine import floor, reconcile
from dialer.engine.clock import SystemClock
from dialer.engine.floor import Call
from dialer.engine.listing import Listing, list_channels
from tests.integration.engine.conftest import Stage
from tests.integration.engine.test_faults import a_talking_call
from tests.protocols.fake_asterisk import Headers

pytestmark = [pytest.mark.services, pytest.mark.faults]


async def a_call_under_way(stage: Stage) -> tuple[Call, int, UUID]:
    """A call that the engine has sent, and the engine is dead."""
    await stage.start()
    project = await stage.project()
    [lead_id] = await stage.leads(project, 1)
    agent_id = await stage.agent(project)
    call = await stage.call()
    await stage.until(lambda: call.state is CallState.ORIGINATING, "the call sent")
    await stage.engine.parts.journal.flushed(5)
    return call, lead_id, agent_id


async def test_call_that_was_answered_unseen_is_connected_though_a_held_call_ended_after_it(stage: Stage) -> None:
    call, lead_id, agent_id = await a_call_under_way(stage)
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
    held = uuid7(SystemClock().now(), bytes(10))
    stage.asterisk.record(held, started=now - 900, answered=now - 890, ended=now - 600)  # until the hold
    stage.asterisk.record(held, started=now - 600, answered=now - 600, ended=now, result="bridged_end")
    await stage.start()
    row = await stage.ended_row(call.attempt_id)
    assert (row["outcome"], row["lead_id"]) == ("connected", lead_id)
    assert abs(row["answered_at"].timestamp() - now + 3) < 0.01


async def test_call_whose_record_was_rotated_away_is_closed_with_the_truth(stage: Stage) -> None:
    call, _lead_id, _agent_id = await a_call_under_way(stage)
    await stage.die()
    now = SystemClock().now().timestamp()
    stage.asterisk.end_unseen(call.attempt_id, started=now - 5, ended=now, cause=17)
    for file in (stage.asterisk.cdr_file, stage.asterisk.hangups_file):
        file.rename(file.with_name(f"{file.name}.1"))
        file.touch()
    await stage.start()
    assert (await stage.ended_row(call.attempt_id))["outcome"] == "busy"


@pytest.mark.parametrize("what", ["gone", "new", "emptied"])
async def test_call_counts_as_made_when_the_records_of_its_time_cannot_be_read(stage: Stage, what: str) -> None:
    stage.asterisk.record(uuid7(SystemClock().now(), bytes(10)), started=1.7e9, ended=1.7e9 + 5)
    call, lead_id, _agent_id = await a_call_under_way(stage)
    await stage.die()
    now = SystemClock().now().timestamp()
    stage.asterisk.end_unseen(call.attempt_id, started=now - 5, answered=now - 3, ended=now, result="bridged_end")
    match what:
        case "gone":
            stage.asterisk.cdr_file.unlink()
            stage.asterisk.cdr_file.with_name("another.csv").touch()
        case "new":
            stage.asterisk.cdr_file.unlink()
            stage.asterisk.record(uuid7(SystemClock().now(), bytes(10)), started=now, ended=now + 1)
        case _:
            stage.asterisk.cdr_file.write_text("")
    await stage.start()
    assert (await stage.ended_row(call.attempt_id))["outcome"] == "failed"
    lead = await stage.pool.fetchrow("select state, attempts from leads where id = $1", lead_id)
    assert lead is not None
    assert (lead["state"], lead["attempts"]) == ("retry", 1)


async def a_conversation(stage: Stage, **settings: Any) -> tuple[Call, UUID]:
    await stage.start(audit_every_s=3600, **settings)
    return await a_talking_call(stage)


async def test_call_that_ended_in_the_moment_it_was_listed_does_not_come_to_life_again(stage: Stage) -> None:
    call, _agent_id = await a_conversation(stage, journal_every_s=0.3)
    list_them = stage.asterisk._do_coreshowchannels

    def list_and_hang_up(headers: Headers) -> None:
        stage.asterisk.fake.broadcast("Newstate", [("Uniqueid", "other"), ("Channel", "x"), ("ChannelState", "6")])
        list_them(headers)
        stage.asterisk.hang_up(call.attempt_id)

    stage.asterisk._do_coreshowchannels = list_and_hang_up  # type: ignore[method-assign]
    await stage.engine.parts.reconcile.now(adopt=True)
    assert call.state is CallState.ENDED
    assert stage.engine.parts.floor.calls == {}
    assert await stage.engine.parts.journal.flushed(5)
    assert stage.ended == [call.attempt_id]


@pytest.mark.parametrize("when", ["is being written", "was written just now"])
async def test_call_whose_end_reaches_its_row_during_a_round_ends_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    call, _agent_id = await a_conversation(stage)
    await stage.pool.execute("update attempts set created_at = created_at - interval '1 minute'")
    under_way, go_on = asyncio.Event(), asyncio.Event()
    finish, live_of_node = release.finish, attempts_db.live_of_node

    async def finish_slowly(conn: Any, ended: Sequence[EndedAttempt]) -> Any:
        done = await finish(conn, ended)
        under_way.set()
        await go_on.wait()
        return done

    async def read_and_wait(conn: Any, node: str) -> list[LiveAttempt]:
        rows = await live_of_node(conn, node)
        assert [row.id for row in rows] == [call.attempt_id]
        go_on.set()
        await stage.engine.parts.journal.flushed(5)
        return rows

    monkeypatch.setattr(release, "finish", finish_slowly)
    if when == "is being written":
        monkeypatch.setattr(floor, "_REMEMBER_ENDED_S", 0.0)
    else:
        monkeypatch.setattr(attempts_db, "live_of_node", read_and_wait)
    stage.asterisk.hang_up(call.attempt_id)
    await under_way.wait()
    await stage.engine.parts.reconcile.now(adopt=True)
    go_on.set()
    assert await stage.engine.parts.journal.flushed(5)
    assert stage.ended == [call.attempt_id]


@pytest.mark.parametrize("when", ["after the listing", "while our rows are read"])
async def test_hold_during_a_round_is_not_turned_back_by_the_listing_of_before(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    call, agent_id = await a_conversation(stage)
    live_of_node = attempts_db.live_of_node

    async def list_and_hold(ami: Any, asked_s: float) -> Listing:
        listing = await list_channels(ami, asked_s)
        await stage.engine.execute(Hold(agent_id=agent_id))
        return listing

    async def read_and_hold(conn: Any, node: str) -> list[LiveAttempt]:
        rows = await live_of_node(conn, node)
        await stage.engine.execute(Hold(agent_id=agent_id))
        return rows

    if when == "after the listing":
        monkeypatch.setattr(reconcile, "list_channels", list_and_hold)
    else:
        monkeypatch.setattr(attempts_db, "live_of_node", read_and_hold)
    await stage.engine.parts.reconcile.now(adopt=True)
    assert call.state is CallState.HELD
    await stage.engine.execute(Resume(agent_id=agent_id))


async def test_call_that_is_adopted_late_has_its_times_in_order_all_the_same(stage: Stage) -> None:
    call, _lead_id, agent_id = await a_call_under_way(stage)
    device = stage.on_floor(agent_id).device_username
    await stage.die()
    await stage.pool.execute(  # killed before it was written that the call was sent
        "update attempts set state = 'committed', sent_at = null, created_at = created_at - interval '1 minute'"
    )
    before = SystemClock().now().timestamp()
    await stage.start()
    assert call.attempt_id in stage.engine.parts.floor.calls
    stage.asterisk.end_unseen(
        call.attempt_id, started=before - 3, answered=before - 1, ended=before + 0.1, result="bridged_end", seat=f"PJSIP/{device}-00000001"
    )  # fmt: skip
    await stage.engine.parts.reconcile.now(adopt=True)
    row = await stage.ended_row(call.attempt_id)
    times = [row["created_at"], row["sent_at"], row["answered_at"], row["bridged_at"], row["ended_at"]]
    assert row["outcome"] == "connected"
    assert times == sorted(times)
    assert abs(row["answered_at"].timestamp() - before + 1) < 0.01
