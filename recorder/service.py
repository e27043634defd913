"""The recorder: a bounded queue of ended calls, encoders that work it off, a reconciler that finds what nobody signalled."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar
from uuid import UUID

import asyncpg
import structlog

from recorder import chaining, ledger, spool
from recorder.encoder import EncoderPool
from recorder.errors import StoreRefused
from recorder.file_keys import FileKeys
from recorder.intake import Intake
from recorder.ledger import Alarm
from recorder.paths import POISONED_DIR
from recorder.reconcile import Reconciler
from recorder.releasing import Releaser
from recorder.removals import Audit
from recorder.retry import back_off_s
from recorder.room import RoomWatch
from recorder.settings import RecorderSettings
from recorder.space import Room
from recorder.steps import Ending, Step

if TYPE_CHECKING:
    from recorder.ledger import LedgerPool

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger(__name__)

_LEGS_FIRST_S: Final = 0.2
_LEGS_LONGEST_S: Final = 5.0
_LEGS_LOOKS: Final = 12  # then the call is left to the reconciler
_POLL_S: Final = 0.2
_AGAIN_S: Final = 1.0
_STORING: Final = 3  # calls more than there are encoders: they are stored while the next is encoded, and share the disk's and the ledger's waits
_USE_EVERY_S: Final = 60.0
_ALARM_WINDOW: Final = timedelta(days=1)
_OVERDUE_AFTER: Final = timedelta(minutes=15)

LEDGER_AWAY: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InternalClientError,  # asyncpg 0.32 says so when the server vanishes while it prepares a statement
)
"""What the driver raises when PostgreSQL cannot be asked at all (it is down, starting, stopping)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeCounts:
    """Since the start of this process; `waiting` is now."""

    stored: int
    missing: int
    poisoned: int
    retried: int
    waiting: int


class Recorder:
    """Owns the spool of a node. Everything it knows is in the spool and the ledger: it can be killed at any moment.

    `audit`: with it, files that verified discs have leave a store that runs full; without, none does.
    """

    def __init__(
        self,
        pool: LedgerPool,
        settings: RecorderSettings,
        *,
        clock: Callable[[], datetime],
        keys: FileKeys | None = None,
        audit: Audit | None = None,
        on_step: Callable[[Step, UUID], None] = lambda _step, _attempt_id: None,
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._clock = clock
        self._keys = keys
        self._intake = Intake(pool, settings, clock, keys=keys, on_step=on_step)
        self._reconciler = Reconciler(pool, settings, clock, signal=self.signal)
        self._watch = RoomWatch(pool, settings, clock)
        self._releaser = None if audit is None else Releaser(pool, settings.store_dir, clock, audit)
        self._queue: asyncio.Queue[UUID] = asyncio.Queue(settings.queue_bound)
        self._known: set[UUID] = set()  # queued or in work
        self._delayed: dict[UUID, asyncio.TimerHandle] = {}
        self._looks: dict[UUID, int] = {}
        self._endings = dict.fromkeys(Ending, 0)
        self._failures = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._encoders = EncoderPool(settings.encoders, timeout_s=settings.encode_timeout_s)
        self._stopping = asyncio.Event()
        self._lock: int | None = None
        self.alarm = Alarm(missing=0, poisoned=0, overdue=0)
        """Answered calls of the last day without the recording they should have, as of a minute ago at most. Anything but 0 wants a person."""

    async def start(self) -> None:
        """Take the spool and begin; a back-log is worked off afterwards. Without `keys` recordings are not sealed.

        Raises SpoolInUse, StoreRefused when a directory cannot be made or opened, KeysRefused when the keys cannot be used.
        """
        await self._in_directories(self._make_directories)
        await self._prepare_keys()
        self._lock = await self._in_directories(spool.lock_spool, self._settings.spool_dir)
        await self._watch.look()
        self._run("recorder-room", self._every(self._settings.space_every_s, self._watch.look))
        if self._releaser is not None:
            self._run("recorder-release", self._every(self._settings.release_every_s, self._make_room))
        self._run("recorder-use", self._every(_USE_EVERY_S, self._watch.learn_use))
        self._run("recorder-alarm", self._every(self._settings.alarm_every_s, self._count_alarm))
        self._run("recorder-chain", self._every(self._settings.chain_every_s, self._chain_on))
        self._run("recorder-reconcile", self._every(self._settings.reconcile_every_s, self._reconciler.round))
        for number in range(self._settings.encoders + _STORING):
            self._run(f"recorder-intake-{number}", self._take_in_all())

    async def _count_alarm(self) -> None:
        at, was = self._clock(), self.alarm
        async with asyncio.timeout(self._settings.ledger_timeout_s), self._pool.acquire() as conn:
            self.alarm = await ledger.alarm_count(conn, since=at - _ALARM_WINDOW, overdue_before=at - _OVERDUE_AFTER)
        if self.alarm != was and self.alarm != Alarm(missing=0, poisoned=0, overdue=0):
            log.error(
                "Answered calls are without their recording",
                missing=self.alarm.missing,
                poisoned=self.alarm.poisoned,
                overdue=self.alarm.overdue,
                damaged=self.alarm.damaged,
            )

    async def _chain_on(self) -> None:
        ring = None if self._keys is None else await self._keys.ring()
        async with asyncio.timeout(self._settings.ledger_timeout_s), self._pool.acquire() as conn:
            while await chaining.chain_on(conn, ring, at=self._clock()) == chaining.BATCH:
                pass

    async def _in_directories(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await asyncio.to_thread(work, *args, **kwargs)
        except OSError as error:
            raise StoreRefused(
                "directory_refused", f"A recording directory cannot be used ({error}): check rights and mounts."
            ) from error

    async def _prepare_keys(self) -> None:
        """Waits for a PostgreSQL that is away: an engine of this process is at work already, with calls on it."""
        while self._keys is not None:
            try:
                async with asyncio.timeout(self._settings.ledger_timeout_s), self._pool.acquire() as conn:
                    if await self._keys.prepare(conn, at=self._clock()):
                        log.warning("A key file for recordings was made: keep a copy of it off this machine")
            except LEDGER_AWAY as error:
                log.warning("The recorder waits for PostgreSQL", error=type(error).__name__)
                await asyncio.sleep(_AGAIN_S)
            else:
                return

    def _make_directories(self) -> None:
        (self._settings.spool_dir / POISONED_DIR).mkdir(parents=True, exist_ok=True)
        self._settings.store_dir.mkdir(parents=True, exist_ok=True)

    def _run(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work, name=name))

    async def stop(self) -> None:
        """Finish the calls in hand, within the deadline, and let go of the spool. What waits is found at the next start."""
        self._stopping.set()
        for handle in self._delayed.values():
            handle.cancel()
        self._delayed.clear()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=self._settings.stop_timeout_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self._encoders.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def signal(self, attempt_id: UUID) -> bool:
        """A call has ended and its row says so. Never waits; False when the queue is full (the reconciler catches up)."""
        if attempt_id in self._known:
            return True
        if self._stopping.is_set():
            return False
        try:
            self._queue.put_nowait(attempt_id)
        except asyncio.QueueFull:
            return False
        if handle := self._delayed.pop(attempt_id, None):
            handle.cancel()
        self._known.add(attempt_id)
        return True

    def room(self) -> Room:
        """The last measurement; dialling asks before it places a call."""
        return self._watch.room

    async def _make_room(self) -> None:
        if self._releaser is not None and await self._releaser.make_room(self._watch.bytes_to_release):
            await self._watch.look()

    def counts(self) -> IntakeCounts:
        """Figures for metrics and the live view."""
        return IntakeCounts(
            stored=self._endings[Ending.STORED],
            missing=self._endings[Ending.MISSING],
            poisoned=self._endings[Ending.POISONED],
            retried=self._endings[Ending.AGAIN],
            waiting=len(self._known) + len(self._delayed),
        )

    @property
    def encoder_pids(self) -> list[int]:
        """Processes at work."""
        return self._encoders.pids

    async def settled(self, timeout_s: float) -> None:
        """Return when every ended call has its recording or its reason. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while True:
                if not self._known and not self._delayed:
                    with suppress(*LEDGER_AWAY):
                        if not await self._reconciler.everything():
                            return
                await asyncio.sleep(_POLL_S)

    async def _every(self, seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run work again and again until the stop; a failure is logged once and the next round tries again."""
        failing = False
        while not self._stopping.is_set():
            try:
                await work()
                if failing:
                    log.info("The recorder's round works again", round=work.__qualname__)
                failing = False
            except Exception as error:  # noqa: BLE001 - the rim of a loop
                if not failing:
                    log.warning(
                        "A round of the recorder failed and is tried again", round=work.__qualname__, error=repr(error)
                    )
                failing = True
            await self._pause(seconds)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _take_in_all(self) -> None:
        while (attempt_id := await self._next()) is not None:
            try:
                ending = await self._intake.take_in(attempt_id, self._encoders)
            except StoreRefused as error:
                await self._refused(attempt_id, error)
            except LEDGER_AWAY as error:
                await self._ledger_away(attempt_id, error)
            except Exception:
                log.exception("A recording failed; the reconciler comes back to it", call=attempt_id.hex)
                self._known.discard(attempt_id)
            else:
                self._ended(attempt_id, ending)

    async def _next(self) -> UUID | None:
        """The next call; None at the stop."""
        with suppress(asyncio.QueueEmpty):
            return None if self._stopping.is_set() else self._queue.get_nowait()
        loop = asyncio.get_running_loop()
        get = loop.create_task(self._queue.get(), name="recorder-next")
        stop = loop.create_task(self._stopping.wait(), name="recorder-stop")
        try:
            await asyncio.wait({get, stop}, return_when=asyncio.FIRST_COMPLETED)
            return get.result() if get.done() else None
        finally:
            get.cancel()
            stop.cancel()

    def _ended(self, attempt_id: UUID, ending: Ending) -> None:
        self._known.discard(attempt_id)
        self._endings[ending] += 1
        match ending:
            case Ending.STORED:
                self._failures = 0
                self._watch.accept()
            case Ending.MISSING | Ending.POISONED:
                self._failures = 0
            case Ending.AGAIN:
                self._later(attempt_id, self._settings.back_off_min_s)
                return
            case Ending.LATER:
                looks = self._looks[attempt_id] = self._looks.get(attempt_id, 0) + 1
                if looks < _LEGS_LOOKS:
                    self._later(attempt_id, back_off_s(looks, first_s=_LEGS_FIRST_S, longest_s=_LEGS_LONGEST_S))
                    return
            case Ending.NOTHING | Ending.LIVE:
                pass
        self._looks.pop(attempt_id, None)

    def _later(self, attempt_id: UUID, delay_s: float) -> None:
        if self._stopping.is_set() or len(self._delayed) >= self._settings.queue_bound:
            return  # the reconciler comes back to it
        self._delayed[attempt_id] = asyncio.get_running_loop().call_later(delay_s, self._due, attempt_id)

    def _due(self, attempt_id: UUID) -> None:
        self._delayed.pop(attempt_id, None)
        self.signal(attempt_id)

    async def _refused(self, attempt_id: UUID, error: StoreRefused) -> None:
        """No disk takes bytes: say so where dialling looks, note it in the ledger, wait, and go on with the next."""
        self._known.discard(attempt_id)
        self._endings[Ending.AGAIN] += 1
        if self._watch.room.reason != error.error_id:
            log.error("A recording was refused and waits in the spool", reason=error.error_id, message=error.message)
        self._watch.refuse(error.error_id)
        await self._watch.look()
        with suppress(*LEDGER_AWAY):
            await self._intake.waits(attempt_id, error.error_id)
        await self._wait_and_go_on(attempt_id)

    async def _ledger_away(self, attempt_id: UUID, error: BaseException) -> None:
        self._known.discard(attempt_id)
        if self._failures == 0:
            log.warning("The ledger cannot be reached; recordings wait in the spool", error=repr(error))
        await self._wait_and_go_on(attempt_id)

    async def _wait_and_go_on(self, attempt_id: UUID) -> None:
        self._failures += 1
        await self._pause(
            back_off_s(self._failures, first_s=self._settings.back_off_min_s, longest_s=self._settings.back_off_max_s)
        )
        self.signal(attempt_id)
