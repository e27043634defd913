"""Seats: how softphones answer, refuse, are late or vanish, as the engine sees it."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from dialer.asterisk.provisioning import DeviceConfig, ha1, new_secret, put_device, remove_device
from lab.asterisk_node import AsteriskNode
from lab.sip_client import SipClient
from lab.softphone_bank import SoftphoneBank
from tests.system.telephony.scene import Scene


async def test_softphone_that_answers_late_is_idle_late(scene: Scene, softphones: SoftphoneBank) -> None:
    softphones.phone("agent-1").answer_after_s = 1.0
    started = asyncio.get_running_loop().time()
    await scene.seat("agent-1")
    assert asyncio.get_running_loop().time() - started >= 1.0


async def test_softphone_that_refuses_gives_user_busy(scene: Scene, softphones: SoftphoneBank) -> None:
    softphones.phone("agent-1").rejects = True
    seat = new_seat()
    await scene.ring_seat("agent-1", seat)
    ended = await scene.end_of(seat)
    assert (ended.cause, ended.tech_cause) == (17, "486")


async def test_softphone_that_nobody_answers_can_be_given_up(scene: Scene, softphones: SoftphoneBank) -> None:
    softphones.phone("agent-1").answers = False
    seat = new_seat()
    await scene.ring_seat("agent-1", seat)
    await softphones.phone("agent-1").wait_ringing()
    await scene.hang_up(seat)
    await softphones.phone("agent-1").wait_free()


async def test_device_that_is_not_registered_fails_at_once(scene: Scene) -> None:
    await put_device(scene.ami, DeviceConfig(username="not-here", digest=ha1("not-here", new_secret())))
    seat = new_seat()
    await scene.ring_seat("not-here", seat)
    failed = await scene.response_to(seat, timeout_s=2)
    assert not failed.answered
    assert await scene.channels() == []
    await remove_device(scene.ami, "not-here")


@pytest.mark.parametrize(("status", "cause"), [(603, 21), (480, 19), (486, 17), (500, 38), (404, 1)])
async def test_refusal_keeps_its_sip_status(scene: Scene, node: AsteriskNode, status: int, cause: int) -> None:
    secret = new_secret()
    await put_device(scene.ami, DeviceConfig(username="odd-phone", digest=ha1("odd-phone", secret)))
    async with SipClient("odd-phone", secret, (node.sip_host, node.sip_port)) as phone:
        assert await phone.register() == 200
        phone.answer_invites_with = [status]
        seat = new_seat()
        await scene.ring_seat("odd-phone", seat)
        ended = await scene.end_of(seat)
        assert (ended.tech_cause, ended.cause) == (str(status), cause)
        await phone.register(expires_s=0)
    await remove_device(scene.ami, "odd-phone")


async def test_softphone_that_answers_twice_has_one_seat(scene: Scene, node: AsteriskNode) -> None:
    secret = new_secret()
    await put_device(scene.ami, DeviceConfig(username="odd-phone", digest=ha1("odd-phone", secret)))
    async with SipClient("odd-phone", secret, (node.sip_host, node.sip_port)) as phone:
        assert await phone.register() == 200
        phone.answer_invites_with = [200, 200]
        seat = await scene.seat("odd-phone")
        assert await scene.channels() == [seat]
        await scene.hang_up(seat)
        await phone.next_request("BYE")
        await phone.register(expires_s=0)
    await remove_device(scene.ami, "odd-phone")


async def test_hundred_seats_come_and_go_without_a_channel_left(scene: Scene, softphones: SoftphoneBank) -> None:
    for _ in range(33):
        seats = [await scene.seat(name) for name in ("agent-1", "agent-2", "agent-3")]
        for phone in softphones.phones.values():
            await phone.wait_talking()
        for seat in seats:
            await scene.hang_up(seat)
        for phone in softphones.phones.values():
            await phone.wait_free()
    await scene.no_channels()


def new_seat() -> str:
    return f"seat-{uuid4().hex}-{uuid4().hex[:8]}"
