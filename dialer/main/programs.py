"""Which parts run in this process, and how they are connected."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
import uvloop
from aiohttp import web
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from redis.asyncio import Redis

from dialer.db import audit_trail
from dialer.db.pool import Pool, close_pool
from dialer.domain.errors import BadRequest, Conflict, Unavailable
from dialer.engine import Engine, EngineConfig
from dialer.live.feed import Feed
from dialer.live.redis_fanout import RedisFanOut
from dialer.main import logs, memory, sdnotify
from dialer.main.database import open_pool
from dialer.main.lifetime import EndByForce, Lifetime, Stop, lifetime
from dialer.main.recorder_measures import show_alarm
from dialer.main.succession import Succession
from dialer.settings import Settings, load_settings
from recorder.settings import RecorderSettings
from recorder.space import Floors, Room, measure

if TYPE_CHECKING:
    from recorder.keeping import Kept
    from recorder.removals import Kind
    from recorder.service import Recorder

log = structlog.get_logger(__name__)

PARTS = frozenset({"engine", "web", "recorder"})
_REDIS_ANSWER_S = 2.0
_SHUTDOWN_S = 5.0
_LEASES = 2  # the lease of one that was killed, and once more for its last renewal
_AGAIN_S = 0.1
_AFTER_DRAIN_S = 10.0  # parts that took their last second, and the end of the interpreter
_ENOUGH = 2.0  # of the low watermark: so far the store is emptied
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def run(parts: frozenset[str]) -> int:
    """Run these parts until told to stop. Gives the exit code. Raises WaihuError or RecorderError for what stops a start."""
    settings = load_settings()
    logs.configure(settings.log_format, settings.log_level)
    if parts != PARTS and {"engine", "web"} & parts and not settings.control_token.get_secret_value():
        raise BadRequest(
            "control_token_missing",
            "Engine and web in processes of their own need WAIHU_CONTROL_TOKEN, the same for both. Make one: openssl rand -hex 32",
        )
    by_force = EndByForce(settings.drain_s + _AFTER_DRAIN_S)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_run(parts, settings, by_force))
    finally:
        by_force.not_needed()


async def _run(parts: frozenset[str], settings: Settings, by_force: EndByForce) -> int:
    async with lifetime(drain_s=settings.drain_s) as life:
        try:
            await life.started(
                lambda: _Start(life=life, settings=settings, parts=parts, directories=RoomOfDirectories(settings)).all()
            )
        except Stop as early:
            log.info("Stopped before the start was done", reason=early.reason)
            return early.code
        memory.settle()
        sdnotify.tell("READY=1")
        log.info(
            "Waihu is ready",
            parts=sorted(parts),
            node=settings.node,
            **({"url": settings.web_url} if "web" in parts else {}),
        )
        stop = await life.until_end()
        by_force.begin()
        sdnotify.tell("STOPPING=1")
        log.info("Stopping", reason=stop.reason)
    log.info("Stopped")
    return stop.code


def now() -> datetime:
    """The clock that is passed in everywhere."""
    return datetime.now(UTC)  # noqa: TID251  # the clock of the composition root


@dataclass(slots=True, kw_only=True)
class _Start:
    """Starts the parts of one process, in order; each says how it is stopped."""

    life: Lifetime
    settings: Settings
    parts: frozenset[str]
    directories: RoomOfDirectories
    recorder: Recorder | None = None

    async def all(self) -> None:
        """Database, then what the others ask, then those who ask."""
        settings = self.settings
        registry = _registry()
        pool = await open_pool(settings, "+".join(sorted(self.parts)))
        self.life.stop_with("database", lambda: close_pool(pool))
        redis = await self._redis()
        feed = Feed(secrets.token_hex(8))
        # The engine first, and what only the others need is loaded beside it: after a death calls wait for the engine.
        engine = await self._engine(pool, registry, feed) if "engine" in self.parts else None
        if "recorder" in self.parts:
            await asyncio.to_thread(import_module, "recorder.service")
            self.recorder = await self._recorder(pool)
            recorder = self.recorder
            show_alarm(registry, lambda: recorder.alarm)
        if "web" in self.parts:
            await asyncio.to_thread(import_module, "dialer.web.app")
            await self._web(pool, redis, engine or self._engines(pool, redis, feed), feed, registry)

    async def _redis(self) -> Redis | None:
        if not self.settings.redis_url:
            return None
        redis = Redis.from_url(
            self.settings.redis_url, socket_timeout=_REDIS_ANSWER_S, socket_connect_timeout=_REDIS_ANSWER_S
        )
        self.life.stop_with("redis", redis.aclose)
        return redis

    async def _recorder(self, pool: Pool) -> Recorder:
        from dialer.web.configure import file_keys
        from recorder.service import Recorder

        settings = self.settings
        recorder = Recorder(
            pool,
            RecorderSettings(
                spool_dir=settings.spool_dir,
                store_dir=settings.store_dir,
                node=settings.node,
                encoders=settings.encoders,
                store_low_days=settings.store_low_days,
                store_enough_days=settings.store_low_days * _ENOUGH,
            ),
            clock=now,
            keys=file_keys(settings) if settings.recording_encryption else None,
            audit=_released,
        )
        await recorder.start()
        self.life.stop_with("recorder", recorder.stop)
        return recorder

    async def _engine(self, pool: Pool, registry: CollectorRegistry, feed: Feed) -> Engine:
        settings = self.settings
        token = settings.control_token.get_secret_value()
        config = EngineConfig(
            node=settings.node,
            ami_host=settings.ami_host, ami_port=settings.ami_port, ami_user=settings.ami_user, ami_secret=settings.ami_secret.get_secret_value(),
            agi_host=settings.agi_host, agi_port=settings.agi_port, cdr_file=settings.cdr_file,
            control_host=settings.control_host, control_port=settings.control_port if token else None,
            control_url=settings.control_url if token else None, control_token=token, lease_s=settings.lease_s,
            caller_rest_h=settings.caller_number_rest_h, label_url=settings.number_label_url,
            label_token=settings.number_label_token.get_secret_value(),
        )  # fmt: skip
        engine = Engine(config, pool, feed=feed, room=self._room, on_ended=self._ended, registry=registry)
        succession = Succession(settings.spool_dir, settings.node)
        await succession.take(pool, settings.node, engine.run_id)
        self.life.stop_with("succession", _done(succession.release))
        await start_when_free(engine, patience_s=_LEASES * settings.lease_s)
        self.life.stop_with("engine", engine.stop)
        self.life.stop_with("calls that ring", engine.drain)
        self.life.watch("engine", engine.wait_lost)
        if settings.redis_url:
            fan_out = RedisFanOut(settings.redis_url, feed, settings.node)
            self.life.stop_with("fan-out's connection", fan_out.close)
            self.life.background("fan-out", fan_out.run)
        return engine

    def _engines(self, pool: Pool, redis: Redis | None, feed: Feed) -> Any:
        """Engines in other processes, and their feeds mirrored into ours."""
        from dialer.web.remote_engines import Engines, Mirror

        engines = Engines(pool, self.settings.control_token.get_secret_value())
        self.life.stop_with("clients of the engines", engines.close)
        self.life.background("mirror of the engines", Mirror(feed, engines, redis).run)
        return engines

    def _room(self) -> Room:
        """Whether there is room for recordings: the recorder knows; where it is not in this process (yet), we look ourselves."""
        return self.recorder.room() if self.recorder is not None else self.directories.room()

    def _ended(self, attempt_id: UUID) -> None:
        """A call has ended and its row says so. Where the recorder is not in this process (yet), its reconciler finds it."""
        if self.recorder is not None:
            self.recorder.signal(attempt_id)

    async def _web(self, pool: Pool, redis: Redis | None, engine: Any, feed: Feed, registry: CollectorRegistry) -> None:
        from dialer.web.app import create_app
        from dialer.web.configure import archive_keys, file_keys, web_settings
        from dialer.web.deps import WebDeps

        settings = self.settings
        app = create_app(
            WebDeps(
                pool=pool, database_url=settings.database_url, redis=redis, engine=engine, feed=feed, explain=engine, store_dir=settings.store_dir, archive_dir=settings.archive_dir, file_keys=file_keys(settings), archive_keys=archive_keys(settings), upload_dir=settings.work_dir,
                settings=web_settings(settings),
                registry=registry, clock=now,
            )
        )  # fmt: skip
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=_SHUTDOWN_S)
        await runner.setup()
        self.life.stop_with("web", runner.cleanup)
        try:
            await web.TCPSite(runner, settings.web_host, settings.web_port, backlog=1024).start()
        except OSError as error:
            raise Conflict(
                "web_port_taken",
                f"{settings.web_host}:{settings.web_port} cannot be listened on ({error.strerror}). Choose another with WAIHU_WEB_PORT; waihu doctor names who has it.",
            ) from error
        if settings.web_host not in _LOOPBACK and not settings.web_url.startswith("https://"):
            log.warning(
                "The API is open to the network without TLS: put a proxy before it and set WAIHU_PUBLIC_URL",
                host=settings.web_host,
            )


async def start_when_free(engine: Engine, *, patience_s: float) -> None:
    """Start as soon as the lease of an engine that was killed has run out. Conflict `node_taken` when its owner is alive."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            await engine.start()
        except Conflict as error:
            if error.error_id != "node_taken" or time.monotonic() > deadline:
                raise
            log.debug("The node is held; waiting for the end of the lease", node=engine.config.node)
            await asyncio.sleep(_AGAIN_S)
        except Unavailable as error:
            log.warning("The engine could not start yet", error_id=error.error_id, reason=error.message)
            await asyncio.sleep(_AGAIN_S * 5)
        else:
            return


class RoomOfDirectories:
    """Room for recordings where the recorder runs apart: looked at every few seconds at most."""

    AGE_S = 5.0

    def __init__(self, settings: Settings) -> None:
        self._recorder = RecorderSettings(spool_dir=settings.spool_dir, store_dir=settings.store_dir)
        self._looked_at = 0.0
        self._room: Room | None = None

    def room(self) -> Room:
        """The last look."""
        if self._room is None or time.monotonic() - self._looked_at > self.AGE_S:
            floors = Floors(spool_bytes=self._recorder.spool_floor_bytes, store_bytes=self._recorder.store_floor_bytes)
            self._room = measure(self._recorder.spool_dir, self._recorder.store_dir, floors=floors)
            self._looked_at = time.monotonic()
        return self._room


async def _released(conn: Any, kind: Kind, going: Sequence[Kept]) -> None:
    """The audit row of recordings that the recorder itself let go of."""
    detail = {
        "recordings": len(going),
        "bytes": sum(one.bytes for one in going),
        "calls": [str(one.attempt_id) for one in going],
    }
    entry = audit_trail.Entry(
        at=now(), user_id=None, actor="recorder", address=None, action=f"recordings_{kind}", subject_type="project",
        subject_id=str(going[0].project_id), detail=detail,
    )  # fmt: skip
    await audit_trail.write(conn, entry)


def _done(work: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    async def done() -> None:
        work()

    return done


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
