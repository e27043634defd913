"""In what order fresh leads are dialled, and how lists are mixed. Pure: words become SQL of ours, values arguments.

Leads that come back (retries) go by their time, whatever the order of the fresh ones; `retry_first` says which of the two go first within a priority.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from uuid import UUID

from campaigns.errors import BadInput

MAX_WEIGHT: Final = 1000
_STRIDE: Final = 1_000_000_000


class OrderBy(StrEnum):
    """What comes first."""

    OLDEST = "oldest"
    NEWEST = "newest"
    RANDOM = "random"  # by a seed: the same seed, the same order
    FIELD = "field"  # a column of the client's list, as text
    FIELD_NUMBER = "field_number"  # the same, as a number; cells that are none come last
    FOLLOW_SUN = "follow_sun"  # east to west: whose day ends first


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordering:
    """`column` and `descending` belong to the orders by field, `seed` to random. `weights`: import → how many of its leads go while one of a list with weight 1 goes."""

    by: OrderBy = OrderBy.OLDEST
    column: str | None = None
    descending: bool = False
    seed: int = 0
    retry_first: bool = False
    weights: Mapping[UUID, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.by in {OrderBy.FIELD, OrderBy.FIELD_NUMBER}) != bool(self.column):
            raise BadInput("ordering_malformed", "An order by field, and no other, names the column.")
        if not all(1 <= weight <= MAX_WEIGHT for weight in self.weights.values()):
            raise BadInput("ordering_malformed", f"The weight of a list is 1 to {MAX_WEIGHT}.")

    @property
    def is_plain(self) -> bool:
        """Oldest first, lists not weighed: the order that needs no ranks."""
        return self.by is OrderBy.OLDEST and not self.weights


def rank_sql(ordering: Ordering, *, first: int) -> tuple[str, tuple[object, ...]]:
    """The rank of a lead `l` among the project's, as a window expression, with its arguments (numbered from `first` on); lower goes first."""
    if ordering.is_plain:
        return "0::bigint", ()
    arguments: list[object] = []

    def place(value: object, kind: str) -> str:
        arguments.append(value)
        return f"${first + len(arguments) - 1}::{kind}"

    way = "desc" if ordering.descending else "asc"
    order = "l.id"
    match ordering.by:
        case OrderBy.NEWEST:
            order = "l.id desc"
        case OrderBy.RANDOM:
            order = f"hashint8extended(l.id, {place(ordering.seed, 'bigint')}), l.id"
        case OrderBy.FIELD:
            order = f"nullif(l.fields ->> {place(ordering.column, 'text')}, '') {way} nulls last, l.id"
        case OrderBy.FIELD_NUMBER:
            cell = f"(l.fields ->> {place(ordering.column, 'text')})"
            number = f"case when {cell} ~ '^\\s*-?[0-9]{{1,15}}(\\.[0-9]{{1,9}})?\\s*$' then {cell}::numeric end"
            order = f"{number} {way} nulls last, l.id"
        case OrderBy.FOLLOW_SUN:
            order = "(now() at time zone l.zone) desc nulls last, l.id"
    if not ordering.weights:
        return f"row_number() over (order by {order})", tuple(arguments)
    lists = place(list(ordering.weights), "uuid[]")
    weights = place(list(ordering.weights.values()), "integer[]")
    weight = f"coalesce(({weights})[array_position({lists}, l.import_id)], 1)"
    # Each list's leads stand at even steps, shorter for heavier lists: so the lists mix by their weights all along.
    return f"row_number() over (partition by l.import_id order by {order}) * {_STRIDE} / {weight}", tuple(arguments)
