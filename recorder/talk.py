"""Who spoke when, as figures that QA selects by. Pure: two rows of voiced or not, frame by frame, come in.

Where the recording was paused nothing is known: it is neither silence nor somebody's turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Voiced = NDArray[np.bool_]

JOIN_MS: Final = 300
"""A shorter pause is a stop within a word, not silence."""

WORD_MS: Final = 120
"""A shorter sound is a click or a breath, not a word."""

DEAD_AIR_MS: Final = 3_000
"""Silence of both sides from this length on counts as dead air."""

TALK_OVER_MS: Final = 300
"""Both sides at once for this long is talking over; less is the ordinary overlap of turns."""

MONOLOGUE_PAUSE_MS: Final = 2_000
"""A pause that does not end a monologue, as long as the other side does not use it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """All in milliseconds from the answer. `customer_ms` 0: the customer never spoke, None: not where it was recorded, and there was a pause.

    A first word of None: there was none, or a pause lies before all that was heard.
    """

    customer_ms: int | None
    agent_ms: int | None
    customer_first_word_ms: int | None
    agent_first_word_ms: int | None
    dead_air_ms: int
    longest_silence_ms: int
    talk_over_ms: int
    talk_overs: int
    longest_monologue_ms: int


def figures(customer: Voiced, agent: Voiced, *, frame_ms: int, unknown: Sequence[tuple[int, int]] = ()) -> Talk:
    """Figures of a call from its voiced frames; the shorter side is silent at its end. `unknown`: stretches in ms that were not recorded."""
    count = max(len(customer), len(agent))
    known = np.ones(count, np.bool_)
    for start_ms, stop_ms in unknown:
        known[start_ms // frame_ms : -(-stop_ms // frame_ms)] = False
    sides = [_words(_padded(side, count), frame_ms) for side in (customer, agent)]
    silences = _lengths(~(sides[0] | sides[1]) & known) * frame_ms
    overs = _lengths(sides[0] & sides[1]) * frame_ms
    overs = overs[overs >= TALK_OVER_MS]
    monologues = [
        _longest(_closed(own, MONOLOGUE_PAUSE_MS // frame_ms) & ~other & known)
        for own, other in (sides, reversed(sides))
    ]
    return Talk(
        customer_ms=_spoken(sides[0], known, frame_ms),
        agent_ms=_spoken(sides[1], known, frame_ms),
        customer_first_word_ms=_first(sides[0], known, frame_ms),
        agent_first_word_ms=_first(sides[1], known, frame_ms),
        dead_air_ms=int(silences[silences >= DEAD_AIR_MS].sum()),
        longest_silence_ms=int(silences.max(initial=0)),
        talk_over_ms=int(overs.sum()),
        talk_overs=len(overs),
        longest_monologue_ms=max(monologues) * frame_ms,
    )


def _padded(side: Voiced, count: int) -> Voiced:
    out = np.zeros(count, np.bool_)
    out[: len(side)] = side
    return out


def _words(side: Voiced, frame_ms: int) -> Voiced:
    """Without the short gaps, then without the short sounds."""
    closed = _closed(side, JOIN_MS // frame_ms)
    starts, stops = _runs(closed)
    for start, stop in zip(starts, stops, strict=True):
        if (stop - start) * frame_ms < WORD_MS:
            closed[start:stop] = False
    return closed


def _closed(side: Voiced, frames: int) -> Voiced:
    """With pauses of up to so many frames filled."""
    starts, stops = _runs(side)
    closed = side.copy()
    for stop, start in zip(stops[:-1], starts[1:], strict=True):
        if start - stop <= frames:
            closed[stop:start] = True
    return closed


def _runs(side: Voiced) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where stretches of True begin, and where they end."""
    edges = np.flatnonzero(np.diff(side.astype(np.int8), prepend=0, append=0))
    return edges[0::2], edges[1::2]


def _lengths(side: Voiced) -> NDArray[np.intp]:
    starts, stops = _runs(side)
    return stops - starts


def _longest(side: Voiced) -> int:
    return int(_lengths(side).max(initial=0))


def _spoken(side: Voiced, known: Voiced, frame_ms: int) -> int | None:
    frames = int(np.count_nonzero(side))
    return frames * frame_ms if frames or known.all() else None


def _first(side: Voiced, known: Voiced, frame_ms: int) -> int | None:
    if not side.any():
        return None
    first = int(side.argmax())
    return first * frame_ms if known[:first].all() else None
