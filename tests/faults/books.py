"""All books of a call centre laid side by side: do they keep invariants 1 to 5?"""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from lab.chaos import invariants
from lab.chaos.invariants import Away, Rows
from lab.chaos.switchboard import Channels
from lab.demo import compare, evidence
from lab.demo.compare import AttemptFact
from lab.floor import Floor


async def broken_promises(
    floor: Floor, channels: Channels, attempts: list[AttemptFact], *, excused: bool, asterisk_away: Sequence[Away]
) -> set[str]:
    """What the rows, the store, the carrier's records and the channels say against invariants 1 to 5, at this moment.

    `excused`: Asterisk died under these attempts, so what only it knew may be unknown.
    """
    connection = await floor.connect()
    try:
        rows = await _rows(connection)
        recordings = await evidence.recordings(connection, floor.store_dir, floor.recording_keys)
        everything = await evidence.attempts(connection)
    finally:
        await connection.close()
    ids, numbers = {attempt.id for attempt in attempts}, {attempt.number for attempt in attempts}
    carrier = evidence.carrier_facts(floor.carrier.cdr())
    books = compare.compare(
        attempts,
        [one for one in recordings if one.attempt_id in ids],
        [call for call in carrier if call.number in numbers],
    )
    broken = invariants.of_rows(rows) + invariants.dialled_twice(everything, carrier)
    torn = invariants.unflushed(attempts, recordings, asterisk_away)
    broken += invariants.of_mismatches(books, frozenset(ids) if excused else frozenset(), torn=torn)
    stated = {one.attempt_id for one in recordings if one.state == "stored" or one.reason}
    found = {f"{one.promise}: {one.what}: {one.detail}" for one in broken}
    found |= {
        f"5: answered, no recording and no reason: {one.id}"
        for one in attempts
        if one.answered_at and one.id not in stated
    }
    return found | invariants.inconsistencies(rows, channels)


async def _rows(connection: asyncpg.Connection[asyncpg.Record]) -> Rows:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        open_rows = await connection.fetch(invariants.ROWS_OPEN)
        return Rows(
            live=frozenset(row["attempt_id"] for row in await connection.fetch(invariants.ROWS_LIVE)),
            open=frozenset(row["id"] for row in open_rows),
            old_open=frozenset(row["id"] for row in open_rows if row["old"]),
            in_flight_without_attempt=frozenset(row["id"] for row in await connection.fetch(invariants.ROWS_LEADS)),
            agents={
                row["agent_id"]: (row["state"], row["attempt_id"])
                for row in await connection.fetch(invariants.ROWS_AGENTS)
            },
            doubled_numbers=await connection.fetchval(invariants.ROWS_DOUBLED),
            miscounted=await connection.fetchval(invariants.ROWS_MISCOUNTED),
        )
