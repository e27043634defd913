"""A round of reconciliation against what it reads late, or cannot read: nothing is dialled twice, ended twice, or turned back."""

from __future__ import annotations

from uuid import UUID

import pytest

from dialer.domain.ids import uuid7
from dialer.domain.states import CallState
from dialer.engine.clock import SystemClock
from dialer.engine.floor import Call
from tests.integration.engine.conftest import Stage

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
