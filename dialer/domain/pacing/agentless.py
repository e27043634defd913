"""Agentless: a message or a survey answers the customer, so agents do not matter; channels, rates and the list do."""

from __future__ import annotations

from dataclasses import dataclass

from dialer.domain.pacing.policy import Decision, Snapshot


@dataclass(frozen=True, slots=True)
class Agentless:
    """As many calls as the budgets take; in one breath no more than `at_once`."""

    at_once: int = 100

    def decide(self, snapshot: Snapshot) -> Decision:
        """All that is allowed."""
        budget = self.at_once if snapshot.budget is None else snapshot.budget
        return Decision(place=max(0, min(self.at_once, budget)), limited_by=snapshot.budget_limit)
