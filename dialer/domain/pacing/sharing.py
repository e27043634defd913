"""Agents, channels and calls a second that several projects want: who gets how many. docs/sharing.md explains the rule.

Units that differ only in whom they can serve form a kind (agents with the same projects; all channels of a trunk). Each next unit goes
to the project with the lowest *mark*: first what is promised already, then guaranteed minima, then priorities, and within a priority
the lowest level = units held for its weight. Which units a project could still get is found by augmenting paths, so a unit that serves
few projects is used for them and the versatile ones are kept for the others. The sets that can be served together form a matroid, on
which such a greedy choice gives the fairest division there is (A. Federgruen and H. Groenevelt, Oper. Res. 34 (1986)).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace
from uuid import UUID

_TURN_S = 60.0
_MOST_OWED = 2.0
_LONGEST_GAP_S = 5.0  # what was held over a longer one is not known
HUNGRY_AFTER_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A project that wants units. Counts are units; `owed` is what it got too little of, in units, and may be negative."""

    weight: int = 1
    priority: int = 0  # higher first
    least: int = 0  # guaranteed before priorities
    holds: int = 0  # has them already: agents at work for it, channels in use
    promised: int = 0  # of those to be given now: its calls under way are for them
    wants: int | None = None  # more it cannot use now; None: any number
    owed: float = 0.0


Mark = tuple[int, int, float, int]


def _mark(party: Party, place: int, given: int) -> Mark:
    """Who is next: the lowest. The half makes rounding fair to large and small weights (F. V. Webster's divisors)."""
    level = (party.holds + given + 0.5 - party.owed) / party.weight
    if given < party.promised:
        return 0, 0, level, place
    if party.holds + given < party.least:
        return 1, 0, level, place
    return 2, -party.priority, level, place


def share(units: Mapping[frozenset[UUID], int], parties: Mapping[UUID, Party]) -> dict[UUID, int]:
    """How many of the free `units` (by the projects they can serve) each party can count on; together never more than there are.

    Nothing is left that somebody wants and could use. The order of the arguments does not matter.
    """
    names = sorted(parties)
    pool = _Pool(units, names)
    given = [0] * len(names)
    heap = [(_mark(parties[name], place, 0), place) for place, name in enumerate(names) if parties[name].wants != 0]
    heapify(heap)
    while heap and pool.left:
        place = heap[0][1]
        if not pool.take(place):
            heappop(heap)
            continue
        given[place] += 1
        party = parties[names[place]]
        if given[place] == party.wants:
            heappop(heap)
        else:
            heapreplace(heap, (_mark(party, place, given[place]), place))
    return dict(zip(names, given, strict=True))


class _Pool:
    """The units by kind, and who has how many of each."""

    def __init__(self, units: Mapping[frozenset[UUID], int], names: list[UUID]) -> None:
        place_of = {name: place for place, name in enumerate(names)}
        kinds: dict[tuple[int, ...], int] = {}
        for serves, count in units.items():
            places = tuple(sorted(place_of[name] for name in serves if name in place_of))
            if places and count > 0:
                kinds[places] = kinds.get(places, 0) + count
        self._kinds = sorted(kinds, key=lambda places: (len(places), places))  # the least versatile first
        self._free = [kinds[places] for places in self._kinds]
        self._of: list[list[int]] = [[] for _ in names]
        for kind, places in enumerate(self._kinds):
            for place in places:
                self._of[place].append(kind)
        self.left = sum(self._free)
        self._has: list[dict[int, int]] = [{} for _ in self._kinds]
        self._first = [0] * len(names)  # kinds before this one are used up

    def take(self, place: int) -> bool:
        """One more unit for this party, if need be by giving others a unit of another kind."""
        mine = self._of[place]
        n = self._first[place]
        while n < len(mine) and not self._free[mine[n]]:
            n += 1
        self._first[place] = n
        if n < len(mine):
            self._use(mine[n])
            self._give(mine[n], place)
            return True
        return self._swap(place)

    def _use(self, kind: int) -> None:
        self._free[kind] -= 1
        self.left -= 1

    def _give(self, kind: int, place: int) -> None:
        has = self._has[kind]
        has[place] = has.get(place, 0) + 1

    def _swap(self, place: int) -> bool:
        """Breadth first: a kind of mine whose unit somebody has who can be served by another kind, and so on to a free unit."""
        came: dict[int, tuple[int, int]] = {}  # kind → (kind that is asked for one, who has it there)
        seen = {place}
        queue = deque(self._of[place])
        mine = set(queue)
        while queue:
            kind = queue.popleft()
            for other, count in self._has[kind].items():
                if not count or other in seen:
                    continue
                seen.add(other)
                for target in self._of[other]:
                    if target in mine or target in came:
                        continue
                    came[target] = kind, other
                    if self._free[target]:
                        self._use(target)
                        self._move(target, came, place)
                        return True
                    queue.append(target)
        return False

    def _move(self, kind: int, came: Mapping[int, tuple[int, int]], place: int) -> None:
        while kind in came:
            asked, other = came[kind]
            self._give(kind, other)
            self._has[asked][other] -= 1
            kind = asked
        self._give(kind, place)


class Shares:
    """`share` at each moment, with a memory: what a project got too little of is owed to it, within two units, so that a single agent
    goes round by the weights too. Who has had nothing for ten minutes although it wants some gets one before priorities: nobody starves.
    """

    def __init__(self) -> None:
        self._owed: dict[UUID, float] = {}
        self._held: dict[UUID, int] = {}
        self._hungry_since: dict[UUID, float] = {}
        self._at_s: float | None = None
        self._last: Mapping[UUID, Party] = {}

    def divide(
        self, at_s: float, units: Mapping[frozenset[UUID], int], parties: Mapping[UUID, Party]
    ) -> dict[UUID, int]:
        """As `share`; `at_s` is monotonic. `owed` of the parties is filled in here."""
        self._remember(at_s)
        due = {name: self._due(name, party, at_s) for name, party in parties.items()}
        given = share(units, due)
        self._last = due
        self._held = {name: party.holds + given[name] for name, party in due.items()}
        self._hungry_since = {name: self._hungry_since.get(name, at_s) for name, held in self._held.items() if not held}
        return given

    def _due(self, name: UUID, party: Party, at_s: float) -> Party:
        hungry = at_s - self._hungry_since.get(name, at_s) >= HUNGRY_AFTER_S
        return Party(
            weight=party.weight,
            priority=party.priority,
            least=max(party.least, 1) if hungry else party.least,
            holds=party.holds,
            promised=party.promised,
            wants=party.wants,
            owed=self._owed.get(name, 0.0),
        )

    def _remember(self, at_s: float) -> None:
        """What each held since the last time, against what its weight says, among those of its priority."""
        seconds = 0.0 if self._at_s is None else min(_LONGEST_GAP_S, max(0.0, at_s - self._at_s))
        self._at_s = at_s
        held: dict[int, int] = {}
        weights: dict[int, int] = {}
        for name, party in self._last.items():
            held[party.priority] = held.get(party.priority, 0) + self._held[name]
            weights[party.priority] = weights.get(party.priority, 0) + party.weight
        owed = {}
        for name, party in self._last.items():
            fair = held[party.priority] * party.weight / weights[party.priority]
            now = self._owed.get(name, 0.0) + (fair - self._held[name]) * seconds / _TURN_S
            owed[name] = min(_MOST_OWED, max(-_MOST_OWED, now))
        self._owed = owed


class Turns:
    """Single calls of a rate, one after the other, by weight: start-time fair queueing (P. Goyal, H. M. Vin and H. Cheng, 1997).

    A project's clock goes on by 1 ÷ weight with each call; the next call is of the project whose clock is behind. Who was away
    begins at the present time: idleness is no credit.
    """

    def __init__(self) -> None:
        self._clocks: dict[UUID, float] = {}
        self._now = 0.0

    def take(self, calls: int, wants: Mapping[UUID, int], weights: Mapping[UUID, int]) -> dict[UUID, int]:
        """Divide `calls` among those who want some now; what they do not want is left."""
        clocks = {name: max(self._clocks.get(name, 0.0), self._now) for name, wanted in wants.items() if wanted > 0}
        taken = dict.fromkeys(wants, 0)
        heap = [(clock, name) for name, clock in clocks.items()]
        heapify(heap)
        for _ in range(calls):
            if not heap:
                break
            self._now, name = heap[0]
            taken[name] += 1
            clocks[name] = self._now + 1 / weights[name]
            if taken[name] == wants[name]:
                heappop(heap)
            else:
                heapreplace(heap, (clocks[name], name))
        self._clocks |= clocks
        return taken

    def keep_only(self, names: Iterable[UUID]) -> None:
        """Forget the others."""
        kept = set(names)
        self._clocks = {name: clock for name, clock in self._clocks.items() if name in kept}
