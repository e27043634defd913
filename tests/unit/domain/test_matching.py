"""Longest idle first, within project and skills, nobody promised twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from dialer.domain.matching import Need, ReadyAgent, assign, fits, longest_idle

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
PROJECTS = [UUID(int=100 + n) for n in range(3)]


def a_ready_agent(
    n: int,
    *,
    idle_s: float = 0,
    projects: frozenset[UUID] = frozenset(PROJECTS[:1]),
    skills: frozenset[str] = frozenset(),
) -> ReadyAgent:
    return ReadyAgent(
        agent_id=UUID(int=n), ready_since=NOW - timedelta(seconds=idle_s), project_ids=projects, skills=skills
    )


def test_the_agent_who_waited_longest_gets_the_call() -> None:
    agents = [a_ready_agent(1, idle_s=5), a_ready_agent(2, idle_s=50), a_ready_agent(3, idle_s=20)]
    chosen = longest_idle(agents, Need(project_id=PROJECTS[0]))
    assert chosen is agents[1]


def test_nobody_is_chosen_for_a_project_that_is_not_theirs() -> None:
    assert longest_idle([a_ready_agent(1)], Need(project_id=PROJECTS[1])) is None


def test_an_agent_without_the_skill_is_passed_over() -> None:
    skilled = a_ready_agent(2, idle_s=1, skills=frozenset({"cantonese", "loans"}))
    chosen = longest_idle(
        [a_ready_agent(1, idle_s=99), skilled], Need(project_id=PROJECTS[0], skills=frozenset({"cantonese"}))
    )
    assert chosen is skilled


def test_a_personal_callback_is_taken_by_its_agent_only() -> None:
    agents = [a_ready_agent(1, idle_s=99), a_ready_agent(2)]
    assert longest_idle(agents, Need(project_id=PROJECTS[0], only=UUID(int=2))) is agents[1]
    assert longest_idle(agents, Need(project_id=PROJECTS[0], only=UUID(int=3))) is None


a_floor = st.lists(st.tuples(st.floats(0, 100), st.sets(st.sampled_from(PROJECTS))), max_size=20).map(
    lambda rows: [a_ready_agent(n, idle_s=idle, projects=frozenset(of)) for n, (idle, of) in enumerate(rows)]
)


@given(a_floor, st.lists(st.sampled_from(PROJECTS), max_size=30))
def test_no_agent_is_promised_twice_and_no_fitting_agent_is_left_while_a_call_waits(
    agents: list[ReadyAgent], calls: list[UUID]
) -> None:
    waiting = [(n, Need(project_id=project)) for n, project in enumerate(calls)]
    promised = assign(agents, waiting)
    taken = [agent.agent_id for agent in promised.values()]
    assert len(taken) == len(set(taken))
    left = [agent for agent in agents if agent.agent_id not in taken]
    for call, need in waiting:
        if call in promised:
            assert fits(promised[call], need)
        else:
            assert not any(fits(agent, need) for agent in left)
