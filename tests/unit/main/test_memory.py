"""The collector, as a program that carries calls needs it."""

from __future__ import annotations

import gc

from dialer.main import memory


def test_what_is_there_at_the_start_is_never_looked_at_again() -> None:
    before = gc.get_threshold()
    try:
        memory.settle()
        assert gc.get_freeze_count() > 10_000
        assert gc.get_threshold()[0] >= 10_000
        assert gc.isenabled()
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
