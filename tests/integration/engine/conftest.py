"""An engine on a real PostgreSQL and a scripted Asterisk, with a project, leads and agents."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from campaigns.projects import Project
from campaigns.states import DialMode
from dialer.domain.commands import AgentLogin, AgentReady
from dialer.domain.states import AgentState
from dialer.engine import Engine, EngineConfig
from dialer.engine.floor import Agent, Call
from lab.waiting import wait_until
from tests.builders import NODE, a_device, a_lead, a_project, an_agent
from tests.integration.engine.scripted import SECRET, USER, ScriptedAsterisk


@dataclass(slots=True)
class Stage:
    """Everything a test acts on."""

    pool: asyncpg.Pool
    asterisk: ScriptedAsterisk
    config: EngineConfig
    ended: list[UUID] = field(default_factory=list)
    engines: list[Engine] = field(default_factory=list)

    @property
    def engine(self) -> Engine:
        return self.engines[-1]

    async def start(self, **changes: Any) -> Engine:
        engine = Engine(replace(self.config, **changes), self.pool, on_ended=self.ended.append)
        await engine.start()
        self.engines.append(engine)
        self.asterisk.agi_port = engine.agi_port
        await self.until(lambda: engine.ready, "adoption")
        return engine

    async def die(self) -> None:
        """The engine dies as by SIGKILL: nothing is written any more, nothing is said; its lease runs out."""
        engine = self.engines.pop()
        await engine.parts.tasks.close()
        await engine._agi.stop()
        await engine.parts.ami.close()
        await self.pool.execute("update nodes set lease_until = now() - interval '1 second'")

    async def project(self, **settings: Any) -> Project:
        usual: dict[str, Any] = {
            "mode": DialMode.PROGRESSIVE,
            "agent_wait_ms": 300,
            "wrap_up_limit_s": 0,
            "ring_timeout_s": 20,
        }
        return await a_project(self.pool, **usual | settings)

    async def agent(self, *projects: Project, wanted: str = "ready") -> UUID:
        """A new agent, logged in and seated."""
        agent_id = await an_agent(self.pool, projects=[project.id for project in projects])
        device_id = await a_device(self.pool, agent_id)
        await self.engine.parts.projects.refresh()
        await self.engine.execute(AgentLogin(agent_id=agent_id, device_id=device_id, wanted=wanted))  # type: ignore[arg-type]
        await self.until(lambda: self.on_floor(agent_id).seated, "seat")
        return agent_id

    async def leads(self, project: Project, count: int) -> list[int]:
        return [await a_lead(self.pool, project.id) for _ in range(count)]

    async def ready(self, agent_id: UUID) -> None:
        await self.engine.execute(AgentReady(agent_id=agent_id))

    def on_floor(self, agent_id: UUID) -> Agent:
        return self.engine.parts.floor.agents[agent_id]

    def state(self, agent_id: UUID) -> AgentState:
        agent = self.engine.parts.floor.agents.get(agent_id)
        return agent.state if agent else AgentState.LOGGED_OUT

    async def call(self, count: int = 1) -> Call:
        """The next call that is on the wire."""
        await self.until(lambda: len(self.asterisk.calls) >= count, f"{count} calls on the wire")
        attempt_id = UUID(self.asterisk.calls[count - 1].channel_id.removeprefix("call-"))
        await self.until(lambda: attempt_id in self.engine.parts.floor.calls, "the call on the floor")
        return self.engine.parts.floor.calls[attempt_id]

    async def row(self, attempt_id: UUID) -> asyncpg.Record:
        row = await self.pool.fetchrow("select * from attempts where id = $1", attempt_id)
        assert row is not None
        return row

    async def ended_row(self, attempt_id: UUID) -> asyncpg.Record:
        async def is_ended() -> bool:
            state: str = (await self.row(attempt_id))["state"]
            return state == "ended"

        await self.until(is_ended, "the end of the attempt in its row")
        return await self.row(attempt_id)

    async def until(
        self, condition: Callable[[], Any] | Callable[[], Awaitable[Any]], what: str, timeout_s: float = 5
    ) -> None:
        await wait_until(condition, timeout_s=timeout_s, what=what)


@asynccontextmanager
async def a_stage(pool: asyncpg.Pool, directory: Path) -> AsyncIterator[Stage]:
    asterisk = ScriptedAsterisk(directory)
    await asterisk.start()
    config = EngineConfig(
        node=NODE,
        ami_host="127.0.0.1",
        ami_port=asterisk.fake.port,
        ami_user=USER,
        ami_secret=SECRET,
        agi_host="127.0.0.1",
        agi_port=0,
        cdr_file=asterisk.cdr_file,
        tick_s=0.05,
        journal_every_s=0.01,
        audit_every_s=0.3,
        action_deadline_s=0.5,
        seat_retry_s=0.05,
        projects_every_s=0.2,
    )
    stage = Stage(pool, asterisk, config)
    try:
        yield stage
    finally:
        for engine in stage.engines:
            await engine.stop()
        await asterisk.stop()


@pytest.fixture
async def stage(pool: asyncpg.Pool, tmp_path: Path) -> AsyncIterator[Stage]:
    async with a_stage(pool, tmp_path) as one:
        await pool.execute("insert into nodes (name) values ($1) on conflict do nothing", NODE)
        yield one
