"""The promises, as questions to rows, carrier records and channels. Pure, but for the statements that fetch the rows."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from lab.carrier.behaviour import Behaviour, decode
from lab.chaos.plan import Victim
from lab.chaos.switchboard import Channels
from lab.demo.compare import LONGER_MS, SHORTER_MS, AttemptFact, CarrierFact, Mismatch, RecordingFact, pair

NATURAL_S = 0.4  # a customer who hangs up so close to the planned time did it themself
UNPLANNED = frozenset({Behaviour.VOICEMAIL, Behaviour.ANSWER_HANGUP, Behaviour.UNKNOWN})
OVERLAP = timedelta(milliseconds=50)


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A promise that was broken. `promise` is the invariant's number, 0 for leaks."""

    promise: int
    what: str
    detail: str


@dataclass(slots=True, kw_only=True)
class Rows:
    """What the database says at a moment."""

    live: frozenset[UUID] = frozenset()  # live_attempts
    open: frozenset[UUID] = frozenset()  # attempts that have not ended
    old_open: frozenset[UUID] = frozenset()  # of these, begun more than a few seconds ago
    in_flight_without_attempt: frozenset[int] = frozenset()
    agents: Mapping[UUID, tuple[str, UUID | None]] = field(default_factory=dict)  # agent → state, attempt
    doubled_numbers: int = 0
    miscounted: int = 0  # kept sums of answered calls that are not those of the attempts


ROWS_LIVE = "select attempt_id from live_attempts"
ROWS_OPEN = (
    "select id, created_at < clock_timestamp() - interval '3 seconds' as old from attempts where state <> 'ended'"
)
ROWS_LEADS = "select id from leads l where state = 'in_flight' and not exists (select 1 from live_attempts a where a.lead_id = l.id)"
ROWS_AGENTS = "select agent_id, state, attempt_id from agent_live"
ROWS_DOUBLED = (
    "select count(*) from (select number from attempts where state <> 'ended' group by number having count(*) > 1) d"
)

ROWS_MISCOUNTED = """
select count(*) from (
    select project_id, quarter_of(ended_at) as quarter, outcome, wait_ds(coalesce(greeted_at, answered_at), bridged_at) as wait_ds, count(*) as calls
    from attempts where state = 'ended' and answered_at is not null group by 1, 2, 3, 4
) a full join answered_calls c using (project_id, quarter, outcome, wait_ds)
where a.calls is distinct from c.calls
"""


def inconsistencies(rows: Rows, channels: Channels) -> set[str]:
    """What does not fit together just now. Under load single entries come and go; one that stays is a leak."""
    found = {f"channel without a live attempt: {one}" for one in channels.calls - rows.open}
    found |= {f"attempt without a channel: {one}" for one in rows.old_open - channels.calls}
    found |= {f"open attempt that is not in live_attempts: {one}" for one in rows.open - rows.live}
    found |= {f"ended attempt in live_attempts: {one}" for one in rows.live - rows.open}
    found |= {f"lead in flight without an attempt: {one}" for one in rows.in_flight_without_attempt}
    for agent, (state, attempt) in rows.agents.items():
        if state in {"talking", "reserved"} and (attempt is None or attempt not in rows.open):
            found.add(f"agent {state} without a call: {agent}")
    found |= {f"seat of an agent who is not logged in: {one}" for one in channels.agents - rows.agents.keys()}
    seats: dict[str, int] = defaultdict(int)
    for seat in channels.seats:
        seats[seat.partition("-")[2].partition("-")[0]] += 1
    found |= {f"agent with {count} seats: {agent}" for agent, count in seats.items() if count > 1}
    return found


def of_rows(rows: Rows) -> list[Violation]:
    """What the rows alone say. Promise 1: at most one live attempt for a number. Promise 4: an answered call that is over is counted once."""
    counts = (
        (1, "two live attempts for one number", rows.doubled_numbers),
        (4, "answered calls are counted otherwise than they ended", rows.miscounted),
    )
    return [Violation(promise=promise, what=what, detail=str(count)) for promise, what, count in counts if count]


def dialled_twice(attempts: Sequence[AttemptFact], carrier: Iterable[CarrierFact]) -> list[Violation]:
    """Promises 1 and 2: never two calls to a number at once, never more calls than committed attempts."""
    ours: dict[str, int] = defaultdict(int)
    for attempt in attempts:
        ours[attempt.number] += 1
    theirs: dict[str, list[CarrierFact]] = defaultdict(list)
    for call in carrier:
        theirs[call.number].append(call)
    found = []
    for number, calls in theirs.items():
        if len(calls) > ours[number]:
            found.append(
                Violation(
                    promise=2,
                    what="more calls on the wire than attempts",
                    detail=f"{_hidden(number)}: {len(calls)} calls, {ours[number]} attempts",
                )
            )
        ordered = sorted(calls, key=lambda call: call.started)
        found += [
            Violation(
                promise=1,
                what="two calls to a number at once",
                detail=f"{_hidden(number)}: {first.started} to {first.ended}, {second.started}",
            )
            for first, second in itertools.pairwise(ordered)
            if second.started < first.ended - OVERLAP
        ]
    return found


def cut_off(
    gone: Iterable[AttemptFact],
    carrier: Mapping[str, list[CarrierFact]],
    hung_up: frozenset[str],
    *,
    time_scale: float,
    killed_at: datetime,
) -> list[Violation]:
    """Promise 3: a conversation that has gone since the kill was ended by one of its two sides, not by the kill."""
    found = []
    for attempt in gone:
        if str(attempt.id) in hung_up:
            continue
        person = decode(attempt.number)
        calls = [
            call
            for call in carrier.get(attempt.number, [])
            if call.answered is not None and call.ended >= killed_at - timedelta(seconds=1)
        ]
        if not calls or person.behaviour in UNPLANNED:
            continue  # the carrier has not written it yet (it is looked at again at the end), or it ends when it likes
        call = calls[-1]
        lasted_s = (call.ended - (call.answered or call.ended)).total_seconds()
        if lasted_s < person.talk_s * time_scale - NATURAL_S:
            found.append(
                Violation(
                    promise=3,
                    what="a conversation was cut off",
                    detail=f"{attempt.id} {person.behaviour} lasted {lasted_s:.2f} s of {person.talk_s * time_scale:.2f} s, killed at {killed_at}",
                )
            )
    return found


def late_bridges(attempts: Iterable[AttemptFact], *, limit_s: float) -> list[Violation]:
    """Promise 4: an answered call is bridged within the limit, or it is counted as abandoned."""
    return [
        Violation(
            promise=4,
            what="bridged after the limit",
            detail=f"{attempt.id} after {(attempt.bridged_at - attempt.answered_at).total_seconds():.2f} s",
        )
        for attempt in attempts
        if attempt.answered_at
        and attempt.bridged_at
        and (attempt.bridged_at - attempt.answered_at).total_seconds() > limit_s
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """When a victim was away."""

    victim: Victim
    since: datetime
    until: datetime


EDGE = timedelta(milliseconds=500)


def alive_during(attempts: Iterable[AttemptFact], absences: Sequence[Away]) -> frozenset[UUID]:
    """Attempts part of whose life fell into an absence."""
    return frozenset(
        attempt.id
        for attempt in attempts
        for away in absences
        if attempt.created_at <= away.until + EDGE
        and (attempt.ended_at is None or attempt.ended_at >= away.since - EDGE)
    )


UNWRITTEN = timedelta(seconds=2)
"""How long after the return of PostgreSQL an engine may still hold, unwritten, what happened while it was away."""


def unheard_times(absences: Sequence[Away]) -> list[Away]:
    """When what happened may have been heard by nobody, or died with the engine that had not written it yet.

    The engine's own absences; where PostgreSQL was away until shortly before one, from then on.
    """
    found = []
    for away in absences:
        if away.victim is not Victim.ENGINE:
            continue
        began = [
            other.since
            for other in absences
            if other.victim is Victim.POSTGRES and other.since <= away.since <= other.until + UNWRITTEN
        ]
        found.append(Away(victim=away.victim, since=min([away.since, *began]), until=away.until))
    return found


PROMISE_OF = {
    "the carrier saw a call without an attempt": 2,
    "the carrier saw no call": 2,
    "answered for one, not for the other": 4,
    "answered at another time": 4,
    "answered without a recording": 5,
    "the recording is not stored": 5,
    "the recording's file is not there": 5,
    "the recording's hash is another one": 5,
    "the recording is not stereo": 5,
    "the recording is not as long as the call": 5,
}
EXCUSED = frozenset(
    {
        # What died with Asterisk can be told only as far as somebody saw it.
        "the carrier saw no call",
        "answered for one, not for the other",
        "answered at another time",
        "outcome does not fit the behaviour",
        "a recording of a call nobody answered",
    }
)
"""Contradictions that are forgiven to calls that were alive when Asterisk itself was killed. Never: a call without an attempt."""
TORN = frozenset({"the recording is not stored", "the recording is not as long as the call"})
"""Forgiven where `unflushed` says that the sound that lacks is what Asterisk had not yet given to the disk."""

BUFFERED_MS = 2_048
"""Asterisk gives a leg to the disk by 32 KiB (16-bit sound at 8 kHz: 2.048 s); what it holds back dies with it, and there is no setting for it."""
_NO_SOUND = frozenset({"legs_empty", "legs_never_came"})


def unflushed(
    attempts: Iterable[AttemptFact],
    recordings: Iterable[RecordingFact],
    asterisk_away: Sequence[Away],
    mute: frozenset[UUID] = frozenset(),
) -> frozenset[UUID]:
    """Attempts whose recording lacks no more than one buffer of what was said until Asterisk was killed.

    `mute`: those whose far end sent no sound: how much there was to record nobody can tell (`compare`).
    """
    of = {recording.attempt_id: recording for recording in recordings}
    found = set()
    for attempt in attempts:
        recording = of.get(attempt.id)
        if recording is None or attempt.answered_at is None:
            continue
        for away in asterisk_away:
            if not attempt.answered_at - EDGE <= away.until or (attempt.ended_at or away.since) < away.since - EDGE:
                continue
            lived_ms = max(0.0, (away.since - attempt.answered_at) / timedelta(milliseconds=1))
            stored_ms = recording.file.duration_ms if recording.file is not None else 0
            reason_fits = recording.state == "stored" or (
                recording.state == "missing" and recording.reason in _NO_SOUND
            )
            least_ms = 0.0 if attempt.id in mute else lived_ms - BUFFERED_MS - SHORTER_MS
            if reason_fits and least_ms <= stored_ms <= lived_ms + SHORTER_MS:
                found.add(attempt.id)
    return frozenset(found)


def as_long_as_the_carrier_heard(
    attempts: Iterable[AttemptFact], recordings: Iterable[RecordingFact], carrier: Iterable[CarrierFact]
) -> frozenset[UUID]:
    """Attempts whose recording is as long as the carrier's own record of the call.

    Our rows carry the time at which the engine took note of an end. While PostgreSQL or the machine held it up that is later than the end
    itself; the carrier's clock is the better witness of how long there was something to record.
    """
    of = {recording.attempt_id: recording for recording in recordings}
    found = set()
    for attempt, call in pair(list(attempts), carrier)[0]:
        recording = of.get(attempt.id)
        if recording is None or recording.file is None or call.answered is None:
            continue
        heard_ms = (call.ended - call.answered) / timedelta(milliseconds=1)
        if heard_ms - SHORTER_MS <= recording.file.duration_ms <= heard_ms + LONGER_MS:
            found.add(attempt.id)
    return frozenset(found)


def of_mismatches(
    mismatches: Iterable[Mismatch],
    died_with_asterisk: frozenset[UUID],
    unseen: frozenset[UUID] = frozenset(),
    torn: frozenset[UUID] = frozenset(),
    long_enough: frozenset[UUID] = frozenset(),
) -> list[Violation]:
    """What the comparison of all books found, less what cannot be known."""
    died = {str(one) for one in died_with_asterisk}
    cut_short = {str(one) for one in torn}
    as_heard = {str(one) for one in long_enough}
    nobody_heard = {str(one) for one in unseen}
    return [
        Violation(promise=PROMISE_OF.get(one.what, 0), what=one.what, detail=f"{one.attempt} {one.detail}")
        for one in mismatches
        if not (one.attempt in died and one.what in EXCUSED)
        and not (one.attempt in cut_short and one.what in TORN)
        and not (one.attempt in as_heard and one.what == "the recording is not as long as the call")
        and not (one.attempt in nobody_heard and one.detail in UNHEARD)
    ]


UNHEARD = frozenset({"no_answer for powered_off", "unreachable for no_answer"})
"""Whether it rang is all that tells these two apart (both are SIP 480), and the call records of Asterisk do not say it."""


def _hidden(number: str) -> str:
    return number[:6] + "…" + number[-4:]
