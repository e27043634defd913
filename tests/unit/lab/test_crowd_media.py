"""The crowd's ears: two parties that talk to each other hear all, and what is lost or goes astray is counted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.crowd.media import Media
from lab.crowd.pattern import sound_of
from lab.ports import free_range
from lab.waiting import wait_until

HOST = "127.0.0.1"
SOUNDS = (sound_of(0), sound_of(1))


class Pair:
    """A customer and an agent, each with a socket of its own, connected without anything between them."""

    def __init__(self) -> None:
        ports = free_range(4)
        self.customers = Media(HOST, ports[0], 4, SOUNDS)
        self.agents = Media(HOST, ports[2], 4, SOUNDS)
        self.customer = self.customers.join(0, HOST, self.agents.port, 1020, 1)
        self.agent = self.agents.join(1, HOST, self.customers.port, 7, 2)

    async def talk(self, packets: int) -> None:
        """So many packets in each direction; back when both have heard them."""
        wanted = packets + int(self.customers.ears.packets.sum())
        for _ in range(packets):
            self.customers.tick(0.0)
            self.agents.tick(0.0)

        def heard() -> bool:
            self.customers.listen(0.0)
            self.agents.listen(0.0)
            return min(int(one.ears.packets.sum()) for one in (self.customers, self.agents)) >= wanted

        await wait_until(heard, timeout_s=2, what="all packets")

    def close(self) -> None:
        self.customers.close()
        self.agents.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    one = Pair()
    yield one
    one.close()


async def test_two_who_talk_hear_each_other_without_a_gap(pair: Pair) -> None:
    await pair.talk(50)
    for ears in (pair.customers.ears, pair.agents.ears):
        assert (ears.packets.sum(), ears.gaps.sum(), ears.missing.sum()) == (50, 0, 0)


async def test_packets_that_were_not_heard_are_counted(pair: Pair) -> None:
    await pair.talk(3)
    pair.customers.skip(pair.customer, 2)
    await pair.talk(3)
    assert (pair.agents.ears.gaps.sum(), pair.agents.ears.missing.sum()) == (1, 2)
    assert pair.customers.ears.gaps.sum() == 0


async def test_hearing_another_party_is_a_gap(pair: Pair) -> None:
    await pair.talk(3)
    pair.customers.leave(pair.customer)
    pair.customers.join(0, HOST, pair.agents.port, 500, 3)
    await pair.talk(3)
    assert pair.agents.ears.gaps.sum() == 1


async def test_a_silence_is_as_long_as_it_lasted(pair: Pair) -> None:
    await pair.talk(2)
    pair.customers.tick(0.5)

    def heard() -> bool:
        pair.agents.listen(0.5)
        return bool(pair.agents.ears.late_ms.max() > 0)

    await wait_until(heard, timeout_s=2, what="a packet")
    assert pair.agents.ears.late_ms.max() == pytest.approx(500)
