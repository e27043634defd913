"""Measures of projects: what was decided is there, and the number of series has a bound."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

from prometheus_client import CollectorRegistry

from dialer.domain.pacing import Limit
from dialer.engine.metrics import Metrics
from dialer.engine.pace_log import Pace
from dialer.engine.project_measures import MOST, OTHERS, ProjectMeasures

PACE = Pace(
    at=datetime(2026, 3, 2, 9, tzinfo=UTC), place=2, limited_by=Limit.CPS, in_flight=7, because=(("theta", 0.02), ("answer_level", 1.5)),
)  # fmt: skip


def value(registry: CollectorRegistry, name: str, **labels: object) -> float | None:
    return registry.get_sample_value(name, {key: str(label) for key, label in labels.items()})


def series(registry: CollectorRegistry) -> int:
    return sum("project" in sample.labels for family in registry.collect() for sample in family.samples)


def test_a_decision_is_counted_for_its_project_by_what_limited_it() -> None:
    registry, project = CollectorRegistry(), uuid4()
    measures = ProjectMeasures(Metrics(registry))
    measures.decided(project, PACE)
    measures.decided(project, PACE)
    measures.budget(project, -3)
    assert value(registry, "waihu_decisions_total", project=project, limited_by="cps") == 2
    assert value(registry, "waihu_placed_total", project=project) == 4
    assert value(registry, "waihu_calls_in_flight", project=project) == 7
    assert value(registry, "waihu_theta", project=project) == 0.02
    assert value(registry, "waihu_answer_level", project=project) == 1.5
    assert value(registry, "waihu_abandonment_budget_left", project=project) == -3


def test_series_have_a_bound_however_many_projects_there_are_and_go_with_their_project() -> None:
    registry = CollectorRegistry()
    measures = ProjectMeasures(Metrics(registry))
    projects = [UUID(int=n) for n in range(MOST + 50)]
    for project in projects:
        measures.decided(project, PACE)
        measures.budget(project, 1)
    with_all = series(registry)
    for n in range(1_000):
        measures.decided(UUID(int=10_000 + n), PACE)
    assert series(registry) == with_all
    assert value(registry, "waihu_placed_total", project=OTHERS) == 2 * 1_050
    measures.keep_only({projects[0]})
    assert value(registry, "waihu_placed_total", project=projects[1]) is None
    assert value(registry, "waihu_placed_total", project=projects[0]) == 2
    measures.decided(projects[-1], PACE)
    assert value(registry, "waihu_placed_total", project=projects[-1]) == 2


def test_the_evidence_of_a_stop_rule_is_shown_while_the_project_has_the_rule() -> None:
    registry, project = CollectorRegistry(), uuid4()
    measures = ProjectMeasures(Metrics(registry))
    measures.evidence(project, {"answers": 0.4, "complaints": 0.1})
    assert value(registry, "waihu_stop_evidence", project=project, rule="answers") == 0.4
    measures.evidence(project, {"complaints": 0.2})
    assert value(registry, "waihu_stop_evidence", project=project, rule="answers") is None
    assert value(registry, "waihu_stop_evidence", project=project, rule="complaints") == 0.2
    measures.keep_only(set())
    assert value(registry, "waihu_stop_evidence", project=project, rule="complaints") is None
