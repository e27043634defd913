"""What the web application is given: no globals, everything comes in here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import asyncpg
from aiohttp import web
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from dialer.domain.commands import Command, Done
from recorder.archive.erasing import ArchiveKeys
from recorder.file_keys import FileKeys


class Engine(Protocol):
    """Whoever carries commands out: the engine in this process, or one reached through its control port."""

    async def execute(self, command: Command) -> Done:
        """Do it. Errors: those of `dialer.domain.errors`."""
        ...


class Feed(Protocol):
    """The live state and its changes."""

    def snapshot(self) -> Mapping[str, Any]:
        """{"epoch", "seq", "state": {kind: {key: value}}}."""
        ...

    def subscribe(self, bound: int = 1000) -> Any:
        """An async iterator of changes from now on ({"seq", "kind", "key", "value"}), or a gap notice when the reader is too slow."""
        ...


Explained = Mapping[str, Any]


class Explain(Protocol):
    """Says why something is not dialling, gate by gate. The engine in this process answers at once, one elsewhere after a question."""

    def explain_project(self, project_id: UUID) -> Explained | Awaitable[Explained]:
        """For a project."""
        ...

    def explain_pace(self, project_id: UUID, at: datetime | None = None) -> Explained | Awaitable[Explained]:
        """For a project, with its last decisions, or those around a moment."""
        ...

    def explain_agent(self, agent_id: UUID) -> Explained | Awaitable[Explained]:
        """For an agent."""
        ...

    def explain_lead(self, lead_id: int) -> Explained | Awaitable[Explained]:
        """For a lead."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """Values the web application is set with; see docs/settings.md for the names an operator uses."""

    realm: str = "waihu"  # of SIP digests
    prompts_dir: Path | None = None  # the node's sound files, where this process can see them
    project_sign_offs: bool = False  # of new projects that do not say
    region: str = "CN"  # where numbers without a country code are
    secure_cookies: bool = False  # True behind https: cookies with Secure and the __Host- prefix, and HSTS
    allowed_origins: tuple[str, ...] = ()  # other origins whose pages may use a session; our own host is always one
    trusted_proxies: tuple[str, ...] = ()  # addresses whose X-Forwarded-For is believed
    accel_prefix: str = ""  # where nginx serves the store from (internal); empty: we send the sound ourselves
    heard_in_memory_bytes: int = 128 * 1024**2  # sound that was heard last, opened, for the jumps that follow
    metrics_token: str | None = None  # a scraper's own bearer token; a user's token with the right role does too
    session_idle_s: float = 2 * 3600
    session_max_s: float = 12 * 3600
    request_timeout_s: float = 15
    body_limit_bytes: int = 256 * 1024
    upload_limit_bytes: int = 2 * 1024**3
    upload_timeout_s: float = 900
    reject_days: int = 30  # reject files are kept; people's numbers stand in them
    live_queue: int = 1000  # changes kept for a slow reader of the live feed
    live_ping_s: float = 20
    live_clients: int = 500


def utc_now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)  # noqa: TID251  # the one clock of the web process; tests pass their own


@dataclass(frozen=True, slots=True, kw_only=True)
class WebDeps:
    """Everything the web application stands on."""

    pool: asyncpg.Pool[asyncpg.Record]
    database_url: str  # the same database, for processes of their own
    redis: Redis | None
    engine: Engine
    feed: Feed
    explain: Explain | None = None
    store_dir: Path  # where the recorder keeps recordings
    archive_dir: Path  # where archive volumes are built
    file_keys: FileKeys  # opens those that are sealed
    archive_keys: ArchiveKeys  # erases them on discs
    upload_dir: Path  # imports and their reject files
    settings: WebSettings = field(default_factory=WebSettings)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    clock: Callable[[], datetime] = utc_now


DEPS: web.AppKey[WebDeps] = web.AppKey("deps", WebDeps)
