"""What the protocol tests share: the fake and the real Asterisk, clients, a proxy that breaks things, a guard against a blocked loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dialer.asterisk.ami.client import AmiConfig
from tests.protocols.fake_asterisk import FakeAsterisk
from tests.protocols.faulty_proxy import FaultyProxy
from tests.protocols.real_asterisk import RealAsterisk

LONGEST_BLOCK_S = 2.0
"""Well above what a busy machine does to us, below any wait on a name server or a spinning reader."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """An Asterisk to talk to, fake or real."""

    port: int
    is_real: bool

    def config(self, **changes: object) -> AmiConfig:
        """How to log in there."""
        return AmiConfig(port=self.port, user="waihu", secret="contract-secret", **changes)  # type: ignore[arg-type]


def denied_s() -> float:
    """Seconds for which this thread could have run and was not let (schedstat); 0 where the kernel does not count them."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except FileNotFoundError:
        return 0.0


@pytest.fixture
def services_first(request: pytest.FixtureRequest) -> None:
    """Starting a container takes its time, and is not what the guard looks for."""
    if "peer" in request.fixturenames:
        request.getfixturevalue("peer")


@pytest.fixture
async def loop_guard(services_first: None) -> AsyncIterator[None]:
    """Fails the test when something kept the event loop for itself. Time in which the machine gave this thread no processor does not count."""
    loop = asyncio.get_running_loop()
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before, denied = loop.time(), denied_s()
            await asyncio.sleep(0.01)
            longest = max(longest, loop.time() - before - 0.01 - (denied_s() - denied))

    task = loop.create_task(watch(), name="loop guard")
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert longest < LONGEST_BLOCK_S, f"the event loop was blocked for {longest:.2f} s"


@pytest.fixture(scope="session")
def real_asterisk(run_dir: Path) -> Iterator[RealAsterisk]:
    """One real Asterisk per worker."""
    asterisk = RealAsterisk(run_dir)
    asyncio.run(asterisk.start())
    yield asterisk
    asyncio.run(asterisk.stop())


@pytest.fixture
async def fake() -> AsyncIterator[FakeAsterisk]:
    """A fake Asterisk of this test alone."""
    asterisk = FakeAsterisk()
    await asterisk.start()
    yield asterisk
    await asterisk.stop()


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.system)])
def peer(request: pytest.FixtureRequest) -> Peer:
    """Each contract test runs on both."""
    if request.param == "real":
        return Peer(port=request.getfixturevalue("real_asterisk").port, is_real=True)
    return Peer(port=request.getfixturevalue("fake").port, is_real=False)


@pytest.fixture
async def proxy(fake: FakeAsterisk) -> AsyncIterator[FaultyProxy]:
    """A proxy in front of the fake."""
    between = FaultyProxy(fake.port)
    await between.start()
    yield between
    await between.stop()
