"""The form that conditions have everywhere, as JSON; what a single comparison means is its user's business. Pure.

{"all": [one, two]}      {"any": [one, two]}      {"not": one}      {... "op": "=", "value": ...}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")
MAX_DEPTH: Final = 10
MAX_CONDITIONS: Final = 200


class Malformed(ValueError):
    """It is no condition: `path` says where, `why` what to give there."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class Folding(Generic[T]):
    """What to make of a condition's parts. `leaf` gets a comparison and its path, and raises `Malformed`; `leaves` names its keys, for people."""

    leaf: Callable[[Mapping[Any, Any], str], T]
    all_of: Callable[[list[T]], T]
    any_of: Callable[[list[T]], T]
    not_of: Callable[[T], T]
    leaves: str


def fold(condition: object, folding: Folding[T], path: str) -> T:
    """A condition made into something else, from its leaves up. Errors: Malformed, also when it is too deep or too large."""
    count = 0

    def node(one: object, here: str, depth: int) -> T:
        nonlocal count
        if depth > MAX_DEPTH:
            raise Malformed(here, f"conditions lie at most {MAX_DEPTH} deep.")
        if not isinstance(one, Mapping):
            raise Malformed(here, f"a condition is an object with all, any, not, {folding.leaves}.")
        keys = set(one)
        if keys == {"not"}:
            return folding.not_of(node(one["not"], f"{here}.not", depth + 1))
        for word, join in (("all", folding.all_of), ("any", folding.any_of)):
            if keys == {word}:
                parts = one[word]
                if not isinstance(parts, list | tuple) or not parts:
                    raise Malformed(f"{here}.{word}", "give a list with at least one condition.")
                return join([node(part, f"{here}.{word}[{at}]", depth + 1) for at, part in enumerate(parts)])
        count += 1
        if count > MAX_CONDITIONS:
            raise Malformed(here, f"at most {MAX_CONDITIONS} comparisons.")
        return folding.leaf(one, here)

    return node(condition, path, 1)
