"""How many new calls a second the machine bears: less when the event loop wakes up late, for then everybody who answers waits.

A loop is late when the engine itself has too much to do and also when others take the processor, so this one figure stands for both. The
rate falls by a factor while it is late and grows by one when it is not, as senders in a network do (AIMD; Chiu and Jain, 1989, but with growth in
proportion, so that it is back soon). Times are monotonic seconds and come in as arguments.
"""

from __future__ import annotations

import math
from typing import Final

TOO_LATE_S: Final = 0.1
"""A mean lateness at which answers are noticeably late."""
IN_TIME_S: Final = 0.05
LEAST_CPS: Final = 2.0
"""So many calls a second are always allowed: few calls are no load, and one has to see when it is over."""
_MEMORY_S = 3.0
_JUDGED_EVERY_S = 3.0
_SLOWER, _FASTER = 0.7, 1.2
_FREE_AGAIN = 3.0  # times what is placed: the bound has no effect any more


class NodeLoad:
    """Told of each waking of the loop and of the calls that are placed."""

    def __init__(self) -> None:
        self.late_s = 0.0
        self.max_cps: float | None = None
        self._placed_cps = 0.0
        self._placed_s = self._judged_s = -math.inf

    def woke(self, late_s: float, at_s: float, every_s: float) -> None:
        """The loop slept for `every_s` and woke so late."""
        share = 1 - math.exp(-(every_s + late_s) / _MEMORY_S)
        self.late_s += share * (late_s - self.late_s)
        if at_s - self._judged_s < _JUDGED_EVERY_S:
            return
        self._judged_s = at_s
        placed = self._placed_cps * math.exp(-(at_s - self._placed_s) / _MEMORY_S) if self._placed_cps else 0.0
        if self.late_s > TOO_LATE_S:
            now = placed if self.max_cps is None else self.max_cps
            self.max_cps = max(LEAST_CPS, _SLOWER * now)
        elif self.late_s < IN_TIME_S and self.max_cps is not None:
            self.max_cps *= _FASTER
            if self.max_cps > max(_FREE_AGAIN * placed, 10 * LEAST_CPS):
                self.max_cps = None

    def placed(self, calls: float, at_s: float) -> None:
        """So many calls were placed now."""
        before = self._placed_cps * math.exp(-(at_s - self._placed_s) / _MEMORY_S) if self._placed_cps else 0.0
        self._placed_cps, self._placed_s = before + calls / _MEMORY_S, at_s
