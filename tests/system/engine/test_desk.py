"""The agent's desk on the real Asterisk: hold, resume, transfer, hang up, manual, preview, callbacks, breaks."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dialer.domain.commands import (
    AgentBreak,
    AgentLogout,
    AgentReady,
    Dial,
    HangUp,
    Hold,
    PreviewNext,
    PreviewSkip,
    Resume,
    Transfer,
    WrapUp,
)
from dialer.domain.errors import Conflict, NotAllowed
from dialer.domain.states import AgentState, CallState
from dialer.engine.clock import SystemClock
from lab.carrier import Behaviour
from tests.system.engine.conftest import Floor

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]


async def test_customer_on_hold_hears_music_and_comes_back_to_the_same_agent(floor: Floor) -> None:
    await floor.start()
    project = await floor.project()
    agent_id = await floor.agent(project)
    await floor.lead(project)
    call = await floor.talking(agent_id)
    await floor.engine.execute(Hold(agent_id=agent_id))
    assert call.state.value == "held"
    assert "MusicOnHold" in await floor.node.console("core show channels concise")
    assert floor.state(agent_id) is AgentState.TALKING
    await floor.engine.execute(Resume(agent_id=agent_id))
    await floor.until(lambda: call.state is CallState.BRIDGED, "bridge after hold")
    assert call.agent_id == agent_id
    await floor.engine.execute(HangUp(agent_id=agent_id))
    [row] = await floor.ended(1)
    assert (row["outcome"], row["agent_id"]) == ("connected", agent_id)
    await floor.becomes(agent_id, AgentState.READY)


async def test_customer_who_hangs_up_on_hold_ends_the_call(floor: Floor) -> None:
    await floor.start()
    project = await floor.project(wrap_up_limit_s=60)
    agent_id = await floor.agent(project)
    await floor.lead(project, talk=4)
    await floor.talking(agent_id)
    await floor.engine.execute(Hold(agent_id=agent_id))
    [row] = await floor.ended(1)
    assert row["outcome"] == "connected"
    await floor.becomes(agent_id, AgentState.WRAP_UP)


async def test_transfer_gives_the_customer_to_the_other_agent_and_wraps_up_the_first(floor: Floor) -> None:
    await floor.start()
    project = await floor.project(wrap_up_limit_s=60)
    first = await floor.agent(project)
    await floor.lead(project)
    call = await floor.talking(first)
    second = await floor.agent(project)
    await floor.engine.execute(Transfer(agent_id=first, to_agent_id=second))
    await floor.becomes(second, AgentState.TALKING)
    assert floor.state(first) is AgentState.WRAP_UP
    assert call.state is CallState.BRIDGED
    assert call.agent_id == second
    await floor.engine.execute(HangUp(agent_id=second))
    [row] = await floor.ended(1)
    assert row["agent_id"] == second
    await floor.becomes(second, AgentState.WRAP_UP)


async def test_transfer_from_hold_and_to_an_agent_who_is_not_ready(floor: Floor) -> None:
    await floor.start()
    project = await floor.project(wrap_up_limit_s=60)
    first = await floor.agent(project)
    await floor.lead(project)
    call = await floor.talking(first)
    second = await floor.agent(project, wanted="break")
    with pytest.raises(Conflict) as refusal:
        await floor.engine.execute(Transfer(agent_id=first, to_agent_id=second))
    assert refusal.value.error_id == "agent_not_ready"
    await floor.engine.execute(AgentReady(agent_id=second))
    await floor.engine.execute(Hold(agent_id=first))
    await floor.engine.execute(Transfer(agent_id=first, to_agent_id=second))
    await floor.becomes(second, AgentState.TALKING)
    assert call.state is CallState.BRIDGED


async def test_agent_who_hangs_up_the_phone_ends_the_call_and_is_called_again(floor: Floor) -> None:
    await floor.start()
    project = await floor.project()
    agent_id = await floor.agent(project)
    await floor.lead(project)
    await floor.talking(agent_id)
    first_seat = floor.on_floor(agent_id).seat
    assert first_seat is not None
    await floor.phone(agent_id).hang_up()
    [row] = await floor.ended(1)
    assert (row["outcome"], row["agent_id"]) == ("connected", agent_id)
    await floor.until(
        lambda: floor.state(agent_id) is AgentState.READY and floor.on_floor(agent_id).seated, "a new seat", 15
    )
    assert floor.on_floor(agent_id).seat is not first_seat


async def test_softphone_that_vanishes_without_bye_leaves_its_customer_to_another_agent(floor: Floor) -> None:
    await floor.start()
    project = await floor.project(agent_wait_ms=3000)
    first = await floor.agent(project)
    await floor.lead(project)
    call = await floor.talking(first)
    second = await floor.agent(project)
    username = floor.phone(first).username
    await floor.telephony.bank.vanish(username)
    try:
        await floor.until(lambda: call.agent_id == second and call.state is CallState.BRIDGED, "the other agent", 20)
    finally:
        await floor.telephony.bank.come_back(username)
    await floor.engine.execute(HangUp(agent_id=second))
    [row] = await floor.ended(1)
    assert (row["outcome"], row["agent_id"]) == ("connected", second)


async def test_softphone_that_rejects_is_tried_again_and_then_logged_out(floor: Floor) -> None:
    await floor.start(seat_tries=2)
    project = await floor.project()
    agent_id = await floor.agent(project)
    floor.phone(agent_id).rejects = True
    await floor.phone(agent_id).hang_up()
    await floor.becomes(agent_id, AgentState.LOGGED_OUT, 15)
    floor.phone(agent_id).rejects = False
    await floor.login(agent_id)
    await floor.becomes(agent_id, AgentState.READY)


async def test_manual_call_to_a_number_reaches_the_agent_who_dialled(floor: Floor) -> None:
    await floor.start()
    project = await floor.project(mode="manual")
    await floor.agent(project)
    agent_id = await floor.agent(project, wanted="break")
    number = "+8613810190999"
    done = await floor.engine.execute(Dial(agent_id=agent_id, project_id=project.id, number=number))
    assert done.attempt_id is not None
    await floor.talking(agent_id)
    await floor.engine.execute(HangUp(agent_id=agent_id))
    [row] = await floor.ended(1)
    assert (row["number"], row["mode"], row["agent_id"], row["outcome"]) == (number, "manual", agent_id, "connected")
    await floor.becomes(agent_id, AgentState.BREAK)


async def test_agent_may_hang_up_a_manual_call_while_it_rings(floor: Floor) -> None:
    await floor.start()
    project = await floor.project(mode="manual")
    agent_id = await floor.agent(project)
    lead_id = await floor.lead(project, ring=9)
    await floor.engine.execute(Dial(agent_id=agent_id, project_id=project.id, lead_id=lead_id))
    await floor.until(
        lambda: any(call.state is CallState.RINGING for call in floor.engine.parts.floor.calls.values()), "ringing"
    )
    await floor.engine.execute(HangUp(agent_id=agent_id))
    [row] = await floor.ended(1)
    assert row["outcome"] == "canceled"
    await floor.becomes(agent_id, AgentState.READY)


async def test_manual_call_to_a_busy_number_frees_the_agent(floor: Floor) -> None:
    await floor.start()
    project = await floor.project(mode="manual")
    agent_id = await floor.agent(project)
    lead_id = await floor.lead(project, Behaviour.BUSY)
    await floor.engine.execute(Dial(agent_id=agent_id, project_id=project.id, lead_id=lead_id))
    [row] = await floor.ended(1)
    assert row["outcome"] == "busy"
    await floor.becomes(agent_id, AgentState.READY)


async def test_agent_cannot_dial_for_a_project_that_is_not_theirs(floor: Floor) -> None:
    await floor.start()
    project, other = await floor.project(mode="manual"), await floor.project(mode="manual")
    agent_id = await floor.agent(project)
    with pytest.raises(NotAllowed):
        await floor.engine.execute(Dial(agent_id=agent_id, project_id=other.id, number="+8613810190998"))


async def test_number_on_the_do_not_call_list_cannot_be_dialled_by_hand(floor: Floor) -> None:
    await floor.start()
    project = await floor.project(mode="manual")
    agent_id = await floor.agent(project)
    number = "+8613810190997"
    await floor.pool.execute("insert into do_not_call (number, reason, source) values ($1, 'asked', 'test')", number)
    with pytest.raises(Conflict) as refusal:
        await floor.engine.execute(Dial(agent_id=agent_id, project_id=project.id, number=number))
    assert refusal.value.error_id == "do_not_call"
    await floor.becomes(agent_id, AgentState.READY)


async def test_preview_shows_a_lead_dials_it_and_gives_a_skipped_one_back(floor: Floor) -> None:
    await floor.start()
    project = await floor.project(mode="preview", preview_skip_wait_s=0, preview_same_agent_wait_s=0)
    lead_id = await floor.lead(project, ring=0)
    agent_id = await floor.agent(project, wanted="break")
    shown = await floor.engine.execute(PreviewNext(agent_id=agent_id, project_id=project.id))
    assert (shown.state, shown.lead_id) == ("preview", lead_id)
    await floor.engine.execute(PreviewSkip(agent_id=agent_id, reason="no time"))
    assert floor.state(agent_id) is AgentState.BREAK

    async def shown_again() -> bool:
        try:
            again = await floor.engine.execute(PreviewNext(agent_id=agent_id, project_id=project.id))
        except Conflict:
            return False
        return again.lead_id == lead_id

    await floor.until(shown_again, "the lead shown again")
    await floor.engine.execute(Dial(agent_id=agent_id, project_id=project.id, lead_id=lead_id))
    call = await floor.talking(agent_id)
    assert call.mode.value == "preview"


async def test_preview_is_over_after_its_limit(floor: Floor) -> None:
    await floor.start()
    project = await floor.project(mode="preview", preview_limit_s=5, preview_skip_wait_s=0)
    await floor.lead(project)
    agent_id = await floor.agent(project, wanted="break")
    await floor.engine.execute(PreviewNext(agent_id=agent_id, project_id=project.id))
    await floor.becomes(agent_id, AgentState.BREAK, 8)

    async def is_back() -> bool:
        held: int = await floor.pool.fetchval("select count(*) from leads where next_at > now()")
        return held == 0

    await floor.until(is_back, "the lead back in its list")


async def test_lead_that_is_only_looked_at_is_dialled_at_the_limit_when_the_project_says_so(floor: Floor) -> None:
    await floor.start()
    project = await floor.project(mode="preview", preview_limit_s=5, preview_at_limit="dial")
    lead_id = await floor.lead(project, ring=0)
    agent_id = await floor.agent(project, wanted="break")
    await floor.engine.execute(PreviewNext(agent_id=agent_id, project_id=project.id))
    call = await floor.talking(agent_id)
    assert (call.lead_id, call.mode.value) == (lead_id, "preview")


async def test_personal_callback_is_made_for_its_agent_when_it_is_due(floor: Floor) -> None:
    await floor.start()
    project = await floor.project(wrap_up_limit_s=60)
    await floor.agent(project, wanted="break")
    agent_id = await floor.agent(project)
    lead_id = await floor.lead(project, ring=0, talk=0)
    await floor.talking(agent_id)
    await floor.becomes(agent_id, AgentState.WRAP_UP)
    due = SystemClock().now() + timedelta(seconds=2)
    dispositions = {one.effect.value: one.code for one in project.dispositions}
    done = await floor.engine.execute(
        WrapUp(agent_id=agent_id, disposition=dispositions["callback"], callback_at=due, callback_personal=True)
    )
    assert done.lead_id == lead_id
    rows = await floor.ended(2, timeout_s=20)
    assert {row["agent_id"] for row in rows} == {agent_id}
    assert rows[1]["created_at"] >= due


async def test_wrap_up_keeps_the_disposition_and_ends_the_wrap_up(floor: Floor) -> None:
    await floor.start()
    project = await floor.project(wrap_up_limit_s=60)
    agent_id = await floor.agent(project)
    lead_id = await floor.lead(project, ring=0, talk=0)
    await floor.talking(agent_id)
    await floor.becomes(agent_id, AgentState.WRAP_UP)
    final = next(one.code for one in project.dispositions if one.effect.value == "final")
    await floor.engine.execute(AgentBreak(agent_id=agent_id, reason="lunch"))
    assert floor.state(agent_id) is AgentState.WRAP_UP
    await floor.engine.execute(WrapUp(agent_id=agent_id, disposition=final, note="fine"))
    assert floor.state(agent_id) is AgentState.BREAK
    [row] = await floor.attempts(lead_id)
    assert (row["disposition"], row["note"]) == (final, "fine")
    assert await floor.pool.fetchval("select state from leads where id = $1", lead_id) == "done"


async def test_wrap_up_ends_by_itself_after_its_limit(floor: Floor) -> None:
    await floor.start()
    project = await floor.project(wrap_up_limit_s=1)
    agent_id = await floor.agent(project)
    await floor.lead(project, ring=0, talk=0)
    await floor.talking(agent_id)
    await floor.becomes(agent_id, AgentState.WRAP_UP)
    await floor.becomes(agent_id, AgentState.READY, 4)


async def test_agent_who_logs_out_in_a_conversation_is_logged_out_after_it(floor: Floor) -> None:
    await floor.start()
    project = await floor.project()
    agent_id = await floor.agent(project)
    phone = floor.phone(agent_id)
    await floor.lead(project, ring=0, talk=3)
    await floor.talking(agent_id)
    done = await floor.engine.execute(AgentLogout(agent_id=agent_id))
    assert done.state == "talking"
    await floor.becomes(agent_id, AgentState.LOGGED_OUT)
    await phone.wait_free()
    assert await floor.engine.parts.journal.flushed(5)
    rows = await floor.pool.fetch(
        "select state, ended_at from agent_times where agent_id = $1 order by began_at", agent_id
    )
    assert {row["state"] for row in rows} >= {"seating", "talking"}
    assert all(row["ended_at"] is not None for row in rows)
    assert await floor.pool.fetchval("select count(*) from agent_live") == 0
