"""Who takes a call: within project and skills, whom other projects need least, longest idle first; and which customer is next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from dialer.domain.matching import Need, best, fits, in_turn

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
PROJECTS = [UUID(int=100 + n) for n in range(3)]


@dataclass
class Waiting:
    agent_id: UUID
    waits_since: datetime
    project_ids: frozenset[UUID]
    skills: frozenset[str]
    priorities: Mapping[UUID, int] = field(default_factory=dict)


def a_ready_agent(
    n: int,
    *,
    idle_s: float = 0,
    projects: frozenset[UUID] = frozenset(PROJECTS[:1]),
    skills: frozenset[str] = frozenset(),
) -> Waiting:
    return Waiting(
        agent_id=UUID(int=n), waits_since=NOW - timedelta(seconds=idle_s), project_ids=projects, skills=skills
    )


def test_the_agent_who_waited_longest_gets_the_call() -> None:
    agents = [a_ready_agent(1, idle_s=5), a_ready_agent(2, idle_s=50), a_ready_agent(3, idle_s=20)]
    chosen = best(agents, Need(project_id=PROJECTS[0]))
    assert chosen is agents[1]


def test_nobody_is_chosen_for_a_project_that_is_not_theirs() -> None:
    assert best([a_ready_agent(1)], Need(project_id=PROJECTS[1])) is None


def test_an_agent_without_the_skill_is_passed_over() -> None:
    skilled = a_ready_agent(2, idle_s=1, skills=frozenset({"cantonese", "loans"}))
    chosen = best([a_ready_agent(1, idle_s=99), skilled], Need(project_id=PROJECTS[0], skills=frozenset({"cantonese"})))
    assert chosen is skilled


def test_a_personal_callback_is_taken_by_its_agent_only() -> None:
    agents = [a_ready_agent(1, idle_s=99), a_ready_agent(2)]
    assert best(agents, Need(project_id=PROJECTS[0], only=UUID(int=2))) is agents[1]
    assert best(agents, Need(project_id=PROJECTS[0], only=UUID(int=3))) is None


a_floor = st.lists(st.tuples(st.floats(0, 100), st.sets(st.sampled_from(PROJECTS))), max_size=20).map(
    lambda rows: [a_ready_agent(n, idle_s=idle, projects=frozenset(of)) for n, (idle, of) in enumerate(rows)]
)


@given(a_floor, st.sampled_from(PROJECTS), st.frozensets(st.sampled_from(PROJECTS)))
def test_chosen_agent_fits_and_nobody_fits_who_is_needed_less_or_waited_longer_as_little_needed(
    agents: list[Waiting], project: UUID, needing: frozenset[UUID]
) -> None:
    need = Need(project_id=project)
    chosen = best(agents, need, needing)
    fitting = [agent for agent in agents if fits(agent, need)]
    assert (chosen is None) == (not fitting)
    if chosen is not None:
        assert fits(chosen, need)
        needed = {agent.agent_id: len((needing - {project}) & agent.project_ids) for agent in fitting}
        for agent in fitting:
            assert needed[agent.agent_id] >= needed[chosen.agent_id]
            if needed[agent.agent_id] == needed[chosen.agent_id]:
                assert agent.waits_since >= chosen.waits_since


def test_agent_who_serves_one_project_is_taken_before_one_whom_another_projects_calls_need() -> None:
    single = a_ready_agent(1, idle_s=1)
    versatile = a_ready_agent(2, idle_s=99, projects=frozenset(PROJECTS[:2]))
    need = Need(project_id=PROJECTS[0])
    assert best([versatile, single], need, {PROJECTS[1]}) is single
    assert best([versatile, single], need, {PROJECTS[0], PROJECTS[2]}) is versatile


def test_an_agent_for_whom_the_project_comes_first_is_taken_before_one_who_waited_longer() -> None:
    first, second = a_ready_agent(1, idle_s=1), a_ready_agent(2, idle_s=99, projects=frozenset(PROJECTS[:2]))
    first.priorities = {PROJECTS[0]: 5}
    second.priorities = {PROJECTS[0]: 2, PROJECTS[1]: 9}
    assert best([second, first], Need(project_id=PROJECTS[0])) is first


@given(st.lists(st.integers(0, 3), max_size=20))
def test_customers_come_by_priority_and_then_as_they_answered(priorities: list[int]) -> None:
    order = in_turn(range(len(priorities)), lambda one: (priorities[one],))
    assert sorted(order) == list(range(len(priorities)))
    for former, later in pairwise(order):
        assert (-priorities[former], former) < (-priorities[later], later)
