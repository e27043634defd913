"""Calls that an agent asks for: by hand, the lead shown in preview, and the callbacks they promised. The same gates as for the pacer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import structlog

from campaigns import gates
from campaigns.callbacks import Callback, due_callbacks, put_off
from campaigns.claim import ClaimedLead, ClaimRequest, claim_number
from campaigns.numbers import normalise
from campaigns.projects import Project
from campaigns.states import DialMode, Stage
from campaigns.trunks import Trunk
from dialer.db.sql import Connection
from dialer.domain.agent_table import AgentEvent
from dialer.domain.call_table import CallEvent
from dialer.domain.commands import Dial, Done
from dialer.domain.errors import BadRequest, Conflict, NotAllowed, Unavailable, WaihuError
from dialer.domain.ids import uuid7
from dialer.domain.matching import Need
from dialer.domain.pacing import Limit, Mode
from dialer.domain.states import AgentState
from dialer.engine.agents import Agents
from dialer.engine.budgets import Budgets
from dialer.engine.calls import Calls
from dialer.engine.clock import Clock
from dialer.engine.config import EngineConfig
from dialer.engine.desk.translate import client_errors
from dialer.engine.floor import Agent, Floor
from dialer.engine.projects import Projects
from dialer.engine.sending import Sending
from dialer.engine.tasks import TaskSet

_log = structlog.get_logger(__name__)

_CLAIM_WAIT_S = 10.0
_REST_S = 2.0
MAY_DIAL = {AgentState.BREAK, AgentState.READY, AgentState.PREVIEW}
_BY_HAND = {DialMode.MANUAL, DialMode.PREVIEW}


class Dialling:
    """Calls for one agent, who is reserved before they are placed."""

    def __init__(
        self,
        config: EngineConfig,
        run_id: UUID,
        pool: asyncpg.Pool,
        floor: Floor,
        projects: Projects,
        agents: Agents,
        calls: Calls,
        sending: Sending,
        budgets: Budgets,
        tasks: TaskSet,
        clock: Clock,
        randomness: Callable[[int], bytes],
        obstacle: Callable[[], tuple[Limit, str] | None],
    ) -> None:
        self._config = config
        self._run_id = run_id
        self._pool = pool
        self._floor = floor
        self._projects = projects
        self._agents = agents
        self._calls = calls
        self._sending = sending
        self._budgets = budgets
        self._tasks = tasks
        self._clock = clock
        self._randomness = randomness
        self._obstacle = obstacle
        self._rests_until: dict[UUID, float] = {}  # projects whose callbacks could not be made, monotonic
        self.on_claim_lost: list[Callable[[Sequence[UUID]], None]] = []

    async def dial(self, agent: Agent, command: Dial) -> Done:
        """Errors: Conflict and NotAllowed with the gate's word, `lead_shown` for another lead than the one shown; BadRequest for a number that is none; Unavailable."""
        if (command.number is None) == (command.lead_id is None):
            raise BadRequest("dial_what", "Name a number or a lead, one of them.")
        if agent.shown is not None and command.lead_id != agent.shown.held.lead_id:
            raise Conflict("lead_shown", "A lead is shown to you: dial it, or skip it with a reason.")
        with client_errors():
            number = normalise(command.number).e164 if command.number is not None else None
            project = await self._projects.get(command.project_id)
        mode = DialMode.PREVIEW if agent.state is AgentState.PREVIEW else DialMode.MANUAL
        return await self.call(agent, project, mode, lead_id=command.lead_id, number=number)

    async def keep_promises(self) -> None:
        """One round over the callbacks that are due: each is dialled for its agent as soon as that one is ready."""
        if self._obstacle() is not None:
            return
        ready = [agent for agent in self._floor.agents.values() if agent.state is AgentState.READY and agent.seated]
        of_agents = {(project_id, agent.agent_id) for agent in ready for project_id in agent.project_ids}
        serving = {project_id for project_id, _ in of_agents}
        projects = {
            project.id: project
            for project in self._projects.dialled_here()
            if project.id in serving and self._may_place(project)
        }
        lines: set[tuple[UUID, UUID | None]] = {line for line in of_agents if line[0] in projects}
        lines |= {(project_id, None) for project_id in projects}
        if not lines:
            return
        async with self._pool.acquire(timeout=5) as conn:
            due = await due_callbacks(conn, lines=lines, now=self._clock.now())
            kept = [
                one
                for project_id in dict.fromkeys(one.project_id for one in due)
                for one in await self._may_be_kept(conn, projects[project_id], due)
            ]
        for callback in sorted(kept, key=lambda one: one.due_at):
            await self._keep(callback)

    def _may_place(self, project: Project) -> bool:
        at_s = self._clock.monotonic()
        if at_s < self._rests_until.get(project.id, 0.0) or not self._open(project):
            return False
        return project.trunk is not None and self._room(project.trunk, at_s) >= 1

    def _open(self, project: Project) -> bool:
        return gates.decide(project, self._clock.now(), _kept_in(project)).allowed

    def _room(self, trunk: Trunk, at_s: float) -> float:
        budgets = self._budgets
        return min(budgets.channels_left(trunk), budgets.calls_now(trunk, at_s), *budgets.node_left(at_s))

    async def _may_be_kept(self, conn: Connection, project: Project, due: Sequence[Callback]) -> list[Callback]:
        now = self._clock.now()
        return await put_off(
            conn,
            [one for one in due if one.project_id == project.id],
            project_id=project.id,
            mode=_kept_in(project),
            openings=gates.openings(project, now, _kept_in(project)),
            node=self._config.node,
            holder=self._run_id,
            now=now,
        )

    async def _keep(self, callback: Callback) -> None:
        agent = self._floor.ready_for(Need(project_id=callback.project_id, only=callback.agent_id))
        project = self._projects.find(callback.project_id)
        if agent is None or project is None or not self._may_place(project):
            return
        try:
            await self.call(agent, project, _kept_in(project), lead_id=callback.lead_id, number=None)
        except WaihuError as error:
            # What is the lead's own was put off before; this is the project's, or a race, and goes by.
            self._rests_until[project.id] = self._clock.monotonic() + _REST_S
            _log.info("A callback cannot be made now", lead_id=callback.lead_id, error_id=error.error_id)

    async def call(
        self, agent: Agent, project: Project, mode: DialMode, *, lead_id: int | None, number: str | None
    ) -> Done:
        """Reserve the agent, claim the lead or number, place the call. Errors: as `dial`."""
        self.may_work(agent, project.id)
        if mode in _BY_HAND and project.sign_offs and project.stage is Stage.TRIAL:
            raise Conflict("project_in_trial", "Its trial is under way: only leads of the sample are called.")
        if not agent.seated:
            raise Conflict("no_seat", "Your softphone is not connected. Wait until it is called again.")
        self.check_gates(project, mode)
        trunk = project.trunk
        if trunk is None or not self._projects.runs_here(project):
            raise Conflict("project_not_here", "The project is not running over a trunk of this node.")
        at_s = self._clock.monotonic()
        if self._room(trunk, at_s) < 1:
            raise Unavailable("trunk_full", "The trunk takes no more calls at this moment. Try again.")
        now = self._clock.now()
        attempt_id = uuid7(now, self._randomness(10))
        self._agents.apply(agent, AgentEvent.RESERVED)
        agent.attempt_id, agent.project_id, agent.lead_id = attempt_id, project.id, lead_id
        try:
            with client_errors(), self._budgets.reserved(trunk, 1):
                claimed = await self._claim(agent, project, trunk, mode, attempt_id, now, lead_id, number)
        except BaseException as error:
            self._agents.release(agent, attempt_id)
            if not isinstance(error, WaihuError) or error.error_id == "database_away":
                for tell in self.on_claim_lost:
                    tell((attempt_id,))
            raise
        call = self._sending.begin(project, claimed, Mode(mode.value))
        if agent.state is not AgentState.RESERVED or agent.attempt_id != attempt_id or self._obstacle() is not None:
            # The seat, or Asterisk, was lost meanwhile: nothing was sent.
            self._calls.apply(call, CallEvent.NOT_SENT)
            raise Conflict("no_seat", "Your softphone was lost before the call could be placed. Try again.")
        call.wanted_agent = agent.agent_id
        self._agents.take(agent, call)
        self._agents.changed(agent)
        self._calls.agent_changed(call)
        self._budgets.spend(trunk, 1, at_s)
        self._tasks.spawn(f"originate {attempt_id}", self._sending.send([call], project, trunk))
        return Done(state=agent.state.value, attempt_id=attempt_id, lead_id=claimed.lead_id)

    async def _claim(
        self, agent: Agent, project: Project, trunk: Trunk, mode: DialMode, attempt_id: UUID, now: datetime, lead_id: int | None, number: str | None
    ) -> ClaimedLead:  # fmt: skip
        async with asyncio.timeout(_CLAIM_WAIT_S), self._budgets.claiming, self._pool.acquire(timeout=5) as conn:
            at_s = self._clock.monotonic()
            offers = self._budgets.offers(project, trunk, at_s, now)
            if not offers:
                raise Conflict("no_caller_number", "The project has no caller number that may carry a call now.")
            request = ClaimRequest(
                project_id=project.id,
                node=self._config.node,
                trunk_id=trunk.id,
                mode=mode,
                now=now,
                attempt_ids=(attempt_id,),
                offers=offers,
                agent_id=agent.agent_id,
                device_id=agent.device_id,
                holder=self._run_id,
                openings=gates.openings(project, now, mode),
            )
            claimed = await claim_number(conn, request, lead_id=lead_id, number=number)
            self._budgets.take(project, claimed.caller_number, at_s)
            return claimed

    def may_work(self, agent: Agent, project_id: UUID) -> None:
        """Errors: NotAllowed `not_your_project`, Conflict `agent_busy`."""
        if project_id not in agent.project_ids:
            raise NotAllowed("not_your_project", "This project is not assigned to you.")
        if agent.state not in MAY_DIAL:
            raise Conflict("agent_busy", f"You are in state {agent.state}; end that first.", state=agent.state.value)

    def check_gates(self, project: Project, mode: DialMode) -> None:
        """Of a call that comes about in this way. Errors: Unavailable for what is away, Conflict with the gate's word."""
        if (obstacle := self._obstacle()) is not None:
            limit, reason = obstacle
            raise Unavailable(f"{limit.value}_away", f"Nothing can be dialled now: {reason}.")
        verdict = gates.decide(project, self._clock.now(), mode)
        if not verdict.allowed:
            raise Conflict(str(verdict.gate.value), verdict.reason)


def _kept_in(project: Project) -> DialMode:
    """A promise of an agent is kept by an agent, whatever the others of the project hear."""
    return DialMode.MANUAL if project.mode is DialMode.AGENTLESS else project.mode
