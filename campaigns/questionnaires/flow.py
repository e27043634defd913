"""Where answers lead: a checked questionnaire, and the way of one person through it. The way follows from the answers alone, so nothing but answers is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

from campaigns.questionnaires.answers import Answer, fits
from campaigns.questionnaires.comparing import Atom, Of, Parsed, Subject, compare, holds
from campaigns.questionnaires.questions import END, ENDS, Question, Statement
from campaigns.ways import reached

START: Final = ""
"""Before the first question; no question has this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """What is known of the person before they say anything: fields by their names in the filter language, and the client's columns."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    custom: Mapping[str, Any] = field(default_factory=dict)

    def value(self, subject: Subject) -> Any:
        """What a condition compares."""
        return (self.fields if subject.of is Of.FIELD else self.custom).get(subject.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A quota. `asks`: the questions it speaks of; it is decided when all of them are answered."""

    name: str
    when: Parsed
    limit: int
    full: str
    asks: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Flow:
    """A questionnaire whose ways lead on and never round in a circle; `checking` makes it. Without slots: it remembers what is asked of it often."""

    questions: Mapping[str, Question]
    order: tuple[str, ...]
    when: Mapping[str, Parsed | None]
    rules: Mapping[str, tuple[tuple[Parsed | None, str], ...]]
    cells: tuple[Cell, ...]

    @property
    def first(self) -> str:
        """Where it begins."""
        return self.order[0] if self.order else END

    def beyond(self, name: str) -> str:
        """The question after one, in the order they were written."""
        return self._beyond[name]

    @cached_property
    def _beyond(self) -> dict[str, str]:
        return dict(zip(self.order, [*self.order[1:], END], strict=True))

    def on(self, name: str, test: Callable[[Atom], bool]) -> tuple[str, int | None]:
        """The way on from a question, and which of its rules said so (None: none)."""
        for at, (condition, to) in enumerate(self.rules[name]):
            if holds(condition, test):
                return to, at
        return self.beyond(name), None

    @cached_property
    def ways(self) -> dict[str, tuple[str, ...]]:
        """Every way on from every question and from the start, whatever is answered."""
        found: dict[str, tuple[str, ...]] = {START: (self.first, *(cell.full for cell in self.cells if not cell.asks))}
        for name, rules in self.rules.items():
            said = [to for _, to in rules]
            always = any(condition is None for condition, _ in rules)
            full = [cell.full for cell in self.cells if name in cell.asks]
            found[name] = (*said, *full) if always else (*said, self.beyond(name), *full)
        return found


class Status(StrEnum):
    """How far a questionnaire is; the same words as in `script_calls.status`."""

    OPEN = "open"
    COMPLETE = "complete"
    SCREENED_OUT = "screened_out"
    QUOTA_FULL = "quota_full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A question that was come to; `answered`: with what (None: skipped, or nothing is asked)."""

    name: str
    answered: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Where somebody is. `at`: the question that waits (None: it is over). `cells`: the quotas this one belongs to; `turned_away`: the one that was full."""

    steps: tuple[Step, ...]
    at: str | None
    status: Status
    cells: tuple[str, ...]
    turned_away: str | None

    def test(self, lead: Lead) -> Callable[[Atom], bool]:
        """What conditions ask, as things stand now."""
        return tested({step.name: step.answered for step in self.steps}, lead)


def tested(answers: Mapping[str, Answer], lead: Lead) -> Callable[[Atom], bool]:
    """What conditions ask of these answers and this lead."""

    def test(atom: Atom) -> bool:
        subject = atom.subject
        if subject.of is not Of.ANSWER:
            return compare(atom, lead.value(subject))
        given = answers.get(subject.name)
        if subject.row is not None:
            given = given.get(subject.row) if isinstance(given, Mapping) else None
        return compare(atom, given)

    return test


def way(flow: Flow, answers: Mapping[str, Any], lead: Lead, full: frozenset[str] = frozenset()) -> Way:
    """Follow the answers as far as they lead. `full`: the quotas that have no place for this one.

    What is no answer to its question, or to a question that is not on the way, is passed over; it may be there, from another version or another way.
    """
    said: dict[str, Answer] = {}
    steps: list[Step] = []
    cells: list[str] = []
    turned_away: str | None = None

    def decide(name: str) -> str | None:
        """Decide the quotas that can be decided now; the way on, when one is full."""
        nonlocal turned_away
        for cell in flow.cells:
            now = name in cell.asks if cell.asks else name == START
            if now and cell.asks <= said.keys() and holds(cell.when, tested(said, lead)):
                if cell.name in full:
                    turned_away = cell.name
                    return cell.full
                cells.append(cell.name)
        return None

    at = decide(START) or flow.first
    while at not in ENDS:
        name, question, jump = at, flow.questions[at], None
        if holds(flow.when[name], tested(said, lead)):
            if isinstance(question, Statement):
                steps.append(Step(name=name, answered=None))
            elif name not in answers or not fits(question, answers[name]):
                return Way(steps=tuple(steps), at=name, status=Status.OPEN, cells=tuple(cells), turned_away=turned_away)
            else:
                said[name] = answers[name]
                steps.append(Step(name=name, answered=answers[name]))
                jump = decide(name) if turned_away is None else None
        at = jump or flow.on(name, tested(said, lead))[0]
    over = Status.COMPLETE if at == END else Status.SCREENED_OUT
    status = over if turned_away is None else Status.QUOTA_FULL
    return Way(steps=tuple(steps), at=None, status=status, cells=tuple(cells), turned_away=turned_away)


def ahead(flow: Flow, at: str) -> Iterator[str]:
    """The questions that may still come, this one first, in their order."""
    there = reached(flow.ways, at)
    yield at
    yield from (name for name in flow.order if name in there and name != at)


def asked(flow: Flow, disposition: str, answers: Mapping[str, Any], lead: Lead, full: frozenset[str]) -> list[str]:
    """The questions that must be answered before a disposition can be given, the next one first; none: it may be given."""
    here = way(flow, answers, lead, full)
    if here.at is None:
        return []
    wanted = [
        name
        for name in ahead(flow, here.at)
        if not isinstance(question := flow.questions[name], Statement) and disposition in question.required_before
    ]
    return wanted if not wanted or wanted[0] == here.at else [here.at, *wanted]
