"""AMI messages as they arrived, read only where somebody looks.

A busy node sends thousands of events a second with some thirty headers each, of which we read four or five. So a message
keeps its bytes, and a header is searched for when it is asked for. Header names are matched exactly as Asterisk writes
them (`Uniqueid`, `ActionID`); when a header comes twice, `get` gives the first and `get_all` gives every one.

Text is UTF-8; bytes that are not become U+FFFD, because what was said by a SIP peer must not break a database row.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

_ENCODING = "utf-8"


@lru_cache(maxsize=1024)
def _needle(name: str) -> tuple[bytes, int]:
    needle = b"\r\n" + name.encode(_ENCODING, "replace") + b":"
    return needle, len(needle)


class Message:
    """One block of headers, without its closing blank line."""

    __slots__ = ("raw",)

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    def get(self, name: str, default: str = "") -> str:
        """The first value of header `name`, or `default` when it is not there."""
        raw = self.raw
        needle, size = _needle(name)
        at = raw.find(needle)
        if at < 0:
            if not raw.startswith(needle[2:]):
                return default
            at = -2
        start = at + size
        end = raw.find(b"\r\n", start)
        if end < 0:
            end = len(raw)
        if start < end and raw[start] == 32:
            start += 1
        return raw[start:end].decode(_ENCODING, "replace")

    def get_all(self, name: str) -> list[str]:
        """Every value of header `name`, in order (`Variable`, `ChanVariable`, `Output`)."""
        return [value for key, value in self.headers() if key == name]

    def headers(self) -> Iterator[tuple[str, str]]:
        """Every header in order. A line without a colon gives ("", line)."""
        for line in self.raw.decode(_ENCODING, "replace").split("\r\n"):
            key, colon, value = line.partition(":")
            if colon:
                yield key, value.removeprefix(" ")
            elif line:
                yield "", line

    def __contains__(self, name: str) -> bool:
        needle, _ = _needle(name)
        return needle in self.raw or self.raw.startswith(needle[2:])

    @property
    def action_id(self) -> str:
        """The ActionID this belongs to, or an empty text."""
        return self.get("ActionID")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and type(other) is type(self) and other.raw == self.raw

    def __hash__(self) -> int:
        return hash((type(self), self.raw))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.raw[:80]!r}>"


class Event(Message):
    """`Event: <name>` and its headers."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """What happened, as Asterisk calls it: `Hangup`, `BridgeEnter` ..."""
        return self.get("Event")


class Response(Message):
    """`Response: Success | Error | Goodbye | Follows` and its headers: the answer to one action."""

    __slots__ = ()

    @property
    def ok(self) -> bool:
        """True unless Asterisk says Error."""
        return self.get("Response") != "Error"

    @property
    def message(self) -> str:
        """What Asterisk says about it in a sentence."""
        return self.get("Message")

    @property
    def starts_list(self) -> bool:
        """True when events with the same ActionID follow, the last with `EventList: Complete`."""
        return self.get("EventList").lower() == "start"

    @property
    def output(self) -> list[str]:
        """The lines that a `Command` printed."""
        return self.get_all("Output")


class Greeting(Message):
    """The first line of a session: `Asterisk Call Manager/<AMI version>`."""

    __slots__ = ()

    @property
    def ami_version(self) -> str:
        """The version of the interface (not of Asterisk), like `11.0.0`."""
        return self.raw.partition(b"/")[2].decode("ascii", "replace").strip()


class Malformed(Message):
    """A block that is neither event nor response, or holds a NUL. Set aside: count it, log it, go on."""

    __slots__ = ()


Received = Greeting | Event | Response | Malformed
