"""What the tests of the command line share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

Waihu = Callable[..., tuple[int, Any]]
"""Runs a command line; gives its exit code and its answer."""

PASSWORD = "correct horse battery"


async def run_in_thread(work: Callable[[], Any]) -> Any:
    """A command line blocks; the test's own loop goes on."""
    return await asyncio.to_thread(work)
