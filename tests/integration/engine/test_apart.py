"""Engine and web in processes of their own: the control port, and the feed over a real Redis that may die."""

from __future__ import annotations

import asyncio
from unittest.mock import Mock
from uuid import uuid4

import aiohttp
import orjson
import pytest
from redis.asyncio import Redis as RedisClient

from dialer.domain.commands import AgentBreak, AgentLogin
from dialer.domain.errors import NotAllowed, NotFound, Unavailable
from dialer.live.control import RemoteEngine
from dialer.live.feed import Feed
from dialer.live.redis_fanout import RedisFanOut, channel_of
from lab.redis import Redis
from lab.waiting import wait_until
from tests.builders import a_device, an_agent
from tests.integration.engine.conftest import Stage

pytestmark = [pytest.mark.services, pytest.mark.faults]

TOKEN = "apart-test"


async def test_commands_explanations_and_the_feed_over_the_control_port_are_those_of_the_engine(stage: Stage) -> None:
    engine = await stage.start(control_port=0, control_token=TOKEN)
    project = await stage.project()
    await engine.parts.projects.refresh()
    agent_id = await an_agent(stage.pool, projects=[project.id])
    remote = RemoteEngine(f"http://127.0.0.1:{engine.control_port}", TOKEN)
    try:
        done = await remote.execute(AgentLogin(agent_id=agent_id, device_id=await a_device(stage.pool, agent_id)))
        assert done.state == "seating"
        await stage.until(lambda: stage.on_floor(agent_id).seated, "seat")
        assert await remote.explain_agent(agent_id) == engine.explain_agent(agent_id)
        assert (await remote.snapshot())["state"]["agent"][str(agent_id)]["seated"] is True
        with pytest.raises(NotFound) as unknown:
            await remote.execute(AgentBreak(agent_id=uuid4(), reason="tea"))
        assert unknown.value.error_id == "agent_not_logged_in"
    finally:
        await remote.close()


async def test_a_defect_in_a_command_is_an_answer_with_an_error_id_and_no_detail(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await stage.start(control_port=0, control_token=TOKEN)
    monkeypatch.setattr(engine.parts.desk, "execute", Mock(side_effect=RuntimeError("secret of the house")))
    remote = RemoteEngine(f"http://127.0.0.1:{engine.control_port}", TOKEN)
    with pytest.raises(Unavailable) as failed:
        await remote.execute(AgentBreak(agent_id=uuid4(), reason="tea"))
    await remote.close()
    assert failed.value.error_id == "engine_failed"
    assert "secret" not in failed.value.message


async def test_control_port_refuses_a_wrong_token_and_what_is_no_command(stage: Stage) -> None:
    engine = await stage.start(control_port=0, control_token=TOKEN)
    url = f"http://127.0.0.1:{engine.control_port}"
    stranger = RemoteEngine(url, "guessed")
    with pytest.raises(NotAllowed) as refused:
        await stranger.snapshot()
    await stranger.close()
    assert refused.value.error_id == "token_wrong"
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:
        for body in (b"", b"{", b'{"kind":"no such"}', b'{"kind":"agent_break","agent_id":"x"}'):
            async with session.post(f"{url}/command", data=body) as response:
                assert (response.status, (await response.json())["error_id"]) == (400, "command_malformed")


async def test_an_engine_that_is_gone_is_told_as_away(stage: Stage) -> None:
    engine = await stage.start(control_port=0, control_token=TOKEN)
    remote = RemoteEngine(f"http://127.0.0.1:{engine.control_port}", TOKEN)
    await remote.snapshot()
    await engine.stop()
    stage.engines.clear()
    with pytest.raises(Unavailable) as away:
        await remote.snapshot()
    await remote.close()
    assert away.value.error_id == "engine_away"


async def test_feed_goes_on_over_redis_after_redis_was_killed_and_the_gap_can_be_seen(
    redis: Redis, redis_url: str
) -> None:
    feed = Feed("epoch")
    fan_out = RedisFanOut(redis_url, feed, "node")
    running = asyncio.get_running_loop().create_task(fan_out.run())
    try:
        assert [one["value"] for one in await _heard(redis_url, feed, fan_out, "before")] == [{"n": "before"}]
        redis.kill()
        feed.publish("node", "n", {"n": "lost"})
        await wait_until(lambda: fan_out.lost, timeout_s=10, what="a change that could not be sent")
        await redis.start()
        heard = await _heard(redis_url, feed, fan_out, "after")
        assert heard[-1]["value"] == {"n": "after"}
        assert heard[-1]["seq"] == feed.seq
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await fan_out.close()
        if not redis.process.running:
            await redis.start()


async def _heard(url: str, feed: Feed, fan_out: RedisFanOut, word: str) -> list[dict[str, object]]:
    """Publish, and what a subscriber hears up to it."""
    async with RedisClient.from_url(url) as client, client.pubsub() as listener, asyncio.timeout(20):
        await listener.subscribe(channel_of("node"))
        feed.publish("node", "n", {"n": word})
        heard: list[dict[str, object]] = []
        while not heard or heard[-1]["value"] != {"n": word}:
            message = await listener.get_message(ignore_subscribe_messages=True, timeout=1)
            if message is not None:
                heard.append(orjson.loads(message["data"]))
        return heard
