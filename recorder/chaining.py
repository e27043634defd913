"""Keeps the chain of the ledger going, and checks it. Each statement above the function that runs it.

The database notes every change of a row of `recordings` by itself (a trigger), so what nobody here has written is noted too. Chaining follows
within seconds, in batches, one process at a time, and never holds up a call.
"""

# ruff: noqa: S608  # what is put together here are constants of this file; values are always arguments

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from recorder import chain
from recorder.chain import BEGINNING, Head
from recorder.keyring import Keyring

if TYPE_CHECKING:
    from asyncpg import Record

    from recorder.ledger import Conn

BATCH: Final = 5_000
CHECK_BATCH: Final = 20_000
"""Rows, entries and heads that are looked at in one statement: none of them grows with the ledger."""
_LOCK: Final = 0x5741_4948_5502
_MOST_NAMED: Final = 100
_BELOW_ALL: Final = -(2**63)  # a place, whatever was made of it
_FIRST, _LAST_CALL = UUID(int=0), UUID(int=2**128 - 1)

_TAKE = "select pg_try_advisory_xact_lock($1)"
_LAST = "select position, hash from recording_events where position is not null order by position desc limit 1"
# Written out where it is used: the same as a function of the row is half as fast.
_BYTES: Final = "int8send(e.id) || uuid_send(e.attempt_id) || timestamptz_send(e.at) || convert_to(e.line, 'UTF8')"
_UNCHAINED = f"""
select id, {_BYTES} as entry from recording_events e where position is null order by id limit $1
"""
_CHAIN = """
update recording_events e set position = w.position, hash = w.hash
from unnest($1::bigint[], $2::bigint[], $3::bytea[]) as w(id, position, hash) where e.id = w.id
"""
_SIGN = """
insert into recording_heads (position, hash, at, master, public_key, signature) values ($1, $2, $3, $4, $5, $6) on conflict do nothing
"""


async def chain_on(conn: Conn, ring: Keyring | None, *, at: datetime) -> int:
    """Chain the next batch and sign its head (without a ring it is not signed). Returns how many there were; 0 also where another process is at it."""
    async with conn.transaction():
        if not await conn.fetchval(_TAKE, _LOCK):
            return 0
        rows = await conn.fetch(_UNCHAINED, BATCH)
        if not rows:
            return 0
        last = await conn.fetchrow(_LAST)
        position, before = (last["position"], last["hash"]) if last else (0, BEGINNING)
        hashes = chain.chained(before, (row["entry"] for row in rows))
        positions = list(range(position + 1, position + 1 + len(rows)))
        await conn.execute(_CHAIN, [row["id"] for row in rows], positions, hashes)
        if ring is not None:
            head = chain.sign(ring, position=positions[-1], hash_=hashes[-1], at=at.astimezone(UTC))
            await conn.execute(_SIGN, head.position, head.hash, head.at, head.master, head.public_key, head.signature)
    return len(rows)


# A time that Python cannot hold was not signed: the nearest one that it can is not what the signature is over.
_HEADS = """
select position, hash, greatest(least(at, '9999-12-30 00:00+00'), '0001-01-02 00:00+00') as at, master, public_key, signature
from recording_heads order by position desc limit $1
"""


async def heads(conn: Conn, *, limit: int) -> list[Head]:
    """Signed heads, newest first."""
    return [Head(**dict(row)) for row in await conn.fetch(_HEADS, limit)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a check of the ledger has found. All empty or None: the ledger is what it was when it was written."""

    entries: int
    heads: int
    broken_at: int | None = None  # position of the first entry that does not follow
    broken_calls: tuple[UUID, ...] = ()  # whose entry that is: as its column says, and as its line says
    bad_heads: tuple[int, ...] = ()  # signed heads that the chain, or their signature, contradicts
    unsigned_heads: tuple[int, ...] = ()  # signed by a key that is not ours, or whose master key is not here
    changed_rows: tuple[UUID, ...] = ()  # calls whose row is not what its last entry says (at most 100)

    @property
    def sound(self) -> bool:
        """Nothing was found."""
        return self.broken_at is None and not (self.bad_heads or self.unsigned_heads or self.changed_rows)


_ENTRIES = f"""
select {_BYTES} as entry, hash, position from recording_events e where position > $1 order by position limit $2
"""
# Signed heads with what the chain has in their place, oldest first.
_SIGNED = """
select h.position, h.hash, greatest(least(h.at, '9999-12-30 00:00+00'), '0001-01-02 00:00+00') as at, h.master, h.public_key, h.signature,
       e.hash as chained
from recording_heads h left join recording_events e on e.position = h.position
where h.position > $1 order by h.position limit $2
"""
_AT = "select hash from recording_events where position = $1"
_COUNT = "select count(*), max(position) from (select position from recording_events where position > $1 order by position limit $2) e"
# An entry whose position is another now still comes after the one before it.
_BROKEN = """
(select attempt_id, line, 1 as choice from recording_events where position = $1)
union all (select attempt_id, line, 2 from recording_events where id > coalesce((select id from recording_events where position = $1 - 1), 0)
 order by id limit 1)
order by choice limit 1
"""
# A stretch of calls ends where this says, or with the last there is.
_STRETCH = "select attempt_id from {table} where attempt_id {above} $1 order by attempt_id offset $2 limit 1"
_CHANGED = """
select r.attempt_id from recordings r
left join lateral (select line from recording_events e where e.attempt_id = r.attempt_id order by e.id desc limit 1) e on true
where r.attempt_id {above} $1 and r.attempt_id <= $2 and e.line is distinct from recording_line(r) order by r.attempt_id limit $3
"""
_VANISHED = """
select e.attempt_id from recording_events e
where e.attempt_id {above} $1 and e.attempt_id <= $2 and e.line <> 'removed'
  and not exists (select from recordings r where r.attempt_id = e.attempt_id)
  and not exists (select from recording_events n where n.attempt_id = e.attempt_id and n.id > e.id)
order by e.attempt_id limit $3
"""
_ROWS: Final = (("recordings", _CHANGED), ("recording_events", _VANISHED))


async def check(
    conn: Conn,
    ring: Keyring | None,
    *,
    kept: Head | None = None,
    on_entries: Callable[[int], None] = lambda _count: None,
) -> Checked:
    """Follow the whole chain, its heads, and the rows. `kept` is a head that was kept elsewhere: the chain must still hold it."""
    end, broken, followed = await follow(conn, on_entries)
    entries = followed + await _entries_after(conn, end)
    count, bad, strangers = await _heads(conn, ring, until=None if broken is None else end)
    if (
        kept is not None
        and (broken is None or kept.position <= end)
        and await conn.fetchval(_AT, kept.position) != kept.hash
    ):
        bad.add(kept.position)
    return Checked(
        entries=entries, heads=count, broken_at=broken, broken_calls=await _calls_at(conn, broken), bad_heads=tuple(sorted(bad)), unsigned_heads=tuple(sorted(strangers)),
        changed_rows=tuple(await _changed(conn)),
    )  # fmt: skip


async def _entries_after(conn: Conn, position: int) -> int:
    """How many entries follow a place: those that a broken chain keeps from being followed, and those of this moment."""
    count = 0
    while (found := await conn.fetchrow(_COUNT, position, CHECK_BATCH)) and found["count"]:
        count, position = count + found["count"], found["max"]
    return count


async def _heads(conn: Conn, ring: Keyring | None, *, until: int | None) -> tuple[int, set[int], set[int]]:
    """How many heads are signed, which of them the chain contradicts (up to a place, where it breaks there), and which are not ours."""
    count, last = 0, _BELOW_ALL
    bad: set[int] = set()
    strangers: set[int] = set()
    while rows := await conn.fetch(_SIGNED, last, CHECK_BATCH):
        count, last = count + len(rows), rows[-1]["position"]
        bad |= {
            row["position"]
            for row in rows
            if row["chained"] != row["hash"] and (until is None or row["position"] <= until)
        }
        strangers |= await asyncio.to_thread(_strangers, rows, ring)
    return count, bad, strangers


def _strangers(rows: list[Record], ring: Keyring | None) -> set[int]:
    """Blocking: arithmetic."""
    signed = [Head(**{name: value for name, value in row.items() if name != "chained"}) for row in rows]
    return {head.position for head in signed if not _ours(head, ring)}


async def _changed(conn: Conn) -> list[UUID]:
    """Calls whose row is not what its last entry says, then those that have entries and no row: at most a hundred."""
    found: list[UUID] = []
    for table, sql in _ROWS:
        after: UUID | None = _FIRST
        above = ">="  # of the first stretch alone
        while after is not None and len(found) < _MOST_NAMED:
            end = await conn.fetchval(_STRETCH.format(table=table, above=above), after, CHECK_BATCH)
            stretch = sql.format(above=above), after, end or _LAST_CALL, _MOST_NAMED - len(found)
            found += [row["attempt_id"] for row in await conn.fetch(*stretch)]
            after, above = end, ">"
    return found


async def _calls_at(conn: Conn, position: int | None) -> tuple[UUID, ...]:
    row = None if position is None else await conn.fetchrow(_BROKEN, position)
    if row is None:
        return ()
    calls = {row["attempt_id"]}
    with suppress(ValueError, IndexError):
        calls.add(UUID(row["line"].split("|")[1]))
    return tuple(sorted(calls))


async def follow(conn: Conn, on_entries: Callable[[int], None] = lambda _count: None) -> tuple[int, int | None, int]:
    """Follow the chain from its beginning: where it ends, where it breaks (None: nowhere), and how many entries were followed."""
    position, before, count = 0, BEGINNING, 0
    rows = await conn.fetch(_ENTRIES, position, CHECK_BATCH)
    while rows:
        broken, following = await asyncio.gather(  # the database reads on while we reckon
            asyncio.to_thread(_break_in, before, position, rows),
            conn.fetch(_ENTRIES, rows[-1]["position"], CHECK_BATCH),
        )
        on_entries(len(rows))
        position, before, count = rows[-1]["position"], rows[-1]["hash"], count + len(rows)
        if broken is not None:
            return position, broken, count
        rows = following
    return position, None, count


def _break_in(before: bytes, position: int, rows: list[Record]) -> int | None:
    """Blocking: arithmetic."""
    place = chain.first_break(before, ((row["entry"], row["hash"]) for row in rows))
    if place is not None:
        return position + 1 + place
    expected = range(position + 1, position + 1 + len(rows))
    return next((want for want, row in zip(expected, rows, strict=True) if row["position"] != want), None)


def _ours(head: Head, ring: Keyring | None) -> bool:
    public_key = None if ring is None else chain.public_key_of(ring, head.master)
    return public_key is not None and chain.holds(head, public_key)
