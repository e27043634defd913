"""A TCP proxy that misbehaves on order, between a client and what it talks to."""

from __future__ import annotations

import asyncio
import contextlib


class FaultyProxy:
    """Forwards until it is told otherwise. `cut`, `stall`, `swallow_answers`, `trickle`; `heal` ends all of them for new bytes."""

    def __init__(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._swallowing = False
        self._piece_bytes = 65_536
        self.port = 0
        self.accepted = 0

    async def start(self) -> None:
        """Listen; on the same port again after `refuse`."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close everything."""
        self.refuse()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Reset every connection; new ones are taken."""
        for writer in list(self._writers):
            writer.transport.abort()

    def refuse(self) -> None:
        """Cut, and take no new connections."""
        if self._server is not None:
            self._server.close()
        self.cut()

    def stall(self) -> None:
        """Bytes are taken and held, both ways; nobody is told."""
        self._flowing.clear()

    def swallow_answers(self) -> None:
        """Half-open: what the client says arrives, what is answered does not."""
        self._swallowing = True

    def trickle(self) -> None:
        """One byte at a time."""
        self._piece_bytes = 1

    def heal(self) -> None:
        """Forward again."""
        self._swallowing = False
        self._piece_bytes = 65_536
        self._flowing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, up_writer}
        loop = asyncio.get_running_loop()
        for source, sink, is_answer in ((reader, up_writer, False), (up_reader, writer, True)):
            task = loop.create_task(self._pump(source, sink, is_answer=is_answer), name="proxy pump")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_answer: bool) -> None:
        try:
            while data := await source.read(self._piece_bytes):
                await self._flowing.wait()
                if is_answer and self._swallowing:
                    continue
                sink.write(data)
                with contextlib.suppress(ConnectionError):
                    await sink.drain()
        except ConnectionError:
            pass
        finally:
            self._writers.discard(sink)
            if not sink.is_closing():
                sink.close()
