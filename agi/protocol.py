"""FastAGI without a socket: bytes in, environment, replies and hang-ups out; commands in, bytes out.

    protocol = AgiProtocol()
    for item in protocol.receive_data(data): ...     # Environment, then Reply and HangupNotice
    data = protocol.send_command("SET VARIABLE", "NAME", "value")
    protocol.receive_eof()                           # raises PeerGone with the step

Steps: ENVIRONMENT → IDLE ⇄ AWAITING_REPLY → CLOSED, or FAILED (every further call raises the same error).
Source: Asterisk's res/res_agi.c. A command line that does not fit its buffer of 8,192 bytes is cut, and the rest read as the next
command (measured on 22.10, kept true by the contract tests): hence our limit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

from agi.errors import (
    AgiProtocolError,
    CommandInProgress,
    EnvironmentMalformed,
    LineTooLong,
    PeerGone,
    ReplyMalformed,
    UnexpectedReply,
    UnsafeArgument,
)

MAX_LINE_BYTES = 16 << 10
MAX_REPLY_BYTES = 64 << 10
MAX_ENVIRONMENT_LINES = 256
MAX_COMMAND_BYTES = 8_000
"""Below Asterisk's buffer of 8,192 bytes."""

_FORBIDDEN = re.compile("[\r\n\0]")
_COMMAND = re.compile(r"[A-Z]+( [A-Z]+)*")
_REPLY = re.compile(r"([0-9]{3})([ -])(.*)", re.DOTALL)
_RESULT = re.compile(r"result=(-?[0-9#*A-Da-d]*)(?: ?\((.*)\))?(.*)", re.DOTALL)
_ENDPOS = re.compile(r"endpos=(\d{1,12})")


class Step(StrEnum):
    """Where a connection stands."""

    ENVIRONMENT = "environment"
    IDLE = "idle"
    AWAITING_REPLY = "awaiting_reply"
    CLOSED = "closed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Environment:
    """What Asterisk tells first: `agi_…` keys without the prefix (`uniqueid`, `channel`, `network_script`, `arg_1` ...)."""

    fields: dict[str, str]

    def get(self, key: str, default: str = "") -> str:
        """The value of `agi_<key>`."""
        return self.fields.get(key, default)


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one command: `200 result=<result> (<value>) endpos=<n>`; `text` is all of it after the code."""

    code: int
    result: str
    value: str | None
    text: str
    endpos: int | None = None

    @property
    def ok(self) -> bool:
        """The command was carried out (which is not yet a success: `result` says that)."""
        return self.code == 200


@dataclass(frozen=True, slots=True)
class HangupNotice:
    """The line HANGUP: the caller is gone, the connection still stands."""


Item = Environment | Reply | HangupNotice


@dataclass(slots=True)
class _Open:
    """A reply that takes several lines: usage texts (520) and values with line breaks."""

    code: int
    lines: list[str] = field(default_factory=list)
    size: int = 0


class AgiProtocol:
    """One connection's state, on the side that Asterisk asks."""

    def __init__(self) -> None:
        self.step = Step.ENVIRONMENT
        self._buffer = bytearray()
        self._scanned = 0
        self._fields: dict[str, str] = {}
        self._open: _Open | None = None
        self._failure: AgiProtocolError | None = None

    def receive_data(self, data: bytes) -> list[Item]:
        """The items that `data` completes, in order. Errors: AgiProtocolError (items of the same data are lost with it)."""
        if self._failure is not None:
            raise self._failure
        if self.step is Step.CLOSED:
            return []
        self._buffer += data
        items: list[Item] = []
        try:
            start = 0
            while (end := self._buffer.find(b"\n", max(start, self._scanned))) >= 0:
                if end - start > MAX_LINE_BYTES:
                    raise LineTooLong(MAX_LINE_BYTES)
                line = self._buffer[start:end].decode("utf-8", "replace").removesuffix("\r")
                start = end + 1
                item = self._environment_line(line) if self.step is Step.ENVIRONMENT else self._line(line)
                if item is not None:
                    items.append(item)
            del self._buffer[:start]
            self._scanned = len(self._buffer)
            if len(self._buffer) > MAX_LINE_BYTES:
                raise LineTooLong(MAX_LINE_BYTES)
        except AgiProtocolError as error:
            self.step = Step.FAILED
            self._failure = error
            self._buffer.clear()
            raise
        return items

    def receive_eof(self) -> None:
        """Asterisk closed. Errors: PeerGone unless we had closed before."""
        if self._failure is not None:
            raise self._failure
        step, self.step = self.step, Step.CLOSED
        self._buffer.clear()
        if step is not Step.CLOSED:
            raise PeerGone(step.value)

    def send_command(self, command: str, *arguments: str) -> bytes:
        """The bytes of one command, its arguments quoted. Errors: UnsafeArgument, CommandInProgress, PeerGone."""
        if self._failure is not None:
            raise self._failure
        if self.step is Step.AWAITING_REPLY:
            raise CommandInProgress
        if self.step is not Step.IDLE:
            raise PeerGone(self.step.value)
        data = encode(command, *arguments)
        self.step = Step.AWAITING_REPLY
        return data

    def close(self) -> None:
        """We are done."""
        if self._failure is None:
            self.step = Step.CLOSED
        self._buffer.clear()

    def _environment_line(self, line: str) -> Environment | None:
        if not line:
            self.step = Step.IDLE
            return Environment(self._fields)
        key, colon, value = line.partition(":")
        if not colon or not key.startswith("agi_"):
            raise EnvironmentMalformed(f"{line[:40]!r} is not `agi_key: value`")
        key = key.removeprefix("agi_")
        if key in self._fields:
            raise EnvironmentMalformed(f"agi_{key[:40]} comes twice")
        if len(self._fields) >= MAX_ENVIRONMENT_LINES:
            raise EnvironmentMalformed(f"more than {MAX_ENVIRONMENT_LINES} lines")
        self._fields[key] = value.removeprefix(" ")
        return None

    def _line(self, line: str) -> Item | None:
        if self._open is not None:
            return self._next_line(self._open, line)
        if line == "HANGUP":
            return HangupNotice()
        if self.step is not Step.AWAITING_REPLY:
            if not line:
                return None
            raise UnexpectedReply(line)
        found = _REPLY.fullmatch(line)
        if found is None:
            raise ReplyMalformed(line)
        code, text = int(found[1]), found[3]
        if code == 100:
            return None
        if found[2] == "-":
            self._open = _Open(code, [text])
            return None
        if code == 200 and _value_goes_on(text):
            self._open = _Open(code, [text], len(text))
            return None
        return self._reply(code, text)

    def _next_line(self, open_reply: _Open, line: str) -> Item | None:
        open_reply.size += len(line) + 1
        if open_reply.size > MAX_REPLY_BYTES:
            raise LineTooLong(MAX_REPLY_BYTES)
        if open_reply.code == 200:
            open_reply.lines.append(line)
            text = "\n".join(open_reply.lines)
            return None if _value_goes_on(line, inside=True) else self._finish(open_reply.code, text)
        if line.startswith(f"{open_reply.code} "):
            return self._finish(open_reply.code, "\n".join(open_reply.lines))
        open_reply.lines.append(line)
        return None

    def _finish(self, code: int, text: str) -> Reply:
        self._open = None
        return self._reply(code, text)

    def _reply(self, code: int, text: str) -> Reply:
        self.step = Step.IDLE
        found = _RESULT.fullmatch(text)
        if found is None:
            if code == 200:
                raise ReplyMalformed(text)
            return Reply(code, "", None, text)
        endpos = _ENDPOS.search(found[3])
        return Reply(code, found[1], found[2], text, int(endpos[1]) if endpos else None)


def _value_goes_on(text: str, *, inside: bool = False) -> bool:
    """A value in brackets is sent as it is, line breaks included: it ends at the first line that closes the bracket."""
    opened = inside or "(" in text
    return opened and not (text.endswith(")") or _CLOSED.search(text) is not None)


_CLOSED = re.compile(r"\) (endpos|results|score\d|text\d|grammar\d)=[^)]*$")


def quote(argument: str) -> str:
    """One argument in AGI's quotes. Errors: UnsafeArgument for line breaks and NUL."""
    if _FORBIDDEN.search(argument):
        raise UnsafeArgument("line break or NUL")
    return '"' + argument.replace("\\", "\\\\").replace('"', '\\"') + '"'


def encode(command: str, *arguments: str) -> bytes:
    """The line of one command: `command` in capitals as Asterisk lists it, arguments quoted. Errors: UnsafeArgument."""
    if not _COMMAND.fullmatch(command):
        raise UnsafeArgument(f"{command[:40]!r} is not a command")
    try:
        line = " ".join((command, *map(quote, arguments))).encode() + b"\n"
    except UnicodeEncodeError:
        raise UnsafeArgument("not valid text") from None
    if len(line) > MAX_COMMAND_BYTES:
        raise UnsafeArgument(f"{len(line)} bytes, Asterisk reads {MAX_COMMAND_BYTES}")
    return line
