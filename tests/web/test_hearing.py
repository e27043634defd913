"""What is remembered between the ranges of a player lets nobody hear what they may not hear any more; and each listener is served at their own pace."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
from pathlib import Path

import pytest

from dialer.db import hearing
from dialer.domain.roles import Role
from dialer.web.recordings import sending
from recorder import file_keys
from tests.web.client import Person
from tests.web.conftest import House
from tests.web.test_listening import a_link
from tests.web.test_recordings import SOUND, a_recording, a_sealed_recording

PART = {"Range": "bytes=0-99"}


async def test_a_recording_that_was_erased_between_two_ranges_is_not_heard_again(house: House, tmp_path: Path) -> None:
    recording, _ = await a_sealed_recording(house, tmp_path)
    listener = await house.person(Role.QA)
    assert (await listener.ask("GET", f"/recordings/{recording}/audio", headers=PART)).raw == SOUND[:100]
    async with house.pool.acquire() as conn:
        await file_keys.destroy(conn, [recording], at=house.clock())
    answer = await listener.ask("GET", f"/recordings/{recording}/audio", headers=PART)
    assert (answer.status, answer.error_id) == (410, "recording_key_destroyed")
    assert len(await house.audited("recording_listened")) == 1


async def test_a_file_that_was_replaced_between_two_ranges_is_heard_as_it_is_now(house: House) -> None:
    recording, listener = await a_recording(house), await house.person(Role.QA)
    path = f"/recordings/{recording}/audio"
    assert (await listener.ask("GET", path, headers=PART)).raw == SOUND[:100]
    other = SOUND[::-1]
    (house.deps.store_dir / "2026" / "b.opus").write_bytes(other)
    await house.pool.execute("update recordings set path = '2026/b.opus', sha256 = $1", hashlib.sha256(other).digest())
    assert (await listener.ask("GET", path, headers=PART)).raw == other[:100]
    assert (await listener.ask("HEAD", path)).headers["ETag"] == f'"{hashlib.sha256(other).hexdigest()}"'
    await house.pool.execute("update recordings set state = 'missing', reason = 'test', path = null, sha256 = null")
    for method, headers in (("GET", PART), ("GET", {"If-None-Match": "*"}), ("HEAD", {})):
        assert (await listener.ask(method, path, headers=headers)).status == 409
    assert len(await house.audited("recording_listened")) == 2


@pytest.mark.parametrize("change", ["role = 'agent'", "disabled_at = now()"])
async def test_a_link_ends_between_two_ranges_with_its_maker_s_right(house: House, tmp_path: Path, change: str) -> None:
    path, maker = await a_link(house, tmp_path, await a_recording(house))
    assert (await house.nobody().ask("GET", path, headers=PART)).status == 206
    await house.pool.execute(f"update users set {change} where id = $1", maker)
    assert (await house.nobody().ask("GET", path, headers=PART)).error_id == "link_invalid"
    assert len(await house.audited("recording_listened")) == 1


async def test_the_row_names_a_link_s_maker_as_they_are_called_now(house: House, tmp_path: Path) -> None:
    path, maker = await a_link(house, tmp_path, await a_recording(house))
    await house.nobody().ask("GET", path, headers=PART)
    await house.pool.execute("update users set login = 'wang.fang' where id = $1", maker)
    await house.nobody().ask("GET", path, headers=PART)
    assert [row["actor"] == "wang.fang" for row in await house.audited("recording_listened")] == [False, True]


# Done behind the application's back, as by another process of it.
ENDS = {
    "logged out": "delete from sessions",
    "session over": "update sessions set expires_at = now()",
    "session idle": "update sessions set seen_at = now() - interval '3 hours'",
    "token revoked": "update api_tokens set revoked_at = now()",
    "token over": "update api_tokens set expires_at = now()",
    "disabled": "update users set disabled_at = now()",
    "another role": "update users set role = 'agent'",
}


@pytest.mark.parametrize("with_token", [False, True])
async def test_a_right_to_listen_ends_between_two_ranges_however_it_ends(house: House, *, with_token: bool) -> None:
    path = f"/recordings/{await a_recording(house)}/audio"
    ended, rows = 0, 0
    for how, statement in ENDS.items():
        if ("token" if with_token else "session") in statement or "users" in statement:
            listener = await house.person(Role.QA, token=with_token)
            for _ in range(2):  # the second one by what is remembered
                assert (await listener.ask("GET", path, headers=PART)).status == 206, how
            rows += 2
            await house.pool.execute(statement)
            for method, headers in (("GET", PART), ("GET", {"If-None-Match": "*"}), ("HEAD", {})):
                assert (await listener.ask(method, path, headers=headers)).status in {401, 403}, how
            ended += 1
    assert ended == (4 if with_token else 5)
    assert len(await house.audited("recording_listened")) == rows


async def test_another_range_asks_the_database_once(house: House) -> None:
    """Who listens, what of, and its row: one statement, since a player asks for range after range."""
    recording, listener = await a_recording(house), await house.person(Role.QA)
    asked: list[str] = []
    connections = [await house.pool.acquire() for _ in range(house.pool.get_max_size())]
    for conn in connections:
        conn.add_query_logger(lambda query: asked.append(query.query))
        await house.pool.release(conn)
    for _ in range(2):
        asked.clear()
        assert (await listener.ask("GET", f"/recordings/{recording}/audio", headers=PART)).status == 206
    driver_s_own = ("'jit'", "pg_catalog")  # what it asks of types, once a connection
    assert [query for query in asked if not any(word in query for word in driver_s_own)] == [hearing.NOTE_ONE]


async def listening(house: House, listener: Person, path: str) -> socket.socket:
    """A connection that has asked for a whole recording and takes little at a time."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, (house.server.host, house.server.port))
    head = "".join(f"{name}: {value}\r\n" for name, value in listener.headers().items())
    await loop.sock_sendall(
        connection,
        f"GET /api/v1{path} HTTP/1.1\r\nHost: {house.server.host}\r\nConnection: close\r\n{head}\r\n".encode(),
    )
    assert b" 200 OK" in await loop.sock_recv(connection, 4096)
    return connection


async def read_on(connection: socket.socket) -> int:
    """All that still comes; how many bytes."""
    loop, got = asyncio.get_running_loop(), 0
    try:
        while block := await loop.sock_recv(connection, 1 << 20):
            got += len(block)
    except ConnectionResetError:
        pass
    connection.close()
    return got


async def test_who_takes_nothing_is_cut_off_and_who_takes_little_is_not(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "IDLE_S", 0.4)
    sound = os.urandom(1_000_000) * 16  # more than the system holds for a listener
    recording, listener = await a_recording(house, sound=sound), await house.person(Role.QA)
    idle, slow = [await listening(house, listener, f"/recordings/{recording}/audio") for _ in range(2)]
    loop, taken = asyncio.get_running_loop(), 0
    end = loop.time() + 2.0
    while loop.time() < end:
        taken += len(await loop.sock_recv(slow, 2048))
        await asyncio.sleep(0.02)  # its pace
    assert await read_on(idle) < len(sound) - 1_000_000
    assert taken + await read_on(slow) > len(sound) - 4096
