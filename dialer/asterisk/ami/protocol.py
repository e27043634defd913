"""The AMI wire format without a socket: bytes in, messages out; actions in, bytes out.

    protocol = AmiProtocol()
    for message in protocol.receive_data(data): ...
    data = protocol.send_action(action, action_id="a-1")
    protocol.receive_eof()

States: GREETING → OPEN → CLOSED (end of file) or FAILED (a ProtocolError was raised; every further call raises it again).
Source: Asterisk's main/manager.c; its limits (lines of 1,024 bytes, 128 lines) were measured on 22.10.
"""

from __future__ import annotations

import re
from enum import StrEnum
from itertools import chain
from typing import TYPE_CHECKING

from dialer.asterisk.ami.errors import (
    ActionTooLarge,
    GreetingMalformed,
    MessageTooLarge,
    NotConnected,
    ProtocolError,
    StreamTruncated,
    UnsafeText,
)
from dialer.asterisk.ami.message import Event, Greeting, Malformed, Received, Response

if TYPE_CHECKING:
    from dialer.asterisk.ami.actions import Action

MAX_GREETING_BYTES = 256
MAX_MESSAGE_BYTES = 1 << 20
"""A `Command` may print a lot; an event never comes near it."""

MAX_LINE_BYTES = 1_022
"""The longest line that Asterisk reads, without its CR LF."""
MAX_LINES = 127
"""The most lines that Asterisk reads in one action."""

_END = b"\r\n\r\n"
_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_FORBIDDEN = re.compile("[\r\n\0]")
_GREETING = re.compile(rb"Asterisk Call Manager/[0-9.]+")


class State(StrEnum):
    """Where a session stands on the wire."""

    GREETING = "greeting"
    OPEN = "open"
    CLOSED = "closed"
    FAILED = "failed"


class AmiProtocol:
    """One session's wire state. Not reusable: a new connection needs a new one."""

    def __init__(self, *, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self.state = State.GREETING
        self._max = max_message_bytes
        self._buffer = bytearray()
        self._scanned = 0
        self._nul_ahead = False
        self._failure: ProtocolError | None = None

    def receive_data(self, data: bytes) -> list[Received]:
        """The messages that `data` completes, in order.

        Errors: GreetingMalformed, MessageTooLarge; messages completed before the fault in the same `data` are lost with it.
        """
        if self._failure is not None:
            raise self._failure
        if self.state is State.CLOSED:
            return []
        received: list[Received] = []
        if self.state is State.GREETING:
            greeting, data = self._read_greeting(data)
            if greeting is None:
                return received
            received.append(greeting)
        for block in self._complete_blocks(data):
            if block.startswith(b"Event:"):
                received.append(Event(block))
            elif block.startswith(b"Response:"):
                received.append(Response(block))
            elif block.strip(b"\r\n"):
                received.append(_odd_block(block))
        if b"\0" in data or self._nul_ahead:
            received = [Malformed(message.raw) if b"\0" in message.raw else message for message in received]
            self._nul_ahead = b"\0" in self._buffer
        return received

    def _complete_blocks(self, data: bytes) -> list[bytes]:
        """What lies between blank lines; the rest waits in the buffer."""
        buffer = self._buffer
        if buffer:
            buffer += data
            if buffer.find(_END, self._scanned) < 0:
                self._wait_for_more()
                return []
            data = bytes(buffer)
            buffer.clear()
        blocks = data.split(_END)
        buffer += blocks.pop()
        self._wait_for_more()
        if len(data) > self._max and max(map(len, blocks), default=0) > self._max:
            raise self._fail(MessageTooLarge(self._max))
        return blocks

    def receive_eof(self) -> None:
        """The peer closed. Errors: StreamTruncated when it did so inside a message."""
        if self._failure is not None:
            raise self._failure
        self.state = State.CLOSED
        left = bytes(self._buffer).strip(b"\r\n")
        self._buffer.clear()
        if left:
            raise self._fail(StreamTruncated(len(left)))

    def send_action(self, action: Action, action_id: str) -> bytes:
        """The bytes of one action. Errors: UnsafeText, ActionTooLarge, NotConnected (nothing was sent in each case)."""
        if self.state is not State.OPEN:
            raise NotConnected(f"wire state {self.state}")
        return encode(action, action_id)

    def _read_greeting(self, data: bytes) -> tuple[Greeting | None, bytes]:
        self._buffer += data
        end = self._buffer.find(b"\r\n")
        if end < 0 and len(self._buffer) <= MAX_GREETING_BYTES:
            return None, b""
        line = bytes(self._buffer[: end if end >= 0 else MAX_GREETING_BYTES])
        rest = bytes(self._buffer[end + 2 :])
        self._buffer.clear()
        if end < 0 or not _GREETING.fullmatch(line):
            raise self._fail(GreetingMalformed(line))
        self.state = State.OPEN
        return Greeting(line), rest

    def _wait_for_more(self) -> None:
        """Remember how far the buffer was searched, so that byte-wise input costs linear time."""
        self._scanned = max(0, len(self._buffer) - len(_END) + 1)
        if len(self._buffer) > self._max:
            raise self._fail(MessageTooLarge(self._max))

    def _fail(self, error: ProtocolError) -> ProtocolError:
        self.state = State.FAILED
        self._failure = error
        self._buffer.clear()
        return error


def _odd_block(block: bytes) -> Received:
    """A block that did not start as expected: Asterisk sometimes leaves an extra line break before a message."""
    block = block.lstrip(b"\r\n")
    if block.startswith(b"Event:"):
        return Event(block)
    if block.startswith(b"Response:"):
        return Response(block)
    return Malformed(block)


def encode(action: Action, action_id: str) -> bytes:
    """The bytes of `action`; any text that could start another header or action is refused, never repaired.

    Errors: UnsafeText, ActionTooLarge.
    """
    lines: list[bytes] = []
    for key, value in chain((("Action", action.name), ("ActionID", action_id)), action.headers):
        if not _HEADER_NAME.fullmatch(key):
            raise UnsafeText(key[:64], "not a header name")
        if _FORBIDDEN.search(value):
            raise UnsafeText(key, "CR, LF or NUL in the value")
        try:
            line = f"{key}: {value}".encode()
        except UnicodeEncodeError:
            raise UnsafeText(key, "the value is not valid text") from None
        if len(line) > MAX_LINE_BYTES:
            raise ActionTooLarge(f"header {key} takes {len(line)} bytes, Asterisk reads {MAX_LINE_BYTES}")
        lines.append(line)
    if len(lines) > MAX_LINES:
        raise ActionTooLarge(f"{len(lines)} headers, Asterisk reads {MAX_LINES}")
    return b"\r\n".join(lines) + _END
