"""When all has come to its end: every book of the run against every other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from lab.chaos import invariants
from lab.chaos.invariants import Away, Violation
from lab.chaos.looks import Looks
from lab.chaos.plan import Victim
from lab.demo import compare, evidence
from lab.floor import Floor

BRIDGE_LIMIT_S = 4.5  # the wait, the dialplan's own guard, and the bridge itself

UNRECORDED = """
select count(*) from attempts a left join recordings r on r.attempt_id = a.id
where a.answered_at is not null and (r.state is null or r.state = 'pending')
"""


async def compared(floor: Floor, looks: Looks, absences: Sequence[Away]) -> tuple[list[Violation], dict[str, int]]:
    """What was broken, and the figures of the closing table."""
    async with looks.database() as connection:
        attempts = await evidence.attempts(connection)
        recordings = await evidence.recordings(connection, floor.store_dir, floor.recording_keys)
    carrier = evidence.carrier_facts(floor.carrier.cdr())
    of_asterisk = [away for away in absences if away.victim is Victim.ASTERISK]
    died = invariants.alive_during(attempts, of_asterisk)
    found = invariants.of_mismatches(
        compare.compare(attempts, recordings, carrier),
        died,
        invariants.alive_during(attempts, invariants.unheard_times(absences)),
        invariants.unflushed(attempts, recordings, of_asterisk, compare.mute(attempts, carrier)),
        invariants.as_long_as_the_carrier_heard(attempts, recordings, carrier),
    )
    found += invariants.dialled_twice(attempts, carrier)
    found += invariants.late_bridges(attempts, limit_s=BRIDGE_LIMIT_S)
    figures = {
        "attempts": len(attempts),
        "answered": sum(attempt.answered_at is not None for attempt in attempts),
        "bridged": sum(attempt.bridged_at is not None for attempt in attempts),
        "abandoned": sum(attempt.abandoned for attempt in attempts),
        "calls the carrier saw": len(carrier),
        "calls that lived when Asterisk was killed": len(died),
    }
    states = Counter(
        f"recordings {one.state}" + (f", {one.reason}" if one.state != "stored" else "") for one in recordings
    )
    return found, figures | dict(sorted(states.items()))
