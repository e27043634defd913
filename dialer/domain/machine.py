"""State tables: (state, event) → what it is.

A pair is a *move* to the next state, a *straggler* (late, doubled or reordered news that changes nothing and is counted), or *illegal*
(a defect in us or in Asterisk, logged with the call and refused). Every pair is decided; a test lists the ones that are not.
The same table feeds the code, the SQL check, the test and the diagram in the docs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Generic, TypeVar


class Kind(Enum):
    """What an event means in a state."""

    MOVE = "move"
    STRAGGLER = "straggler"
    ILLEGAL = "illegal"


S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Step(Generic[S]):
    """The answer of a table: what the event is here, and the state after it."""

    kind: Kind
    state: S


class Table(Generic[S, E]):
    """A complete state table.

    `moves` maps (state, event) to the next state; `stragglers` and `illegal` are sets of pairs. Together they must cover
    every pair exactly once; ValueError names the first pairs that are undecided or decided twice.
    """

    def __init__(
        self,
        states: Iterable[S],
        events: Iterable[E],
        *,
        moves: Mapping[tuple[S, E], S],
        stragglers: Iterable[tuple[S, E]],
        illegal: Iterable[tuple[S, E]],
    ) -> None:
        self.states, self.events = tuple(states), tuple(events)
        self.moves, self._stragglers, self._illegal = dict(moves), frozenset(stragglers), frozenset(illegal)
        steps: dict[tuple[S, E], Step[S]] = {}
        wrong: list[str] = []
        for state in self.states:
            for event in self.events:
                pair = (state, event)
                match (pair in self.moves, pair in self._stragglers, pair in self._illegal):
                    case (True, False, False):
                        steps[pair] = Step(Kind.MOVE, self.moves[pair])
                    case (False, True, False):
                        steps[pair] = Step(Kind.STRAGGLER, state)
                    case (False, False, True):
                        steps[pair] = Step(Kind.ILLEGAL, state)
                    case decisions:
                        wrong.append(f"{state}/{event} decided {sum(decisions)} times")
        if wrong:
            raise ValueError("state table: " + ", ".join(wrong[:10]))
        self._steps = steps

    def step(self, state: S, event: E) -> Step[S]:
        """What `event` does in `state`."""
        return self._steps[state, event]
