"""A few answers that stand for all: for every way in which the comparisons of a questionnaire can come out, one answer for which they do.

That is exact, not a guess: between two neighbouring thresholds numbers and dates cannot be told apart, options that no condition names are all alike,
and a text that must hold certain parts is those parts, kept apart by a character that occurs in none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date, timedelta
from decimal import ROUND_FLOOR, Decimal
from functools import partial
from itertools import chain, combinations
from typing import Any, Final

from campaigns.errors import BadInput
from campaigns.questionnaires.answers import accepted
from campaigns.questionnaires.comparing import NUMBER_FIELDS, Atom, Kind, Of, Subject, compare
from campaigns.questionnaires.questions import (
    Asking,
    Choice,
    Choices,
    Day,
    Matrix,
    Number,
    Scale,
    Text,
    YesNo,
)

MAX_PARTS: Final = 10
_BEYOND: Final = Decimal(10**15 - 1)


class TooMany(Exception):
    """So many cases that they cannot be looked at one by one."""


def of_question(question: Asking, named: Collection[Atom]) -> list[Any]:
    """Answers to a question, one for each way in which these comparisons with it can come out. Empty: nothing can be answered. Errors: TooMany."""
    found: list[Any] = [None] if question.optional else []
    for candidate in _candidates(question, named):
        try:
            found.append(accepted(question, candidate))
        except BadInput:
            continue
    return _told_apart(found, [_of(atom) for atom in named])


def of_lead(subject: Subject, named: Collection[Atom]) -> list[Any]:
    """The same for a field or a column of a lead, which may be missing but for the counted fields."""
    if any(atom.kind is Kind.NUMBER for atom in named):
        step = Decimal(1) if subject.name in NUMBER_FIELDS and subject.of is Of.FIELD else Decimal(1).scaleb(-9)
        lowest = Decimal(0) if subject == Subject(Of.FIELD, "attempts") else -_BEYOND
        numbers = [format(one, "f") for one in _numbers(named, lowest, _BEYOND, step)]
        found: list[Any] = [*numbers, *([] if subject.of is Of.FIELD else [None, "-"])]
    else:
        found = [None, "", *_texts(named)]
    return _told_apart(found, [partial(compare, atom) for atom in named])


def _of(atom: Atom) -> Callable[[Any], bool]:
    row = atom.subject.row
    return lambda given: compare(atom, given.get(row) if row is not None and isinstance(given, dict) else given)


def _told_apart(found: Iterable[Any], tests: Sequence[Callable[[Any], bool]]) -> list[Any]:
    kinds: dict[tuple[bool, ...], Any] = {}
    for one in found:
        kinds.setdefault(tuple(test(one) for test in tests), one)
    return list(kinds.values())


def _candidates(question: Asking, named: Collection[Atom]) -> Iterable[Any]:
    match question:
        case Choice():
            return [one.code for one in question.options]
        case YesNo():
            return ["yes", "no"]
        case Choices():
            return _several(question, {atom.value for atom in named if atom.kind is Kind.SOME})
        case Number():
            step = Decimal(1).scaleb(-question.decimals)
            return [format(one, "f") for one in _numbers(named, question.lowest, question.highest, step)]
        case Scale():
            return list(range(question.lowest, question.highest + 1))
        case Day():
            return _days(question, named)
        case Text():
            return ["x"]
        case Matrix():
            return _grids(question, named)


def _several(question: Choices, mentioned: set[str]) -> Iterable[list[str]]:
    if len(mentioned) > MAX_PARTS:
        raise TooMany
    others = [one.code for one in question.options if one.code not in mentioned and not one.exclusive]
    alone = [one.code for one in question.options if one.code not in mentioned and one.exclusive]
    for chosen in _subsets(sorted(mentioned)):
        missing = max(0, question.at_least - len(chosen))
        yield [*chosen, *others[:missing]]
    if alone:
        yield alone[:1]


def _numbers(named: Collection[Atom], lowest: Decimal, highest: Decimal, step: Decimal) -> Iterable[Decimal]:
    floors = [(atom.value / step).to_integral_value(ROUND_FLOOR) * step for atom in named if atom.kind is Kind.NUMBER]
    near = {floor + step * by for floor in floors for by in (-1, 0, 1, 2)}
    up = (lowest / step).to_integral_value(ROUND_FLOOR) * step
    near |= {up if up >= lowest else up + step, (highest / step).to_integral_value(ROUND_FLOOR) * step}
    return sorted(one for one in near if lowest <= one <= highest)


def _days(question: Day, named: Collection[Atom]) -> Iterable[str]:
    near = {question.earliest, question.latest}
    for day in [atom.value for atom in named if atom.kind is Kind.DAY]:
        for by in (-1, 0, 1):
            number = day.toordinal() + by
            if question.earliest.toordinal() <= number <= question.latest.toordinal():
                near.add(date.min + timedelta(days=number - 1))
    return [one.isoformat() for one in sorted(near)]


def _grids(question: Matrix, named: Collection[Atom]) -> Iterable[dict[str, str]]:
    """Every row that is compared takes every column that is told apart there; the others do not matter."""
    columns = [one.code for one in question.columns]
    grids: list[dict[str, str]] = [{row.code: columns[0] for row in question.rows}]
    for row in sorted({atom.subject.row for atom in named if atom.subject.row is not None}):
        tests = [partial(compare, atom) for atom in named if atom.subject.row == row]
        kinds = _told_apart(columns, tests)
        grids = [{**grid, row: column} for grid in grids for column in kinds]
        if len(grids) > 1 << MAX_PARTS:
            raise TooMany
    return grids


def _texts(named: Collection[Atom]) -> Iterable[str]:
    whole, parts, starts = set[str](), set[str](), set[str]()
    for atom in named:
        match atom.op:
            case "in":
                whole |= atom.value
            case "contains":
                parts.add(atom.value)
            case "starts":
                starts.add(atom.value)
            case "=" | "!=":
                whole.add(atom.value)
    if len(parts) > MAX_PARTS:
        raise TooMany
    used = set("".join(chain(whole, parts, starts)))
    apart = next(chr(code) for code in range(0xE000, 0xF8FF) if chr(code) not in used)
    yield from sorted(whole)
    for start in ("", *sorted(starts)):
        for chosen in _subsets(sorted(parts)):
            yield start + apart + apart.join(chosen)


def _subsets(names: Sequence[str]) -> Iterable[tuple[str, ...]]:
    return chain.from_iterable(combinations(names, size) for size in range(len(names) + 1))
