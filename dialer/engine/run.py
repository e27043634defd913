"""One engine for one Asterisk node: starts its parts, keeps them alive, and outlives the loss of everything around it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from random import Random
from typing import Any, Protocol
from uuid import UUID, uuid4

import asyncpg
from prometheus_client import CollectorRegistry

from agi.routes import Routes
from agi.server import AgiServer, AgiServerConfig
from dialer.db.pool import LOST
from dialer.domain.commands import Command, Done
from dialer.domain.errors import Unavailable
from dialer.domain.pacing import Limit
from dialer.domain.states import AgentState, CallState
from dialer.engine.adopting import adopt_agents
from dialer.engine.clock import Clock, SystemClock
from dialer.engine.config import EngineConfig
from dialer.engine.floor import Call
from dialer.engine.lease import NodeLease
from dialer.engine.parts import Parts, assemble
from dialer.engine.rounds import Rounds
from dialer.engine.upkeep import Upkeep
from dialer.engine.watchdog import watch_the_loop
from dialer.live.control import ControlServer
from dialer.live.feed import Feed

_DRAIN_LOOK_S = 0.1


class Room(Protocol):
    """What the recorder says about space."""

    @property
    def blocked(self) -> bool:
        """No room: do not dial."""
        ...

    @property
    def reason(self) -> str:
        """Why."""
        ...


class Engine:
    """`start`, then `execute` commands; `wait_lost` returns when another engine has taken the node; `stop` in good order.

    `on_ended` is told of attempts whose end is committed (the recorder's intake); `room` is asked before calls are placed.
    """

    def __init__(
        self,
        config: EngineConfig,
        pool: asyncpg.Pool,
        *,
        feed: Feed | None = None,
        room: Callable[[], Room] | None = None,
        on_ended: Callable[[UUID], object] | None = None,
        registry: CollectorRegistry | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
    ) -> None:
        self.config = config
        self.run_id = uuid4()
        self.feed = feed or Feed(str(self.run_id))
        self._pool = pool
        self._room = room
        self._tell_ended = on_ended
        self._clock = clock or SystemClock()
        self._stopping = self._draining = False
        self.parts: Parts = assemble(
            config,
            pool,
            feed=self.feed,
            clock=self._clock,
            random=random or Random(),  # noqa: S311 - jitter of reconnects
            registry=registry,
            obstacle=self.obstacle,
            on_ended=self._ended,
            run_id=self.run_id,
            lease_held=lambda: self._lease.held,
            on_project=self._project_changed,
        )
        self._agi = AgiServer(
            Routes(self.parts.answering.routes()), AgiServerConfig(host=config.agi_host, port=config.agi_port)
        )
        self._control: ControlServer | None = None
        self._lease = NodeLease(
            pool,
            config.node,
            self.run_id,
            lease_s=config.lease_s,
            control_url=config.control_url,
            clock=self._clock,
        )
        self._rounds = Rounds(config, self.parts)
        self._upkeep = Upkeep(config, pool, self.parts, self._rounds, self._lease, self._clock)
        for unsure in (self.parts.sending, self.parts.talking):
            unsure.on_unknown.append(lambda: self._rounds.ask(rows=False))
        self.parts.placing.on_claim_lost.append(self._claim_lost)
        self.parts.dialling.on_claim_lost.append(self._claim_lost)

    # --- what others may ask ---

    @property
    def agi_port(self) -> int:
        """Where the dialplan asks."""
        return self._agi.port

    @property
    def control_port(self) -> int | None:
        """Where other processes give commands, if they may."""
        return self._control.port if self._control else None

    @property
    def asterisk_up(self) -> bool:
        """Asterisk can be talked to."""
        return self._rounds.asterisk_up

    @property
    def ready(self) -> bool:
        """What was alive at the start is adopted."""
        return self.parts.answering.adopted.is_set()

    async def execute(self, command: Command) -> Done:
        """Do what a command says. Errors: those of dialer.domain.errors."""
        if self._stopping or self._lease.lost.is_set():
            raise Unavailable("engine_stopping", "This engine is stopping. Try again in a moment.")
        return await self.parts.desk.execute(command)

    def explain_project(self, project_id: UUID) -> dict[str, Any]:
        """Why is this project not dialling?"""
        return self.parts.explain.project(project_id)

    def explain_pace(self, project_id: UUID, at: datetime | None = None) -> dict[str, Any]:
        """Why did this project dial so much, or so little, of late or around a moment?"""
        return self.parts.explain.pace(project_id, at)

    def explain_agent(self, agent_id: UUID) -> dict[str, Any]:
        """Why does this agent get no call?"""
        return self.parts.explain.agent(agent_id)

    async def explain_lead(self, lead_id: int) -> dict[str, Any]:
        """Why is this lead not called?"""
        return await self.parts.explain.lead(lead_id)

    def obstacle(self) -> tuple[Limit, str] | None:
        """What forbids any new call now."""
        if self._stopping or self._draining:
            return Limit.LEASE, "the engine is stopping"
        if not self._lease.held:
            return Limit.LEASE, "the lease on the node is not certain"
        if not self._rounds.asterisk_up:
            return Limit.ASTERISK, "there is no session with Asterisk"
        if not self.ready:
            return Limit.ASTERISK, "what is alive is still being adopted"
        if self.parts.journal.overfull:
            return Limit.JOURNAL, "too much is not yet written"
        if self._room is not None and (room := self._room()).blocked:
            return Limit.RECORDING, room.reason
        return None

    # --- life ---

    async def start(self) -> None:
        """Take the node, listen, begin. Asterisk may be away. Errors: Conflict `node_taken`, Unavailable `database_away`, OSError (port)."""
        await self._lease.acquire()
        try:
            await self._agi.start()
            if self.config.control_port is not None:
                self._control = ControlServer(
                    self, self.config.control_host, self.config.control_port, self.config.control_token
                )
                await self._control.start()
            await self._upkeep.begin()
        except BaseException:
            await self._agi.stop()
            if self._control is not None:
                await self._control.stop()
            await self._lease.release()
            raise
        parts = self.parts
        parts.reconcile.begin_at(self._clock.now())
        for agent in await adopt_agents(
            self._pool, self.config.node, parts.floor, parts.agents, parts.metrics, self._clock
        ):
            if agent.state is AgentState.WRAP_UP:
                parts.wrapping.limit(agent, spent_s=self._clock.monotonic() - agent.since_s)
        parts.ami.start()
        keep = parts.tasks.keep
        keep("journal", parts.journal.run)
        keep("events", self._rounds.follow_events)
        keep("lease", lambda: self._lease.keep(self._lost))
        keep("placing", parts.placing.run)
        keep("projects", self._upkeep.refresh)
        keep("counts", self._upkeep.complete_counts)
        keep("learned", self._upkeep.keep_learned)
        keep("callees", self._upkeep.keep_callees)
        keep("samples", self._upkeep.keep_samples)
        keep("supply", self._upkeep.keep_supply)
        keep("stops", parts.stops.run)
        keep("warnings", self._upkeep.keep_warning)
        keep("callbacks", self._upkeep.keep_callbacks)
        keep("departures", self._upkeep.keep_departures)
        keep("caller numbers", self._upkeep.keep_caller_numbers)
        keep("reconcile", self._rounds.run)
        keep("status", self._upkeep.show_status)
        keep("partitions", self._upkeep.keep_partitions)
        blocked_s = self.config.loop_blocked_s
        keep("watchdog", lambda: watch_the_loop(self._clock, parts.metrics, parts.budgets.load, blocked_s=blocked_s))

    async def drain(self) -> None:
        """Before `stop`: no new calls, and whoever answers a call under way is served. Ends when each has an agent or is over; ask for it with a deadline."""
        self._draining = True
        while self._rounds.asterisk_up and any(map(_unserved, self.parts.floor.calls.values())):  # noqa: ASYNC110 - at the end of a life
            await asyncio.sleep(_DRAIN_LOOK_S)

    async def stop(self) -> None:
        """No new calls; what is known is written; the lease goes back. Conversations go on in Asterisk."""
        self._stopping = True
        if self._control is not None:
            await self._control.stop()
        await self._agi.stop()
        await self.parts.journal.flushed(5.0)
        if self._lease.held:
            with suppress(*LOST):
                await self._upkeep.save_learned()
                await self._upkeep.save_samples(begun=True)
        await self.parts.tasks.close()
        for agent in self.parts.floor.agents.values():
            self.parts.agents.stop_timer(agent)
        await self.parts.ami.close()
        await self._lease.release()

    async def wait_lost(self) -> None:
        """Until another engine has taken the node: this process should end."""
        await self._lease.lost.wait()

    # --- what the parts tell ---

    def _claim_lost(self, attempt_ids: Sequence[UUID]) -> None:
        self.parts.reconcile.claim_lost(attempt_ids)
        self._rounds.ask(rows=True)

    def _ended(self, attempt_ids: Sequence[UUID]) -> None:
        if self._tell_ended is not None:
            for attempt_id in attempt_ids:
                self._tell_ended(attempt_id)

    def _lost(self) -> None:
        """Another engine owns the node: touch nothing any more."""
        self._stopping = True
        self._rounds.asterisk_up = False
        self.parts.tasks.spawn("leave Asterisk", self.parts.ami.close())

    async def _project_changed(self, project_id: UUID) -> None:
        await self._upkeep.refresh_agents()
        await self._upkeep.refresh_limits()
        await self._upkeep.refresh_watches(project_id)
        self._upkeep.publish_projects()
        self.parts.placing.new_list(project_id)


def _unserved(call: Call) -> bool:
    return call.state in (CallState.COMMITTED, CallState.ORIGINATING, CallState.RINGING) or (
        call.state is CallState.ANSWERED and not call.waited_out
    )
