"""What an operator can watch of each project. Projects are labelled by their id, and only so many: a scraper's store must not grow with the list of projects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from dialer.domain.outcomes import Outcome
from dialer.engine.floor import Call
from dialer.engine.metrics import Metrics
from dialer.engine.pace_log import Pace

MOST: Final = 100
OTHERS: Final = "others"
"""The label of all projects beyond the first hundred that are dialled at the same time."""


class ProjectMeasures:
    """Told of decisions, answers, ends and budgets."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._labels: dict[UUID, str] = {}
        self._rules: dict[UUID, frozenset[str]] = {}

    def decided(self, project_id: UUID, pace: Pace) -> None:
        """The pacer decided."""
        project, weighed = self._label(project_id), dict(pace.because)
        self._metrics.decisions.labels(project=project, limited_by=pace.limited_by.value).inc()
        self._metrics.placed.labels(project=project).inc(pace.place)
        if project == OTHERS:
            return  # the gauges of many projects in one would say nothing
        self._metrics.in_flight.labels(project=project).set(pace.in_flight)
        for gauge, name in ((self._metrics.theta, "theta"), (self._metrics.answer_level, "answer_level")):
            if name in weighed:
                gauge.labels(project=project).set(weighed[name])

    def answered(self, call: Call) -> None:
        """A customer has answered."""
        self._metrics.answered.labels(project=self._label(call.project_id)).inc()

    def ended(self, call: Call) -> None:
        """A call is over."""
        if call.outcome is Outcome.ABANDONED:
            self._metrics.abandoned.labels(project=self._label(call.project_id)).inc()

    def budget(self, project_id: UUID, left: int) -> None:
        """So many calls may still be abandoned."""
        if (project := self._label(project_id)) != OTHERS:
            self._metrics.budget_left.labels(project=project).set(left)

    def evidence(self, project_id: UUID, found: Mapping[str, float]) -> None:
        """How far each stop rule is from stopping its project."""
        project = self._label(project_id)
        if project == OTHERS:
            return
        for rule in self._rules.get(project_id, frozenset()) - found.keys():
            self._metrics.stop_evidence.remove(project, rule)
        self._rules[project_id] = frozenset(found)
        for rule, value in found.items():
            self._metrics.stop_evidence.labels(project=project, rule=rule).set(value)

    def keep_only(self, project_ids: set[UUID]) -> None:
        """The others are not dialled any more: their label is free again."""
        gone = {self._labels.pop(known) for known in list(self._labels) if known not in project_ids}
        self._rules = {known: rules for known, rules in self._rules.items() if known in project_ids}
        for label in gone - {OTHERS}:
            self._metrics.forget_project(label)

    def _label(self, project_id: UUID) -> str:
        known = self._labels.get(project_id)
        if known is None:
            full = sum(label != OTHERS for label in self._labels.values()) >= MOST
            known = self._labels[project_id] = OTHERS if full else str(project_id)
        return known
