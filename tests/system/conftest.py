"""The lab for tests on the real thing: our Asterisk node, the fake carrier and softphones, one set per worker.

Containers live as long as the worker; what belongs to an event loop (control of the softphones) is taken anew by each test.
A test may kill or restart any of them: the next one that asks gets them back running.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from dialer.asterisk.ami.client import AmiClient
from dialer.asterisk.ami.connection import AmiConfig
from dialer.asterisk.provisioning import DeviceConfig, ha1, new_secret, put_device
from lab.asterisk_node import AsteriskNode
from lab.carrier import Carrier
from lab.ports import free_port
from lab.softphone import Account, SoftphoneFailed
from lab.softphone_bank import SoftphoneBank

TIME_SCALE = 0.1
PHONES = ("agent-1", "agent-2", "agent-3")


def ami_config(node: AsteriskNode) -> AmiConfig:
    return AmiConfig(host=node.ami_host, port=node.ami_port, user=node.ami_user, secret=node.ami_secret)


@pytest.fixture(scope="session")
def lab_carrier(run_dir: Path) -> Iterator[Carrier]:
    carrier = Carrier(run_dir, time_scale=TIME_SCALE)
    yield carrier
    asyncio.run(carrier.stop())


@pytest.fixture(scope="session")
def lab_node(run_dir: Path, lab_carrier: Carrier) -> Iterator[AsteriskNode]:
    node = AsteriskNode(run_dir, agi_port=free_port(), trunks=[lab_carrier.trunk], seat_rtp_timeout_s=3)
    lab_carrier.node_sip_port = node.sip_port
    asyncio.run(_start(node, lab_carrier))
    yield node
    asyncio.run(node.stop())


@pytest.fixture(scope="session")
def lab_softphones(run_dir: Path, lab_node: AsteriskNode) -> Iterator[SoftphoneBank]:
    accounts = [Account(username=name, secret=new_secret(), register_s=10) for name in PHONES]
    bank = SoftphoneBank(run_dir, accounts, f"{lab_node.sip_host}:{lab_node.sip_port}")
    asyncio.run(_provide(lab_node, accounts))
    asyncio.run(bank.launch())
    yield bank
    asyncio.run(bank.stop())


@pytest.fixture
async def node(lab_node: AsteriskNode) -> AsteriskNode:
    """Our Asterisk, running."""
    if not lab_node.running:
        await lab_node.revive()
    return lab_node


@pytest.fixture
async def carrier(lab_carrier: Carrier, node: AsteriskNode) -> Carrier:
    """The public network, running; `node` has it as trunk "carrier". Times are a tenth of the table's."""
    del node  # it starts the two together
    if not lab_carrier.running:
        await lab_carrier.revive()
    return lab_carrier


@pytest.fixture
async def softphones(lab_softphones: SoftphoneBank, carrier: Carrier) -> AsyncIterator[SoftphoneBank]:
    """Three softphones (agent-1 to agent-3), registered, each answering at once."""
    del carrier  # it has made the voices
    await lab_softphones.attach()
    yield lab_softphones
    for phone in lab_softphones.phones.values():
        with contextlib.suppress(SoftphoneFailed):  # it may end at this moment
            if phone.calls:
                await phone.hang_up()
        await phone.wait_free()
    await lab_softphones.detach()


async def _start(node: AsteriskNode, carrier: Carrier) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(node.start())
        group.create_task(carrier.start())


async def _provide(node: AsteriskNode, accounts: list[Account]) -> None:
    async with AmiClient(ami_config(node), random=random.Random(1)) as ami:
        await ami.wait_connected(10.0)
        for account in accounts:
            await put_device(ami, DeviceConfig(username=account.username, digest=ha1(account.username, account.secret)))
