"""The comparison of our books with the carrier's: silent when they agree, and every kind of contradiction is found."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from dialer.domain.outcomes import Outcome
from lab.carrier.behaviour import Behaviour, number_for
from lab.demo.compare import FITS, AttemptFact, CarrierFact, FileFact, RecordingFact, compare, outcomes, percentile

T0 = datetime(2026, 1, 1, 9, tzinfo=UTC)
AGENT = UUID(int=7)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def a_conversation(serial: int = 1) -> tuple[AttemptFact, RecordingFact, CarrierFact]:
    number = number_for(Behaviour.HUMAN, serial=serial)
    attempt = AttemptFact(
        id=UUID(int=serial), number=number, caller_number="+862155550100", state="ended", outcome=Outcome.CONNECTED, created_at=at(-0.01), sent_at=at(0), answered_at=at(2), bridged_at=at(2.01), ended_at=at(10),
        abandoned=False, agent_id=AGENT,
    )  # fmt: skip
    recording = RecordingFact(
        attempt_id=attempt.id,
        state="stored",
        reason=None,
        duration_ms=7950,
        file=FileFact(hash_agrees=True, channels=2, duration_ms=7950),
    )
    return (
        attempt,
        recording,
        CarrierFact(
            uniqueid=f"c{serial}",
            number=number,
            caller="862155550100",
            started=at(0.02),
            answered=at(2),
            ended=at(10),
            behaviour=Behaviour.HUMAN,
        ),
    )


def a_busy_call(serial: int = 2) -> tuple[AttemptFact, CarrierFact]:
    number = number_for(Behaviour.BUSY, serial=serial)
    attempt = AttemptFact(
        id=UUID(int=serial),
        number=number,
        caller_number="+862155550100",
        state="ended",
        outcome=Outcome.BUSY,
        created_at=at(-0.01),
        sent_at=at(0),
        answered_at=None,
        bridged_at=None,
        ended_at=at(1),
        abandoned=False,
        agent_id=None,
    )
    return attempt, CarrierFact(
        uniqueid=f"c{serial}",
        number=number,
        caller="862155550100",
        started=at(0.02),
        answered=None,
        ended=at(1),
        behaviour=Behaviour.BUSY,
    )


def kinds(attempts: list[AttemptFact], recordings: list[RecordingFact], carrier: list[CarrierFact]) -> set[str]:
    return {mismatch.what for mismatch in compare(attempts, recordings, carrier)}


def test_books_that_agree_give_no_mismatch() -> None:
    attempt, recording, call = a_conversation()
    busy, busy_call = a_busy_call()
    assert compare([attempt, busy], [recording], [call, busy_call]) == []


def test_number_dialled_twice_for_one_attempt_is_found() -> None:
    attempt, recording, call = a_conversation()
    assert kinds([attempt], [recording], [call, replace(call, uniqueid="again", started=at(1))]) == {
        "the carrier saw a call without an attempt"
    }


def test_attempt_the_carrier_never_saw_is_found() -> None:
    busy, _ = a_busy_call()
    assert kinds([busy], [], []) == {"the carrier saw no call"}


def test_attempt_that_was_never_sent_needs_no_carrier_call() -> None:
    busy, call = a_busy_call()
    unsent = replace(busy, outcome=Outcome.NOT_SENT, sent_at=None)
    assert compare([unsent], [], []) == []
    assert kinds([unsent], [], [call]) == {"the carrier saw a call without an attempt"}


def test_second_attempt_to_a_number_is_paired_with_the_second_call() -> None:
    busy, call = a_busy_call()
    later = replace(busy, id=UUID(int=99), created_at=at(60), sent_at=at(60), ended_at=at(61))
    again = replace(call, uniqueid="c99", started=at(60.02), ended=at(61))
    assert compare([later, busy], [], [again, call]) == []
    assert kinds([later, busy], [], [again]) == {"the carrier saw no call"}


def test_answers_that_contradict_are_found() -> None:
    attempt, recording, call = a_conversation()
    assert "answered for one, not for the other" in kinds([attempt], [recording], [replace(call, answered=None)])
    assert "answered at another time" in kinds([attempt], [recording], [replace(call, answered=at(5))])


@pytest.mark.parametrize("behaviour", [one for one in Behaviour if one is not Behaviour.UNKNOWN])
def test_outcome_must_fit_the_behaviour(behaviour: Behaviour) -> None:
    busy, call = a_busy_call()
    wrong = next(one for one in Outcome if one not in FITS[behaviour] | {Outcome.CANCELED, Outcome.NOT_SENT})
    found = kinds([replace(busy, outcome=wrong)], [], [replace(call, behaviour=behaviour)])
    assert "outcome does not fit the behaviour" in found


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"state": "bridged", "outcome": None, "ended_at": None}, "not ended"),
        ({"outcome": Outcome.BUSY}, "outcome contradicts answer"),
        ({"bridged_at": None}, "outcome contradicts bridge"),
        ({"abandoned": True}, "outcome contradicts abandonment"),
        ({"agent_id": None}, "bridged to nobody"),
        ({"ended_at": at(1)}, "times out of order"),
    ],
)
def test_row_that_contradicts_itself_is_found(change: dict[str, object], what: str) -> None:
    attempt, recording, call = a_conversation()
    assert what in kinds([replace(attempt, **change)], [recording], [call])  # type: ignore[arg-type]


def test_who_is_gone_before_a_sound_needs_no_file_but_a_reason() -> None:
    attempt, recording, call = a_conversation()
    blink = replace(attempt, ended_at=at(2.1))
    nothing = replace(recording, state="missing", reason="legs_empty", file=None, duration_ms=None)
    assert kinds([blink], [nothing], [replace(call, ended=at(2.1))]) == set()
    assert kinds([blink], [replace(nothing, reason="legs_never_came")], [call]) == {"the recording is not stored"}
    assert kinds([attempt], [nothing], [call]) == {"the recording is not stored"}


def test_mute_line_that_met_no_agent_needs_no_file_but_a_reason() -> None:
    attempt, recording, call = a_conversation()
    alone = replace(attempt, outcome=Outcome.HUNG_UP_EARLY, bridged_at=None, agent_id=None)
    nothing = replace(recording, state="missing", reason="legs_empty", file=None, duration_ms=None)
    silent = replace(call, behaviour=Behaviour.ONE_WAY_AUDIO)
    assert kinds([alone], [nothing], [silent]) == set()
    assert kinds([alone], [nothing], [call]) == {"the recording is not stored"}
    assert kinds([attempt], [nothing], [silent]) == {"the recording is not stored"}


def test_call_that_showed_another_number_is_found() -> None:
    attempt, recording, call = a_conversation()
    assert kinds([attempt], [recording], [replace(call, caller="+862155550100")]) == set()
    assert kinds([attempt], [recording], [replace(call, caller="862155550199")]) == {"another caller number was shown"}


def test_a_mute_line_on_hold_may_shorten_its_recording_and_never_lengthen_it() -> None:
    attempt, recording, call = a_conversation()
    mute = replace(call, behaviour=Behaviour.ONE_WAY_AUDIO)
    short = replace(recording, duration_ms=4000, file=FileFact(hash_agrees=True, channels=2, duration_ms=4000))
    long = replace(recording, duration_ms=12_000, file=FileFact(hash_agrees=True, channels=2, duration_ms=12_000))
    assert kinds([attempt], [short], [mute]) == set()
    assert kinds([attempt], [long], [mute]) == {"the recording is not as long as the call"}


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"state": "missing", "reason": "no legs"}, "the recording is not stored"),
        ({"file": None}, "the recording's file is not there"),
        ({"file": FileFact(hash_agrees=False, channels=2, duration_ms=7950)}, "the recording's hash is another one"),
        ({"file": FileFact(hash_agrees=True, channels=1, duration_ms=7950)}, "the recording is not stereo"),
        (
            {"file": FileFact(hash_agrees=True, channels=2, duration_ms=4000)},
            "the recording is not as long as the call",
        ),
        ({"duration_ms": 100}, "the ledger's duration is another one"),
        (
            {"file": FileFact(hash_agrees=True, channels=2, duration_ms=7950, loudest_in_pause=0.1)},
            "sound where the recording was paused",
        ),
        ({"paused": ((1000, 3000),)}, "paused otherwise than the recording says"),
    ],
)
def test_recording_that_contradicts_the_call_is_found(change: dict[str, object], what: str) -> None:
    attempt, recording, call = a_conversation()
    assert what in kinds([attempt], [replace(recording, **change)], [call])  # type: ignore[arg-type]


def test_recordings_without_calls_and_calls_without_recordings_are_found() -> None:
    attempt, recording, call = a_conversation()
    busy, busy_call = a_busy_call()
    assert kinds([attempt], [], [call]) == {"answered without a recording"}
    assert kinds([busy], [replace(recording, attempt_id=busy.id)], [busy_call]) == {
        "a recording of a call nobody answered"
    }
    assert "a recording without an attempt" in kinds([busy], [recording], [busy_call])


def test_figures() -> None:
    assert outcomes([a_conversation()[0], a_busy_call()[0], a_busy_call(3)[0]]) == {"busy": 2, "connected": 1}
    assert percentile([], 0.5) is None
    assert percentile([5.0], 0.99) == 5.0
    assert percentile([float(value) for value in range(1, 101)], 0.5) == 50.0
    assert percentile([float(value) for value in range(1, 101)], 0.99) == 99.0
