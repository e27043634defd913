"""Tells each project's pacing policy what came of its calls and conversations, and keeps what it has learned over a restart.

Only policies that learn (`Learning`) are told. What is told is an age: how long a call rang, how long a conversation or a wrap-up took.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog

from dialer.db.pacing_states import Learned
from dialer.domain.outcomes import Outcome
from dialer.domain.pacing import DIALLED_FOR_AGENTS, Learning, Mode, Observation, Policy, Seen, policy_for
from dialer.domain.states import AgentState
from dialer.engine.clock import Clock
from dialer.engine.floor import Agent, Call

_log = structlog.get_logger(__name__)

_SAME_RUN: Final = timedelta(hours=2)
_OLDER_TRUST: Final = 0.3
"""What was learned before a night (or a weekend) is a prior that gives way sooner than what was learned an hour ago."""

_HANDLED = {AgentState.TALKING: Seen.TALK_ENDED, AgentState.WRAP_UP: Seen.WRAP_UP_ENDED}


class Policies:
    """The pacing policy of each project: made when it is first asked for, or when the mode has changed, from what is remembered."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._policies: dict[UUID, tuple[Mode, Policy]] = {}
        self._remembered: dict[UUID, Learned] = {}

    def of(self, project_id: UUID, mode: Mode) -> Policy:
        """The policy of a project in this mode."""
        known = self._policies.get(project_id)
        if known is None or known[0] is not mode:
            self._forget(project_id)
            known = self._policies[project_id] = (mode, self._make(project_id, mode))
        return known[1]

    def remember(self, learned: list[Learned]) -> None:
        """What former runs have kept."""
        self._remembered |= {one.project_id: one for one in learned}

    def keep_only(self, project_ids: set[UUID]) -> None:
        """Projects that can be dialled; the others are forgotten here."""
        for project_id in [known for known in self._policies if known not in project_ids]:
            self._forget(project_id)

    def states(self) -> dict[UUID, dict[str, Any]]:
        """What has been learned up to now, project by project."""
        return {
            project_id: policy.to_state()
            for project_id, (_, policy) in self._policies.items()
            if isinstance(policy, Learning)
        }

    # --- what happens ---

    def answered(self, call: Call) -> None:
        """A customer has answered."""
        self._tell(call, Seen.ANSWERED, self._clock.monotonic() - call.placed_s)

    def heard(self, call: Call) -> None:
        """Detection said who is there."""
        seen = Seen.MACHINE if call.machine else Seen.HUMAN
        self._tell(call, seen, self._clock.monotonic() - call.answered_s)

    def ended(self, call: Call) -> None:
        """A call is over: without an answer it says how long it was in flight for nothing."""
        if call.answered_at is None and call.outcome is not Outcome.NOT_SENT:
            seen = Seen.CANCELED if call.outcome is Outcome.CANCELED else Seen.FAILED
            self._tell(call, seen, self._clock.monotonic() - call.placed_s)

    def left(self, agent: Agent, state: AgentState, spent_s: float) -> None:
        """An agent leaves a state; `agent` still names the project the work was for."""
        if (seen := _HANDLED.get(state)) is not None and agent.project_id is not None:
            self._observe(agent.project_id, Observation(seen, spent_s))

    def _tell(self, call: Call, seen: Seen, age_s: float) -> None:
        if call.mode in DIALLED_FOR_AGENTS and call.wanted_agent is None:
            self._observe(call.project_id, Observation(seen, age_s))

    def _observe(self, project_id: UUID, observation: Observation) -> None:
        known = self._policies.get(project_id)
        if known is not None and isinstance(known[1], Learning):
            known[1].observe(observation)

    def _make(self, project_id: UUID, mode: Mode) -> Policy:
        learned = self._remembered.get(project_id)
        if learned is None:
            return policy_for(mode)
        try:
            return policy_for(mode, learned.state, trust=self._trust(learned.saved_at))
        except (KeyError, TypeError, ValueError) as error:
            # Another version wrote it: a cold start is safe, a wrong belief is not.
            _log.warning("What was learned cannot be read", project_id=str(project_id), error=repr(error))
            return policy_for(mode)

    def _trust(self, saved_at: datetime) -> float:
        return 1.0 if self._clock.now() - saved_at < _SAME_RUN else _OLDER_TRUST

    def _forget(self, project_id: UUID) -> None:
        """Out of work; what it learned is taken up again when the project comes back to the mode."""
        if (known := self._policies.pop(project_id, None)) is not None and isinstance(known[1], Learning):
            self._remembered[project_id] = Learned(
                project_id=project_id, state=known[1].to_state(), saved_at=self._clock.now()
            )
