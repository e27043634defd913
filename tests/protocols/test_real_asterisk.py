"""The client and the server with a real Asterisk that dies, freezes and comes back; and with the product's own least rights."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from agi.routes import AgiRequest
from agi.session import AgiSession
from dialer.asterisk.ami import actions
from dialer.asterisk.ami.client import AmiClient, AmiConfig, Connected, Lost
from dialer.asterisk.ami.errors import ActionFailed, NotSent, OutcomeUnknown
from dialer.asterisk.ami.events import OriginateResponse, UserEvent, channel_row
from dialer.asterisk.ami.text import caller_id, pjsip_endpoint
from lab.asterisk_node import AsteriskNode
from lab.waiting import wait_until
from tests.protocols.real_asterisk import RealAsterisk
from tests.protocols.test_ami_client import next_item
from tests.protocols.test_contract_agi import ask, serving
from tests.protocols.test_contract_ami import answered_call, call, channel_id, wait_for

pytestmark = [pytest.mark.system, pytest.mark.faults]

BACK_S = 20.0


@pytest.fixture
async def asterisk(tmp_path: Path) -> AsyncIterator[RealAsterisk]:
    """An Asterisk that this test may kill."""
    own = RealAsterisk(tmp_path)
    await own.start()
    yield own
    own.thaw()
    await own.stop()


@pytest.fixture
async def ami(asterisk: RealAsterisk) -> AsyncIterator[AmiClient]:
    """A client that notices quickly."""
    config = AmiConfig(
        port=asterisk.port,
        user="waihu",
        secret="contract-secret",
        ping_interval_s=0.2,
        ping_deadline_s=0.5,
        action_deadline_s=0.5,
        login_timeout_s=2,
        reconnect_cap_s=0.2,
    )
    async with AmiClient(config, random=Random(1)) as client:
        await client.wait_connected(BACK_S)
        yield client


async def test_a_killed_asterisk_is_lost_at_once_and_found_again_without_its_channels(
    asterisk: RealAsterisk, ami: AmiClient
) -> None:
    await answered_call(ami)
    asterisk.kill()
    lost = await next_item(ami, Lost)
    assert isinstance(lost, Lost)
    assert not lost.is_final
    with pytest.raises(NotSent):
        await ami.send(call(channel_id()))
    await asterisk.revive()
    await ami.wait_connected(BACK_S)
    assert await ami.fetch(actions.core_show_channels()) == ()


async def test_an_originate_into_a_frozen_asterisk_is_unknown_and_is_found_when_it_wakes(
    asterisk: RealAsterisk, ami: AmiClient
) -> None:
    our_id = channel_id()
    asterisk.freeze()
    with pytest.raises(OutcomeUnknown):
        await ami.send(call(our_id))
    await next_item(ami, Lost)
    asterisk.thaw()
    connected = await ami.wait_connected(BACK_S)
    assert connected.session == 2

    async def is_there() -> bool:
        return our_id in {channel_row(event).channel_id for event in await ami.fetch(actions.core_show_channels())}

    await wait_until(is_there, timeout_s=BACK_S, what="the call that nobody confirmed")


async def test_an_orderly_restart_is_followed(asterisk: RealAsterisk, ami: AmiClient) -> None:
    await next_item(ami, Connected)
    await asterisk.restart()
    assert isinstance(await next_item(ami, Lost), Lost)
    await ami.wait_connected(BACK_S)
    assert (await ami.send(actions.ping())).ok


async def test_a_call_whose_question_is_open_survives_the_end_of_our_server(
    asterisk: RealAsterisk, ami: AmiClient
) -> None:
    asked = asyncio.Event()

    async def handler(_session: AgiSession, _request: AgiRequest) -> None:
        asked.set()
        await asyncio.Event().wait()

    async with serving(handler) as server, asyncio.timeout(BACK_S):
        our_id = await ask(ami, server.port)
        await asked.wait()
        await server.stop()
        done = await wait_for(ami, UserEvent, our_id, name="AgiDone")
    assert done.headers["Action"] == ""


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[AsteriskNode]:
    """The product's own node."""
    own = AsteriskNode(tmp_path, agi_port=4573, rtp_ports=20)
    await own.start()
    yield own
    await own.stop()


async def test_the_products_account_may_log_in_and_look_and_not_use_the_console(node: AsteriskNode) -> None:
    config = AmiConfig(host=node.ami_host, port=node.ami_port, user=node.ami_user, secret=node.ami_secret)
    async with AmiClient(config, random=Random(1)) as client:
        connected = await client.wait_connected(BACK_S)
        assert connected.asterisk_version.startswith("22.")
        assert await client.fetch(actions.core_show_channels()) == ()
        assert await client.fetch(actions.status(variables=("WAIHU_ATTEMPT",))) == ()
        with pytest.raises(ActionFailed, match="No such channel"):
            await client.send(actions.hangup(channel_id()))
        for refused in (actions.command("core stop now"), actions.module_load("app_system.so")):
            with pytest.raises(ActionFailed, match=r"[Pp]ermission"):
                await client.send(refused)


async def test_the_products_account_is_told_of_an_originate_that_fails(node: AsteriskNode) -> None:
    config = AmiConfig(host=node.ami_host, port=node.ami_port, user=node.ami_user, secret=node.ami_secret)
    our_id = channel_id()
    attempt = actions.originate(
        channel=pjsip_endpoint("nobody"),
        channel_id=our_id,
        context="waihu-customer",
        ring_timeout_s=1,
        caller_id=caller_id("02085550100"),
        variables={"WAIHU_ATTEMPT": "0" * 32},
    )
    async with AmiClient(config, random=Random(1)) as client:
        await client.wait_connected(BACK_S)
        assert "queued" in (await client.send(attempt)).message
        assert not (await wait_for(client, OriginateResponse, our_id)).answered
