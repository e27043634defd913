"""Waiting for a condition with a deadline, which is how everything in the lab and the tests waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TypeVar, overload

from lab.errors import NotReady

T = TypeVar("T")

_FIRST_PAUSE_S = 0.002
_LONGEST_PAUSE_S = 0.05


@overload
async def wait_until(condition: Callable[[], Awaitable[T | None]], *, timeout_s: float, what: str) -> T: ...


@overload
async def wait_until(condition: Callable[[], T | None], *, timeout_s: float, what: str) -> T: ...


async def wait_until(condition: Callable[[], object], *, timeout_s: float, what: str) -> object:
    """Ask `condition` (plain or async) until its answer is true; give that answer back.

    Errors of the condition come through. Raises NotReady with `what` when timeout_s is over; a condition that hangs is cut off.
    """
    deadline = time.monotonic() + timeout_s
    pause_s = _FIRST_PAUSE_S
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                answer = condition()
                if isawaitable(answer):
                    answer = await answer
                if answer:
                    return answer
                await asyncio.sleep(min(pause_s, max(deadline - time.monotonic(), 0)))
                pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)
    except TimeoutError:
        raise NotReady(f"waited {timeout_s:g} s in vain for: {what}") from None
