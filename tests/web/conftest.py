"""A house to test in: the application on a real port, a real database and Redis, an engine that only writes down what it is told."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from redis.asyncio import Redis

from campaigns.sql import Pool
from dialer.db import identities
from dialer.domain.commands import Command, Done
from dialer.domain.roles import Role
from dialer.live.feed import Feed
from dialer.web.access import TOKEN_PREFIX, hash_of, new_secret
from dialer.web.app import create_app
from dialer.web.deps import WebDeps, WebSettings
from dialer.web.parts import PARTS
from recorder.archive.erasing import ArchiveKeys
from recorder.file_keys import FileKeys
from recorder.keyring import KeySource
from tests.builders import a_user, an_agent
from tests.web.client import Person

_logins = itertools.count(1)
Clock = datetime


class Scribe:
    """An engine that does nothing but remember; `refuse` makes it raise."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.refuse: Exception | None = None
        self.explained: Mapping[str, Any] = {
            "dialling": False,
            "why": "window",
            "sentence": "Outside the calling window.",
            "gates": [],
        }

    async def execute(self, command: Command) -> Done:
        self.commands.append(command)
        if self.refuse is not None:
            raise self.refuse
        return Done(state="ready")

    def explain_project(self, project_id: UUID) -> Mapping[str, Any]:
        return {**self.explained, "project_id": str(project_id)}

    def explain_pace(self, project_id: UUID, at: datetime | None = None) -> Mapping[str, Any]:
        if self.refuse is not None:
            raise self.refuse
        when = datetime(2026, 3, 2, 9, tzinfo=UTC) if at is None else at
        decision = {"at": when.isoformat(), "place": 2, "limited_by": "agents", "reason": "", "ready": 3.0,
                    "agents": 9, "in_flight": 7, "waiting": 0, "theta": 0.02}  # fmt: skip
        return {**self.explain_project(project_id), "limits": {"agents": 10}, "recent": [decision]}

    def explain_agent(self, agent_id: UUID) -> Mapping[str, Any]:
        return {**self.explained, "agent_id": str(agent_id)}

    async def explain_lead(self, lead_id: int) -> Mapping[str, Any]:
        return {**self.explained, "lead_id": lead_id}


class HandClock:
    """The machine's time, and what a test adds to it."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead  # noqa: TID251  # rows are compared with the database's clock


@dataclass(slots=True, kw_only=True)
class House:
    """The running application and all it stands on."""

    server: TestServer
    http: aiohttp.ClientSession
    pool: Pool
    engine: Scribe
    feed: Feed
    clock: HandClock
    deps: WebDeps
    document: dict[str, Any]
    people: list[Person] = field(default_factory=list)

    @property
    def base(self) -> str:
        return str(self.server.make_url("")).rstrip("/")

    def nobody(self) -> Person:
        """Somebody who has not logged in."""
        person = Person(base=self.base, document=self.document, http=self.http)
        self.people.append(person)
        return person

    async def person(
        self,
        role: Role = Role.ADMIN,
        *,
        token: bool = False,
        agent: bool | None = None,
        projects: tuple[UUID, ...] = (),
    ) -> Person:
        """Somebody with a session (or a token) of a role; agents get a place on the floor."""
        user_id = await a_user(self.pool, role=role.value, login=f"{role.value}-{next(_logins)}")
        agent_id = (
            await an_agent(self.pool, user_id=user_id, projects=projects)
            if (role == Role.AGENT if agent is None else agent)
            else None
        )
        person = await (self.token_of(user_id) if token else self.session_of(user_id))
        person.role, person.agent_id = role, agent_id
        return person

    async def session_of(self, user_id: UUID) -> Person:
        """A session of a user, as logging in makes it."""
        person = self.nobody()
        person.cookie, person.csrf, person.user_id = new_secret(), new_secret(), user_id
        now = self.clock()
        await identities.create_session(
            self.pool, token_hash=hash_of(person.cookie), user_id=user_id, csrf_hash=hash_of(person.csrf), address="127.0.0.1", user_agent="test",
            now=now, expires_at=now + timedelta(seconds=self.deps.settings.session_max_s),
        )  # fmt: skip
        return person

    async def token_of(self, user_id: UUID) -> Person:
        """An API token of a user."""
        person = self.nobody()
        person.token, person.user_id = TOKEN_PREFIX + new_secret(), user_id
        await identities.create_token(
            self.pool, user_id=user_id, name="test", token_hash=hash_of(person.token), now=self.clock(), expires_at=None
        )
        return person

    async def audited(self, action: str) -> list[dict[str, Any]]:
        """The audit rows of an action, oldest first."""
        rows = await self.pool.fetch("select * from audit_log where action = $1 order by id", action)
        return [dict(row) for row in rows]


@pytest.fixture
def settings() -> WebSettings:
    """A test may have its own."""
    return WebSettings()


@pytest.fixture
async def house(
    pool: Pool, database_url: str, redis_url: str, tmp_path: Path, settings: WebSettings
) -> AsyncIterator[House]:
    """The application, running."""
    engine, feed, clock = Scribe(), Feed("epoch-1"), HandClock()
    client = Redis.from_url(redis_url, socket_timeout=0.5, socket_connect_timeout=0.5)
    (tmp_path / "store").mkdir()
    deps = WebDeps(
        pool=pool, database_url=database_url, redis=client, engine=engine, feed=feed, explain=engine, store_dir=tmp_path / "store", archive_dir=tmp_path / "archive", file_keys=(keys := FileKeys(KeySource(path=tmp_path / "recording.keys"))), archive_keys=ArchiveKeys(path=tmp_path / "archive.keys", keys=keys), upload_dir=tmp_path / "uploads",
        settings=settings, clock=clock,
    )  # fmt: skip
    app = create_app(deps)
    server = TestServer(app)
    await server.start_server()
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        yield House(
            server=server,
            http=http,
            pool=pool,
            engine=engine,
            feed=feed,
            clock=clock,
            deps=deps,
            document=app[PARTS].document,
        )
    await server.close()
    await client.aclose()
