"""Answered calls: bridged to a seat, held, transferred, recorded; and the seat free again after each."""

from __future__ import annotations

import asyncio

from dialer.asterisk.ami import actions
from lab.asterisk_node import AsteriskNode
from lab.carrier import Behaviour, number_for
from lab.softphone_bank import SoftphoneBank
from lab.voices import VOICES_DIR
from lab.waiting import wait_until
from tests.system.telephony.scene import HANG_UP, SAFE_HARBOUR, Scene, bridge_with
from tests.system.telephony.sound import leg, likeness, loudness, voice

HUMAN = number_for(Behaviour.HUMAN, talk_code=6)  # talks 2 s
LONG = number_for(Behaviour.HUMAN, talk_code=9)  # talks 12 s


async def test_answered_customer_is_bridged_to_the_seat_that_the_engine_chose(
    scene: Scene, softphones: SoftphoneBank
) -> None:
    seats = [await scene.seat("agent-1"), await scene.seat("agent-2")]
    scene.answered = bridge_with(seats[1])
    attempt = await scene.place(HUMAN)
    await scene.bridged(attempt, seats[1])
    assert softphones.phone("agent-2").talking
    assert await scene.result_of(attempt) == ["bridged_end"]
    assert scene.routes() == ["/call/answered"]
    assert scene.questions[0].channel_id == f"call-{attempt}"


async def test_both_legs_hold_the_voice_of_their_own_side(
    scene: Scene, softphones: SoftphoneBank, node: AsteriskNode
) -> None:
    seat = await scene.seat("agent-1")
    scene.answered = bridge_with(seat)
    attempt = await scene.place(number_for(Behaviour.HUMAN, talk_code=8))
    await scene.result_of(attempt)
    customer, agent = leg(node.spool_dir, attempt, "r"), leg(node.spool_dir, attempt, "t")
    human, speaker = voice(VOICES_DIR / "human.alaw"), voice(VOICES_DIR / softphones.phone("agent-1").voice_file)
    assert min(loudness(customer), loudness(agent)) > 300
    assert likeness(customer, human) > 0.95 > likeness(customer, speaker)
    assert likeness(agent, speaker) > 0.95 > likeness(agent, human)


async def test_both_legs_are_equally_long(scene: Scene, softphones: SoftphoneBank, node: AsteriskNode) -> None:
    seat = await scene.seat("agent-1")
    scene.answered = bridge_with(seat)
    attempt = await scene.place(HUMAN)
    await scene.result_of(attempt)
    customer, agent = leg(node.spool_dir, attempt, "r"), leg(node.spool_dir, attempt, "t")
    assert abs(len(customer) - len(agent)) <= 8000 * 0.25
    assert 1.5 <= len(customer) / 8000 <= 3.0


async def test_one_way_audio_is_recorded_as_silence_on_the_customers_side(
    scene: Scene, softphones: SoftphoneBank, node: AsteriskNode
) -> None:
    seat = await scene.seat("agent-1")
    scene.answered = bridge_with(seat)
    attempt = await scene.place(number_for(Behaviour.ONE_WAY_AUDIO, talk_code=6))
    await scene.result_of(attempt)
    assert loudness(leg(node.spool_dir, attempt, "r")) < 10
    assert loudness(leg(node.spool_dir, attempt, "t")) > 300


async def test_seat_is_idle_again_after_each_call_and_no_channel_is_left(
    scene: Scene, softphones: SoftphoneBank
) -> None:
    seat = await scene.seat("agent-1")
    scene.answered = bridge_with(seat)
    for done in range(1, 6):
        attempt = await scene.place(number_for(Behaviour.HUMAN, talk_code=2, serial=done))
        assert await scene.result_of(attempt) == ["bridged_end"]
        await scene.idle(seat, times=done + 1)
        assert await scene.channels() == [seat]
    assert softphones.phone("agent-1").calls_seen == 1 or softphones.phone("agent-1").talking


async def test_engine_hangs_up_a_conversation_and_the_seat_stays(scene: Scene, softphones: SoftphoneBank) -> None:
    seat = await scene.seat("agent-1")
    scene.answered = bridge_with(seat)
    attempt = await scene.place(LONG)
    await scene.bridged(attempt, seat)
    await scene.hang_up(f"call-{attempt}")
    await scene.idle(seat, times=2)
    assert await scene.result_of(attempt) == ["bridged_end"]
    assert softphones.phone("agent-1").talking


async def test_held_customer_hears_music_and_comes_back_to_the_same_seat(
    scene: Scene, softphones: SoftphoneBank, node: AsteriskNode
) -> None:
    seat = await scene.seat("agent-1")
    scene.answered = scene.redirected = bridge_with(seat)
    attempt = await scene.place(LONG)
    await scene.bridged(attempt, seat)
    await scene.hold(attempt)
    await scene.idle(seat, times=2)
    sent = await packets_sent(scene, attempt)
    await wait_until(lambda: many_more(scene, attempt, sent), timeout_s=5, what="music for the customer")
    await scene.resume(attempt)
    await wait_until(lambda: entered(scene, attempt) == 2, timeout_s=5, what="the second bridge")
    assert scene.routes() == ["/call/answered", "/call/redirected"]
    await scene.hang_up(f"call-{attempt}")
    await scene.idle(seat, times=3)
    assert len(leg(node.spool_dir, attempt, "r")) > 4000


async def test_waiting_on_hold_costs_no_processor(scene: Scene, softphones: SoftphoneBank, node: AsteriskNode) -> None:
    seat = await scene.seat("agent-1")
    scene.answered = bridge_with(seat)
    attempt = await scene.place(LONG)
    await scene.bridged(attempt, seat)
    await scene.hold(attempt)
    await scene.idle(seat, times=2)
    before = cpu_ticks(node.pid)
    await asyncio.sleep(2.0)
    assert cpu_ticks(node.pid) - before < 60  # of 200 ticks; a loop over an empty music class takes them all


async def test_customer_is_transferred_to_another_agent(scene: Scene, softphones: SoftphoneBank) -> None:
    first, second = await scene.seat("agent-1"), await scene.seat("agent-2")
    scene.answered, scene.redirected = bridge_with(first), bridge_with(second)
    attempt = await scene.place(LONG)
    await scene.bridged(attempt, first)
    await scene.resume(attempt, "transferred")
    await scene.bridged(attempt, second)
    await scene.idle(first, times=2)
    await scene.hang_up(f"call-{attempt}")
    await scene.idle(second, times=2)
    assert await scene.result_of(attempt) == ["bridged_end"]


async def test_seat_that_is_gone_makes_the_dialplan_ask_again(scene: Scene, softphones: SoftphoneBank) -> None:
    seat = await scene.seat("agent-1")
    scene.answered = bridge_with("seat-00000000000000000000000000000000-00000000")
    scene.redirected = bridge_with(seat)
    attempt = await scene.place(HUMAN)
    await scene.bridged(attempt, seat)
    assert await scene.result_of(attempt) == ["seat_gone", "bridged_end"]
    assert scene.routes() == ["/call/answered", "/call/redirected"]


async def test_second_seat_that_is_gone_leads_to_the_safe_harbour(scene: Scene) -> None:
    scene.answered = scene.redirected = bridge_with("seat-00000000000000000000000000000000-00000000")
    attempt = await scene.place(LONG)
    results = await scene.result_of(attempt)
    assert results == ["seat_gone", "seat_gone", "safe_harbour_played"]
    assert scene.routes() == ["/call/answered", "/call/redirected"]


async def test_softphone_that_hangs_up_first_leaves_the_customer_to_the_engine(
    scene: Scene, softphones: SoftphoneBank
) -> None:
    first, second = await scene.seat("agent-1"), await scene.seat("agent-2")
    scene.answered, scene.redirected = bridge_with(first), bridge_with(second)
    attempt = await scene.place(LONG)
    await scene.bridged(attempt, first)
    await softphones.phone("agent-1").hang_up()
    await scene.bridged(attempt, second)
    assert scene.ended(first)
    await scene.hang_up(f"call-{attempt}")


async def test_softphone_that_vanishes_in_a_conversation_is_noticed_and_the_customer_gets_another_agent(
    scene: Scene, softphones: SoftphoneBank
) -> None:
    first, second = await scene.seat("agent-1"), await scene.seat("agent-2")
    scene.answered, scene.redirected = bridge_with(first), bridge_with(second)
    attempt = await scene.place(LONG)
    await scene.bridged(attempt, first)
    await softphones.vanish("agent-1")
    try:
        ended = await scene.end_of(first, timeout_s=10)
        await scene.bridged(attempt, second)
    finally:
        await softphones.come_back("agent-1")
    assert ended.cause == 44
    await scene.hang_up(f"call-{attempt}")


async def test_seat_that_vanishes_while_idle_is_noticed(scene: Scene, softphones: SoftphoneBank) -> None:
    seat = await scene.seat("agent-1")
    await softphones.vanish("agent-1")
    try:
        ended = await scene.end_of(seat, timeout_s=10)
    finally:
        await softphones.come_back("agent-1")
    assert ended.cause == 44


async def test_busy_seat_is_not_stolen_from_its_conversation(scene: Scene, softphones: SoftphoneBank) -> None:
    seat = await scene.seat("agent-1")
    scene.answered, scene.redirected = bridge_with(seat), SAFE_HARBOUR
    first = await scene.place(LONG)
    await scene.bridged(first, seat)
    second = await scene.place(number_for(Behaviour.HUMAN, talk_code=9, serial=1))
    assert await scene.result_of(second) == ["seat_gone", "safe_harbour_played"]
    assert not scene.ended(f"call-{first}")
    await scene.hang_up(f"call-{first}")


async def test_engine_may_hang_up_at_once(scene: Scene) -> None:
    scene.answered = HANG_UP
    attempt = await scene.place(LONG)
    assert await scene.result_of(attempt) == ["hangup"]


async def test_adoption_sees_call_and_seat_by_their_ids_and_the_attempt(
    scene: Scene, softphones: SoftphoneBank
) -> None:
    seat = await scene.seat("agent-1")
    scene.answered = bridge_with(seat)
    attempt = await scene.place(LONG)
    await scene.bridged(attempt, seat)
    rows = await scene.ami.fetch(actions.status(variables=("WAIHU_ATTEMPT",)))
    assert {row.get("Uniqueid") for row in rows} == {seat, f"call-{attempt}"}
    await scene.hang_up(f"call-{attempt}")


async def packets_sent(scene: Scene, attempt: str) -> int:
    answer = await scene.ami.send(actions.get_variable(f"call-{attempt}", "CHANNEL(rtcp,txcount)"))
    return int(answer.get("Value") or 0)


async def many_more(scene: Scene, attempt: str, before: int) -> bool:
    return await packets_sent(scene, attempt) >= before + 40


def entered(scene: Scene, attempt: str) -> int:
    return sum(event.name == "BridgeEnter" and event.get("Uniqueid") == f"call-{attempt}" for event in scene.events)


def cpu_ticks(pid: int) -> int:
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:  # noqa: PTH123
        fields = stat.read().rpartition(") ")[2].split()
    return int(fields[11]) + int(fields[12])
