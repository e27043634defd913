"""The filter language: a condition on leads as JSON, turned into SQL whose every word is ours and whose every value is an argument. Pure.

    {"all": [{"field": "province", "op": "in", "value": ["江苏", "浙江"]},
             {"any": [{"custom": "金额", "op": ">=", "value": 10000}, {"field": "attempts", "op": "=", "value": 0}]},
             {"not": {"field": "last_attempt_at", "op": "within_days", "value": 3}}]}

A comparison with something that is not there is false, and `not` of it is true.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from campaigns.conditions import Folding, Malformed, fold
from campaigns.errors import BadInput

MAX_VALUES: Final = 1000

# The lead is `l`, its place `pl`.
_TEXTS: Final = {
    "country": "pl.country",
    "province": "pl.province",
    "city": "pl.city",
    "carrier": "coalesce(l.carrier, pl.carrier)",
    "zone": "l.zone",
    "region": "l.region",
    "name": "l.name",
    "number": "l.number",
    "kind": "l.kind",
    "reference": "l.reference",
    "import": "l.import_id::text",
    "last_outcome": "l.last_outcome",
    "disposition": "l.disposition",
}
_NUMBERS: Final = {"priority": "l.priority", "attempts": "l.attempts"}
_TIMES: Final = {"created_at": "l.created_at", "last_attempt_at": "l.last_attempt_at"}
HISTORY: Final = frozenset({"attempts", "last_outcome", "disposition", "last_attempt_at"})
"""Fields that change while a list is dialled."""

_IS_NUMBER: Final = r"^\s*-?[0-9]{1,15}(\.[0-9]{1,9})?\s*$"
_COMPARE: Final = frozenset({"=", "!=", "<", "<=", ">", ">="})
_TEXT_OPS: Final = frozenset({"=", "!=", "in", "starts", "contains", "empty"})
_TIME_OPS: Final = frozenset({"before", "after", "older_than_days", "within_days", "empty"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """SQL on `l` and `pl` that is true or false, its arguments, and whether calls change it. Parameters are numbered from `first` on."""

    sql: str
    arguments: tuple[object, ...]
    uses_history: bool
    uses_time: bool


@dataclass(slots=True)
class _Compiler:
    first: int
    arguments: list[object] = field(default_factory=list)
    uses_history: bool = False
    uses_time: bool = False

    def place(self, value: object, kind: str) -> str:
        self.arguments.append(value)
        return f"${self.first + len(self.arguments) - 1}::{kind}"


def compile_filter(condition: object, *, first: int = 1) -> Compiled:
    """The condition as SQL. None is everybody. Errors: BadInput `filter_malformed`, with the path to what is wrong."""
    compiler = _Compiler(first)
    folding: Folding[str] = Folding(
        leaf=lambda node, path: f"coalesce({_leaf(compiler, node, path)}, false)",
        all_of=lambda parts: f"({' and '.join(parts)})",
        any_of=lambda parts: f"({' or '.join(parts)})",
        not_of=lambda part: f"(not {part})",
        leaves="field or custom",
    )
    try:
        sql = "true" if condition is None else fold(condition, folding, "filter")
    except Malformed as error:
        raise BadInput("filter_malformed", str(error), path=error.path) from error
    return Compiled(
        sql=sql,
        arguments=tuple(compiler.arguments),
        uses_history=compiler.uses_history,
        uses_time=compiler.uses_time,
    )


def _leaf(compiler: _Compiler, node: Mapping[Any, Any], path: str) -> str:
    if not {"op"} < set(node) <= {"field", "custom", "op", "value"} or ("field" in node) == ("custom" in node):
        raise Malformed(path, "a condition has field (or custom), op and value, and nothing else.")
    op, value = node["op"], node.get("value")
    if not isinstance(op, str):
        raise Malformed(f"{path}.op", "the comparison is a text.")
    if "custom" in node:
        return _custom(compiler, node["custom"], op, value, path)
    name = node["field"]
    if not isinstance(name, str) or name not in {*_TEXTS, *_NUMBERS, *_TIMES}:
        raise Malformed(f"{path}.field", f"fields are {', '.join([*_TEXTS, *_NUMBERS, *_TIMES])}; the client's own columns are custom.")  # fmt: skip
    compiler.uses_history |= name in HISTORY
    if name in _TEXTS:
        return _text(compiler, _TEXTS[name], op, value, path)
    if name in _NUMBERS:
        return _number(compiler, _NUMBERS[name], op, value, path)
    return _time(compiler, _TIMES[name], op, value, path)


def _custom(compiler: _Compiler, name: object, op: str, value: object, path: str) -> str:
    if not isinstance(name, str) or not 1 <= len(name) <= 200 or "\0" in name:
        raise Malformed(f"{path}.custom", "give the name of a column of the client's list.")
    cell = f"(l.fields ->> {compiler.place(name, 'text')})"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        number = f"(case when {cell} ~ '{_IS_NUMBER}' then {cell}::numeric end)"
        return _number(compiler, number, op, value, path)
    return _text(compiler, cell, op, value, path)


def _text(compiler: _Compiler, sql: str, op: str, value: object, path: str) -> str:
    if op not in _TEXT_OPS:
        raise Malformed(f"{path}.op", f"texts are compared by {', '.join(sorted(_TEXT_OPS))}.")
    if op == "empty":
        return f"coalesce({sql}, '') = ''"
    if op == "in":
        if not isinstance(value, list) or not 1 <= len(value) <= MAX_VALUES or not all(map(_is_text, value)):
            raise Malformed(f"{path}.value", f"give a list of 1 to {MAX_VALUES} texts.")
        return f"{sql} = any ({compiler.place(value, 'text[]')})"
    if not _is_text(value):
        raise Malformed(f"{path}.value", "give a text.")
    argument = compiler.place(value, "text")
    match op:
        case "starts":
            return f"starts_with({sql}, {argument})"
        case "contains":
            return f"position({argument} in {sql}) > 0"
        case "!=":
            return f"coalesce({sql}, '') <> {argument}"
        case _:
            return f"{sql} = {argument}"


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 1000 and "\0" not in value


def _number(compiler: _Compiler, sql: str, op: str, value: object, path: str) -> str:
    if op not in _COMPARE:
        raise Malformed(f"{path}.op", f"numbers are compared by {', '.join(sorted(_COMPARE))}.")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 10**15:
        raise Malformed(f"{path}.value", "give a number.")
    return f"{sql} {'<>' if op == '!=' else op} {compiler.place(Decimal(str(value)), 'numeric')}"


def _time(compiler: _Compiler, sql: str, op: str, value: object, path: str) -> str:
    if op not in _TIME_OPS:
        raise Malformed(f"{path}.op", f"times are compared by {', '.join(sorted(_TIME_OPS))}.")
    if op == "empty":
        return f"{sql} is null"
    if op in {"before", "after"}:
        moment = _moment(value)
        if moment is None:
            raise Malformed(f"{path}.value", "give a time with its offset, such as 2026-11-25T09:00:00+08:00.")
        return f"{sql} {'<' if op == 'before' else '>='} {compiler.place(moment, 'timestamptz')}"
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 3650:
        raise Malformed(f"{path}.value", "give a number of days from 1 to 3650.")
    compiler.uses_time = True
    ago = f"now() - make_interval(days => {compiler.place(value, 'integer')})"
    return f"{sql} < {ago}" if op == "older_than_days" else f"{sql} >= {ago}"


def _moment(value: object) -> datetime | None:
    parse: Callable[[str], datetime] = datetime.fromisoformat
    try:
        moment = parse(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
