"""Conditions on answers and leads, in the form of the filter language (`campaigns.conditions`), read once and then asked often.

    {"answer": "income", "op": ">=", "value": 5000}          {"answer": "service", "row": "speed", "op": "in", "value": ["bad", "poor"]}
    {"field": "province", "op": "=", "value": "江苏"}         {"custom": "金额", "op": "<", "value": 10000}

A comparison with something that is not there is false, and `not` of it is true. On fields and custom columns it means what it means in a filter of leads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from campaigns.conditions import Folding, Malformed, fold
from campaigns.questionnaires.questions import Choice, Choices, Day, Matrix, Number, Question, Scale, Statement, YesNo

TEXT_FIELDS: Final = frozenset({"name", "reference", "province", "city", "carrier", "zone"})
NUMBER_FIELDS: Final = frozenset({"priority", "attempts"})
MAX_VALUES: Final = 1000

_NUMBER_OPS: Final = frozenset({"=", "!=", "<", "<=", ">", ">=", "empty"})
_TEXT_OPS: Final = frozenset({"=", "!=", "in", "starts", "contains", "empty"})
_ONE_OPS: Final = frozenset({"=", "!=", "in", "empty"})
_SOME_OPS: Final = frozenset({"contains", "empty"})
_DAY_OPS: Final = frozenset({"=", "before", "after", "empty"})
_IS_NUMBER: Final = re.compile(r"\s*-?[0-9]{1,15}(\.[0-9]{1,9})?\s*")


class Unknown(Malformed):
    """It speaks of a question, an option or a field that there is not."""


class Of(StrEnum):
    """Where what is compared comes from."""

    ANSWER = "answer"
    FIELD = "field"
    CUSTOM = "custom"


class Kind(StrEnum):
    """How two things are compared."""

    TEXT = "text"
    NUMBER = "number"
    DAY = "day"
    SOME = "some"  # a set of options
    THERE = "there"  # whether there is anything


@dataclass(frozen=True, slots=True)
class Subject:
    """What is compared: a question's answer (or a row of it), a field of the lead, a column of the client's list."""

    of: Of
    name: str
    row: str | None = None


@dataclass(frozen=True, slots=True)
class Atom:
    """One comparison. `value`: a text, a frozenset of texts, a Decimal, a date, or None for `empty`."""

    subject: Subject
    kind: Kind
    op: str
    value: Any


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds."""

    parts: tuple[Parsed, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """A part holds."""

    parts: tuple[Parsed, ...]


@dataclass(frozen=True, slots=True)
class NotOf:
    """The part does not hold."""

    part: Parsed


Parsed = Atom | AllOf | AnyOf | NotOf


def parse(condition: object, path: str, questions: Mapping[str, Question]) -> Parsed:
    """Read a condition. Errors: Malformed, Unknown."""
    folding: Folding[Parsed] = Folding(
        leaf=lambda node, here: _atom(node, here, questions),
        all_of=lambda parts: AllOf(tuple(parts)),
        any_of=lambda parts: AnyOf(tuple(parts)),
        not_of=NotOf,
        leaves="answer, field or custom",
    )
    return fold(condition, folding, path)


def holds(condition: Parsed | None, test: Callable[[Atom], bool]) -> bool:
    """Whether it holds, when `test` says which comparisons do; None always does."""
    match condition:
        case None:
            return True
        case Atom():
            return test(condition)
        case AllOf(parts):
            return all(holds(part, test) for part in parts)
        case AnyOf(parts):
            return any(holds(part, test) for part in parts)
        case NotOf(part):
            return not holds(part, test)


def atoms(condition: Parsed | None) -> Iterator[Atom]:
    """All comparisons in it."""
    match condition:
        case None:
            return
        case Atom():
            yield condition
        case NotOf(part):
            yield from atoms(part)
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from atoms(part)


def compare(atom: Atom, given: Any) -> bool:
    """Whether the comparison holds for what is there (None: nothing): an accepted answer, or a lead's value of any kind."""
    if atom.subject.of is not Of.ANSWER:
        given = _cell(given)
    if atom.op == "empty":
        return given is None or given in ("", ())
    match atom.kind:
        case Kind.TEXT:
            return _text(atom, given)
        case Kind.NUMBER:
            return isinstance(given, str) and _IS_NUMBER.fullmatch(given) is not None and _number(atom, Decimal(given))
        case Kind.DAY:
            return _day(atom, given)
        case Kind.SOME:
            return isinstance(given, list | tuple) and atom.value in given
        case Kind.THERE:
            return False


def _cell(value: object) -> str | None:
    """A lead's value as the database writes it out."""
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


def _text(atom: Atom, given: object) -> bool:
    if not isinstance(given, str):
        return atom.op == "!=" and atom.subject.of is not Of.ANSWER and bool(atom.value)
    match atom.op:
        case "in":
            return given in atom.value
        case "starts":
            return given.startswith(atom.value)
        case "contains":
            return atom.value in given
        case "!=":
            return bool(given != atom.value)
        case _:
            return bool(given == atom.value)


def _number(atom: Atom, given: Decimal) -> bool:
    match atom.op:
        case "<":
            return bool(given < atom.value)
        case "<=":
            return bool(given <= atom.value)
        case ">":
            return bool(given > atom.value)
        case ">=":
            return bool(given >= atom.value)
        case "!=":
            return bool(given != atom.value)
        case _:
            return bool(given == atom.value)


def _day(atom: Atom, given: object) -> bool:
    try:
        day = date.fromisoformat(given) if isinstance(given, str) else None
    except ValueError:
        return False
    if day is None:
        return False
    match atom.op:
        case "before":
            return bool(day < atom.value)
        case "after":
            return bool(day >= atom.value)
        case _:
            return bool(day == atom.value)


def _atom(node: Mapping[Any, Any], path: str, questions: Mapping[str, Question]) -> Atom:
    keys = set(node)
    of = keys & {"answer", "field", "custom"}
    if len(of) != 1 or not {"op"} < keys <= {*of, "op", "value", "row"} or ("row" in keys and "answer" not in keys):
        raise Malformed(path, "a condition has answer (field, custom), op and value, and nothing else.")
    op, value, name = node["op"], node.get("value"), node[next(iter(of))]
    if not isinstance(op, str):
        raise Malformed(f"{path}.op", "the comparison is a text.")
    if "answer" in keys:
        return _of_answer(name, node.get("row"), op, value, path, questions)
    if "custom" in keys:
        if not isinstance(name, str) or not 1 <= len(name) <= 200 or "\0" in name:
            raise Malformed(f"{path}.custom", "give the name of a column of the client's list.")
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        return _made(Subject(Of.CUSTOM, name), Kind.NUMBER if numeric else Kind.TEXT, op, value, path)
    if not isinstance(name, str) or name not in TEXT_FIELDS | NUMBER_FIELDS:
        known = ", ".join(sorted(TEXT_FIELDS | NUMBER_FIELDS))
        raise Unknown(f"{path}.field", f"fields are {known}; the client's own columns are custom.")
    return _made(Subject(Of.FIELD, name), Kind.NUMBER if name in NUMBER_FIELDS else Kind.TEXT, op, value, path)


def _of_answer(name: object, row: object, op: str, value: object, path: str, questions: Mapping[str, Question]) -> Atom:
    question = questions.get(name) if isinstance(name, str) else None
    if question is None or isinstance(question, Statement):
        raise Unknown(f"{path}.answer", f"there is no question {name!r} with an answer.")
    subject = Subject(Of.ANSWER, question.name)
    if isinstance(question, Matrix) and row is not None:
        if row not in {one.code for one in question.rows}:
            raise Unknown(f"{path}.row", f"the question {name!r} has no row {row!r}.")
        subject = Subject(Of.ANSWER, question.name, str(row))
        return _one_of(subject, {one.code for one in question.columns}, op, value, path)
    if row is not None:
        raise Malformed(f"{path}.row", "only a matrix has rows.")
    match question:
        case Choice():
            return _one_of(subject, {one.code for one in question.options}, op, value, path)
        case YesNo():
            return _one_of(
                subject,
                {"yes", "no"},
                op,
                {True: "yes", False: "no"}[value] if isinstance(value, bool) else value,
                path,
            )
        case Choices():
            made = _made(subject, Kind.SOME, op, value, path)
            _known(made, {one.code for one in question.options}, path)
            return made
        case Number() | Scale():
            return _made(subject, Kind.NUMBER, op, value, path)
        case Day():
            return _made(subject, Kind.DAY, op, value, path)
        case _:
            return _made(subject, Kind.THERE, op, value, path)


def _one_of(subject: Subject, codes: set[str], op: str, value: object, path: str) -> Atom:
    if op not in _ONE_OPS:
        raise Malformed(f"{path}.op", f"a choice is compared by {', '.join(sorted(_ONE_OPS))}.")
    made = _made(subject, Kind.TEXT, op, value, path)
    _known(made, codes, path)
    return made


def _known(atom: Atom, codes: set[str], path: str) -> None:
    named = atom.value if isinstance(atom.value, frozenset) else {atom.value} - {None}
    if unknown := sorted(named - codes):
        raise Unknown(f"{path}.value", f"the question has no {unknown[0]!r} to choose.")


def _made(subject: Subject, kind: Kind, op: str, value: object, path: str) -> Atom:
    allowed, what = {
        Kind.TEXT: (_TEXT_OPS, "texts are"), Kind.NUMBER: (_NUMBER_OPS, "numbers are"), Kind.DAY: (_DAY_OPS, "dates are"),
        Kind.SOME: (_SOME_OPS, "several choices are"), Kind.THERE: (frozenset({"empty"}), "such an answer is"),
    }[kind]  # fmt: skip
    if op not in allowed:
        raise Malformed(f"{path}.op", f"{what} compared by {', '.join(sorted(allowed))}.")
    if op == "empty":
        if value is not None:
            raise Malformed(f"{path}.value", "empty takes no value.")
        return Atom(subject, Kind.THERE, op, None)
    return Atom(subject, kind, op, _value(kind, op, value, f"{path}.value"))


def _value(kind: Kind, op: str, value: object, path: str) -> object:
    if kind is Kind.NUMBER:
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 10**15:
            raise Malformed(path, "give a number.")
        return Decimal(str(value))
    if kind is Kind.DAY:
        try:
            return date.fromisoformat(value) if isinstance(value, str) else _none(path)
        except ValueError:
            return _none(path)
    if op == "in":
        if not isinstance(value, list | tuple) or not 1 <= len(value) <= MAX_VALUES or not all(map(_is_text, value)):
            raise Malformed(path, f"give a list of 1 to {MAX_VALUES} texts.")
        return frozenset(value)
    if not _is_text(value):
        raise Malformed(path, "give a text.")
    return value


def _none(path: str) -> object:
    raise Malformed(path, "give a date such as 2026-11-25.")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 1000 and "\0" not in value
