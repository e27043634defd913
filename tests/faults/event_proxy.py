"""A proxy before Asterisk's AMI that loses, doubles and reorders events, drawn from a seed. Answers to actions pass untouched, in their order.

Lists (CoreShowChannels ...) are answers too. Lost events leave no gap that a client could notice: that is what makes them hard.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from random import Random

_END = b"\r\n\r\n"
_TELLING = frozenset(
    {
        b"Newstate", b"Hangup", b"BridgeEnter", b"BridgeLeave", b"UserEvent", b"OriginateResponse", b"ContactStatus",
    }
)  # fmt: skip
_HELD_S = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """Shares of the events that tell of calls and seats."""

    lost: float = 0.0
    doubled: float = 0.0
    reordered: float = 0.0  # comes up to 0.15 s after the events behind it


class EventProxy:
    """`port` is where the engine logs in. `seen` counts what was done to how many events."""

    def __init__(self, upstream_port: int, weather: Weather, seed: int) -> None:
        self._upstream_port = upstream_port
        self._weather = weather
        self._random = Random(seed)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.seen: Counter[str] = Counter()
        self.port = 0

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close everything."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        loop = asyncio.get_running_loop()
        for work in (self._actions(reader, up_writer), self._events(up_reader, writer)):
            task = loop.create_task(work, name="event proxy")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _actions(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(data)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def _events(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(await reader.readline())  # the greeting is no frame
            while True:
                self._pass_on(await reader.readuntil(_END), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _pass_on(self, frame: bytes, writer: asyncio.StreamWriter) -> None:
        if not frame.startswith(b"Event: ") or frame[7 : frame.index(b"\r\n")] not in _TELLING:
            writer.write(frame)
            return
        chance, weather = self._random.random(), self._weather
        self.seen["events"] += 1
        if chance < weather.lost:
            self.seen["lost"] += 1
        elif chance < weather.lost + weather.doubled:
            self.seen["doubled"] += 1
            writer.write(frame)
            self._later(frame, writer)
        elif chance < weather.lost + weather.doubled + weather.reordered:
            self.seen["reordered"] += 1
            self._later(frame, writer)
        else:
            writer.write(frame)

    def _later(self, frame: bytes, writer: asyncio.StreamWriter) -> None:
        delay_s = self._random.uniform(0.0, _HELD_S)
        asyncio.get_running_loop().call_later(delay_s, self._write, frame, writer)

    @staticmethod
    def _write(frame: bytes, writer: asyncio.StreamWriter) -> None:
        if not writer.is_closing():
            writer.write(frame)
