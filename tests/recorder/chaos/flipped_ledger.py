"""Bits flipped in the ledger: in any column of its rows, of the entries of its chain, and of the signed heads."""

from __future__ import annotations

import random
from typing import Any

import asyncpg

from recorder import chaining
from tests.recorder.builders import now
from tests.recorder.chaos.figures import Plan
from tests.recorder.chaos.furnished import Bench
from tests.recorder.chaos.tally import CLEAN_EVERY, Tally, tell

LEDGER: dict[str, tuple[str, ...]] = {
    "recordings": (
        "id", "attempt_id", "lead_id", "project_id", "agent_id", "state", "reason", "path", "sha256", "bytes", "duration_ms", "faults", "started_at",
        "ended_at", "created_at", "verified_at", "customer_ms", "agent_ms", "customer_first_word_ms", "agent_first_word_ms", "dead_air_ms",
        "longest_silence_ms", "talk_over_ms", "talk_overs", "longest_monologue_ms", "customer_db", "agent_db", "project_key_id", "wrapped_key",
        "content_sha256", "content_bytes",
    ),
    "recording_events": ("id", "attempt_id", "at", "line", "position", "hash"),
    "recording_heads": ("position", "hash", "at", "master", "public_key", "signature"),
}  # fmt: skip
"""What the chain covers. Not number, result, note and tags of `recordings`: copies of the attempt's, and people's own words, which change."""


async def in_the_ledger(bench: Bench, plan: Plan, count: int) -> Tally:
    """`waihu recordings verify-ledger`: a bit of any column of rows, entries and heads, changed past the triggers."""
    tally, chance = Tally(), plan.chance("ledger")
    assert bench.house.keys is not None
    ring = await bench.house.keys.ring()
    columns = [(table, column) for table, names in LEDGER.items() for column in names]
    async with bench.pool.acquire() as conn:
        while await chaining.chain_on(conn, ring, at=now()):
            pass

        async def found() -> set[str]:
            checked = await chaining.check(conn, ring)
            named = {str(call) for call in (*checked.changed_rows, *checked.broken_calls)}
            named |= {f"head {position}" for position in (*checked.bad_heads, *checked.unsigned_heads)}
            if checked.broken_at is not None:
                named.add(f"entry {checked.broken_at}")
            return named

        done = 0
        while done < count:
            table, column = columns[done % len(columns)]
            transaction = conn.transaction()
            await transaction.start()
            try:
                await conn.execute("set local session_replication_role = replica")
                call = await _flip_in(conn, table, column, chance)
                if call is not None:
                    try:
                        named = await found()
                    except (asyncpg.PostgresError, ValueError, OverflowError) as error:
                        call, named = f"{call}: the check itself fails, {error!r}", set()
                    tally.judge(f"{table}.{column}", call, named, call if table != "recording_heads" else None)
            finally:
                await transaction.rollback()
            if call is None:
                columns.remove((table, column))
                plan.say(f"ledger: {table}.{column} is null in every row, or the database refuses every flip")
                continue
            done += 1
            if done % CLEAN_EVERY == 0:
                tally.is_clean(await found(), "ledger")
            tell(plan, "ledger", done, count)
    return tally


async def _flip_in(conn: Any, table: str, column: str, chance: random.Random) -> str | None:
    """Flip a bit of one value; gives the call it is about (of a head: its position). None: there is no value."""
    key = "position" if table == "recording_heads" else "attempt_id"
    rows = await conn.fetch(f"select ctid::text as place, {key}::text as about from {table} where {column} is not null")
    kind = await conn.fetchval(
        "select format_type(atttypid, null) from pg_attribute where attrelid = $1::text::regclass and attname = $2", table, column
    )  # fmt: skip
    for _ in range(200):
        if not rows:
            return None
        row = chance.choice(rows)
        value = await conn.fetchval(f"select {_AS_BYTES[kind].format(column)} from {table} where ctid = $1::text::tid", row["place"])  # fmt: skip
        content = bytearray(value)
        if not content:
            continue
        place = chance.randrange(len(content))
        content[place] ^= 1 << chance.randrange(8)
        try:
            async with conn.transaction():
                done = await conn.execute(f"update {table} set {column} = {_FROM_BYTES[kind]} where ctid = $2::text::tid and {column} is distinct from {_FROM_BYTES[kind]}", bytes(content), row["place"])  # fmt: skip
        except asyncpg.PostgresError:
            continue  # no value of this type, or the database itself refuses it
        if done == "UPDATE 1":
            return str(row["about"])
    return None


_INTEGER = "('x' || encode($1::bytea, 'hex'))::bit({bits})::{type}"
_AS_BYTES = {
    "uuid": "uuid_send({})", "text": "convert_to({}, 'UTF8')", "bytea": "{}", "bigint": "int8send({})", "integer": "int4send({})",
    "timestamp with time zone": "int8send((extract(epoch from {}) * 1000000)::bigint)", "jsonb": "convert_to({}::text, 'UTF8')",
    "real": "convert_to({}::text, 'UTF8')",
}  # fmt: skip
_FROM_BYTES = {
    "uuid": "encode($1::bytea, 'hex')::uuid", "text": "convert_from($1::bytea, 'UTF8')", "bytea": "$1::bytea",
    "bigint": _INTEGER.format(bits=64, type="bigint"), "integer": _INTEGER.format(bits=32, type="integer"),
    "timestamp with time zone": f"'epoch'::timestamptz + {_INTEGER.format(bits=64, type='bigint')} * interval '1 microsecond'",
    "jsonb": "convert_from($1::bytea, 'UTF8')::jsonb", "real": "convert_from($1::bytea, 'UTF8')::real",
}  # fmt: skip
