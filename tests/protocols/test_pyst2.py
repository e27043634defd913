"""pyst2, which shares no code with ours, at the same Asterisk: what it sees and does agrees with what we see and do.

pyst2 0.5.1 has no side that asks FastAGI questions, so it cannot call our server; it answers as a script instead, in our server's
place, and the same Asterisk (or fake) must get the same from both. Only what works of it is used: one action at a time, no channel
variables in events, everything in processes of its own.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agi.routes import AgiRequest
from agi.session import AgiSession
from dialer.asterisk.ami import actions
from dialer.asterisk.ami.client import AmiClient
from dialer.asterisk.ami.events import OriginateResponse, UserEvent
from tests.protocols.conftest import Peer
from tests.protocols.test_contract_agi import ask, serving
from tests.protocols.test_contract_ami import DEADLINE_S, ami, answered_call, channel_id, wait_for

__all__ = ["ami"]

pytestmark = pytest.mark.usefixtures("loop_guard")

SCRIPT = Path(__file__).with_name("pyst2_script.py")
MANAGER = Path(__file__).with_name("pyst2_manager.py")


class Pyst2:
    """pyst2's manager client, in its own process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._told: list[dict[str, Any]] = []

    @classmethod
    async def start(cls, port: int, secret: str) -> Pyst2:
        """Connect and log in."""
        pipe = asyncio.subprocess.PIPE
        words = (sys.executable, str(MANAGER), str(port), "waihu", secret)
        return cls(await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe))

    async def hear(self, what: str) -> Any:
        """The next thing of this kind that it tells: logged_in, refused, response or event."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                for number, told in enumerate(self._told):
                    if what in told:
                        return self._told.pop(number)[what]
                self._told.append(json.loads(await self._stdout.readline()))

    async def do(self, action: str, **headers: str) -> dict[str, str]:
        """One action; gives the headers of its response."""
        self._stdin.write(json.dumps({"Action": action, **headers}).encode() + b"\n")
        response: dict[str, str] = await self.hear("response")
        return response

    async def stop(self) -> None:
        """End it."""
        self._stdin.close()
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


@pytest.fixture
async def pyst2(peer: Peer) -> AsyncIterator[Pyst2]:
    """pyst2, logged in to the same Asterisk."""
    client = await Pyst2.start(peer.port, "contract-secret")
    assert await client.hear("logged_in")
    yield client
    await client.stop()


async def test_both_log_in_and_are_told_the_same_version(ami: AmiClient, pyst2: Pyst2) -> None:
    theirs = await pyst2.do("CoreSettings")
    assert ami.connected is not None
    assert theirs["AsteriskVersion"] == ami.connected.asterisk_version


async def test_both_are_refused_with_a_wrong_secret(peer: Peer) -> None:
    client = await Pyst2.start(peer.port, "wrong")
    assert "Authentication failed" in await client.hear("refused")
    await client.stop()


async def test_a_variable_that_we_set_is_read_by_pyst2_and_the_reverse(ami: AmiClient, pyst2: Pyst2) -> None:
    text = 'a,b "c" ${EXTEN} 外'
    our_id = await answered_call(ami, TEXT=text)
    theirs = await pyst2.do("Getvar", Channel=our_id, Variable="TEXT")
    assert theirs["Value"] == text
    await pyst2.do("Setvar", Channel=our_id, Variable="BACK", Value=text)
    assert (await ami.send(actions.get_variable(our_id, "BACK"))).get("Value") == text


async def test_a_call_that_pyst2_places_is_seen_by_us(ami: AmiClient, pyst2: Pyst2) -> None:
    our_id = channel_id()
    await pyst2.do(
        "Originate",
        Channel="Local/wait@contract/n",
        ChannelId=our_id,
        Context="contract",
        Exten="wait",
        Priority="1",
        Async="true",
    )
    assert (await wait_for(ami, OriginateResponse, our_id)).answered


async def test_a_call_that_we_place_is_reported_alike_by_both(ami: AmiClient, pyst2: Pyst2) -> None:
    our_id = await answered_call(ami)
    theirs = await pyst2.hear("event")
    assert (theirs["Uniqueid"], theirs["Response"], theirs["Reason"]) == (our_id, "Success", "4")


async def test_pyst2s_script_and_our_server_are_asked_the_same_and_heard_the_same(ami: AmiClient) -> None:
    ours: dict[str, str] = {}

    async def handler(session: AgiSession, request: AgiRequest) -> None:
        ours.update(request.environment.fields)
        await session.set_variable("WAIHU_ACTION", f"ours:{await session.get_variable('WAIHU_ATTEMPT')}")

    async with serving(handler) as server:
        first = await ask(ami, server.port, WAIHU_ATTEMPT="0123")
        assert (await wait_for(ami, UserEvent, first, name="AgiDone")).headers["Action"] == "ours:0123"
    script = await asyncio.create_subprocess_exec(sys.executable, str(SCRIPT), stdout=asyncio.subprocess.PIPE)
    assert script.stdout is not None
    try:
        async with asyncio.timeout(DEADLINE_S):
            port = int(await script.stdout.readline())
            second = await ask(ami, port, WAIHU_ATTEMPT="0123")
            done = await wait_for(ami, UserEvent, second, name="AgiDone")
            theirs = {
                key.removeprefix("agi_"): value for key, value in json.loads(await script.stdout.readline()).items()
            }
            assert await script.wait() == 0
    finally:
        if script.returncode is None:
            script.kill()
            await script.wait()
    assert (done.headers["Status"], done.headers["Action"]) == ("SUCCESS", "pyst2:0123")
    assert theirs.keys() == ours.keys()
    same = ("network", "network_script", "context", "extension", "type", "arg_1", "arg_2")
    assert [theirs[key] for key in same] == [ours[key] for key in same]
    assert theirs["uniqueid"] == second
