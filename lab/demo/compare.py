"""Does everything that was written down about a run tell the same story? Pure: facts in, contradictions out.

Three parties kept books: our rows (attempts, leads, recordings), the files of the store, and the carrier's own call records. Each carrier
call must belong to exactly one attempt that was sent and the reverse; answers, outcomes, recordings and sums must agree call by call.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from uuid import UUID

from dialer.domain.outcomes import Outcome
from lab.carrier.behaviour import ANSWERING, Behaviour

ANSWERED = frozenset({Outcome.CONNECTED, Outcome.ABANDONED, Outcome.HUNG_UP_EARLY})
OFF_THE_WIRE = frozenset({Outcome.NOT_SENT})

FITS: Mapping[Behaviour, frozenset[Outcome]] = {
    Behaviour.HUMAN: ANSWERED | {Outcome.NO_ANSWER},
    Behaviour.PRESSES_KEYS: ANSWERED | {Outcome.NO_ANSWER},
    Behaviour.VOICEMAIL: ANSWERED | {Outcome.NO_ANSWER},
    Behaviour.ONE_WAY_AUDIO: ANSWERED | {Outcome.NO_ANSWER},
    Behaviour.EARLY_MEDIA: ANSWERED | {Outcome.NO_ANSWER},
    Behaviour.LATE_ANSWER: ANSWERED | {Outcome.NO_ANSWER},
    Behaviour.ANSWER_HANGUP: ANSWERED | {Outcome.NO_ANSWER},
    Behaviour.BUSY: frozenset({Outcome.BUSY}),
    Behaviour.NO_ANSWER: frozenset({Outcome.NO_ANSWER}),
    Behaviour.REJECTED: frozenset({Outcome.REJECTED}),
    Behaviour.VACANT: frozenset({Outcome.VACANT}),
    Behaviour.POWERED_OFF: frozenset({Outcome.UNREACHABLE}),
    Behaviour.CONGESTION: frozenset({Outcome.CONGESTION}),
    Behaviour.UNKNOWN: frozenset(Outcome),
}
"""What may become of a call to a number that behaves so. A call that we give up may end as canceled whatever the number."""

_MUTE = frozenset({Behaviour.ONE_WAY_AUDIO, Behaviour.PRESSES_KEYS})
START_TOLERANCE = timedelta(seconds=5)
ANSWER_TOLERANCE = timedelta(seconds=1.5)
SILENT = 0.002  # of full scale: what the codec makes of silence
SHORTER_MS = 1_500  # a recording may lack so much of the conversation (start of the legs, a broken end)
LONGER_MS = 1_500
# Asterisk waits half a second for a first packet before it goes on after an answer: who hangs up at once may never have sent one.
BLINK_MS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFact:
    """A row of `attempts`."""

    id: UUID
    number: str
    caller_number: str
    state: str
    outcome: str | None
    created_at: datetime
    sent_at: datetime | None
    answered_at: datetime | None
    bridged_at: datetime | None
    ended_at: datetime | None
    abandoned: bool
    agent_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFact:
    """What was found in the store. `loudest_in_pause`: of full scale, over all its pauses but their edges."""

    hash_agrees: bool
    channels: int
    duration_ms: int
    loudest_in_pause: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFact:
    """A row of `recordings` and its file; `file` is None when there is none. `pauses`: from and to in ms, as the recorder kept them; `paused`: as the engine wrote them."""

    attempt_id: UUID
    state: str
    reason: str | None
    duration_ms: int | None
    file: FileFact | None
    pauses: tuple[tuple[int, int | None], ...] = ()
    paused: tuple[tuple[int, int | None], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierFact:
    """A call the carrier saw."""

    uniqueid: str
    number: str
    caller: str  # as it was shown: digits, with or without a plus
    started: datetime
    answered: datetime | None
    ended: datetime
    behaviour: Behaviour


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """Two books that contradict each other."""

    what: str
    attempt: str
    detail: str


def compare(
    attempts: Sequence[AttemptFact], recordings: Iterable[RecordingFact], carrier: Iterable[CarrierFact]
) -> list[Mismatch]:
    """Every contradiction, attempt by attempt.

    Someone whose line carries no sound (one-way audio, or keys alone) gives Asterisk no packet to time a recording by while they are on hold: nothing
    is recorded of that time, nobody speaks in it, and the ledger says so (`leg_silent`, `short`). Such a recording may be shorter.
    """
    found: list[Mismatch] = []
    for attempt in attempts:
        found += _within(attempt)
    pairs, unpaired = pair(attempts, carrier)
    found += unpaired
    for attempt, call in pairs:
        found += _against_carrier(attempt, call)
    found += _against_recordings(attempts, {recording.attempt_id: recording for recording in recordings}, _mute(pairs))
    return found


def mute(attempts: Sequence[AttemptFact], carrier: Iterable[CarrierFact]) -> frozenset[UUID]:
    """The attempts whose far end sent no sound at all."""
    return _mute(pair(attempts, carrier)[0])


def _mute(pairs: Iterable[tuple[AttemptFact, CarrierFact]]) -> frozenset[UUID]:
    return frozenset(attempt.id for attempt, call in pairs if call.behaviour in _MUTE)


def _within(attempt: AttemptFact) -> list[Mismatch]:
    found = []
    if attempt.state != "ended" or attempt.outcome is None or attempt.ended_at is None:
        return [_mismatch("not ended", attempt, f"state {attempt.state}, outcome {attempt.outcome}")]
    outcome = Outcome(attempt.outcome)
    if (outcome in ANSWERED) != (attempt.answered_at is not None):
        found.append(_mismatch("outcome contradicts answer", attempt, f"{outcome}, answered at {attempt.answered_at}"))
    if (outcome is Outcome.CONNECTED) != (attempt.bridged_at is not None):
        found.append(_mismatch("outcome contradicts bridge", attempt, f"{outcome}, bridged at {attempt.bridged_at}"))
    if attempt.abandoned != (outcome is Outcome.ABANDONED):
        found.append(_mismatch("outcome contradicts abandonment", attempt, f"{outcome}, abandoned {attempt.abandoned}"))
    if attempt.bridged_at is not None and attempt.agent_id is None:
        found.append(_mismatch("bridged to nobody", attempt, ""))
    times = [
        at for at in (attempt.sent_at, attempt.answered_at, attempt.bridged_at, attempt.ended_at) if at is not None
    ]
    if times != sorted(times):
        found.append(_mismatch("times out of order", attempt, ", ".join(at.isoformat() for at in times)))
    return found


def pair(
    attempts: Sequence[AttemptFact], carrier: Iterable[CarrierFact]
) -> tuple[list[tuple[AttemptFact, CarrierFact]], list[Mismatch]]:
    """Each attempt on the wire with its carrier call: same number, in order of time. What has no partner is a mismatch."""
    ours: dict[str, list[AttemptFact]] = defaultdict(list)
    theirs: dict[str, list[CarrierFact]] = defaultdict(list)
    for attempt in attempts:
        if attempt.outcome not in OFF_THE_WIRE:
            ours[attempt.number].append(attempt)
    for call in carrier:
        theirs[call.number].append(call)
    pairs: list[tuple[AttemptFact, CarrierFact]] = []
    unpaired: list[Mismatch] = []
    for number in ours.keys() | theirs.keys():
        mine = sorted(ours[number], key=_placed_at)
        seen = sorted(theirs[number], key=lambda one: one.started)
        together, alone = _pair_one_number(mine, seen)
        pairs += together
        unpaired += alone
    return pairs, unpaired


def _placed_at(attempt: AttemptFact) -> datetime:
    """When it went on the wire, as well as we know: an engine that was killed may have sent it and not written so."""
    return attempt.sent_at or attempt.created_at


def _pair_one_number(
    mine: list[AttemptFact], seen: list[CarrierFact]
) -> tuple[list[tuple[AttemptFact, CarrierFact]], list[Mismatch]]:
    pairs, alone = [], []
    waiting = list(seen)
    for attempt in mine:
        near = [call for call in waiting if abs(call.started - _placed_at(attempt)) <= START_TOLERANCE]
        if not near:
            alone.append(
                _mismatch("the carrier saw no call", attempt, f"outcome {attempt.outcome}, sent at {attempt.sent_at}")
            )
            continue
        pairs.append((attempt, near[0]))
        waiting.remove(near[0])
    alone += [
        Mismatch(
            what="the carrier saw a call without an attempt",
            attempt="",
            detail=f"{call.uniqueid} {call.behaviour} at {call.started.isoformat()}",
        )
        for call in waiting
    ]
    return pairs, alone


def _against_carrier(attempt: AttemptFact, call: CarrierFact) -> list[Mismatch]:
    found = []
    if call.caller.lstrip("+") != attempt.caller_number.lstrip("+"):
        found.append(_mismatch("another caller number was shown", attempt, call.caller))
    if (attempt.answered_at is None) != (call.answered is None):
        found.append(
            _mismatch(
                "answered for one, not for the other", attempt, f"we: {attempt.answered_at}, carrier: {call.answered}"
            )
        )
    elif (
        attempt.answered_at is not None
        and call.answered is not None
        and abs(attempt.answered_at - call.answered) > ANSWER_TOLERANCE
    ):
        found.append(
            _mismatch("answered at another time", attempt, f"we: {attempt.answered_at}, carrier: {call.answered}")
        )
    allowed = FITS[call.behaviour] | {Outcome.CANCELED}
    if attempt.outcome is not None and Outcome(attempt.outcome) not in allowed:
        found.append(
            _mismatch("outcome does not fit the behaviour", attempt, f"{attempt.outcome} for {call.behaviour}")
        )
    if call.answered is not None and call.behaviour not in ANSWERING | {Behaviour.UNKNOWN}:
        found.append(_mismatch("the carrier answered for a number that never does", attempt, str(call.behaviour)))
    return found


def _against_recordings(
    attempts: Sequence[AttemptFact], recordings: Mapping[UUID, RecordingFact], mute: frozenset[UUID]
) -> list[Mismatch]:
    found = []
    for attempt in attempts:
        recording = recordings.get(attempt.id)
        if attempt.answered_at is None:
            if recording is not None:
                found.append(_mismatch("a recording of a call nobody answered", attempt, recording.state))
        elif recording is None:
            found.append(_mismatch("answered without a recording", attempt, str(attempt.outcome)))
        else:
            found += _of_recording(attempt, recording, may_be_shorter=attempt.id in mute)
    strangers = recordings.keys() - {attempt.id for attempt in attempts}
    found += [Mismatch(what="a recording without an attempt", attempt=str(one), detail="") for one in strangers]
    return found


def nothing_to_record(attempt: AttemptFact, recording: RecordingFact, *, is_mute: bool) -> bool:
    """No packet of sound came before the end: who answered was gone at once, or sends none and met no agent. The stated reason stands for the recording."""
    if (recording.state, recording.reason) != ("missing", "legs_empty") or not (
        attempt.answered_at and attempt.ended_at
    ):
        return False
    if is_mute and attempt.bridged_at is None:
        return True
    return (attempt.ended_at - attempt.answered_at) / timedelta(milliseconds=1) <= BLINK_MS


def _of_recording(attempt: AttemptFact, recording: RecordingFact, *, may_be_shorter: bool) -> list[Mismatch]:
    if nothing_to_record(attempt, recording, is_mute=may_be_shorter):
        return []
    if recording.state != "stored":
        return [_mismatch("the recording is not stored", attempt, f"{recording.state}: {recording.reason}")]
    file = recording.file
    if file is None:
        return [_mismatch("the recording's file is not there", attempt, "")]
    found = []
    if not file.hash_agrees:
        found.append(_mismatch("the recording's hash is another one", attempt, ""))
    if recording.pauses != recording.paused:
        found.append(
            _mismatch("paused otherwise than the recording says", attempt, f"{recording.paused}, {recording.pauses}")
        )
    if file.loudest_in_pause > SILENT:
        found.append(_mismatch("sound where the recording was paused", attempt, f"{file.loudest_in_pause:.3f}"))
    if file.channels != 2:
        found.append(_mismatch("the recording is not stereo", attempt, f"{file.channels} channels"))
    if recording.duration_ms is not None and abs(file.duration_ms - recording.duration_ms) > 100:
        found.append(
            _mismatch(
                "the ledger's duration is another one",
                attempt,
                f"ledger {recording.duration_ms} ms, file {file.duration_ms} ms",
            )
        )
    if attempt.answered_at is not None and attempt.ended_at is not None:
        lasted_ms = (attempt.ended_at - attempt.answered_at) / timedelta(milliseconds=1)
        least_ms = 0.0 if may_be_shorter else lasted_ms - SHORTER_MS
        if not least_ms <= file.duration_ms <= lasted_ms + LONGER_MS:
            found.append(
                _mismatch(
                    "the recording is not as long as the call",
                    attempt,
                    f"call {lasted_ms:.0f} ms, file {file.duration_ms} ms",
                )
            )
    return found


def outcomes(attempts: Iterable[AttemptFact]) -> dict[str, int]:
    """Outcome → how many."""
    return dict(sorted(Counter(attempt.outcome or "none" for attempt in attempts).items()))


def percentile(values: Sequence[float], share: float) -> float | None:
    """The nearest-rank percentile; None of nothing."""
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else None


def _mismatch(what: str, attempt: AttemptFact, detail: str) -> Mismatch:
    return Mismatch(what=what, attempt=str(attempt.id), detail=detail)
