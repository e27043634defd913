"""Faults on the real system: the engine's floor of the system tests, on telephony of our own that may be killed, and a whole call centre to kill piece by piece."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from dialer.asterisk.site import TrunkSettings
from tests.faults.call_centre import CallCentre
from tests.faults.hostile_carrier import HOSTILE_PORT
from tests.system.engine.conftest import Telephony, a_telephony, floor

__all__ = ["centre", "floor", "telephony"]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def telephony(run_dir: Path) -> AsyncIterator[Telephony]:
    """A node, a carrier and softphones that only the tests of faults use; a second trunk leads to whoever listens on HOSTILE_PORT."""
    hostile = TrunkSettings(
        name="hostile",
        host="127.0.0.1",
        port=HOSTILE_PORT,
        username=None,
        password=None,
        inbound_password="x" * 24,
        qualify_s=0,
    )
    async with a_telephony(run_dir, "faults", trunks=[hostile]) as one:
        yield one


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def whole_centre(run_dir: Path) -> AsyncIterator[CallCentre]:
    """Everything as in production, in processes of their own."""
    async with CallCentre(run_dir / "killed") as one:
        yield one


@pytest_asyncio.fixture(loop_scope="session")
async def centre(whole_centre: CallCentre) -> AsyncIterator[CallCentre]:
    """The call centre, everything running, nobody at a desk, no lead left."""
    await whole_centre.tidy()
    yield whole_centre
