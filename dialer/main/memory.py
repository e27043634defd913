"""The garbage collector, set so that no call waits for it.

What is there when the program is ready (modules, routes, tables) stays: it is frozen, so that a full collection need not look at it. What comes
with calls is freed by counting references; the collector looks for circles seldom.
"""

from __future__ import annotations

import gc

_YOUNG, _MIDDLE, _OLD = 20_000, 20, 50  # allocations, then collections of the generation below


def settle() -> None:
    """Call when all parts have started. May be called again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
