from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from lab.asterisk_node import AsteriskNode
from lab.carrier import Carrier
from tests.system.telephony.scene import Scene


@pytest.fixture
async def scene(node: AsteriskNode, carrier: Carrier) -> AsyncIterator[Scene]:
    """An engine's place at the node: AMI session and AGI server, to be told what to answer."""
    del carrier
    async with Scene(node) as stage:
        yield stage
