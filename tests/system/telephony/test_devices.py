"""Agents' devices: there at once, kept over restarts, without any database of ours."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from dialer.asterisk.ami.client import AmiClient
from dialer.asterisk.provisioning import (
    DeviceConfig,
    DeviceInvalid,
    DeviceKind,
    ha1,
    list_devices,
    new_secret,
    put_device,
    remove_device,
)
from lab.asterisk_node import AsteriskNode
from lab.sip_client import SipClient
from lab.softphone_bank import SoftphoneBank
from lab.waiting import wait_until
from tests.system.conftest import ami_config
from tests.system.telephony.scene import Scene


@pytest.fixture
async def ami(node: AsteriskNode) -> AsyncIterator[AmiClient]:
    async with AmiClient(ami_config(node), random=random.Random(3)) as client:
        await client.wait_connected(10.0)
        yield client


async def registers(node: AsteriskNode, username: str, secret: str) -> int:
    async with SipClient(username, secret, (node.sip_host, node.sip_port)) as phone:
        return await phone.register(expires_s=60)


async def test_new_device_registers_at_once(ami: AmiClient, node: AsteriskNode) -> None:
    secret = new_secret()
    started = asyncio.get_running_loop().time()
    await put_device(ami, DeviceConfig(username="d-new", digest=ha1("d-new", secret)))
    assert await registers(node, "d-new", secret) == 200
    assert asyncio.get_running_loop().time() - started < 2.0
    await remove_device(ami, "d-new")


@pytest.mark.parametrize("kind", DeviceKind)
async def test_device_of_each_kind_has_its_endpoint(ami: AmiClient, node: AsteriskNode, kind: DeviceKind) -> None:
    await put_device(ami, DeviceConfig(username="d-kind", digest=ha1("d-kind", "x" * 20), kind=kind))
    shown = await node.console("pjsip show endpoint d-kind")
    settings = dict(line.split(":", 1) for line in shown.splitlines() if " : " in line)
    told = {key.strip(): value.strip() for key, value in settings.items()}
    assert told["context"] == "waihu-from-agent"
    assert told["webrtc"] == ("yes" if kind is DeviceKind.WEBRTC else "no")
    assert told["allow"].startswith("(alaw|ulaw")
    assert told["rtp_timeout"] == "3"
    await remove_device(ami, "d-kind")


async def test_secret_is_kept_nowhere(ami: AmiClient, node: AsteriskNode) -> None:
    secret = new_secret()
    await put_device(ami, DeviceConfig(username="d-secret", digest=ha1("d-secret", secret)))
    assert secret not in await node.console("database show")
    assert ha1("d-secret", secret) in await node.console("database show waihu/auth")
    await remove_device(ami, "d-secret")


async def test_wrong_secret_is_refused(ami: AmiClient, node: AsteriskNode) -> None:
    await put_device(ami, DeviceConfig(username="d-wrong", digest=ha1("d-wrong", new_secret())))
    assert await registers(node, "d-wrong", new_secret()) == 401
    await remove_device(ami, "d-wrong")


async def test_rotated_secret_turns_the_old_one_off(ami: AmiClient, node: AsteriskNode) -> None:
    old, new = new_secret(), new_secret()
    await put_device(ami, DeviceConfig(username="d-rotate", digest=ha1("d-rotate", old)))
    assert await registers(node, "d-rotate", old) == 200
    await put_device(ami, DeviceConfig(username="d-rotate", digest=ha1("d-rotate", new)))
    assert await registers(node, "d-rotate", old) == 401
    assert await registers(node, "d-rotate", new) == 200
    await remove_device(ami, "d-rotate")


async def test_removed_device_cannot_register_and_leaves_nothing(ami: AmiClient, node: AsteriskNode) -> None:
    secret = new_secret()
    await put_device(ami, DeviceConfig(username="d-gone", digest=ha1("d-gone", secret)))
    await remove_device(ami, "d-gone")
    assert await registers(node, "d-gone", secret) == 401
    assert "d-gone" not in await list_devices(ami)
    assert "/d-gone " not in await node.console("database show waihu")
    await remove_device(ami, "d-gone")  # once more does no harm


async def test_devices_are_listed(ami: AmiClient, softphones: SoftphoneBank) -> None:
    assert {"agent-1", "agent-2", "agent-3"} <= await list_devices(ami)


async def test_device_cannot_take_the_place_of_a_trunk(ami: AmiClient, node: AsteriskNode) -> None:
    await put_device(ami, DeviceConfig(username="carrier", digest=ha1("carrier", "stolen-secret")))
    assert "waihu-from-trunk" in await node.console("pjsip show endpoint carrier")
    assert await registers(node, "carrier", "stolen-secret") in {401, 403, 404}
    await remove_device(ami, "carrier")


@pytest.mark.parametrize("username", ["", "ab", "A-B-C", "a,b,c", "../../x", 'x"y"z', "a" * 65, "x;y", "名字名字"])
async def test_user_name_that_could_be_syntax_is_refused(ami: AmiClient, username: str) -> None:
    with pytest.raises(DeviceInvalid):
        await put_device(ami, DeviceConfig(username=username, digest="0" * 32))


async def test_digest_that_is_none_is_refused(ami: AmiClient) -> None:
    with pytest.raises(DeviceInvalid):
        await put_device(ami, DeviceConfig(username="d-digest", digest='0","context":"waihu-customer'))


async def test_restart_of_asterisk_keeps_devices_and_registrations(
    node: AsteriskNode, softphones: SoftphoneBank
) -> None:
    await node.restart()
    async with Scene(node, agi=False) as after:
        await after.seat("agent-1")  # nobody has registered again: the contact was kept
        await softphones.phone("agent-1").wait_talking()
        assert {"agent-1", "agent-2", "agent-3"} <= await list_devices(after.ami)


async def test_killed_asterisk_keeps_devices_and_finds_softphones_within_their_registration_interval(
    node: AsteriskNode, softphones: SoftphoneBank
) -> None:
    # What was registered in the last second before the kill may be lost: the next REGISTER (here after 10 s) brings it back.
    node.kill()
    await node.revive()
    async with Scene(node, agi=False) as after:
        assert {"agent-1", "agent-2", "agent-3"} <= await list_devices(after.ami)

        async def reached() -> bool:
            seat = f"seat-{uuid4().hex}-00000000"
            await after.ring_seat("agent-2", seat)
            return (await after.response_to(seat)).answered

        await wait_until(reached, timeout_s=20, what="agent-2 answers")


async def test_device_registers_again_while_no_engine_and_no_database_run(
    node: AsteriskNode, softphones: SoftphoneBank
) -> None:
    # No AMI session, no AGI server, no PostgreSQL: nothing of ours but Asterisk.
    phone = softphones.phone("agent-3")
    await softphones.vanish("agent-3")
    await softphones.come_back("agent-3")
    assert phone.registered
