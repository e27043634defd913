"""The floor as the pacing policies of all projects see it, taken at one moment in one pass: an agent is counted on by one of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from campaigns.projects import Project
from campaigns.states import DialMode
from dialer.domain.pacing import DIALLED_FOR_AGENTS, FlightState, Limit, Mode, Snapshot
from dialer.domain.pacing.contract import Standing
from dialer.domain.pacing.sharing import Party, Shares
from dialer.domain.states import AgentState, CallState
from dialer.engine.abandonment import Abandonment, Account
from dialer.engine.budgets import NO_BOUND, Budgets, Room
from dialer.engine.clock import Clock
from dialer.engine.contexts import Contexts
from dialer.engine.counts import Counts
from dialer.engine.floor import Agent, Call, Floor
from dialer.engine.giving_up import give_up_after_s
from dialer.engine.projects import Projects

_UNBRIDGED = {
    CallState.COMMITTED: FlightState.PLACED,
    CallState.ORIGINATING: FlightState.PLACED,
    CallState.RINGING: FlightState.PLACED,
    CallState.ANSWERED: FlightState.WAITING,
}
_AT_WORK = {AgentState.RESERVED, AgentState.TALKING, AgentState.WRAP_UP}
_AFTER_ALL = -1
_NOT_SOON = {Limit.TRUNK_CHANNELS, Limit.CALLER_NUMBER_LIMIT, Limit.NODE, Limit.TRUNK_FAILING}


@dataclass(slots=True)
class _Seen:
    """What one pass over agents and calls found of a project."""

    agents: list[tuple[AgentState, float]] = field(default_factory=list)
    leaving: list[tuple[int, float]] = field(default_factory=list)
    in_flight: list[tuple[UUID, FlightState, float]] = field(default_factory=list)
    at_work: int = 0
    needs: float = 0.0  # agents that its calls under way are going to need
    live_answers: int = 0
    live_abandoned: int = 0


@dataclass(frozen=True, slots=True)
class View:
    """All projects at one moment: the snapshot and the room of each, and how many calls each has under way."""

    snapshots: dict[UUID, Snapshot]
    rooms: dict[UUID, Room]
    in_use: Counter[UUID]


class Snapshots:
    """Takes them."""

    def __init__(
        self,
        floor: Floor,
        projects: Projects,
        abandonment: Abandonment,
        counts: Counts,
        budgets: Budgets,
        clock: Clock,
    ) -> None:
        self._floor = floor
        self._projects = projects
        self._abandonment = abandonment
        self._counts = counts
        self._budgets = budgets
        self._clock = clock
        self._shares = Shares()
        self.contexts = Contexts()

    def take(self, projects: Sequence[Project], blocked: Collection[UUID] = ()) -> View:
        """Of these projects, now. A project that is `blocked`, or stands still, gets the agents its calls under way need, and no others."""
        at_s, now = self._clock.monotonic(), self._clock.now()
        seen: dict[UUID, _Seen] = {project.id: _Seen() for project in projects}
        in_use: Counter[UUID] = Counter()
        for call in self._floor.calls.values():
            in_use[call.project_id] += 1
            self._see_call(call, seen.setdefault(call.project_id, _Seen()), at_s)
        ready: Counter[frozenset[UUID]] = Counter()
        for agent in self._floor.agents.values():
            self._see_agent(agent, seen, at_s, now)
            if agent.state is AgentState.READY and agent.seated:
                ready[agent.project_ids] += 1
        rooms = {
            project.id: self._budgets.room(project, project.trunk, at_s, now)
            for project in projects
            if project.trunk is not None
        }
        accounts = {
            # The books count a call when it has ended; the budget, when it is answered or abandoned.
            project.id: self._abandonment.of(
                project,
                live_answers=seen[project.id].live_answers,
                live_abandoned=seen[project.id].live_abandoned,
            )
            for project in projects
        }
        idle = set(blocked) | {project.id for project in projects if _stands_still(project, accounts[project.id])}
        self._floor.needing = {project_id for project_id, one in seen.items() if one.needs > 0}
        parties = {
            project_id: self._party(project_id, one, rooms.get(project_id), open_=project_id not in idle)
            for project_id, one in seen.items()
        }
        given = self._shares.divide(at_s, ready, parties)
        snapshots = {
            project.id: self._snapshot(
                project, seen[project.id], accounts[project.id], given[project.id], rooms.get(project.id), at_s
            )
            for project in projects
        }
        return View(snapshots, rooms, in_use)

    def _see_call(self, call: Call, seen: _Seen, at_s: float) -> None:
        if call.mode is Mode.AGENTLESS:
            # Nobody was promised an agent; who asked for one in the survey needs one now.
            seen.live_answers += call.bridged_at is not None
            seen.needs += call.waiter is not None
            return
        seen.live_answers += call.answered_at is not None and not call.listened_to and not call.machine
        seen.live_abandoned += call.waited_out and call.bridged_at is None
        flight = _UNBRIDGED.get(call.state)
        if (
            flight is None
            or call.agent_id is not None
            or call.mode not in DIALLED_FOR_AGENTS
            or call.waited_out
            or call.machine
        ):
            return
        if call.listened_to:
            seen.in_flight.append((call.attempt_id, FlightState.DETECTING, at_s - call.answered_s))
        else:
            seen.in_flight.append((call.attempt_id, flight, at_s - call.placed_s))
        seen.needs += 1.0 if flight is FlightState.WAITING and not call.listened_to else self._chance(call)

    def _chance(self, call: Call) -> float:
        """How much of an agent a call that rings is going to need: what its project places for each agent, or expects of each call."""
        match call.mode:
            case Mode.RATIO:
                project = self._projects.find(call.project_id)
                return 1.0 if project is None else 1 / float(project.ratio)
            case Mode.PREDICTIVE:
                return self._counts.answer_share(call.project_id)
            case _:
                return 1.0

    def _see_agent(self, agent: Agent, seen: dict[UUID, _Seen], at_s: float, now: datetime) -> None:
        for project_id in agent.project_ids:
            if (one := seen.get(project_id)) is not None:
                if agent.departures and agent.wanted == "ready":
                    left_s = (agent.departures[0].at - now).total_seconds()
                    one.leaving.append((len(one.agents), max(0.0, left_s)))
                one.agents.append((_for_project(agent, project_id), at_s - agent.since_s))
        if agent.state in _AT_WORK and agent.project_id is not None and (one := seen.get(agent.project_id)) is not None:
            one.at_work += 1

    def _party(self, project_id: UUID, seen: _Seen, room: Room | None, *, open_: bool) -> Party:
        """What a project may ask for: any number while it can dial, else what its calls under way need. Without a free channel
        it comes after all others.
        """
        project = self._projects.find(project_id)
        promised = math.ceil(seen.needs - 1e-9)
        if project is None:
            return Party(promised=promised, wants=promised, holds=seen.at_work)
        can_dial = open_ and self._projects.runs_here(project) and Mode(project.mode.value) in DIALLED_FOR_AGENTS
        count, limit = (0, Limit.TRUNK) if room is None else room.smallest
        in_turn = count > 0 or limit not in _NOT_SOON
        return Party(
            weight=project.share_weight,
            priority=project.share_priority if in_turn else _AFTER_ALL,
            least=project.guaranteed_agents if in_turn else 0,
            holds=seen.at_work,
            promised=promised,
            wants=None if can_dial else promised,
        )

    def _snapshot(
        self, project: Project, seen: _Seen, account: Account, ready: int, room: Room | None, at_s: float
    ) -> Snapshot:
        # Not known yet after a start: as if the budget were used up, no more calls than agents.
        ratio = float(project.ratio) if account.counted else min(1.0, float(project.ratio))
        budget, budget_limit = (NO_BOUND, Limit.TRUNK) if room is None else room.smallest
        return Snapshot(
            project_id=project.id,
            at_s=at_s,
            mode=Mode(project.mode.value),
            ratio=ratio,
            agents=tuple(seen.agents),
            ready=ready,
            in_flight=tuple(seen.in_flight),
            abandonment_cap=float(account.cap),
            agent_wait_s=self._projects.agent_wait_s(project.id),
            answered=account.answered,
            abandoned=account.abandoned,
            counted=account.counted,
            standing=account.standing,
            may_abandon=account.left,
            budget=budget,
            budget_limit=budget_limit,
            leaving=tuple(seen.leaving),
            ring_timeout_s=project.ring_timeout_s,
            cancel_after_s=give_up_after_s(project, self._clock.now()),
            sample_left=project.trial_size - project.trial_taken,
            context=self.contexts.of(project, self._clock.now()),
        )


def _stands_still(project: Project, account: Account) -> bool:
    """Its contract or its sample forbids any call: its part of the agents is the others'."""
    sampled = project.mode is DialMode.TRIAL and project.trial_taken >= project.trial_size
    return sampled or account.standing is Standing.STOPPED


def _for_project(agent: Agent, project_id: UUID) -> AgentState:
    """Whoever goes on a break or home after the present work, or works for another project, will not be free for this one: as on a break."""
    stays = agent.wanted == "ready" and agent.project_id in (None, project_id)
    return agent.state if stays else AgentState.BREAK
