"""From beliefs to tables: by when will a ringing call be answered, by when will a busy agent be free?

For a grid of horizons every row (a bin of age) holds the first three cumulants of "this call is answered by then" or, negative, of
"this agent is free by then". A floor is then the sum of its rows.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialer.domain.pacing.beliefs import (
    RING_BIN_S,
    RING_BINS,
    TALK_BIN_S,
    TALK_BINS,
    WRAP_UP_BIN_S,
    WRAP_UP_BINS,
    Beliefs,
    Running,
)
from dialer.domain.pacing.lifetable import Array, bins_of, survival

POINTS = 12
DETECTING_ROWS = 16  # of half a second
_SPREAD = 0.97  # the horizons reach so far into the answers
_PATIENCE = 0.75  # of the time an answered call may wait, an agent who gets free is of use

CALL_ROWS = RING_BINS + DETECTING_ROWS  # all rows of calls
TALKING_FROM = CALL_ROWS
WRAPPING_UP_FROM = TALKING_FROM + TALK_BINS

Numbers = NDArray[np.floating[Any]]


def rows_of(running: Running, detecting: Array) -> NDArray[np.intp]:
    """Which row of the tables each call and each busy agent has; `detecting`: seconds since the answer."""
    return np.concatenate(
        (
            bins_of(running.ringing, RING_BIN_S, RING_BINS),
            bins_of(detecting, 0.5, DETECTING_ROWS) + RING_BINS,
            bins_of(running.talking, TALK_BIN_S, TALK_BINS) + TALKING_FROM,
            bins_of(running.wrapping_up, WRAP_UP_BIN_S, WRAP_UP_BINS) + WRAPPING_UP_FROM,
        )
    ).astype(np.intp)


class Forecast:
    """The tables for one set of beliefs.

    `chances[row]`: for each horizon, negative for an agent; `cumulants[row]`: mean, variance, third cumulant for each horizon, one behind the other; `new`: the same for a call placed now; `shares`: when the answer of such a call comes.
    """

    def __init__(self, beliefs: Beliefs, agent_wait_s: float) -> None:
        self.level = beliefs.level
        answered = np.clip(beliefs.answered * beliefs.level, 0, 0.95)
        still_ringing = survival(answered + np.minimum(beliefs.failed, 1 - answered))
        by = np.concatenate(([0.0], np.cumsum(still_ringing[:-1] * answered)))
        edges = np.arange(RING_BINS + 1, dtype=np.float64)
        last = float(np.interp(_SPREAD * by[-1], by, edges)) + beliefs.detection_s
        self.step_s = max(1, math.ceil((last - 1) / POINTS))
        self.horizons_s = self.step_s * np.arange(1, POINTS + 1, dtype=np.float64)

        def answered_by(at: Numbers) -> Array:
            return np.asarray(np.interp(at, edges, by), dtype=np.float64)

        reach = self.horizons_s - beliefs.detection_s
        ages = np.arange(RING_BINS) + 0.5
        still = np.interp(ages, edges, still_ringing)
        more = answered_by(ages[:, None] + np.maximum(reach, 0)) - answered_by(ages)[:, None]
        ringing = beliefs.human_share * np.where(still[:, None] > 1e-6, more / np.maximum(still, 1e-6)[:, None], 0)
        detecting = beliefs.human_share * (reach[None, :] + (np.arange(DETECTING_ROWS) / 2)[:, None] >= 0)
        busy = _free_by(beliefs, self.horizons_s + _PATIENCE * agent_wait_s)

        rows = np.concatenate((ringing, detecting, -busy))
        self.chances = rows
        self.cumulants = cumulants(rows)
        self.new_chances = beliefs.human_share * answered_by(np.maximum(reach, 0))
        self.new = cumulants(self.new_chances[None, :])[0].reshape(3, POINTS)
        half = self.step_s / 2
        around = answered_by(np.maximum(np.append(0, reach + half), 0))
        around[-1] = by[-1]
        self.doubt = beliefs.doubt
        self.shares = np.diff(around) / max(float(by[-1]), 1e-9)


def cumulants(chances: Array) -> Array:
    """Of Bernoulli variables; a negative chance is that of a variable that counts down."""
    p = np.clip(np.abs(chances), 0, 1)
    variance = p * (1 - p)
    sign = np.sign(chances)
    return np.concatenate((sign * p, variance, sign * variance * (1 - 2 * p)), axis=1)


def _free_by(beliefs: Beliefs, horizons_s: Array) -> Array:
    """The chance that an agent is free by each horizon: rows of talk (and the wrap-up after it), then rows of wrap-up."""
    wrap_up_still = _log_survival(beliefs.wrap_up_ended, 1.0)

    def in_wrap_up(at: Numbers) -> Array:
        return np.asarray(np.interp(at, np.arange(len(wrap_up_still)), wrap_up_still), dtype=np.float64)

    ages = np.arange(WRAP_UP_BINS) + 0.5
    from_wrap_up = 1 - np.exp(in_wrap_up(ages[:, None] + horizons_s) - in_wrap_up(ages)[:, None])

    talk_still = _log_survival(beliefs.talk_ended, TALK_BIN_S)
    seconds = np.arange(math.ceil(horizons_s[-1]) + 1)
    starts = (np.arange(TALK_BINS) * TALK_BIN_S + 1).astype(np.intp)
    left = np.exp(talk_still[starts[:, None] + seconds] - talk_still[starts][:, None])
    ends = left[:, :-1] - left[:, 1:]
    after = horizons_s - (seconds[:-1, None] + 0.5)
    done = np.where(after > 0, 1 - np.exp(in_wrap_up(np.maximum(after, 0))), 0)
    return np.concatenate((ends @ done, from_wrap_up))


def _log_survival(chances: Array, width_s: float) -> Array:
    """Of the time in a state, second by second, and on beyond the last bin with the chances of the last bins together."""
    log_still = np.log1p(-np.clip(chances, 0, 0.999)) / width_s
    per_second = np.repeat(log_still, int(width_s))
    beyond = np.full(256, log_still[-8:].mean())
    return np.concatenate(([0.0], np.cumsum(np.concatenate((per_second, beyond)))))
