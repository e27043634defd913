"""Why is this project, agent or lead not dialling? The answer of this moment, in a word and a sentence."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from campaigns import gates
from campaigns import leads as leads_db
from campaigns.life.table import DIALLED
from campaigns.states import LeadState
from dialer.domain.errors import NotFound
from dialer.domain.pacing import Limit
from dialer.domain.states import AgentState
from dialer.engine import words
from dialer.engine.clock import Clock
from dialer.engine.desk.translate import client_errors
from dialer.engine.floor import Floor
from dialer.engine.placing import Placing
from dialer.engine.projects import Projects

_RECENT = 60
_AROUND = timedelta(seconds=_RECENT / 2)


class Explain:
    """Reads only."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        floor: Floor,
        projects: Projects,
        placing: Placing,
        clock: Clock,
        obstacle: Callable[[], tuple[Limit, str] | None],
    ) -> None:
        self._pool = pool
        self._floor = floor
        self._projects = projects
        self._placing = placing
        self._clock = clock
        self._obstacle = obstacle

    def project(self, project_id: UUID) -> dict[str, Any]:
        """What limited the project at the last decision. Errors: NotFound `project_unknown`."""
        project = self._projects.find(project_id)
        if project is None:
            raise NotFound("project_unknown", "This engine knows no such project.")
        if not self._projects.runs_here(project):
            running = project.life in DIALLED
            return _answer(Limit.TRUNK, "") if running else _answer(Limit.PAUSED, project.life.value)
        pace = self._placing.paces.last(project_id)
        if pace is None:
            return _answer(Limit.NOTHING, "not decided yet")
        return _answer(pace.limited_by, pace.reason) | {
            "dialling": pace.place > 0 or pace.in_flight > 0,
            "at": pace.at.isoformat(),
            "placed": pace.place,
            "ready": pace.ready,
            "agents": pace.agents,
            "in_flight": pace.in_flight,
            "waiting": pace.waiting,
        }

    def pace(self, project_id: UUID, at: datetime | None = None) -> dict[str, Any]:
        """As `project`, with what limited the last hour's decisions and the newest of them, or those around a moment of it. Errors: NotFound `project_unknown`."""
        paces = self._placing.paces
        found = paces.recent(project_id, _RECENT) if at is None else paces.around(project_id, at, _AROUND)
        return self.project(project_id) | {
            "limits": paces.limits(project_id),
            "recent": [{"at": pace.at.isoformat(), **pace.as_dict()} for pace in found],
        }

    def agent(self, agent_id: UUID) -> dict[str, Any]:
        """Why an agent has no call."""
        agent = self._floor.agents.get(agent_id)
        if agent is None:
            return _said(words.AGENTS, "logged_out")
        if agent.state is not AgentState.READY:
            at_work = agent.state in (AgentState.RESERVED, AgentState.TALKING)
            return _said(words.AGENTS, agent.state.value, dialling=at_work, wants=agent.wanted, reason=agent.reason)
        if not agent.seated:
            return _said(words.AGENTS, "no_seat")
        known = [one for one in sorted(agent.project_ids) if self._projects.find(one) is not None]
        if not known:
            return _said(words.AGENTS, "no_project")
        return _said(words.AGENTS, "waiting", projects={str(one): self.project(one)["why"] for one in known})

    async def lead(self, lead_id: int) -> dict[str, Any]:
        """Why a lead is not being called: the first that holds it back, or its turn. Errors: NotFound `lead_unknown`, Unavailable."""
        with client_errors():
            async with self._pool.acquire(timeout=5) as conn:
                lead = await leads_db.get_lead(conn, lead_id)
        now = self._clock.now()
        base: dict[str, Any] = {"state": lead.state.value, "attempts": lead.attempts, "last_outcome": lead.last_outcome}
        if lead.state in _DECIDES:
            return _said(words.LEADS, lead.state.value, dialling=lead.state is LeadState.IN_FLIGHT, **base)
        if lead.next_at is not None and lead.next_at > now:
            return _said(words.LEADS, "not_due", due_at=lead.next_at.isoformat(), **base)
        project = self._projects.find(lead.project_id)
        if project is None:
            return _said(words.LIMITS, Limit.PAUSED.value, **base)
        if not (verdict := gates.decide(project, now)).allowed:
            return _said(words.GATES, verdict.gate.value, reason=verdict.reason, **base)
        if (obstacle := self._obstacle()) is not None:
            return _answer(*obstacle) | base
        of_project, turn = self.project(project.id), words.LEADS[lead.state.value]
        both = {"sentence": f"{turn.en} {of_project['sentence']}", "sentence_zh": turn.zh + of_project["sentence_zh"]}
        return of_project | base | both


_DECIDES = {LeadState.IN_FLIGHT, LeadState.DONE, LeadState.DO_NOT_CALL, LeadState.EXHAUSTED}


def _said(table: dict[str, words.Words], word: str, *, dialling: bool = False, **more: Any) -> dict[str, Any]:
    said = table[word]
    return {"dialling": dialling, "why": word, "sentence": said.en, "sentence_zh": said.zh, **more}


def _answer(limit: Limit, reason: str) -> dict[str, Any]:
    return _said(words.LIMITS, limit.value, reason=reason)
