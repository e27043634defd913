"""Preview at the desk: the next lead is shown; the agent dials it, skips it with a reason, or the limit decides."""

from __future__ import annotations

from datetime import timedelta

import asyncpg
import structlog

from campaigns import gates
from campaigns.preview import PreviewLead, give_back, hold_for_preview, pass_on
from campaigns.projects import Project
from campaigns.states import AtPreviewLimit, DialMode, PreviewPass
from dialer.db.pool import LOST
from dialer.domain.agent_table import AgentEvent
from dialer.domain.commands import Done, PreviewNext, PreviewSkip
from dialer.domain.errors import Conflict, WaihuError
from dialer.domain.states import AgentState
from dialer.engine.agents import Agents
from dialer.engine.clock import Clock
from dialer.engine.desk.dialling import MAY_DIAL, Dialling
from dialer.engine.desk.translate import client_errors
from dialer.engine.floor import Agent, ShownLead
from dialer.engine.projects import Projects
from dialer.engine.tasks import TaskSet

_log = structlog.get_logger(__name__)

_HELD_LONGER_S = 5  # than it is shown: our own clock ends it first


class Previewing:
    """Leads that agents look at. Only the engine that holds the node shows them, so an agent's skips are counted one after the other."""

    def __init__(
        self, pool: asyncpg.Pool, projects: Projects, agents: Agents, dialling: Dialling, tasks: TaskSet, clock: Clock
    ) -> None:
        self._pool = pool
        self._projects = projects
        self._agents = agents
        self._dialling = dialling
        self._tasks = tasks
        self._clock = clock

    async def show_next(self, agent: Agent, command: PreviewNext) -> Done:
        """Errors: Conflict `no_lead` when there is none that can be called now, `lead_shown` while another one is."""
        self._dialling.may_work(agent, command.project_id)
        if agent.state is AgentState.PREVIEW:
            raise Conflict("lead_shown", "A lead is shown to you: dial it, or skip it with a reason.")
        with client_errors():
            project = await self._projects.get(command.project_id)
        self._dialling.check_gates(project, DialMode.PREVIEW)
        now = self._clock.now()
        with client_errors():
            async with self._pool.acquire(timeout=5) as conn:
                until = now + timedelta(seconds=project.preview_limit_s + _HELD_LONGER_S)
                lead = await hold_for_preview(
                    conn,
                    project_id=project.id,
                    agent_id=agent.agent_id,
                    now=now,
                    until=until,
                    openings=gates.openings(project, now, DialMode.PREVIEW),
                )
        if lead is None:
            raise Conflict("no_lead", "No lead of this project can be called now.")
        if agent.state not in MAY_DIAL:
            self._tasks.spawn(f"give back lead {lead.lead_id}", self._give_back(lead))
            raise Conflict("agent_busy", "A call came in between; the lead is back in the list.")
        self._agents.apply(agent, AgentEvent.PREVIEW)
        agent.shown = ShownLead(held=lead, at_limit=project.preview_at_limit, skips_left=lead.skips_left)
        agent.project_id, agent.lead_id = project.id, lead.lead_id
        self._agents.start_timer(agent, project.preview_limit_s, self._limit_over)
        self._agents.changed(agent)
        return Done(state=agent.state.value, lead_id=lead.lead_id)

    async def skip(self, agent: Agent, command: PreviewSkip) -> Done:
        """Errors: Conflict `no_preview`, and by the project's rules `skips_used_up`, `lead_not_skippable`: the lead stays shown then."""
        shown = agent.shown
        if agent.state is not AgentState.PREVIEW or shown is None:
            raise Conflict("no_preview", "No lead is shown to you.")
        with client_errors():
            async with self._pool.acquire(timeout=5) as conn:
                await pass_on(conn, shown.held, PreviewPass.SKIPPED, now=self._clock.now(), reason=command.reason)
        if agent.shown is shown:  # the limit may have passed, or the seat been lost meanwhile
            agent.shown = None
            self._agents.settle(agent)
        return Done(state=agent.state.value, lead_id=shown.held.lead_id)

    def leave(self, agent: Agent) -> None:
        """A break, or home: the lead that was shown goes back to its place in the list."""
        self._pass_on(agent, PreviewPass.LEFT)

    def _limit_over(self, agent: Agent) -> None:
        shown = agent.shown
        project = self._projects.find(shown.held.project_id) if shown is not None else None
        if shown is not None and project is not None and shown.at_limit is AtPreviewLimit.DIAL:
            self._tasks.spawn(f"dial shown lead {shown.held.lead_id}", self._dial(agent, shown, project))
        else:
            self._lapse(agent)

    async def _dial(self, agent: Agent, shown: ShownLead, project: Project) -> None:
        try:
            await self._dialling.call(agent, project, DialMode.PREVIEW, lead_id=shown.held.lead_id, number=None)
        except WaihuError as error:
            _log.info("A shown lead cannot be dialled", lead_id=shown.held.lead_id, error_id=error.error_id)
            if agent.shown is shown:
                self._lapse(agent)

    def _lapse(self, agent: Agent) -> None:
        self._pass_on(agent, PreviewPass.LAPSED)
        self._agents.settle(agent)

    def _pass_on(self, agent: Agent, how: PreviewPass) -> None:
        """Without PostgreSQL the lead comes back by itself, a little later."""
        shown, agent.shown = agent.shown, None
        if shown is not None:
            self._tasks.spawn(f"pass on lead {shown.held.lead_id}", self._pass_on_now(shown.held, how))

    async def _pass_on_now(self, lead: PreviewLead, how: PreviewPass) -> None:
        try:
            async with self._pool.acquire(timeout=5) as conn:
                await pass_on(conn, lead, how, now=self._clock.now())
        except LOST:
            _log.info("A shown lead comes back by its own time", lead_id=lead.lead_id)

    async def _give_back(self, lead: PreviewLead) -> None:
        try:
            async with self._pool.acquire(timeout=5) as conn:
                await give_back(conn, lead)
        except LOST:
            _log.info("A held lead comes back by its own time", lead_id=lead.lead_id)
