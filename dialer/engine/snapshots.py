"""The floor as the pacing policy of a project sees it."""

from __future__ import annotations

from uuid import UUID

from campaigns.projects import Project
from campaigns.states import DialMode
from dialer.domain.pacing import FlightState, Mode, Snapshot
from dialer.domain.pacing.sharing import ready_for_project
from dialer.domain.states import AgentState, CallState
from dialer.engine.abandonment import Abandonment
from dialer.engine.clock import Clock
from dialer.engine.floor import Agent, Floor
from dialer.engine.projects import Projects

_UNBRIDGED = {
    CallState.COMMITTED: FlightState.PLACED,
    CallState.ORIGINATING: FlightState.PLACED,
    CallState.RINGING: FlightState.PLACED,
    CallState.ANSWERED: FlightState.WAITING,
}
_DIALLED_FOR_AGENTS = {Mode.PROGRESSIVE, Mode.RATIO, Mode.PREDICTIVE, Mode.TRIAL}


class Snapshots:
    """Takes them."""

    def __init__(self, floor: Floor, projects: Projects, abandonment: Abandonment, clock: Clock) -> None:
        self._floor = floor
        self._projects = projects
        self._abandonment = abandonment
        self._clock = clock

    def of(self, project: Project) -> Snapshot:
        """For one project, at this moment."""
        at_s = self._clock.monotonic()
        agents, ready = [], []
        for agent in self._floor.agents.values():
            if project.id in agent.project_ids:
                agents.append((_for_project(agent, project.id), at_s - agent.since_s))
            if agent.state is AgentState.READY and agent.seated:
                ready.append(agent.project_ids)
        in_flight: list[tuple[UUID, FlightState, float]] = []
        claims: dict[UUID, float] = {}
        live_answers = 0
        for call in self._floor.calls.values():
            live_answers += call.project_id == project.id and call.answered_at is not None
            flight = _UNBRIDGED.get(call.state)
            if flight is None or call.agent_id is not None or call.mode not in _DIALLED_FOR_AGENTS or call.waited_out:
                continue
            if call.project_id == project.id:
                in_flight.append((call.attempt_id, flight, at_s - call.placed_s))
            else:
                claims[call.project_id] = claims.get(call.project_id, 0.0) + 1 / self._calls_for_agent(call.project_id)
        # The books count a call when it has ended; the budget, when it is answered.
        account = self._abandonment.of(project, live_answers=live_answers)
        # Not known yet after a start: as if the budget were used up, no more calls than agents.
        ratio = float(project.ratio) if account.counted else min(1.0, float(project.ratio))
        return Snapshot(
            project_id=project.id,
            at_s=at_s,
            mode=Mode(project.mode.value),
            ratio=ratio,
            agents=tuple(agents),
            ready=ready_for_project(ready, project.id, claims),
            in_flight=tuple(in_flight),
            abandonment_cap=float(project.abandonment_cap),
            agent_wait_s=project.agent_wait_ms / 1000,
            answered=account.answered,
            abandoned=account.abandoned,
            counted=account.counted,
            standing=account.standing,
            ring_timeout_s=project.ring_timeout_s,
            cancel_after_s=project.cancel_after_s or None,
            sample_left=project.trial_size - project.trial_taken,
        )

    def _calls_for_agent(self, project_id: UUID) -> float:
        project = self._projects.find(project_id)
        return float(project.ratio) if project is not None and project.mode is DialMode.RATIO else 1.0


def _for_project(agent: Agent, project_id: UUID) -> AgentState:
    """Whoever goes on a break or home after the present work, or works for another project, will not be free for this one: as on a break."""
    stays = agent.wanted == "ready" and agent.project_id in (None, project_id)
    return agent.state if stays else AgentState.BREAK
