"""Engines in other processes, for a web process that runs apart: whom to ask, and a picture of what they do.

Several nodes: a command goes to the node of its device or trunk. The picture of all of them is mirrored into one feed: the full state from
each engine's control port, the changes over Redis; without Redis the full state again every second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from dialer.db.pool import LOST, Pool
from dialer.domain.commands import (
    AgentLogin,
    Command,
    Dial,
    Done,
    PauseProject,
    PreviewNext,
    ProvisionDevice,
    ReloadProject,
    RemoveDevice,
    StartProject,
)
from dialer.domain.errors import NotFound, Unavailable, WaihuError
from dialer.live.control import RemoteEngine
from dialer.live.feed import Feed
from dialer.live.redis_fanout import channel_of

log = structlog.get_logger(__name__)

_HOLDERS = "select name, control_url from nodes where holder is not null and lease_until > now() and control_url is not null order by name"
_NODE_OF_DEVICE = "select node from devices where id = $1"
_NODE_OF_PROJECT = "select t.node from projects p join trunks t on t.id = p.trunk_id where p.id = $1"
_NODE_OF_AGENT = "select coalesce((select node from agent_live where agent_id = $1), (select node from devices where agent_id = $1 and removed_at is null limit 1))"
_NODE_OF_LEAD = "select t.node from leads l join projects p on p.id = l.project_id join trunks t on t.id = p.trunk_id where l.id = $1"
_POLL_S = 1.0


class Engines:
    """Carries commands to the engine that is concerned. Same shape as an engine: `execute` and the explanations."""

    def __init__(self, pool: Pool, token: str) -> None:
        self._pool = pool
        self._token = token
        self._urls: dict[str, str] = {}
        self._clients: dict[str, RemoteEngine] = {}
        # agent → node, believed while the database is away: an agent in a call must be able to hang up
        self._nodes: dict[UUID, str] = {}

    async def execute(self, command: Command) -> Done:
        """Errors: those of the engine; Unavailable `engine_away`."""
        node = await self._node_of(command)
        if node is None and isinstance(command, ReloadProject):
            return Done(state="")  # a project without a trunk is nobody's yet: nothing to tell
        return await (await self._engine(node)).execute(command)

    async def explain_project(self, project_id: UUID) -> Mapping[str, Any]:
        """Gate by gate, for a project."""
        return await (await self._engine(await self._pool.fetchval(_NODE_OF_PROJECT, project_id))).explain_project(
            project_id
        )

    async def explain_pace(self, project_id: UUID, at: datetime | None = None) -> Mapping[str, Any]:
        """A project's last decisions, or those around a moment."""
        engine = await self._engine(await self._pool.fetchval(_NODE_OF_PROJECT, project_id))
        return await engine.explain_pace(project_id, at)

    async def explain_agent(self, agent_id: UUID) -> Mapping[str, Any]:
        """Why an agent gets no call."""
        return await (await self._engine(await self._pool.fetchval(_NODE_OF_AGENT, agent_id))).explain_agent(agent_id)

    async def explain_lead(self, lead_id: int) -> Mapping[str, Any]:
        """Gate by gate, for a lead."""
        return await (await self._engine(await self._pool.fetchval(_NODE_OF_LEAD, lead_id))).explain_lead(lead_id)

    async def close(self) -> None:
        """Close the connections."""
        while self._clients:
            await self._clients.popitem()[1].close()

    def client(self, url: str) -> RemoteEngine:
        """The engine behind a control URL."""
        if url not in self._clients:
            self._clients[url] = RemoteEngine(url, self._token)
        return self._clients[url]

    async def holders(self) -> dict[str, str]:
        """Node → control URL of the engine that holds it; what was known last while the database is away."""
        try:
            self._urls = {row["name"]: row["control_url"] for row in await self._pool.fetch(_HOLDERS)}
        except LOST as error:
            log.debug("Engines are as they were: PostgreSQL does not answer", error=type(error).__name__)
        return self._urls

    async def _engine(self, node: str | None) -> RemoteEngine:
        urls = await self.holders()
        if node is None:
            raise NotFound(
                "node_unknown", "This has no trunk and no device yet, so no engine is concerned: give it one."
            )
        if node not in urls:
            raise Unavailable("engine_away", f"No engine holds node {node}: start it.", node=node)
        return self.client(urls[node])

    async def _node_of(self, command: Command) -> str | None:
        match command:
            case StartProject() | PauseProject() | ReloadProject():
                return await self._pool.fetchval(_NODE_OF_PROJECT, command.project_id)  # type: ignore[no-any-return]
            case ProvisionDevice() | RemoveDevice() | AgentLogin():
                return await self._pool.fetchval(_NODE_OF_DEVICE, command.device_id)  # type: ignore[no-any-return]
            case Dial() | PreviewNext():
                return await self._node_of_agent(command.agent_id) or await self._pool.fetchval(
                    _NODE_OF_PROJECT, command.project_id
                )
            case _:
                return await self._node_of_agent(command.agent_id)

    async def _node_of_agent(self, agent_id: UUID) -> str | None:
        try:
            node: str | None = await self._pool.fetchval(_NODE_OF_AGENT, agent_id)
        except LOST:
            if agent_id not in self._nodes:
                raise
            return self._nodes[agent_id]
        if node is not None:
            self._nodes[agent_id] = node
        return node


class Mirror:
    """Keeps `feed` like the feeds of all engines together."""

    def __init__(self, feed: Feed, engines: Engines, redis: Redis | None) -> None:
        self._feed = feed
        self._engines = engines
        self._redis = redis
        self._shown: dict[str, set[tuple[str, str]]] = {}
        self._at: dict[str, tuple[str, int]] = {}

    async def run(self) -> None:
        """For ever: full states as often as is needed, changes in between."""
        changes = asyncio.create_task(self._follow(), name="mirror changes") if self._redis else None  # noqa: TID251  # ended below
        try:
            while True:
                urls = dict(await self._engines.holders())
                for node in set(self._shown) - set(urls):
                    self._forget(node)
                for node, url in urls.items():
                    await self._take_state(node, url)
                await asyncio.sleep(_POLL_S)
        finally:
            if changes:
                changes.cancel()

    async def _take_state(self, node: str, url: str) -> None:
        try:
            snapshot = await self._engines.client(url).snapshot()
        except WaihuError:
            self._forget(node)
            return
        seen = set()
        for kind, values in snapshot["state"].items():
            for key, value in values.items():
                self._feed.publish(kind, key, value)
                seen.add((kind, key))
        for kind, key in self._shown.get(node, set()) - seen:
            self._feed.publish(kind, key, None)
        self._shown[node] = seen
        self._at[node] = (snapshot["epoch"], snapshot["seq"])

    def _forget(self, node: str) -> None:
        for kind, key in self._shown.pop(node, set()):
            self._feed.publish(kind, key, None)
        self._at.pop(node, None)

    async def _follow(self) -> None:
        while True:
            try:
                await self._follow_once()
            except (RedisError, OSError) as error:
                log.debug("Live changes come by polling: Redis does not answer", error=type(error).__name__)
            await asyncio.sleep(_POLL_S)

    async def _follow_once(self) -> None:
        assert self._redis is not None  # noqa: S101  # run() looked
        async with self._redis.pubsub() as channel:
            await channel.psubscribe(channel_of("*"))
            async for message in channel.listen():
                if message["type"] == "pmessage":
                    self._take_change(
                        _text(message["channel"]).removeprefix(channel_of("")), orjson.loads(message["data"])
                    )

    def _take_change(self, node: str, change: dict[str, Any]) -> None:
        at = self._at.get(node)
        # Only what follows the state we have; after a gap or a new epoch the next full state comes within a second.
        if at is None or at[0] != change["epoch"] or change.get("seq") != at[1] + 1:
            return
        self._at[node] = (at[0], at[1] + 1)
        name = (change["kind"], change["key"])
        self._feed.publish(*name, change["value"])
        shown = self._shown.setdefault(node, set())
        if change["value"] is None:
            shown.discard(name)
        else:
            shown.add(name)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
