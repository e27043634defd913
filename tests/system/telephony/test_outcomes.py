"""What each kind of number looks like from our side of the trunk. The engine's outcome table stands on this one."""

from __future__ import annotations

import pytest

from lab.carrier import Behaviour, Carrier, number_for
from lab.waiting import wait_until
from tests.system.telephony.scene import HANG_UP, Scene

# behaviour → (answered, Reason of the OriginateResponse, Hangup cause, TechCause)
SEEN = {
    Behaviour.HUMAN: (True, 4, 16, ""),
    Behaviour.PRESSES_KEYS: (True, 4, 16, ""),
    Behaviour.BUSY: (False, 0, 17, "486"),
    Behaviour.NO_ANSWER: (False, 0, 19, "480"),
    Behaviour.REJECTED: (False, 0, 21, "403"),
    Behaviour.VACANT: (False, 0, 1, "404"),
    Behaviour.POWERED_OFF: (False, 0, 19, "480"),
    Behaviour.VOICEMAIL: (True, 4, 16, ""),
    Behaviour.ANSWER_HANGUP: (True, 4, 16, ""),
    Behaviour.CONGESTION: (False, 0, 34, "503"),
    Behaviour.EARLY_MEDIA: (True, 4, 16, ""),
    Behaviour.LATE_ANSWER: (True, 4, 16, ""),
    Behaviour.ONE_WAY_AUDIO: (True, 4, 16, ""),
}


def test_every_behaviour_has_its_outcome_here() -> None:
    assert set(SEEN) == set(Behaviour) - {Behaviour.UNKNOWN}


@pytest.mark.parametrize("behaviour", SEEN)
async def test_behaviour_gives_its_hang_up_cause_and_sip_status(scene: Scene, behaviour: Behaviour) -> None:
    scene.answered = HANG_UP
    attempt = await scene.place(number_for(behaviour, ring_code=2, talk_code=4))
    response, ended = await scene.outcome_of(attempt)
    assert (response.answered, response.reason, ended.cause, ended.tech_cause) == SEEN[behaviour]


async def test_our_own_ring_timeout_looks_like_no_answer_with_reason_3(scene: Scene) -> None:
    attempt = await scene.place(number_for(Behaviour.NO_ANSWER), ring_timeout_s=0.5)
    response, ended = await scene.outcome_of(attempt)
    assert (response.answered, response.reason, ended.cause) == (False, 3, 19)


async def test_number_that_the_carrier_does_not_know_is_unallocated(scene: Scene, carrier: Carrier) -> None:
    known = len(carrier.cdr())
    attempt = await scene.place("+8613899000000")
    _, ended = await scene.outcome_of(attempt)
    assert (ended.cause, ended.tech_cause) == (1, "404")
    await wait_until(lambda: len(carrier.cdr()) > known, timeout_s=5, what="the carrier's record")
    assert carrier.cdr()[-1].behaviour is Behaviour.UNKNOWN


async def test_ringing_is_told_while_a_human_is_rung(scene: Scene) -> None:
    scene.answered = HANG_UP
    attempt = await scene.place(number_for(Behaviour.HUMAN, ring_code=3))
    await scene.end_of(f"call-{attempt}")
    states = [event.get("ChannelStateDesc") for event in scene.events if event.name == "Newstate"]
    assert states == ["Ringing", "Up"]


async def test_carrier_writes_down_number_caller_and_behaviour(scene: Scene, carrier: Carrier) -> None:
    scene.answered = HANG_UP
    number = number_for(Behaviour.HUMAN, serial=4711, prefix="186")
    attempt = await scene.place(number, caller="02168005678")
    await scene.end_of(f"call-{attempt}")
    record = await wait_until(
        lambda: next((cdr for cdr in carrier.cdr() if cdr.number == number), None), timeout_s=5, what="carrier's record"
    )
    assert record is not None
    assert (record.caller, record.behaviour) == ("02168005678", Behaviour.HUMAN)
    assert record.answered is not None
    assert record.started < record.answered <= record.ended
