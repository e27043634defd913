"""Whether a question, a branch, a quota can ever come: every way through a questionnaire is gone, with answers that stand for all (`samples`).

Two ways that have come to the same question are one when no comparison that still lies ahead can tell them apart; so what is far back and no longer asked
about costs nothing. The price of exactness: with very many comparisons that look far back it is too much, and then it is said that it was not decided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from campaigns.questionnaires.comparing import Atom, Of, Parsed, Subject, atoms, compare, holds
from campaigns.questionnaires.flow import START, Cell, Flow
from campaigns.questionnaires.questions import ENDS, Statement
from campaigns.questionnaires.samples import TooMany, of_lead, of_question
from campaigns.ways import reached

BUDGET: Final = 40_000
"""So many places are looked at; about a second."""

_Key = str | Subject  # a question, or what is known of the lead
_Known = Mapping[_Key, int]  # which of the samples


@dataclass(slots=True, kw_only=True)
class Explored:
    """What can come. `decided`: all ways were gone; what is not in the sets cannot come."""

    questions: set[str] = field(default_factory=set)
    rules: set[tuple[str, int]] = field(default_factory=set)
    cells: set[str] = field(default_factory=set)
    watched: set[str] = field(default_factory=set)
    decided: bool = False


def explore(flow: Flow, watched: Mapping[str, Parsed], budget: int = BUDGET) -> Explored:
    """Go all ways. `watched`: conditions that may hold at any moment of it (the sections of a script), by name."""
    explorer = _Explorer(flow, watched)
    try:
        explorer.prepare()
        explorer.found.decided = explorer.go(budget)
    except TooMany:
        pass
    return explorer.found


class _Explorer:
    def __init__(self, flow: Flow, watched: Mapping[str, Parsed]) -> None:
        self._flow = flow
        self._watched = watched
        self.found = Explored()
        self._samples: dict[_Key, list[Any]] = {}
        self._alike: dict[str, dict[_Key, list[int]]] = {}  # place → what still matters there → sample → its like
        self._needs: dict[str, list[Subject]] = {}
        self._waiting: list[tuple[str, dict[_Key, int], bool]] = []

    def prepare(self) -> None:
        """Find the samples, and at every place what still matters."""
        ahead = {place: self._ahead(place) for place in (START, *self._flow.order)}
        by_key: dict[_Key, set[Atom]] = {}
        for atom in ahead[START]:
            by_key.setdefault(_key(atom.subject), set()).add(atom)
        for question in self._flow.questions.values():
            if not isinstance(question, Statement):
                self._samples[question.name] = of_question(question, by_key.get(question.name, ()))
        for key, named in by_key.items():
            if isinstance(key, Subject):
                self._samples[key] = of_lead(key, named)
        for place, still in ahead.items():
            kinds: dict[_Key, list[Atom]] = {}
            for atom in still:
                kinds.setdefault(_key(atom.subject), []).append(atom)
            self._alike[place] = {key: self._likes(key, named) for key, named in kinds.items()}
            self._needs[place] = sorted(
                {atom.subject for atom in self._at(place) if atom.subject.of is not Of.ANSWER},
                key=lambda one: (one.of, one.name),
            )

    def go(self, budget: int) -> bool:
        """Whether all ways were gone within the budget."""
        seen: set[tuple[str, bool, frozenset[tuple[_Key, int]]]] = set()
        self._come(START, {}, jumped=False)
        while self._waiting:
            place, known, jumped = self._waiting.pop()
            key = (place, jumped, frozenset(known.items()))
            if key in seen:
                continue
            seen.add(key)
            if len(seen) > budget:
                return False
            missing = next((one for one in self._needs[place] if one not in known), None)
            if missing is not None:
                for sample in range(len(self._samples[missing])):
                    self._come(place, {**known, missing: sample}, jumped=jumped)
            elif place == START:
                self._watch(known)
                self._go_on(START, known, jumped=False)
            else:
                self._ask(place, known, jumped=jumped)
        return True

    def _ask(self, name: str, known: dict[_Key, int], *, jumped: bool) -> None:
        test = self._test(known)
        if not holds(self._flow.when[name], test):
            self._leave(name, known, jumped=jumped)
            return
        self.found.questions.add(name)
        if isinstance(self._flow.questions[name], Statement):
            self._leave(name, known, jumped=jumped)
            return
        for sample in range(len(self._samples[name])):
            then = {**known, name: sample}
            self._watch(then)
            self._go_on(name, then, jumped=jumped)

    def _go_on(self, place: str, known: dict[_Key, int], *, jumped: bool) -> None:
        """Behind an answer: quotas are decided (each may have a place, or be full), then the way goes on."""
        test = self._test(known)
        for cell in () if jumped else self._flow.cells:
            now = place in cell.asks if cell.asks else place == START
            if now and cell.asks <= known.keys() and holds(cell.when, test):
                self.found.cells.add(cell.name)
                self._come(cell.full, known, jumped=True)
        self._leave(place, known, jumped=jumped)

    def _leave(self, place: str, known: dict[_Key, int], *, jumped: bool) -> None:
        if place == START:
            self._come(self._flow.first, known, jumped=jumped)
            return
        to, rule = self._flow.on(place, self._test(known))
        if rule is not None:
            self.found.rules.add((place, rule))
        self._come(to, known, jumped=jumped)

    def _come(self, place: str, known: Mapping[_Key, int], *, jumped: bool) -> None:
        if place not in ENDS:
            alike = self._alike[place]
            self._waiting.append((place, {key: alike[key][one] for key, one in known.items() if key in alike}, jumped))

    def _watch(self, known: _Known) -> None:
        for name, condition in self._watched.items():
            if name not in self.found.watched and holds(condition, self._test(known)):
                self.found.watched.add(name)

    def _test(self, known: _Known) -> Callable[[Atom], bool]:
        def test(atom: Atom) -> bool:
            key = _key(atom.subject)
            if key not in known:
                return compare(atom, None)
            return self._outcome(atom, self._samples[key][known[key]])

        return test

    def _outcome(self, atom: Atom, given: Any) -> bool:
        row = atom.subject.row
        return compare(atom, given.get(row) if row is not None and isinstance(given, dict) else given)

    def _likes(self, key: _Key, named: Iterable[Atom]) -> list[int]:
        tests = list(named)
        first: dict[tuple[bool, ...], int] = {}
        return [
            first.setdefault(tuple(self._outcome(atom, given) for atom in tests), at)
            for at, given in enumerate(self._samples.get(key, ()))
        ]

    def _at(self, place: str) -> Iterator[Atom]:
        """The comparisons that are made at a place."""
        if place == START:
            conditions: list[Parsed | None] = [*self._watched.values(), *(cell.when for cell in self._flow.cells if not cell.asks)]  # fmt: skip
        else:
            here: Iterable[Cell] = (cell for cell in self._flow.cells if place in cell.asks)
            conditions = [self._flow.when[place], *(when for when, _ in self._flow.rules[place])]
            conditions += [cell.when for cell in here]
        for condition in conditions:
            yield from atoms(condition)

    def _ahead(self, place: str) -> set[Atom]:
        """The comparisons that are made at a place or can be made behind it."""
        found = {atom for one in reached(self._flow.ways, place) for atom in self._at(one)}
        return found | {atom for condition in self._watched.values() for atom in atoms(condition)}


def _key(subject: Subject) -> _Key:
    return subject.name if subject.of is Of.ANSWER else subject
