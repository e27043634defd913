"""What a carrier gets to see of us, read off the wire: From, P-Asserted-Identity, Privacy and Diversion as the trunk is set."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from lab.trunk_peer import SeenInvite, TrunkPeer
from tests.builders import a_lead
from tests.system.engine.conftest import Floor

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(60)]

SHOWN = "+862155558888"
OF_THE_TRUNK = "+862166660000"


@pytest_asyncio.fixture(loop_scope="session")
async def peer(floor: Floor) -> AsyncIterator[TrunkPeer]:
    """The trunk's other end; what was seen before is forgotten."""
    peer = floor.telephony.peer
    peer.seen.clear()
    yield peer


async def called_over(floor: Floor, peer: TrunkPeer, **trunk: Any) -> SeenInvite:
    """The INVITE of one call of a project that shows SHOWN, over the peer's trunk with these settings."""
    await floor.start()
    project = await floor.project()
    await floor.pool.execute("update caller_numbers set number = $1", SHOWN)
    await floor.pool.execute(
        "insert into caller_numbers (number, trunk_id) values ($1, $2)", OF_THE_TRUNK, floor.trunk_id
    )
    await floor.pool.execute("update trunks set endpoint = 'peer'")
    for column, value in trunk.items():
        await floor.pool.execute(f"update trunks set {column} = $1", value)
    await a_lead(floor.pool, project.id, number="+8613800138000")
    await floor.agent(project)
    await floor.until(lambda: peer.seen, "an INVITE", 10)
    return peer.seen[0]


@pytest.mark.parametrize(
    ("trunk", "from_user", "asserted", "called"),
    [
        ({}, "+862155558888", "<tel:+862155558888>", "+8613800138000"),
        ({"domain": "c.example"}, "+862155558888", "<sip:+862155558888@c.example>", "+8613800138000"),
        ({"caller_format": "national"}, "02155558888", "<tel:+862155558888>", "+8613800138000"),
        ({"caller_format": "national", "domain": "c.example"}, "02155558888", "<sip:02155558888@c.example>", "+8613800138000"),
        ({"caller_format": "national", "domain": "c.example", "pai": "e164"}, "02155558888", "<sip:+862155558888@c.example>", "+8613800138000"),
        ({"caller_format": "digits", "domain": "10.0.0.1"}, "862155558888", "<sip:862155558888@10.0.0.1>", "+8613800138000"),
        ({"number_format": "national"}, "+862155558888", "<tel:+862155558888>", "13800138000"),
        ({"caller_format": "national", "caller_prefix": "179", "domain": "c.example"}, "17902155558888", "<sip:17902155558888@c.example>", "+8613800138000"),
        ({"pai": "off"}, "+862155558888", "", "+8613800138000"),
    ],
    ids=lambda value: ",".join(value.values()) or "as it comes" if isinstance(value, dict) else "",
)  # fmt: skip
async def test_caller_number_is_written_in_from_and_pai_as_the_trunk_wants_it(
    floor: Floor, peer: TrunkPeer, trunk: dict[str, str], from_user: str, asserted: str, called: str
) -> None:
    invite = await called_over(floor, peer, **trunk)
    assert (invite.from_user, invite.asserted, invite.called) == (from_user, asserted, called)
    assert (invite.privacy, invite.diversion) == ("", "")
    assert invite.numbers <= {from_user, SHOWN, from_user.removeprefix("+")}


async def test_with_privacy_only_the_carrier_learns_who_calls(floor: Floor, peer: TrunkPeer) -> None:
    invite = await called_over(floor, peer, privacy="id")
    assert (invite.privacy, invite.asserted, invite.from_user) == ("id", f"<tel:{SHOWN}>", "anonymous")
    assert SHOWN.removeprefix("+") not in invite.text.replace(f"<tel:{SHOWN}>", "", 1)


async def test_diversion_names_the_trunks_own_number(floor: Floor, peer: TrunkPeer) -> None:
    invite = await called_over(
        floor, peer, caller_format="national", domain="c.example", pai="off", diversion=OF_THE_TRUNK
    )
    assert (invite.from_user, invite.diversion) == (
        "02155558888",
        "<sip:02166660000@c.example>;reason=unconditional",
    )
    assert invite.numbers == {"02155558888", "02166660000"}


async def test_trunk_changed_while_the_engine_runs_writes_the_next_call_in_its_new_form(
    floor: Floor, peer: TrunkPeer
) -> None:
    await called_over(floor, peer)
    await floor.pool.execute("update trunks set caller_format = 'national', pai = 'off'")
    await floor.engine.parts.projects.refresh()
    [project_id] = [project.id for project in floor.engine.parts.projects]
    await a_lead(floor.pool, project_id, number="+8613800138001")
    await floor.until(lambda: peer.seen[-1].called == "+8613800138001", "the INVITE of the next call", 10)
    assert (peer.seen[-1].from_user, peer.seen[-1].asserted) == ("02155558888", "")
