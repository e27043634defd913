"""The live feed: the full state, then numbered changes; each role sees its own part; nobody slow holds up the floor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from dialer.domain.roles import Role
from dialer.web.deps import WebSettings
from tests.builders import a_project
from tests.web.client import Person
from tests.web.conftest import House


@asynccontextmanager
async def watching(house: House, person: Person, **headers: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A screen on our own page (for a session), or a program (for a token)."""
    sent = {**person.headers(), **({"Origin": house.base} if person.cookie else {}), **headers}
    async with house.http.ws_connect(f"{house.base}/api/v1/live", headers=sent) as socket:
        yield socket


async def next_of(socket: aiohttp.ClientWebSocketResponse) -> Any:
    async with asyncio.timeout(10):
        return await socket.receive_json()


async def closed(socket: aiohttp.ClientWebSocketResponse) -> int | None:
    """The code the server closes with."""
    async with asyncio.timeout(10):
        while not (await socket.receive()).type & aiohttp.WSMsgType.CLOSE:
            pass
    return socket.close_code


def talking(agent_id: Any, project_id: Any, state: str = "talking") -> dict[str, Any]:
    return {"agent_id": str(agent_id), "state": state, "project_id": str(project_id)}


async def test_first_everything_then_numbered_changes(house: House) -> None:
    house.feed.publish("project", "p1", {"state": "running"})
    async with watching(house, await house.person(Role.SUPERVISOR)) as screen:
        full = await next_of(screen)
        assert (full["type"], full["n"], full["epoch"], full["state"]["project"]) == (
            "full",
            0,
            "epoch-1",
            {"p1": {"state": "running"}},
        )
        house.feed.publish("project", "p1", {"state": "paused"})
        house.feed.publish("project", "p1", None)
        assert await next_of(screen) == {
            "type": "change",
            "n": 1,
            "kind": "project",
            "key": "p1",
            "value": {"state": "paused"},
        }
        assert await next_of(screen) == {"type": "change", "n": 2, "kind": "project", "key": "p1", "value": None}


async def test_a_client_may_ask_for_the_full_state_again(house: House) -> None:
    async with watching(house, await house.person(Role.SUPERVISOR)) as screen:
        await next_of(screen)
        house.feed.publish("project", "p1", {"state": "running"})
        await next_of(screen)
        await screen.send_str('{"ask": "full"}')
        again = await next_of(screen)
        assert (again["type"], again["n"], list(again["state"]["project"])) == ("full", 2, ["p1"])


async def test_an_agent_sees_their_own_state_and_call_and_nothing_of_others(house: House) -> None:
    project, other_project = await a_project(house.pool), uuid4()
    agent, other = await house.person(Role.AGENT), uuid4()
    for key in (agent.agent_id, other):
        house.feed.publish("agent", str(key), talking(key, project.id))
        house.feed.publish(
            "call", f"call-of-{key}", {"agent_id": str(key), "project_id": str(project.id), "number": "+86138****5678"}
        )
    for key in (project.id, other_project):
        house.feed.publish("project", str(key), {"state": "running"})
        house.feed.publish("counters", str(key), {"attempts": 1})
    async with watching(house, agent) as screen:
        state = (await next_of(screen))["state"]
        seen = {kind: list(values) for kind, values in state.items() if values}
        assert seen == {
            "agent": [str(agent.agent_id)],
            "call": [f"call-of-{agent.agent_id}"],
            "project": [str(project.id)],
        }
        house.feed.publish("agent", str(other), talking(other, project.id, "wrap_up"))
        house.feed.publish("call", f"call-of-{agent.agent_id}", {"agent_id": str(other), "project_id": str(project.id)})
        house.feed.publish("agent", str(agent.agent_id), talking(agent.agent_id, project.id, "wrap_up"))
        taken = await next_of(screen)
        assert (taken["kind"], taken["value"], taken["n"]) == ("call", None, 1), (
            "a call given to another leaves one's sight"
        )
        own = await next_of(screen)
        assert (own["kind"], own["value"]["state"], own["n"]) == ("agent", "wrap_up", 2)


@pytest.mark.parametrize(("mask", "seen"), [(True, "+86139****5678"), (False, "+8613912345678")])
async def test_numbers_are_masked_by_the_projects_setting(house: House, mask: bool, seen: str) -> None:
    project = await a_project(house.pool, mask_numbers=mask)
    call = {"project_id": str(project.id), "number": "+8613912345678", "agent_id": None}
    house.feed.publish("call", "c1", call)
    async with watching(house, await house.person(Role.SUPERVISOR)) as screen:
        assert (await next_of(screen))["state"]["call"]["c1"]["number"] == seen
        house.feed.publish("call", "c2", call)
        assert (await next_of(screen))["value"]["number"] == seen


async def test_a_call_of_an_unknown_project_is_masked(house: House) -> None:
    house.feed.publish("call", "c1", {"number": "+8613912345678"})
    async with watching(house, await house.person(Role.SUPERVISOR)) as screen:
        assert (await next_of(screen))["state"]["call"]["c1"]["number"] == "+86139****5678"


async def test_a_gap_in_the_feed_is_answered_with_the_full_state(house: House) -> None:
    async with watching(house, await house.person(Role.SUPERVISOR)) as screen:
        await next_of(screen)
        for subscription in house.feed._subscriptions:
            subscription._bound = 0  # the next change does not fit: the hub says that there is a gap
        house.feed.publish("project", "p1", {"state": "running"})
        again = await next_of(screen)
        assert (again["type"], again["n"], list(again["state"]["project"])) == ("full", 1, ["p1"])
        for subscription in house.feed._subscriptions:
            subscription._bound = 10
        house.feed.publish("project", "p2", {"state": "running"})
        assert (await next_of(screen))["key"] == "p2"


async def test_a_flood_ends_in_the_same_picture_for_everybody(house: House) -> None:
    async with watching(house, await house.person(Role.SUPERVISOR)) as screen:
        picture = (await next_of(screen))["state"]
        for turn in range(5000):
            house.feed.publish("project", f"p{turn % 7}", {"turn": turn})
        house.feed.publish("project", "end", {})
        n = 0
        while "end" not in picture["project"]:
            message = await next_of(screen)
            assert message["n"] == n + 1
            n = message["n"]
            if message["type"] == "full":
                picture = message["state"]
            else:
                picture[message["kind"]][message["key"]] = message["value"]
        assert picture["project"] == house.feed.snapshot()["state"]["project"]


async def test_nobody_and_other_sites_pages_do_not_get_in(house: House) -> None:
    person = await house.person(Role.SUPERVISOR)
    for who, headers in (
        (house.nobody(), {}), (person, {"Origin": "https://evil.example"}), (person, {"Origin": "null"}),
    ):  # fmt: skip
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with watching(house, who, **headers):
                pass
        assert refused.value.status in {401, 403}
    bare = person.headers()
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await house.http.ws_connect(f"{house.base}/api/v1/live", headers=bare)
    assert refused.value.status == 403, "a session needs an Origin"


async def test_a_program_follows_with_its_token(house: House) -> None:
    async with watching(house, await house.person(Role.SUPERVISOR, token=True)) as screen:
        assert (await next_of(screen))["type"] == "full"


@pytest.mark.parametrize("settings", [WebSettings(live_ping_s=0.3)])
async def test_a_revoked_token_is_shown_out(house: House) -> None:
    program = await house.person(Role.SUPERVISOR, token=True)
    async with watching(house, program) as screen:
        await next_of(screen)
        await house.pool.execute("update api_tokens set revoked_at = now() where user_id = $1", program.user_id)
        assert await closed(screen) == aiohttp.WSCloseCode.POLICY_VIOLATION


@pytest.mark.parametrize("word", ["", "full", "{}", '{"ask": "all"}', '{"ask": "full", "more": 1}', "[" * 900])
async def test_a_client_that_says_anything_else_is_closed(house: House, word: str) -> None:
    async with watching(house, await house.person(Role.SUPERVISOR)) as screen:
        await next_of(screen)
        await screen.send_str(word)
        assert await closed(screen) == aiohttp.WSCloseCode.POLICY_VIOLATION


async def test_a_client_that_says_too_much_at_once_is_closed(house: House) -> None:
    async with watching(house, await house.person(Role.SUPERVISOR)) as screen:
        await next_of(screen)
        await screen.send_str("x" * 100_000)
        assert await closed(screen) == aiohttp.WSCloseCode.MESSAGE_TOO_BIG


@pytest.mark.parametrize("settings", [WebSettings(live_clients=1)])
async def test_more_screens_than_the_bound_are_refused_and_places_come_free(house: House) -> None:
    person = await house.person(Role.SUPERVISOR)
    async with watching(house, person) as screen:
        await next_of(screen)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with watching(house, person):
                pass
        assert refused.value.status == 503
    async with asyncio.timeout(10):
        while True:
            try:
                async with watching(house, person) as screen:
                    assert (await next_of(screen))["n"] == 0
                    return
            except aiohttp.WSServerHandshakeError:
                await asyncio.sleep(0.01)


async def test_a_plain_request_is_told_to_use_a_websocket(house: House) -> None:
    answer = await (await house.person(Role.SUPERVISOR, token=True)).ask("GET", "/live")
    assert (answer.status, answer.error_id) == (426, "websocket_expected")
