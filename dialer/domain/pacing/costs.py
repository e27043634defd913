"""What one call more would cost: the chance that its answer finds nobody free, as the floor stands."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dialer.domain.pacing.forecast import CALL_ROWS, POINTS, Forecast, cumulants
from dialer.domain.pacing.lifetable import Array
from dialer.domain.pacing.tail import Waves, at_least, at_least_exactly, waves

_SMALL_VARIANCE, _LARGE_VARIANCE = 2.5, 4.0  # below: exact; above: by cumulants; between: the one fades into the other
_BURST, _BURST_CALLS = (
    1e-4,
    8.0,
)  # a burst of more abandoned calls than there is room for may be so likely; a larger room needs no look

Rows = NDArray[np.intp]


class Costs:
    """For one moment.

    `rows`: the calls under way, then the busy agents who stay, as rows of the forecast; `free`: agents for whom no call waits;
    `gone`: how many of them will have left by each horizon; `leaving`: for each busy agent who will leave, the (negative) chance to
    be free and there at each horizon.
    """

    def __init__(self, forecast: Forecast, rows: Rows, free: float, gone: Array, leaving: Array) -> None:
        self._forecast, self._rows, self._free, self._gone, self._leaving = forecast, rows, free, gone, leaving
        self._there = free - gone
        counts = np.bincount(rows, minlength=len(forecast.cumulants)).astype(np.float64)
        self._floor = (counts @ forecast.cumulants).reshape(3, POINTS)
        if len(leaving):
            self._floor += cumulants(leaving).sum(axis=0).reshape(3, POINTS)
        self._calls = int(np.count_nonzero(rows < CALL_ROWS))
        self._answers = counts[:CALL_ROWS] @ forecast.chances[:CALL_ROWS]

    def most(self, theta: float, at_most: int, room: float = math.inf) -> int:
        """How many new calls can be placed before one costs more than theta, or before more than `room` answers at a time could find nobody."""
        beyond = math.floor(room) if room < _BURST_CALLS else None
        done, block = 0, 4
        while done < at_most:
            costs, bursts = self._of_new(done, block, beyond)
            dear = costs > theta if bursts is None else (costs > theta) | (bursts > _BURST)
            if dear.any():
                return min(at_most, done + int(dear.argmax()))
            done, block = done + block, block * 2
        return max(0, at_most)

    def of_one_under_way(self, row: int) -> float:
        """What an answer of a call that rings already costs, by the row of that call."""
        by = self._forecast.chances[row]
        others = self._floor - self._forecast.cumulants[row].reshape(3, POINTS)
        return float(at_least(self._there, *others) @ np.diff(by, prepend=0)) / max(float(by[-1]), 1e-9)

    def without(self, row: int) -> Costs:
        """As if one of the calls of this row were not under way."""
        rows = np.delete(self._rows, int(np.argmax(self._rows == row)))
        return Costs(self._forecast, rows, self._free, self._gone, self._leaving)

    def _of_new(self, first: int, count: int, beyond: int | None) -> tuple[Array, Array | None]:
        """The chance that the answer of a new call finds nobody free, and that `beyond` others do neither, when `first`, first + 1, ... calls are placed with it."""
        forecast = self._forecast
        others = np.arange(first, first + count)[:, None]
        mean, variance, third = self._floor[:, None, :] + others * forecast.new[:, None, :]
        # Which way is taken depends on the sum alone, and changes little by little, so that the order of two sums is not lost: far out in
        # the tail the two are a call or two apart.
        size = variance @ forecast.shares
        small, exact = (int(n) for n in np.searchsorted(size, (_SMALL_VARIANCE, _LARGE_VARIANCE)))
        waves_of = self._waves(first, exact) if exact else None
        if small < count:
            doubt = forecast.doubt * (self._answers + others[small:] * forecast.new_chances)
            sums = mean[small:], variance[small:] + doubt * doubt, third[small:]

        def chances(there: Array) -> Array:
            rough: Array = at_least(there, *sums) @ forecast.shares if small < count else size[:0]
            if waves_of is None:
                return rough
            found: Array = np.zeros(count)
            found[:exact] = at_least_exactly(there, mean[:exact], waves_of) @ forecast.shares
            if small < count:
                faded = np.minimum(1, (size[small:] - _SMALL_VARIANCE) / (_LARGE_VARIANCE - _SMALL_VARIANCE))
                found[small:] += faded * (rough - found[small:])
            return found

        return chances(self._there), None if beyond is None else chances(self._there + beyond)

    def _waves(self, first: int, count: int) -> Waves:
        forecast = self._forecast
        chances = np.concatenate((forecast.chances[self._rows], self._leaving))
        wave = waves(chances[: self._calls]).prod(axis=0) * waves(-chances[self._calls :]).prod(axis=0).conj()
        new = waves(forecast.new_chances)
        several = [wave * new**first] if first else [wave]
        for _ in range(count - 1):
            several.append(several[-1] * new)
        return np.array(several)
