"""Shares of agents, channels and calls between projects: the fairest division there is, whatever the order, and nothing promised twice."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import product
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.domain.pacing.sharing import HUNGRY_AFTER_S, Party, Shares, Turns, share

A, B, C, D = (UUID(int=n) for n in range(1, 5))
NAMES = (A, B, C, D)


# --- an oracle that shares no code: tries all divisions ------------------------------------------------------------------

_DIVISIONS = {
    (projects, units): np.array(
        [x for x in product(range(units + 1), repeat=projects) if sum(x) <= units], dtype=np.int64
    )
    for projects in range(1, 5)
    for units in range(7)
}
_SETS = {projects: np.array(list(product((0, 1), repeat=projects)), dtype=np.int64) for projects in range(1, 5)}


def possible(agents: Sequence[frozenset[UUID]], projects: int) -> np.ndarray:
    """The divisions that Hall's theorem allows: no set of projects gets more agents than can serve one of them."""
    divisions = _DIVISIONS[projects, len(agents)]
    sets = _SETS[projects]
    serves = np.array([[name in agent for name in NAMES[:projects]] for agent in agents], dtype=np.int64)
    able = (sets @ serves.T > 0).sum(axis=1) if len(agents) else np.zeros(len(sets), dtype=np.int64)
    return divisions[(divisions @ sets.T <= able).all(axis=1)]


def rank(party: Party, nth: int) -> tuple[int, int, Fraction]:
    level = (Fraction(party.holds) + nth + Fraction(1, 2) - Fraction(party.owed)) / party.weight
    if nth < party.promised:
        return 0, 0, level
    return (1, 0, level) if party.holds + nth < party.least else (2, -party.priority, level)


def fairest(agents: Sequence[frozenset[UUID]], parties: Mapping[UUID, Party]) -> list[tuple[int, int, Fraction]]:
    """As many agents as can be used; among those divisions the one whose ranks, sorted, come first."""
    names = sorted(parties)
    divisions = possible(agents, len(names))
    limits = np.array([99 if (wants := parties[name].wants) is None else wants for name in names])
    divisions = divisions[(divisions <= limits).all(axis=1)]
    divisions = divisions[divisions.sum(axis=1) == divisions.sum(axis=1).max()]
    return min(ranks_of(dict(zip(names, map(int, one), strict=True)), parties) for one in divisions)


def ranks_of(division: Mapping[UUID, int], parties: Mapping[UUID, Party]) -> list[tuple[int, int, Fraction]]:
    return sorted(rank(parties[name], nth) for name, count in division.items() for nth in range(count))


def a_random_floor(rng: random.Random) -> tuple[list[frozenset[UUID]], dict[UUID, Party]]:
    projects = rng.choice((1, 2, 2, 3, 3, 3, 4))
    names = NAMES[:projects]
    agents = [
        frozenset(rng.sample(names, rng.randint(1, projects))) for _ in range(rng.randint(0, 6 if projects < 4 else 5))
    ]
    parties = {
        name: Party(
            weight=rng.choice((1, 1, 2, 3, 10)),
            priority=rng.choice((0, 0, 0, 1, 2)),
            least=rng.choice((0, 0, 0, 1, 3)),
            holds=rng.choice((0, 0, 1, 2, 5)),
            promised=rng.choice((0, 0, 0, 1, 2)),
            wants=rng.choice((None, None, None, 0, 1, 2)),
            owed=rng.choice((0.0, 0.0, 0.5, -1.25, 2.0)),
        )
        for name in names
    }
    return agents, parties


def test_ten_thousand_random_shares_are_the_fairest_there_are() -> None:
    rng = random.Random(7)
    for _ in range(10_000):
        agents, parties = a_random_floor(rng)
        division = share(Counter(agents), parties)
        assert ranks_of(division, parties) == fairest(agents, parties), (agents, parties)


# --- promises ------------------------------------------------------------------------------------------------------------

party_of = st.builds(
    Party,
    weight=st.integers(1, 10),
    priority=st.integers(0, 2),
    least=st.integers(0, 4),
    holds=st.integers(0, 8),
    promised=st.integers(0, 4),
    wants=st.none() | st.integers(0, 9),
    owed=st.floats(-2, 2),
)
many = [UUID(int=n) for n in range(1, 9)]
floors = st.tuples(
    st.lists(st.frozensets(st.sampled_from(many)), max_size=40), st.dictionaries(st.sampled_from(many), party_of)
)


@given(floors)
def test_no_agent_is_promised_twice_and_none_is_left_that_could_be_used(
    floor: tuple[list[frozenset[UUID]], dict[UUID, Party]],
) -> None:
    agents, parties = floor
    given = share(Counter(agents), parties)
    seats = [name for name, count in given.items() for _ in range(count)]
    assert matching(seats, agents) == len(seats)
    for name, party in parties.items():
        assert party.wants is None or given[name] <= party.wants
        if party.wants is None or given[name] < party.wants:
            assert matching([*seats, name], agents) == len(seats)


def matching(seats: Sequence[UUID], agents: Sequence[frozenset[UUID]]) -> int:
    """How many of the seats can be taken by agents who serve them (Kuhn's augmenting paths, agent by agent)."""
    taken: dict[int, int] = {}

    def place(seat: int, tried: set[int]) -> bool:
        for n, agent in enumerate(agents):
            if seats[seat] in agent and n not in tried:
                tried.add(n)
                if n not in taken or place(taken[n], tried):
                    taken[n] = seat
                    return True
        return False

    return sum(place(seat, set()) for seat in range(len(seats)))


@given(floors, st.randoms(use_true_random=False))
def test_order_does_not_matter(floor: tuple[list[frozenset[UUID]], dict[UUID, Party]], rng: random.Random) -> None:
    agents, parties = floor
    shuffled, names = list(agents), list(parties)
    rng.shuffle(shuffled)
    rng.shuffle(names)
    assert share(Counter(agents), parties) == share(Counter(shuffled), {name: parties[name] for name in names})


@given(floors, st.frozensets(st.sampled_from(many)))
def test_one_agent_more_is_never_less_for_anybody(
    floor: tuple[list[frozenset[UUID]], dict[UUID, Party]], newcomer: frozenset[UUID]
) -> None:
    agents, parties = floor
    before, after = share(Counter(agents), parties), share(Counter([*agents, newcomer]), parties)
    assert all(after[name] >= before[name] for name in parties)
    assert sum(after.values()) <= sum(before.values()) + 1


@given(floors, st.sampled_from(["weight", "priority", "least"]))
def test_more_weight_priority_or_guarantee_is_never_less(
    floor: tuple[list[frozenset[UUID]], dict[UUID, Party]], what: str
) -> None:
    agents, parties = floor
    before = share(Counter(agents), parties)
    for name, party in parties.items():
        if what == "weight" and party.holds + 0.5 < party.owed:
            continue  # a level below zero is what is owed, not what is held
        fields = {field: getattr(party, field) for field in party.__slots__}
        more = Party(**fields | {what: getattr(party, what) + 1})
        assert share(Counter(agents), parties | {name: more})[name] >= before[name]


def test_guarantee_comes_before_priority_and_priority_before_weight() -> None:
    agents = {frozenset({A, B, C}): 6}
    parties = {A: Party(weight=9), B: Party(priority=1, wants=3), C: Party(least=2)}
    assert share(agents, parties) == {A: 1, B: 3, C: 2}


def test_calls_under_way_keep_their_agents_whatever_the_priority_of_others() -> None:
    assert share({frozenset({A, B}): 3}, {A: Party(promised=2), B: Party(priority=5)}) == {A: 2, B: 1}


def test_who_has_many_agents_at_work_gets_the_fewer_of_the_free_ones() -> None:
    assert share({frozenset({A, B}): 4}, {A: Party(holds=6), B: Party(holds=4)}) == {A: 1, B: 3}


def test_agent_who_serves_one_project_is_used_for_it_and_the_versatile_one_for_the_other() -> None:
    agents = {frozenset({A}): 1, frozenset({A, B}): 1}
    assert share(agents, {A: Party(), B: Party()}) == {A: 1, B: 1}


def test_agent_of_no_party_is_nobodys() -> None:
    assert share({frozenset({D}): 3, frozenset(): 1}, {A: Party()}) == {A: 0}


# --- over time -----------------------------------------------------------------------------------------------------------


def one_agent_for_an_hour(parties: Mapping[UUID, Party], talk_s: Mapping[UUID, float]) -> Counter[UUID]:
    """A single agent for whoever is given them; each conversation lasts as long as the project's do."""
    shares, at_s, busy = Shares(), 0.0, Counter[UUID]()
    while at_s < 3_600:
        given = shares.divide(at_s, {frozenset(parties): 1}, parties)
        [name] = [name for name, count in given.items() if count]
        ends_s = at_s + talk_s[name]
        while at_s < ends_s:
            at_s += 1
            holding = {
                one: Party(weight=p.weight, priority=p.priority, holds=int(one == name)) for one, p in parties.items()
            }
            shares.divide(at_s, {}, holding)
            busy[name] += 1
    return busy


def test_single_agent_goes_round_by_weight_in_time_not_in_calls() -> None:
    busy = one_agent_for_an_hour({A: Party(weight=3), B: Party()}, {A: 20.0, B: 45.0})
    assert busy[A] / busy.total() == pytest.approx(0.75, abs=0.02)


def test_agents_are_held_by_weight_over_an_hour_although_conversations_differ() -> None:
    """Every free agent talks at once, 30 to 240 s by project; what is counted is the time they are held."""
    weights, talk_s = {A: 1, B: 2, C: 7}, {A: 240.0, B: 90.0, C: 30.0}
    rng, shares, held = random.Random(3), Shares(), Counter[UUID]()
    busy: list[tuple[float, UUID]] = []
    for second in range(4_200):
        busy = [(ends_s, name) for ends_s, name in busy if ends_s > second]
        holds = Counter(name for _, name in busy)
        parties = {name: Party(weight=weight, holds=holds[name]) for name, weight in weights.items()}
        given = shares.divide(float(second), {frozenset(weights): 20 - len(busy)}, parties)
        busy += [(second + rng.expovariate(1 / talk_s[name]), name) for name, got in given.items() for _ in range(got)]
        if second >= 600:
            held.update(name for _, name in busy)
    for name, weight in weights.items():
        assert held[name] / held.total() == pytest.approx(weight / 10, abs=0.02), held


def test_lower_priority_does_not_starve() -> None:
    busy = one_agent_for_an_hour({A: Party(priority=9), B: Party()}, {A: 30.0, B: 30.0})
    turns = busy[B] / 30
    assert 3_600 / (HUNGRY_AFTER_S + 90) - 1 <= turns <= 3_600 / HUNGRY_AFTER_S


def test_who_was_away_has_no_claim_on_the_past() -> None:
    shares, agents = Shares(), {frozenset({A, B}): 10}
    for second in range(600):
        shares.divide(float(second), agents, {A: Party(), B: Party(wants=0)})
    given = shares.divide(601.0, agents, {A: Party(), B: Party()})
    assert given[B] <= 7


@given(
    st.dictionaries(st.sampled_from(many), st.integers(1, 20), min_size=2),
    st.integers(1, 30),
    st.randoms(use_true_random=False),
)
def test_rate_is_never_exceeded_and_nothing_is_left_that_somebody_wants(
    weights: dict[UUID, int], calls: int, rng: random.Random
) -> None:
    turns = Turns()
    for _ in range(20):
        wants = {name: rng.randint(0, 9) for name in weights}
        taken = turns.take(calls, wants, weights)
        assert sum(taken.values()) == min(calls, sum(wants.values()))
        assert all(taken[name] <= wants[name] for name in wants)


def test_small_project_beside_a_greedy_one_has_its_share_of_the_rate_to_one_percent_over_an_hour() -> None:
    weights = {A: 1, B: 3, C: 16}
    turns, placed = Turns(), Counter[UUID]()
    for second in range(3_600):
        calls = 5 if second % 2 else 2
        placed.update(turns.take(calls, {A: 2, B: 1_000, C: 1_000}, weights))
    for name, weight in weights.items():
        assert placed[name] / placed.total() == pytest.approx(weight / 20, rel=0.01)


def test_project_that_wants_less_than_its_share_gets_all_it_wants() -> None:
    turns, placed = Turns(), Counter[UUID]()
    for _ in range(1_000):
        placed.update(turns.take(10, {A: 1, B: 1_000}, {A: 1, B: 1}))
    assert placed == {A: 1_000, B: 9_000}


def test_pause_earns_no_credit() -> None:
    turns = Turns()
    for _ in range(100):
        turns.take(10, {A: 0, B: 10}, {A: 1, B: 1})
    assert turns.take(10, {A: 10, B: 10}, {A: 1, B: 1}) in ({A: 5, B: 5}, {A: 6, B: 4})
