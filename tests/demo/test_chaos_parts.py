"""Chaos: the plan is repeatable and meets everything, and each broken promise is seen."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from uuid import UUID

from rich.console import Console

from dialer.domain.outcomes import Outcome
from lab.carrier.behaviour import Behaviour, number_for
from lab.chaos.comeback import too_late
from lab.chaos.invariants import (
    Away,
    Rows,
    Violation,
    alive_during,
    as_long_as_the_carrier_heard,
    cut_off,
    dialled_twice,
    inconsistencies,
    late_bridges,
    of_mismatches,
    of_rows,
    unflushed,
    unheard_times,
)
from lab.chaos.machine import Reference, stretched
from lab.chaos.plan import Moment, Victim, plan
from lab.chaos.switchboard import Channels
from lab.chaos.tally import Back, Tally, closing_table
from lab.demo.compare import AttemptFact, CarrierFact, FileFact, Mismatch, RecordingFact

T0 = datetime(2026, 1, 1, 9, tzinfo=UTC)
CALL, AGENT = UUID(int=1), UUID(int=2)
SEAT = f"seat-{AGENT.hex}-00000001"
NUMBER = number_for(Behaviour.HUMAN, ring_code=1, talk_code=4)  # talks 8 s


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


ATTEMPT = AttemptFact(
    id=CALL, number=NUMBER, caller_number="+862155550100", state="ended", outcome=Outcome.CONNECTED, created_at=at(0), sent_at=at(0), answered_at=at(1), bridged_at=at(1.01), ended_at=at(9), abandoned=False,
    agent_id=AGENT,
)  # fmt: skip
CARRIED = CarrierFact(
    uniqueid="c",
    number=NUMBER,
    caller="862155550100",
    started=at(0),
    answered=at(1),
    ended=at(9),
    behaviour=Behaviour.HUMAN,
)
FITTING_ROWS = Rows(
    live=frozenset({CALL}), open=frozenset({CALL}), old_open=frozenset({CALL}), agents={AGENT: ("talking", CALL)}
)
FITTING_CHANNELS = Channels(
    calls=frozenset({CALL}), bridged=frozenset({CALL}), seats=frozenset({SEAT}), agents=frozenset({AGENT})
)


def what(violations: list[Violation]) -> set[str]:
    return {violation.what for violation in violations}


def test_same_seed_gives_the_same_kills_and_another_seed_others() -> None:
    assert plan(200, 1) == plan(200, 1)
    assert plan(200, 1) != plan(200, 2)


def test_every_victim_meets_every_moment() -> None:
    met = Counter((kill.victim, kill.moment) for kill in plan(200, 5))
    assert {(victim, moment) for victim in Victim for moment in Moment} == set(met)


def test_what_fits_together_is_no_inconsistency() -> None:
    assert inconsistencies(FITTING_ROWS, FITTING_CHANNELS) == set()


def test_each_kind_of_leak_is_seen() -> None:
    nothing = Channels(calls=frozenset(), bridged=frozenset(), seats=frozenset(), agents=frozenset())
    second_seat = replace(FITTING_CHANNELS, seats=frozenset({SEAT, SEAT[:-1] + "2"}))
    cases = {
        "channel without a live attempt": (Rows(agents=FITTING_ROWS.agents), FITTING_CHANNELS),
        "attempt without a channel": (FITTING_ROWS, nothing),
        "open attempt that is not in live_attempts": (
            Rows(open=frozenset({CALL}), agents={AGENT: ("ready", None)}),
            FITTING_CHANNELS,
        ),
        "ended attempt in live_attempts": (Rows(live=frozenset({CALL})), nothing),
        "lead in flight without an attempt": (Rows(in_flight_without_attempt=frozenset({7})), nothing),
        "agent talking without a call": (Rows(agents={AGENT: ("talking", None)}), nothing),
        "seat of an agent who is not logged in": (
            Rows(live=frozenset({CALL}), open=frozenset({CALL})),
            FITTING_CHANNELS,
        ),
        "agent with 2 seats": (FITTING_ROWS, second_seat),
    }
    for leak, (rows, channels) in cases.items():
        assert any(found.startswith(leak) for found in inconsistencies(rows, channels)), leak


def test_two_live_attempts_for_a_number_break_promise_one() -> None:
    assert of_rows(Rows()) == []
    assert [violation.promise for violation in of_rows(Rows(doubled_numbers=1, miscounted=2))] == [1, 4]


def test_number_dialled_twice_is_seen() -> None:
    assert dialled_twice([ATTEMPT], [CARRIED]) == []
    again = replace(CARRIED, uniqueid="d", started=at(20), answered=None, ended=at(21))
    assert what(dialled_twice([ATTEMPT], [CARRIED, again])) == {"more calls on the wire than attempts"}
    at_once = replace(again, started=at(5))
    second = replace(ATTEMPT, id=UUID(int=9))
    assert what(dialled_twice([ATTEMPT, second], [CARRIED, at_once])) == {"two calls to a number at once"}


def test_conversation_that_ends_long_before_its_time_was_cut_off_unless_the_agent_hung_up() -> None:
    short = {NUMBER: [replace(CARRIED, ended=at(4))]}
    assert what(cut_off([ATTEMPT], short, frozenset(), time_scale=1.0, killed_at=at(3.9))) == {
        "a conversation was cut off"
    }
    assert cut_off([ATTEMPT], short, frozenset({str(CALL)}), time_scale=1.0, killed_at=at(3.9)) == []
    assert cut_off([ATTEMPT], {NUMBER: [CARRIED]}, frozenset(), time_scale=1.0, killed_at=at(8.9)) == []


def test_late_bridge_breaks_promise_four() -> None:
    assert late_bridges([ATTEMPT], limit_s=4) == []
    assert [violation.promise for violation in late_bridges([replace(ATTEMPT, bridged_at=at(7))], limit_s=4)] == [4]


def test_what_died_with_asterisk_is_forgiven_but_never_a_call_without_an_attempt() -> None:
    unknown = Mismatch(what="answered for one, not for the other", attempt=str(CALL), detail="")
    phantom = Mismatch(what="the carrier saw a call without an attempt", attempt="", detail="")
    assert of_mismatches([unknown], frozenset({CALL})) == []
    assert [violation.promise for violation in of_mismatches([unknown], frozenset())] == [4]
    assert [violation.promise for violation in of_mismatches([phantom], frozenset({CALL}))] == [2]


def test_calls_of_an_absence_are_those_that_lived_in_it() -> None:
    absence = [Away(victim=Victim.ASTERISK, since=at(8), until=at(10))]
    later, earlier = replace(ATTEMPT, created_at=at(20), ended_at=at(25)), replace(ATTEMPT, ended_at=at(5))
    assert alive_during([ATTEMPT], absence) == {CALL}
    assert alive_during([later, earlier], absence) == frozenset()


def test_what_ended_while_postgresql_was_away_is_unheard_when_the_engine_died_before_it_was_written() -> None:
    database = Away(victim=Victim.POSTGRES, since=at(10), until=at(11))
    soon, late = (Away(victim=Victim.ENGINE, since=at(second), until=at(second + 1)) for second in (12, 14))
    assert [(one.since, one.until) for one in unheard_times([database, soon, late])] == [
        (at(10), at(13)),
        (at(14), at(15)),
    ]
    assert unheard_times([database]) == []


def recorded(duration_ms: int | None, reason: str | None = None) -> RecordingFact:
    file = FileFact(hash_agrees=True, channels=2, duration_ms=duration_ms) if duration_ms is not None else None
    state = "stored" if file else "missing"
    return RecordingFact(attempt_id=CALL, state=state, reason=reason, duration_ms=duration_ms, file=file)


def test_killed_asterisk_excuses_one_buffer_of_sound_and_no_more() -> None:
    killed = [Away(victim=Victim.ASTERISK, since=at(7), until=at(8))]  # six seconds after the answer
    cases = {
        "one buffer less": (recorded(4_000), True),
        "all of it": (recorded(6_000), True),
        "two buffers and more lack": (recorded(2_000), False),
        "longer than the call": (recorded(9_000), False),
        "nothing of six seconds": (recorded(None, "legs_empty"), False),
    }
    for name, (recording, excused) in cases.items():
        assert (CALL in unflushed([ATTEMPT], [recording], killed)) is excused, name
    assert unflushed([ATTEMPT], [recorded(None, "legs_empty")], killed, mute=frozenset({CALL})) == {CALL}
    young = replace(ATTEMPT, answered_at=at(5.5), ended_at=at(7))
    assert unflushed([young], [recorded(None, "legs_empty")], killed) == {CALL}
    assert unflushed([young], [recorded(None, "encoder_failed")], killed) == frozenset()
    assert unflushed([young], [recorded(None, "legs_empty")], []) == frozenset()
    not_stored = Mismatch(what="the recording is not stored", attempt=str(CALL), detail="")
    assert [found.promise for found in of_mismatches([not_stored], frozenset({CALL}))] == [5]
    assert of_mismatches([not_stored], frozenset({CALL}), torn=frozenset({CALL})) == []


def test_late_adoption_is_excused_only_by_a_machine_that_was_as_slow() -> None:
    free, crowded = Reference(wall_s=1.6, cpu_s=1.2), Reference(wall_s=6.0, cpu_s=1.2)
    assert stretched(5.0, free) == stretched(5.0, None) == 5.0
    assert stretched(5.0, crowded) == 25.0
    assert too_late(Victim.ENGINE, Back(seconds=4.9)) == []
    assert [found.promise for found in too_late(Victim.ENGINE, Back(seconds=5.1, reference=free))] == [3]
    assert too_late(Victim.ENGINE, Back(seconds=11.0, reference=crowded)) == []
    assert [found.promise for found in too_late(Victim.ENGINE, Back(seconds=26.0, reference=crowded))] == [3]


def test_closing_table_counts_kills_by_component_and_step() -> None:
    tally = Tally(steps=Counter({"ringing": 3}), survived=7, figures={"attempts": 12})
    tally.kills[Victim.ENGINE, Moment.HELD] += 2
    tally.kills[Victim.REDIS, Moment.COMMITTED] += 1
    tally.missed[Moment.HELD] += 1
    tally.backs[Victim.ENGINE] += [Back(seconds=1.0), Back(seconds=3.0)]
    console = Console(width=160, record=True, file=StringIO())
    closing_table(console, tally, title="chaos", seconds=9.0)
    lines = [" ".join(line.replace("│", " ").replace("┃", " ").split()) for line in console.export_text().splitlines()]
    for expected in (
        "held 2 0 0 0 2 1",
        "committed 0 0 0 1 1 0",
        "all 2 0 0 1 3 1",
        "engine at work after engine mean 2.0 s, worst 3.0 s",
        "calls ringing at a kill 3",
        "conversations that went on over a kill 7",
        "attempts 12",
        "violations 0",
    ):
        assert expected in lines, f"{expected}: {lines}"


def test_recording_may_be_as_long_as_the_carrier_heard_where_our_end_was_noted_late() -> None:
    late = replace(ATTEMPT, ended_at=at(12))
    assert as_long_as_the_carrier_heard([late], [recorded(8_000)], [CARRIED]) == {CALL}
    assert as_long_as_the_carrier_heard([late], [recorded(6_000)], [CARRIED]) == frozenset()
    assert as_long_as_the_carrier_heard([late], [recorded(11_000)], [CARRIED]) == frozenset()
