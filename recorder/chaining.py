"""Keeps the chain of the ledger going, and checks it. Each statement above the function that runs it.

The database notes every change of a row of `recordings` by itself (a trigger), so what nobody here has written is noted too. Chaining follows
within seconds, in batches, one process at a time, and never holds up a call.
"""

# ruff: noqa: S608  # what is put together here are constants of this file; values are always arguments

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
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
_LOCK: Final = 0x5741_4948_5502
_MOST_NAMED: Final = 100

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
_COUNT = "select count(*) from recording_events where position is not null"
# An entry whose position is another now still comes after the one before it.
_BROKEN = """
(select attempt_id, line, 1 as choice from recording_events where position = $1)
union all (select attempt_id, line, 2 from recording_events where id > coalesce((select id from recording_events where position = $1 - 1), 0)
 order by id limit 1)
order by choice limit 1
"""
_CHANGED = """
select r.attempt_id from recordings r
left join lateral (select line from recording_events e where e.attempt_id = r.attempt_id order by e.id desc limit 1) e on true
where e.line is distinct from recording_line(r) order by r.attempt_id limit $1
"""
_VANISHED = """
select e.attempt_id from recording_events e
where e.line <> 'removed' and not exists (select from recordings r where r.attempt_id = e.attempt_id)
  and not exists (select from recording_events n where n.attempt_id = e.attempt_id and n.id > e.id)
order by e.attempt_id limit $1
"""


async def check(
    conn: Conn,
    ring: Keyring | None,
    *,
    kept: Head | None = None,
    on_entries: Callable[[int], None] = lambda _count: None,
) -> Checked:
    """Follow the whole chain, its heads, and the rows. `kept` is a head that was kept elsewhere: the chain must still hold it."""
    signed = {head.position: head for head in await heads(conn, limit=1_000_000)}
    wanted = {**signed, **({kept.position: kept} if kept else {})}
    end, broken, bad = await follow(conn, wanted, on_entries)
    count = int(await conn.fetchval(_COUNT))
    if broken is None:
        bad += [position for position in wanted if position > end]
    strangers = [head.position for head in signed.values() if not _ours(head, ring)]
    changed = [row["attempt_id"] for sql in (_CHANGED, _VANISHED) for row in await conn.fetch(sql, _MOST_NAMED)]
    return Checked(
        entries=count, heads=len(signed), broken_at=broken, broken_calls=await _calls_at(conn, broken), bad_heads=tuple(sorted(bad)), unsigned_heads=tuple(sorted(strangers)),
        changed_rows=tuple(changed[:_MOST_NAMED]),
    )  # fmt: skip


async def _calls_at(conn: Conn, position: int | None) -> tuple[UUID, ...]:
    row = None if position is None else await conn.fetchrow(_BROKEN, position)
    if row is None:
        return ()
    calls = {row["attempt_id"]}
    with suppress(ValueError, IndexError):
        calls.add(UUID(row["line"].split("|")[1]))
    return tuple(sorted(calls))


async def follow(
    conn: Conn, wanted: Mapping[int, Head], on_entries: Callable[[int], None] = lambda _count: None
) -> tuple[int, int | None, list[int]]:
    """Follow the chain from its beginning: where it ends, where it breaks (None: nowhere), and which of the wanted heads it contradicts."""
    bad: list[int] = []
    position, before = 0, BEGINNING
    rows = await conn.fetch(_ENTRIES, position, CHECK_BATCH)
    while rows:
        broken, following = await asyncio.gather(  # the database reads on while we reckon
            asyncio.to_thread(_break_in, before, position, rows),
            conn.fetch(_ENTRIES, rows[-1]["position"], CHECK_BATCH),
        )
        hashes = {row["position"]: row["hash"] for row in rows} if wanted else {}
        bad += [at for at, head in wanted.items() if at in hashes and hashes[at] != head.hash]
        on_entries(len(rows))
        position, before = rows[-1]["position"], rows[-1]["hash"]
        if broken is not None:
            return position, broken, bad
        rows = following
    return position, None, bad


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
