"""Listeners as players are: each asks for a recording from a place on, keeps some seconds of it ahead, plays, and after a while jumps elsewhere.

    echo '{"port": ..., "paths": [...], ...}' | python -m tests.benchmarks.listeners

A process of its own. Prints a JSON object: `jumps`, `stalls` (the sound ran dry while it was playing), `first_byte_ms` (from the jump to the first byte,
connecting included, sorted), `audible_ms` (to a second of sound, sorted).
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import sys
import time
from dataclasses import dataclass, field

import uvloop

BYTES_PER_S = 3000
"""24 kbit/s, as recordings are kept."""
START_S, AHEAD_S = 1.0, 10.0
RECEIVE_BYTES = 64 * 1024  # small, so that a slow listener is one for the server too


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """Who listens to what: `stay_s` on average before a jump, `speed` times real time, for `seconds`."""

    port: int
    paths: list[str]
    size: int
    listeners: int
    seconds: float
    stay_s: float
    speed: float = 1.5
    token: str = ""


@dataclass(kw_only=True)
class Seen:
    """What all of them met with."""

    jumps: int = 0
    stalls: int = 0
    first_byte_ms: list[float] = field(default_factory=list)
    audible_ms: list[float] = field(default_factory=list)


async def _listen(crowd: Crowd, seen: Seen, seed: int, end: float) -> None:
    chance = random.Random(seed)
    await asyncio.sleep(chance.random() * crowd.stay_s)
    while time.monotonic() < end:
        stay_s = chance.uniform(0.5, 1.5) * crowd.stay_s
        room = round((stay_s + AHEAD_S + START_S) * crowd.speed * BYTES_PER_S)  # it never comes to the end
        at = chance.randrange(crowd.size - room)
        seen.jumps += 1
        await _play(crowd, seen, crowd.paths[seed % len(crowd.paths)], at, min(stay_s, end - time.monotonic()))


async def _play(crowd: Crowd, seen: Seen, path: str, at: int, stay_s: float) -> None:
    jumped, rate = time.monotonic(), BYTES_PER_S * crowd.speed
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", crowd.port))
    reader, writer = await asyncio.open_connection(sock=connection, limit=RECEIVE_BYTES)
    login = f"Authorization: Bearer {crowd.token}\r\n" if crowd.token else ""
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{login}Range: bytes={at}-\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 206 " not in head[:20]:
        raise SystemExit((head + await reader.read(500)).decode(errors="replace"))
    got, playing_since = 0, 0.0
    while time.monotonic() - jumped < stay_s:
        played = (time.monotonic() - playing_since) * rate if playing_since else 0.0
        if got - played > AHEAD_S * rate:
            await asyncio.sleep(0.2)
            continue
        block = await reader.read(4096)
        now = time.monotonic()
        if not block:
            raise SystemExit(f"cut off after {got} bytes")
        if not got:
            seen.first_byte_ms.append((now - jumped) * 1000)
        if playing_since and (now - playing_since) * rate > got:
            seen.stalls += 1
            playing_since = now - got / rate
        got += len(block)
        if not playing_since and got >= START_S * BYTES_PER_S:
            playing_since = now
            seen.audible_ms.append((now - jumped) * 1000)
    if stay_s > START_S and not playing_since:
        seen.stalls += 1
    writer.transport.abort()


async def _run(crowd: Crowd) -> Seen:
    seen, end = Seen(), time.monotonic() + crowd.seconds
    async with asyncio.TaskGroup() as group:
        for seed in range(crowd.listeners):
            group.create_task(_listen(crowd, seen, seed, end))
    return seen


def main() -> None:
    """Read, run, print."""
    seen = uvloop.run(_run(Crowd(**json.load(sys.stdin))))
    print(
        json.dumps(
            {
                "jumps": seen.jumps,
                "stalls": seen.stalls,
                "first_byte_ms": sorted(seen.first_byte_ms),
                "audible_ms": sorted(seen.audible_ms),
            }
        )
    )


if __name__ == "__main__":
    main()
