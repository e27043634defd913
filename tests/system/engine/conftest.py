"""An engine on a real Asterisk with the fake carrier and real softphones; the telephony stands for the whole session, the database is new for each test."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest_asyncio

from campaigns.caller_numbers import pool as caller_numbers
from campaigns.projects import Project
from campaigns.states import DialMode
from campaigns.trunks import trunk as trunk_of
from dialer.asterisk.ami.client import AmiConfig, ami_session
from dialer.asterisk.provisioning import DeviceConfig, ha1, new_secret, put_device
from dialer.asterisk.site import TrunkSettings
from dialer.db.pool import create_pool
from dialer.domain.commands import AgentLogin
from dialer.domain.states import AgentState
from dialer.engine import Engine, EngineConfig
from dialer.engine.floor import Agent, Call
from lab.asterisk_node import AsteriskNode
from lab.carrier import Behaviour, Carrier, number_for
from lab.crowd import Crowd
from lab.errors import NotReady
from lab.ports import free_port
from lab.process import ChildProcess
from lab.softphone import Account, Softphone
from lab.softphone_bank import SoftphoneBank
from lab.trunk_peer import TrunkPeer
from lab.waiting import wait_until
from tests.builders import NODE, a_lead, a_project, a_trunk, an_agent

PHONES = 6
CROWD_SEATS = ("crowd-seat-1", "crowd-seat-2")
_serials = itertools.count(1)


@dataclass(slots=True)
class Telephony:
    """The part of the floor that is not ours."""

    run_dir: Path
    carrier: Carrier
    node: AsteriskNode
    bank: SoftphoneBank
    peer: TrunkPeer
    crowd: Crowd  # started by who needs it: customers behind the trunk "crowd", agents at the devices CROWD_SEATS

    def config(self, **changes: Any) -> EngineConfig:
        node = self.node
        given = EngineConfig(
            node=NODE,
            ami_host=node.ami_host,
            ami_port=node.ami_port,
            ami_user=node.ami_user,
            ami_secret=node.ami_secret,
            agi_host="127.0.0.1",
            agi_port=node.agi_port,
            cdr_file=node.cdr_file,
            tick_s=0.2,
            projects_every_s=1.0,
            audit_every_s=2.0,
            seat_retry_s=0.3,
            lease_s=4.0,
        )
        return replace(given, **changes)


@asynccontextmanager
async def a_telephony(
    run_dir: Path,
    name: str,
    *,
    trunks: Sequence[TrunkSettings] = (),
    node_type: type[AsteriskNode] = AsteriskNode,
) -> AsyncIterator[Telephony]:
    """A node, its carrier and softphones of their own; `trunks` come on top of the carrier's and the peer's, who writes INVITEs down."""
    carrier = Carrier(run_dir, time_scale=0.2, name=f"{name}-carrier")
    peer, crowd = TrunkPeer(), Crowd(run_dir, places=8)
    places = {"crowd": crowd.customers_port} | dict.fromkeys(CROWD_SEATS, crowd.agents_port)
    crowded = [TrunkSettings(name=place, host="127.0.0.1", port=port, qualify_s=0) for place, port in places.items()]
    node = node_type(
        run_dir,
        agi_port=free_port(),
        trunks=[carrier.trunk, peer.trunk, *crowded, *trunks],
        name=f"{name}-node",
        rtp_ports=400,
        seat_rtp_timeout_s=3,
    )
    carrier.node_sip_port = node.sip_port
    accounts = [Account(username=f"phone-{n}", secret=new_secret()) for n in range(PHONES)]
    bank = SoftphoneBank(run_dir, accounts, f"127.0.0.1:{node.sip_port}", name=f"{name}-phones")
    try:
        await asyncio.gather(carrier.start(), node.start())
        config = AmiConfig(host=node.ami_host, port=node.ami_port, user=node.ami_user, secret=node.ami_secret)
        async with ami_session(config) as ami:
            for account in accounts:
                await put_device(
                    ami, DeviceConfig(username=account.username, digest=ha1(account.username, account.secret))
                )
        await bank.start()
        async with peer:
            yield Telephony(run_dir, carrier, node, bank, peer, crowd)
    finally:
        await asyncio.gather(bank.stop(), node.stop(), carrier.stop(), return_exceptions=True)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def telephony(run_dir: Path) -> AsyncIterator[Telephony]:
    async with a_telephony(run_dir, "engine") as one:
        yield one


@dataclass(slots=True)
class Floor:
    """What a test acts on."""

    telephony: Telephony
    pool: asyncpg.Pool
    database_url: str
    devices: list[UUID] = field(default_factory=list)
    agents: list[UUID] = field(default_factory=list)
    engines: list[Engine] = field(default_factory=list)
    processes: list[ChildProcess] = field(default_factory=list)
    numbers: set[str] = field(default_factory=set)
    trunk_id: UUID | None = None

    @property
    def engine(self) -> Engine:
        return self.engines[-1]

    @property
    def node(self) -> AsteriskNode:
        return self.telephony.node

    async def start(self, **changes: Any) -> Engine:
        """An engine in this process."""
        engine = Engine(self.telephony.config(**changes), self.pool)
        await engine.start()
        self.engines.append(engine)
        await self.until(lambda: engine.ready, "adoption", 10)
        return engine

    async def start_process(self) -> ChildProcess:
        """An engine of its own, to be killed."""
        port = free_port()
        settings = asdict(self.telephony.config(control_port=port, control_token="system-test"))
        environment = dict(os.environ) | {
            "ENGINE_CONFIG": json.dumps(settings, default=str),
            "ENGINE_DATABASE": self.database_url,
        }
        process = ChildProcess(
            [sys.executable, "-m", "tests.system.engine.engine_process"],
            self.telephony.run_dir / f"engine-{next(_serials)}.log",
            environment,
        )
        await process.start()
        self.processes.append(process)
        process.control_port = port  # type: ignore[attr-defined]
        return process

    async def project(self, **settings: Any) -> Project:
        trunk_id = self.trunk_id
        if trunk_id is None:
            trunk = await a_trunk(self.pool, endpoint="carrier", name="carrier")
            trunk_id = self.trunk_id = trunk.id
        row = await self.pool.fetchrow("select * from trunks where id = $1", trunk_id)
        assert row is not None
        given: dict[str, Any] = {
            "mode": DialMode.PROGRESSIVE,
            "agent_wait_ms": 1500,
            "wrap_up_limit_s": 0,
            "ring_timeout_s": 10,
            "caller_number_count": 0,
        }
        project = await a_project(self.pool, trunk=trunk_of(row), **given | settings)
        number = await caller_numbers.add(self.pool, f"+862155550{next(_serials):03d}", trunk_id)
        await caller_numbers.allow(self.pool, project.id, [number.id])
        return project

    async def lead(
        self, project: Project, behaviour: Behaviour = Behaviour.HUMAN, *, ring: int = 1, talk: int = 9, **columns: Any
    ) -> int:
        """A lead whose number behaves so; `talk` 9: until we hang up (two minutes, scaled)."""
        number = number_for(behaviour, ring_code=ring, talk_code=talk, serial=next(_serials), prefix="138")
        self.numbers.add(number)
        return await a_lead(self.pool, project.id, number=number, **columns)

    async def agent(self, *projects: Project, wanted: str = "ready") -> UUID:
        """A person at the next softphone, logged in and seated."""
        place = len(self.agents)
        agent_id = await an_agent(self.pool, projects=[project.id for project in projects])
        self.agents.append(agent_id)
        await self.pool.execute("update devices set agent_id = $1 where id = $2", agent_id, self.devices[place])
        await self.login(agent_id, wanted=wanted)
        return agent_id

    async def login(self, agent_id: UUID, *, wanted: str = "ready") -> None:
        place = self.agents.index(agent_id)
        await self.engine.parts.projects.refresh()
        command = AgentLogin(agent_id=agent_id, device_id=self.devices[place], wanted=wanted)  # type: ignore[arg-type]
        await self.engine.execute(command)
        await self.until(lambda: self.on_floor(agent_id).seated, "seat", 15)

    def phone(self, agent_id: UUID) -> Softphone:
        return self.telephony.bank.phone(f"phone-{self.agents.index(agent_id)}")

    def on_floor(self, agent_id: UUID) -> Agent:
        return self.engine.parts.floor.agents[agent_id]

    def state(self, agent_id: UUID) -> AgentState:
        agent = self.engine.parts.floor.agents.get(agent_id)
        return agent.state if agent else AgentState.LOGGED_OUT

    async def talking(self, agent_id: UUID) -> Call:
        """Wait until the agent talks; gives the call."""
        await self.until(lambda: self.state(agent_id) is AgentState.TALKING, "conversation", 15)
        call = self.engine.parts.floor.call_of_agent(self.on_floor(agent_id))
        assert call is not None
        return call

    async def becomes(self, agent_id: UUID, state: AgentState, timeout_s: float = 10) -> None:
        await self.until(lambda: self.state(agent_id) is state, f"agent {state}", timeout_s)

    async def attempts(self, lead_id: int | None = None) -> Sequence[asyncpg.Record]:
        return await self.pool.fetch(
            "select * from attempts where $1::bigint is null or lead_id = $1 order by id", lead_id
        )

    async def ended(self, count: int, timeout_s: float = 30) -> Sequence[asyncpg.Record]:
        """Wait until so many attempts have ended; gives them all."""

        async def are_ended() -> bool:
            found: int = await self.pool.fetchval("select count(*) from attempts where state = 'ended'")
            return found >= count

        await self.until(are_ended, f"{count} ended attempts", timeout_s)
        return await self.attempts()

    async def until(
        self, condition: Callable[[], Any] | Callable[[], Awaitable[Any]], what: str, timeout_s: float = 5
    ) -> None:
        await wait_until(condition, timeout_s=timeout_s, what=what)

    async def no_channel_left(self) -> None:
        async def none() -> bool:
            return not await self.node.channels()

        try:
            await self.until(none, "an empty Asterisk", 15)
        except NotReady as error:
            error.add_note(await self.node.console("core show channels concise"))
            raise

    async def die(self) -> None:
        """The engine in this process dies: nothing more is written or said; its lease runs out."""
        engine = self.engines.pop()
        await engine.parts.tasks.close()
        await engine._agi.stop()
        await engine.parts.ami.close()
        await self.pool.execute("update nodes set lease_until = now() - interval '1 second'")

    async def clean_up(self) -> None:
        for process in self.processes:
            process.kill()
        for engine in self.engines:
            await engine.stop()
        if not self.node.running:
            await self.node.revive()
        for phone in self.telephony.bank.phones.values():
            phone.answers, phone.rejects, phone.answer_after_s = True, False, 0.0

        async def swept() -> bool:
            # Again and again: an Originate that Asterisk had taken already becomes a channel only after the first request.
            await self.node.console("channel request hangup all")
            return not await self.node.channels()

        try:
            await self.until(swept, "an Asterisk that could be emptied", 30)
        except NotReady as error:
            error.add_note(await self.node.console("core show channels concise"))
            raise


@pytest_asyncio.fixture(loop_scope="session")
async def floor(telephony: Telephony, database_url: str) -> AsyncIterator[Floor]:
    pool = await create_pool(database_url, max_size=6)
    await pool.execute("insert into nodes (name) values ($1) on conflict do nothing", NODE)
    one = Floor(telephony, pool, database_url)
    owner = await an_agent(pool)
    for account in [phone.account for phone in telephony.bank.phones.values()]:
        device_id = await pool.fetchval(
            "insert into devices (agent_id, node, kind, username, digest) values ($1, $2, 'softphone', $3, $4) returning id",
            owner,
            NODE,
            account.username,
            ha1(account.username, account.secret),
        )
        one.devices.append(device_id)
    try:
        yield one
    finally:
        await one.clean_up()
        pool.terminate()
