"""What a handler holds while it answers: commands to the channel that asked, one at a time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping

from agi.errors import AgiError, ChannelHungUp, CommandOverdue, CommandRefused, PeerGone, UnsafeArgument
from agi.protocol import AgiProtocol, HangupNotice, Reply

_VARIABLE_NAME = re.compile(r"_{0,2}[A-Za-z][A-Za-z0-9_]{0,78}")
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9/._@:-]+")  # nothing that MSet could take for its own
_COMMANDS_FOR_THE_DEAD = {"SET VARIABLE", "GET VARIABLE", "GET FULL VARIABLE", "VERBOSE", "NOOP", "CHANNEL STATUS"}


class AgiSession:
    """Made by the server; fed by its connection. Every command has a deadline (`command_deadline_s` by default).

    Each command can raise: ChannelHungUp, PeerGone, CommandOverdue, CommandRefused, UnsafeArgument, AgiProtocolError. A handler
    need not catch them: the server ends the connection, and the dialplan goes on to the safe harbour.
    """

    def __init__(self, protocol: AgiProtocol, write: Callable[[bytes], None], *, command_deadline_s: float) -> None:
        self._protocol = protocol
        self._write = write
        self._command_deadline_s = command_deadline_s
        self._reply: asyncio.Future[Reply] | None = None
        self._gone = asyncio.Event()
        self._hung_up = False
        self._failure: AgiError | None = None

    @property
    def hung_up(self) -> bool:
        """The caller is gone (the line HANGUP came, or Asterisk closed)."""
        return self._gone.is_set()

    async def wait_hung_up(self) -> None:
        """Wait until the caller is gone; a handler that waits for an agent waits for this as well."""
        await self._gone.wait()

    async def command(self, command: str, *arguments: str, deadline_s: float | None = None) -> Reply:
        """Any command, in capitals, with plain arguments: `await session.command("STREAM FILE", "beep", "")`."""
        if self._failure is not None:
            raise self._failure
        if self._hung_up and command not in _COMMANDS_FOR_THE_DEAD:
            raise ChannelHungUp
        data = self._protocol.send_command(command, *arguments)
        wait_s = self._command_deadline_s if deadline_s is None else deadline_s
        self._reply = asyncio.get_running_loop().create_future()
        self._write(data)
        try:
            async with asyncio.timeout(wait_s):
                reply = await self._reply
        except TimeoutError:
            raise CommandOverdue(command, wait_s) from None
        finally:
            self._reply = None
        if not reply.ok:
            raise CommandRefused(command, reply.code, reply.text)
        return reply

    async def set_variable(self, name: str, value: str) -> None:
        """Set a channel variable to exactly `value`; it is not evaluated. Plain names only, no functions."""
        await self.command("SET VARIABLE", _plain(name), value)

    async def set_variables(self, values: Mapping[str, str]) -> None:
        """Set several, in their order; in one exchange when no value needs quoting and the caller is there."""
        if not self._hung_up and all(_PLAIN_VALUE.fullmatch(value) for value in values.values()):
            await self.execute("MSet", ",".join(f"{_plain(name)}={value}" for name, value in values.items()))
            return
        for name, value in values.items():
            await self.set_variable(name, value)

    async def get_variable(self, name: str) -> str | None:
        """The value of a channel variable (Asterisk gives its first 1,023 bytes), None when it is not set."""
        reply = await self.command("GET VARIABLE", _plain(name))
        return (reply.value or "") if reply.result == "1" else None

    async def get_full_variable(self, expression: str) -> str | None:
        """Evaluate `${CHANNEL(...)}` in the dialplan's way: never with text from outside."""
        reply = await self.command("GET FULL VARIABLE", expression)
        return (reply.value or "") if reply.result == "1" else None

    async def answer(self) -> None:
        """Answer the channel."""
        await self._must("ANSWER")

    async def hangup(self) -> None:
        """Hang the channel up."""
        await self.command("HANGUP")

    async def execute(self, application: str, arguments: str = "", *, deadline_s: float | None = None) -> str:
        """Run a dialplan application; gives its result. Commas in `arguments` separate: never with text from outside."""
        reply = await self.command("EXEC", application, arguments, deadline_s=deadline_s)
        if reply.result == "-2":
            raise CommandRefused(f"EXEC {application}", reply.code, "no such application")
        return reply.result

    async def stream_file(self, name: str, *, deadline_s: float | None = None) -> None:
        """Play a sound file to its end."""
        await self._must("STREAM FILE", name, "", deadline_s=deadline_s)

    async def channel_status(self) -> int:
        """The channel's state: 6 is up."""
        return int((await self.command("CHANNEL STATUS")).result)

    async def verbose(self, text: str, level: int = 3) -> None:
        """A line in Asterisk's console and log."""
        await self.command("VERBOSE", text, str(level))

    async def noop(self) -> None:
        """Nothing: is the channel still there."""
        await self.command("NOOP")

    async def _must(self, command: str, *arguments: str, deadline_s: float | None = None) -> None:
        reply = await self.command(command, *arguments, deadline_s=deadline_s)
        if reply.result == "-1":
            if self._hung_up:
                raise ChannelHungUp
            raise CommandRefused(command, reply.code, reply.text)

    # --- called by the connection ---

    def deliver(self, item: Reply | HangupNotice) -> None:
        """A reply, or the news that the caller is gone. A reply that nobody waits for any more is dropped."""
        if isinstance(item, HangupNotice):
            self._hung_up = True
            self._gone.set()
        elif self._reply is not None and not self._reply.done():
            self._reply.set_result(item)

    def fail(self, error: AgiError | PeerGone) -> None:
        """The connection is over: whoever waits gets `error`, and so does every further command."""
        if self._failure is None:
            self._failure = error
        self._hung_up = True
        self._gone.set()
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(error)


def _plain(name: str) -> str:
    if not _VARIABLE_NAME.fullmatch(name):
        raise UnsafeArgument(f"{name[:40]!r} is not a plain variable name")
    return name
