"""The client against an Asterisk that misbehaves: silence, cuts, stalls, nonsense, old versions, floods."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from random import Random

import pytest

from dialer.asterisk.ami import actions
from dialer.asterisk.ami.client import AmiClient, AmiConfig, Connected, Event, Lost, Resync
from dialer.asterisk.ami.connection import ami_session
from dialer.asterisk.ami.errors import (
    AmiError,
    AnswerOverdue,
    ConnectFailed,
    ConnectionLost,
    GreetingMalformed,
    LoginRefused,
    NotBooted,
    NotConnected,
    OutcomeUnknown,
    TooManyPending,
    UnsupportedAsterisk,
)
from lab.waiting import wait_until
from tests.protocols.fake_asterisk import FakeAsterisk
from tests.protocols.faulty_proxy import FaultyProxy

pytestmark = pytest.mark.usefixtures("loop_guard")

DEADLINE_S = 5.0
CALL = actions.originate(
    channel="Local/wait@contract/n",
    channel_id="call-1",
    context="contract",
    exten="wait",
    ring_timeout_s=5,
    caller_id="<1>",
    variables={},
)


def config(port: int, **changes: object) -> AmiConfig:
    """Impatient, so that the tests are quick."""
    impatient = AmiConfig(
        port=port,
        user="waihu",
        secret="contract-secret",
        connect_timeout_s=1,
        login_timeout_s=0.5,
        boot_timeout_s=0.5,
        action_deadline_s=1,
        ping_interval_s=0.1,
        ping_deadline_s=0.3,
        reconnect_base_s=0.02,
        reconnect_cap_s=0.1,
    )
    return replace(impatient, **changes)  # type: ignore[arg-type]


@pytest.fixture
async def ami(proxy: FaultyProxy) -> AsyncIterator[AmiClient]:
    """A connected client, through the proxy."""
    async with AmiClient(config(proxy.port), random=Random(1)) as client:
        await client.wait_connected(DEADLINE_S)
        yield client


async def next_item(client: AmiClient, kind: type[Connected | Lost | Resync | Event]) -> object:
    """The next item of this kind."""
    async with asyncio.timeout(DEADLINE_S):
        async for item in client.items():
            if isinstance(item, kind):
                return item
    raise AssertionError("the client was closed")


async def wait_for_session(client: AmiClient, number: int) -> None:
    """Wait until this session, or a later one, is ready."""

    def ready() -> bool:
        return client.connected is not None and client.connected.session >= number

    await wait_until(ready, timeout_s=DEADLINE_S, what=f"session {number}")


async def test_a_cut_raises_outcome_unknown_and_tells_lost_then_connected(
    fake: FakeAsterisk, proxy: FaultyProxy, ami: AmiClient
) -> None:
    fake.on_action = lambda name, _headers: "silent" if name == "Originate" else None
    asking = asyncio.gather(ami.send(CALL, deadline_s=DEADLINE_S), return_exceptions=True)
    await wait_until(lambda: "Originate" in fake.actions, timeout_s=DEADLINE_S, what="the Originate on the wire")
    proxy.cut()
    (error,) = await asking
    assert isinstance(error, ConnectionLost)
    assert isinstance(error, OutcomeUnknown)
    first = await next_item(ami, Connected)
    lost = await next_item(ami, Lost)
    second = await next_item(ami, Connected)
    assert isinstance(first, Connected)
    assert isinstance(second, Connected)
    assert isinstance(lost, Lost)
    assert not lost.is_final
    assert (first.session, second.session) == (1, 2)


async def test_an_unanswered_originate_is_never_sent_again_after_a_reconnect(
    fake: FakeAsterisk, proxy: FaultyProxy, ami: AmiClient
) -> None:
    fake.on_action = lambda name, _headers: "silent" if name == "Originate" else None
    asking = asyncio.gather(ami.send(CALL), return_exceptions=True)
    await wait_until(lambda: fake.originated or "Originate" in fake.actions, timeout_s=DEADLINE_S, what="the Originate")
    for session in range(2, 5):
        proxy.cut()
        await wait_for_session(ami, session)
        await ami.send(actions.ping())
    (error,) = await asking
    assert isinstance(error, OutcomeUnknown)
    assert fake.actions.count("Originate") == 1


async def test_an_originate_that_was_done_but_not_answered_is_unknown_and_done_once(
    fake: FakeAsterisk, ami: AmiClient
) -> None:
    fake.on_action = lambda name, _headers: "done" if name == "Originate" else None
    with pytest.raises(OutcomeUnknown):
        await ami.send(CALL)
    fake.on_action = lambda _name, _headers: None
    await next_item(ami, Lost)
    await ami.wait_connected(DEADLINE_S)
    rows = await ami.fetch(actions.core_show_channels())
    assert "call-1" in {row.get("Uniqueid") for row in rows}
    assert fake.originated == ["call-1"]


async def test_an_answer_that_does_not_come_in_time_is_overdue_and_a_late_one_is_dropped(
    fake: FakeAsterisk, ami: AmiClient
) -> None:
    fake.on_action = lambda name, _headers: "silent" if name == "Setvar" else None
    with pytest.raises(AnswerOverdue) as caught:
        await ami.send(actions.set_variable(None, "A", "b"), deadline_s=0.1, action_id="late-1")
    assert caught.value.action == "Setvar"
    fake.send_raw(b"Response: Success\r\nActionID: late-1\r\n\r\n")
    await wait_until(lambda: ami.counters.stragglers == 1, timeout_s=DEADLINE_S, what="the late answer")
    assert (await ami.send(actions.ping())).ok


async def test_a_peer_that_stalls_is_found_by_the_ping_deadline(proxy: FaultyProxy, ami: AmiClient) -> None:
    proxy.stall()
    lost = await next_item(ami, Lost)
    assert isinstance(lost, Lost)
    assert isinstance(lost.reason, AnswerOverdue)
    proxy.heal()
    await ami.wait_connected(DEADLINE_S)


async def test_a_half_open_connection_is_found_by_the_ping_deadline(
    fake: FakeAsterisk, proxy: FaultyProxy, ami: AmiClient
) -> None:
    proxy.swallow_answers()
    assert isinstance(await next_item(ami, Lost), Lost)
    assert "Ping" in fake.actions
    proxy.heal()
    await ami.wait_connected(DEADLINE_S)


async def test_a_slow_peer_that_sends_byte_by_byte_is_served(proxy: FaultyProxy) -> None:
    proxy.trickle()
    async with AmiClient(config(proxy.port, login_timeout_s=5, ping_deadline_s=5), random=Random(1)) as client:
        await client.wait_connected(DEADLINE_S)
        assert (await client.send(actions.core_settings(), deadline_s=DEADLINE_S)).ok


async def test_nothing_is_sent_while_there_is_no_session(proxy: FaultyProxy, ami: AmiClient) -> None:
    proxy.refuse()
    await next_item(ami, Lost)
    with pytest.raises(NotConnected):
        await ami.send(actions.ping())


async def test_a_restarted_asterisk_is_found_again(fake: FakeAsterisk) -> None:
    async with AmiClient(config(fake.port), random=Random(1)) as client:
        await client.wait_connected(DEADLINE_S)
        await fake.stop()
        await next_item(client, Lost)
        await fake.start()
        await client.wait_connected(DEADLINE_S)
        assert (await client.send(actions.ping())).ok


async def test_an_asterisk_that_is_not_there_yet_is_waited_for_and_named(fake: FakeAsterisk) -> None:
    await fake.stop()
    async with AmiClient(config(fake.port), random=Random(1)) as client:
        with pytest.raises(ConnectFailed, match=str(fake.port)):
            await client.wait_connected(0.2)
        await fake.start()
        assert (await client.wait_connected(DEADLINE_S)).session == 1


@pytest.mark.parametrize("version", ["22.7.0", "20.16.0", ""])
async def test_an_old_asterisk_is_refused_for_good_with_a_clear_error(fake: FakeAsterisk, version: str) -> None:
    fake.version = version
    async with AmiClient(config(fake.port), random=Random(1)) as client:
        with pytest.raises(UnsupportedAsterisk, match="Upgrade Asterisk"):
            await client.wait_connected(DEADLINE_S)
        lost = await next_item(client, Lost)
        assert isinstance(lost, Lost)
        assert lost.is_final
        with pytest.raises(NotConnected):
            await client.send(actions.ping())
    assert fake.actions.count("Login") == 1


async def test_a_refused_login_is_reported_and_tried_again_later(fake: FakeAsterisk) -> None:
    fake.users = {"waihu": "changed"}
    async with AmiClient(config(fake.port), random=Random(1)) as client:
        with pytest.raises(LoginRefused):
            await client.wait_connected(0.3)
        fake.users = {"waihu": "contract-secret"}
        await client.wait_connected(DEADLINE_S)


async def test_an_asterisk_that_is_still_starting_is_not_used(fake: FakeAsterisk) -> None:
    fake.booted = False
    async with AmiClient(config(fake.port, boot_timeout_s=0.1), random=Random(1)) as client:
        with pytest.raises(NotBooted, match="read=system"):
            await client.wait_connected(0.5)
        fake.booted = True
        await client.wait_connected(DEADLINE_S)


async def test_another_service_on_the_port_is_named_as_such(fake: FakeAsterisk) -> None:
    fake.greeting = b"SSH-2.0-OpenSSH_9.2\r\n"
    with pytest.raises(GreetingMalformed, match="AMI port"):
        async with ami_session(config(fake.port)):
            pass


async def test_a_peer_that_accepts_and_says_nothing_is_given_up(fake: FakeAsterisk) -> None:
    fake.greeting = b""
    with pytest.raises(ConnectFailed, match="logging in"):
        async with ami_session(config(fake.port, login_timeout_s=0.2)):
            pass


@pytest.mark.parametrize("silent_at", ["Challenge", "Login", "CoreSettings"])
@pytest.mark.parametrize("how", ["silent", "close"])
async def test_a_peer_that_fails_at_any_step_of_the_login_is_given_up(
    fake: FakeAsterisk, silent_at: str, how: str
) -> None:
    fake.on_action = lambda name, _headers: how if name == silent_at else None
    with pytest.raises(AmiError):
        async with ami_session(config(fake.port, login_timeout_s=0.2)):
            pass
    await wait_until(lambda: not fake._sessions, timeout_s=DEADLINE_S, what="the connection closed")


@pytest.mark.parametrize(
    "nonsense", [b"\xff\xfe\0\r\n\r\n", b"Foo\r\n\r\n", b"Event: Hangup\r\nCause: \0\r\n\r\n", b"\r\n\r\n\r\n\r\n"]
)
async def test_a_poisoned_message_is_set_aside_and_the_session_goes_on(
    fake: FakeAsterisk, ami: AmiClient, nonsense: bytes
) -> None:
    fake.send_raw(nonsense)
    fake.broadcast("Hangup", [("Uniqueid", "call-7")])
    event = await next_item(ami, Event)
    assert isinstance(event, Event)
    assert event.get("Uniqueid") == "call-7"
    assert ami.counters.malformed == (1 if nonsense.strip() else 0)
    assert ami.counters.sessions == 1


async def test_an_endless_message_ends_the_session_and_a_new_one_is_made(fake: FakeAsterisk) -> None:
    async with AmiClient(config(fake.port, max_message_bytes=10_000), random=Random(1)) as client:
        await client.wait_connected(DEADLINE_S)
        fake.send_raw(b"y" * 50_000)
        lost = await next_item(client, Lost)
        assert isinstance(lost, Lost)
        assert lost.reason.error_id == "ami_message_too_large"
        await client.wait_connected(DEADLINE_S)


async def test_a_consumer_that_lags_gets_a_resync_and_the_session_lives(fake: FakeAsterisk) -> None:
    async with AmiClient(config(fake.port, max_events_queued=50), random=Random(1)) as client:
        await client.wait_connected(DEADLINE_S)
        for n in range(500):
            fake.broadcast("Hangup", [("Uniqueid", f"call-{n}")])
        await wait_until(lambda: client.counters.events >= 500, timeout_s=DEADLINE_S, what="500 events read")
        resync = await next_item(client, Resync)
        assert isinstance(resync, Resync)
        assert resync.connected == client.connected
        assert resync.dropped == client.dropped_items > 0
        assert client.counters.sessions_lost == 0


async def test_events_of_the_login_are_not_told_before_connected(fake: FakeAsterisk) -> None:
    async with AmiClient(config(fake.port), random=Random(1)) as client:
        await client.wait_connected(DEADLINE_S)
        fake.broadcast("Hangup", [("Uniqueid", "call-1")])
        items = [(await client.take(1))[0], (await client.take(1))[0]]
    assert isinstance(items[0], Connected)
    assert isinstance(items[1], Event)


async def test_more_unanswered_actions_than_the_bound_are_refused_before_the_wire(fake: FakeAsterisk) -> None:
    fake.on_action = lambda name, _headers: "silent" if name == "Setvar" else None
    async with AmiClient(config(fake.port, max_pending=10, ping_interval_s=60), random=Random(1)) as client:
        await client.wait_connected(DEADLINE_S)
        asks = [client.send(actions.set_variable(None, f"A{n}", ""), deadline_s=0.3) for n in range(15)]
        results = await asyncio.gather(*asks, return_exceptions=True)
    assert sum(isinstance(result, TooManyPending) for result in results) == 5
    assert sum(isinstance(result, AnswerOverdue) for result in results) == 10
    assert fake.actions.count("Setvar") == 10


async def test_a_cancelled_caller_leaves_nothing_behind(fake: FakeAsterisk, ami: AmiClient) -> None:
    fake.on_action = lambda name, _headers: "silent" if name == "Setvar" else None
    task = asyncio.get_running_loop().create_task(ami.send(actions.set_variable(None, "A", "b")), name="caller")
    await wait_until(lambda: "Setvar" in fake.actions, timeout_s=DEADLINE_S, what="the action on the wire")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert ami._connection is not None
    assert "Setvar" not in {entry.action.name for entry in ami._connection._pending._entries.values()}


async def test_close_says_goodbye_ends_the_items_and_every_task(fake: FakeAsterisk) -> None:
    before = asyncio.all_tasks()
    client = AmiClient(config(fake.port), random=Random(1))
    client.start()
    await client.wait_connected(DEADLINE_S)
    names = {task.get_name() for task in asyncio.all_tasks() - before}
    assert {"ami-session asterisk", "ami-read asterisk", "ami-ping asterisk"} <= names
    await client.close()
    await client.close()
    items = [item async for item in client.items()]
    assert isinstance(items[-1], Lost)
    assert items[-1].is_final
    assert fake.actions[-1] == "Logoff"
    await wait_until(lambda: fake.sessions == 0, timeout_s=DEADLINE_S, what="the session's end")
    assert not {task for task in asyncio.all_tasks() - before if task.get_name().startswith("ami-")}


async def test_close_while_connecting_returns_at_once(fake: FakeAsterisk) -> None:
    fake.greeting = b""
    client = AmiClient(config(fake.port, login_timeout_s=60), random=Random(1))
    client.start()
    await wait_until(lambda: fake._sessions, timeout_s=DEADLINE_S, what="a connection")
    async with asyncio.timeout(1):
        await client.close()


async def test_pings_keep_an_idle_session_alive(fake: FakeAsterisk, ami: AmiClient) -> None:
    await wait_until(lambda: fake.actions.count("Ping") >= 3, timeout_s=DEADLINE_S, what="three pings")
    assert ami.counters.sessions == 1


async def test_a_flood_of_sessions_lost_leaks_no_task(fake: FakeAsterisk, ami: AmiClient) -> None:
    for session in range(2, 12):
        fake.drop_sessions()
        await wait_for_session(ami, session)
    running = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("ami-")]
    assert sorted(running) == ["ami-ping asterisk", "ami-read asterisk", "ami-session asterisk"]
