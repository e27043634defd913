"""Takes one call's legs out of the spool and into the store, step by step, each of them safe to be the last.

encoded (durable .part) → named → folder synced → ledger → read back → verified → legs removed. Whatever is killed wherever, the next
look at the spool and the ledger finds out how far it came and goes on from there; the legs go last.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar
from uuid import UUID

import structlog

from recorder import ledger, spool, storing
from recorder.encoder import EncodeOrder, EncoderPool
from recorder.errors import BadLeg, EncoderFailed, KeysRefused, StoreRefused
from recorder.file_keys import FileKeys, WrappedKey
from recorder.ledger import Call, RecordingState, StoredFile
from recorder.master import Master
from recorder.paths import PART_SUFFIX, leg_paths, locate, master_path
from recorder.sealing import Seal, new_seal
from recorder.settings import RecorderSettings
from recorder.steps import Ending, Step

if TYPE_CHECKING:
    from recorder.ledger import Conn, LedgerPool

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger(__name__)

_REMEMBERED: Final = 20_000  # looks and strikes kept in memory; a forgotten one only costs time


class Remembered(dict[UUID, T]):
    """A bounded memory: the oldest entry makes room."""

    def remember(self, key: UUID, value: T) -> T:
        """Keep a value."""
        if key not in self and len(self) >= _REMEMBERED:
            del self[next(iter(self))]
        self[key] = value
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    legs: spool.LegsSeen
    since_s: float


class Intake:
    """Knows the steps. `on_step` hears of each one that is done, maybe in a thread (metrics; tests that kill)."""

    def __init__(
        self,
        pool: LedgerPool,
        settings: RecorderSettings,
        clock: Callable[[], datetime],
        *,
        keys: FileKeys | None = None,
        on_step: Callable[[Step, UUID], None] = lambda _step, _attempt_id: None,
    ) -> None:
        self._pool = pool
        self._keys = keys
        self._settings = settings
        self._clock = clock
        self._on_step = on_step
        self._new_names = storing.NewNames(settings.store_dir)
        self._looks: Remembered[_Look] = Remembered()
        self._strikes: Remembered[int] = Remembered()

    async def take_in(self, attempt_id: UUID, encoders: EncoderPool) -> Ending:
        """Bring a call as far as it can come now.

        Raises StoreRefused when a disk does not take what it is given, and the driver's errors when the ledger is away.
        """
        legs = await _in_spool(spool.look, self._settings.spool_dir, attempt_id)
        async with self._connection() as conn:
            call = await ledger.call(conn, attempt_id)
        if call is None:
            return await self._stray(attempt_id, legs)
        if call.ended_at is None:
            return Ending.LIVE
        if call.state in {RecordingState.ARCHIVED, RecordingState.DELETED}:
            return await self._drop_legs(call, legs)
        if call.state is RecordingState.POISONED:
            return await self._set_aside_again(call, legs)
        if call.verified_at is not None:
            if not legs.any:
                return Ending.NOTHING
            if await self._store_holds(call):
                return await self._remove_legs(attempt_id)
            log.error("The verified copy is damaged; making it again from the legs", call=attempt_id.hex)
            async with self._connection() as conn:
                await ledger.record_doubted(conn, attempt_id)
        if not legs.any:
            return await self._without_legs(call)
        if not self._ripe(attempt_id, legs):
            return Ending.LATER
        return await self._make(call, encoders)

    def _ripe(self, attempt_id: UUID, legs: spool.LegsSeen) -> bool:
        """Both legs are closed, or nothing has changed for long enough (measured by us: file times and clocks can jump)."""
        if legs.finished:
            return True
        last = self._looks.get(attempt_id)
        if last is None or last.legs != legs:
            last = self._looks.remember(attempt_id, _Look(legs=legs, since_s=time.monotonic()))
        return time.monotonic() - last.since_s >= self._settings.settle_s

    async def _make(self, call: Call, encoders: EncoderPool) -> Ending:
        relative = call.path or master_path(call.business_day, call.project_id, call.attempt_id)
        final = locate(self._settings.store_dir, relative)
        part = final.with_name(final.name + PART_SUFFIX)
        customer, agent = leg_paths(self._settings.spool_dir, call.attempt_id)
        seal, key = await self._new_seal(call)
        try:
            master = await encoders.encode(
                EncodeOrder(
                    customer=customer,
                    agent=agent,
                    part=part,
                    expected_ms=call.expected_ms,
                    alone_ms=call.alone_ms,
                    seal=seal,
                    pauses=call.paused,
                )
            )
        except BadLeg as error:
            return await self._poison(call, error.error_id, error.message)
        except EncoderFailed as error:
            return await self._strike(call, error.error_id, error.message)
        except OSError as error:
            raise storing.refusal(error) from error
        if master.bytes == 0:
            return await self._empty(call)
        return await self._store(call, master, key, relative, part, final)

    async def _new_seal(self, call: Call) -> tuple[Seal | None, WrappedKey | None]:
        if self._keys is None:
            return None, None
        seal = new_seal(call.attempt_id)
        try:
            async with self._connection() as conn:
                return seal, await self._keys.wrap(conn, call.project_id, seal, at=self._clock())
        except KeysRefused as error:
            raise StoreRefused(error.error_id, error.message) from error

    async def _store(
        self, call: Call, master: Master, key: WrappedKey | None, relative: str, part: Path, final: Path
    ) -> Ending:
        self._on_step(Step.ENCODED, call.attempt_id)
        file = StoredFile(
            path=relative,
            sha256=master.sha256,
            bytes=master.bytes,
            duration_ms=master.duration_ms,
            faults=master.faults,
            analysis=master.analysis,
            key=key,
            content_bytes=master.content_bytes,
            content_sha256=master.content_sha256,
        )
        if not await self._name_and_note(
            call, file, part, final
        ):  # it has left the store meanwhile: the next look drops the legs
            return Ending.AGAIN
        self._on_step(Step.LEDGERED, call.attempt_id)
        if not await _in_store(storing.holds, final, size=master.bytes, sha256=master.sha256):
            return await self._strike(
                call, "stored_copy_wrong", "What the store gives back is not what it was given: check the disk."
            )
        self._on_step(Step.READ_BACK, call.attempt_id)
        async with self._connection() as conn:
            await ledger.record_verified(conn, call.attempt_id, master.sha256, at=self._clock())
        self._on_step(Step.VERIFIED, call.attempt_id)
        return await self._remove_legs(call.attempt_id)

    async def _name_and_note(self, call: Call, file: StoredFile, part: Path, final: Path) -> bool:
        """Whether the store and the ledger have it now."""
        if call.state is not RecordingState.STORED:
            await _in_store(self._name, part, final, call.attempt_id)
            async with self._connection() as conn:
                return await ledger.record_stored(conn, call, file, at=self._clock())
        # Made again: until it is noted nobody may decide that it leaves, or its file would stay behind.
        async with self._connection() as conn, conn.transaction():
            if await ledger.state_for_update(conn, call.attempt_id) is not RecordingState.STORED:
                await _in_store(part.unlink, missing_ok=True)
                return False
            await _in_store(self._name, part, final, call.attempt_id)
            return await ledger.record_stored(conn, call, file, at=self._clock())

    def _name(self, part: Path, final: Path, attempt_id: UUID) -> None:
        """Blocking."""
        storing.put_in_place(part, final)
        self._on_step(Step.NAMED, attempt_id)
        self._new_names.sync(final.parent)
        self._on_step(Step.SYNCED, attempt_id)

    async def _remove_legs(self, attempt_id: UUID) -> Ending:
        await _in_spool(self._remove, attempt_id)
        self._forget(attempt_id)
        return Ending.STORED

    def _remove(self, attempt_id: UUID) -> None:
        """Blocking."""
        customer, agent = leg_paths(self._settings.spool_dir, attempt_id)
        spool.remove_leg(customer)
        self._on_step(Step.LEG_REMOVED, attempt_id)
        spool.remove_leg(agent)
        self._on_step(Step.REMOVED, attempt_id)

    async def _drop_legs(self, call: Call, legs: spool.LegsSeen) -> Ending:
        """Legs that came back (a power cut, a backup of the spool) of what the archive has, or of what is deleted by law."""
        if legs.any:
            log.warning(
                "Legs of a recording that has left the store are dropped", call=call.attempt_id.hex, state=call.state
            )
            await self._remove_legs(call.attempt_id)
        return Ending.NOTHING

    async def _store_holds(self, call: Call) -> bool:
        if call.path is None or call.bytes is None or call.sha256 is None:
            return False
        path = locate(self._settings.store_dir, call.path)
        return await _in_store(storing.holds, path, size=call.bytes, sha256=call.sha256)

    async def _without_legs(self, call: Call) -> Ending:
        if call.state is RecordingState.STORED and call.sha256 is not None and await self._store_holds(call):
            async with self._connection() as conn:  # somebody else took the legs away; what we have is whole
                await ledger.record_verified(conn, call.attempt_id, call.sha256, at=self._clock())
            return Ending.STORED
        if call.state is RecordingState.STORED:
            return Ending.NOTHING  # its file is not what the ledger says: the alarm counts it until it was put back
        if call.answered_at is None or call.ended_at is None or call.state is RecordingState.MISSING:
            return Ending.NOTHING
        if not call.record_calls:
            return await self._missing(call, ledger.NOT_RECORDED)
        if self._clock() - call.ended_at >= timedelta(seconds=self._settings.legs_deadline_s):
            return await self._missing(call, "legs_never_came")
        async with self._connection() as conn:
            await ledger.record_without_file(conn, call, RecordingState.PENDING, "waiting_for_legs", at=self._clock())
        return Ending.LATER

    async def _missing(self, call: Call, reason: str) -> Ending:
        async with self._connection() as conn:
            await ledger.record_without_file(conn, call, RecordingState.MISSING, reason, at=self._clock())
        self._on_step(Step.MISSING_LEDGERED, call.attempt_id)
        self._forget(call.attempt_id)
        if reason != ledger.NOT_RECORDED:
            log.warning("An answered call has no recording", call=call.attempt_id.hex, reason=reason)
        return Ending.MISSING

    async def _empty(self, call: Call) -> Ending:
        if call.answered_at is not None:
            await self._missing(call, "legs_empty")
        for leg in leg_paths(self._settings.spool_dir, call.attempt_id):
            await _in_spool(spool.remove_leg, leg)
        return Ending.MISSING

    async def _strike(self, call: Call, reason: str, message: str) -> Ending:
        strikes = self._strikes.remember(call.attempt_id, self._strikes.get(call.attempt_id, 0) + 1)
        log.warning("A recording failed and is tried again", call=call.attempt_id.hex, reason=reason, strikes=strikes)
        if strikes >= self._settings.tries:
            return await self._poison(call, reason, message)
        return Ending.AGAIN

    async def _poison(self, call: Call, reason: str, message: str) -> Ending:
        log.error("A recording is set aside", call=call.attempt_id.hex, reason=reason)
        async with self._connection() as conn:
            await ledger.record_without_file(conn, call, RecordingState.POISONED, reason, at=self._clock())
        self._on_step(Step.POISON_LEDGERED, call.attempt_id)
        await _in_spool(spool.set_aside, self._settings.spool_dir, call.attempt_id, reason=reason, message=message)
        self._on_step(Step.SET_ASIDE, call.attempt_id)
        self._forget(call.attempt_id)
        return Ending.POISONED

    async def _set_aside_again(self, call: Call, legs: spool.LegsSeen) -> Ending:
        if not legs.any:
            return Ending.NOTHING
        await _in_spool(spool.set_aside, self._settings.spool_dir, call.attempt_id, reason="see_ledger", message="")
        return Ending.POISONED

    async def _stray(self, attempt_id: UUID, legs: spool.LegsSeen) -> Ending:
        """Legs of an attempt that no ledger knows: nothing to link them to, but nothing to throw away either."""
        if not legs.any:
            return Ending.NOTHING
        last = self._looks.get(attempt_id)
        if last is None or last.legs != legs:
            last = self._looks.remember(attempt_id, _Look(legs=legs, since_s=time.monotonic()))
        if time.monotonic() - last.since_s < self._settings.stray_after_s:
            return Ending.LIVE
        log.error("Legs of an unknown attempt are set aside", call=attempt_id.hex)
        message = "No attempt of this id is known: was the database restored from an older backup?"
        await _in_spool(
            spool.set_aside, self._settings.spool_dir, attempt_id, reason="no_such_attempt", message=message
        )
        self._forget(attempt_id)
        return Ending.POISONED

    async def waits(self, attempt_id: UUID, reason: str) -> None:
        """Note in the ledger that a call waits, and for what."""
        async with self._connection() as conn:
            call = await ledger.call(conn, attempt_id)
            if call is not None and call.ended_at is not None:
                await ledger.record_without_file(conn, call, RecordingState.PENDING, reason, at=self._clock())

    def _forget(self, attempt_id: UUID) -> None:
        self._looks.pop(attempt_id, None)
        self._strikes.pop(attempt_id, None)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Conn]:
        async with asyncio.timeout(self._settings.ledger_timeout_s), self._pool.acquire() as conn:
            yield conn


async def _in_spool(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return await asyncio.to_thread(function, *args, **kwargs)
    except OSError as error:
        raise StoreRefused(
            "spool_unwritable", f"The spool refuses ({error.strerror}): check its rights and its disk."
        ) from error


async def _in_store(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return await asyncio.to_thread(function, *args, **kwargs)
    except OSError as error:
        raise storing.refusal(error) from error
