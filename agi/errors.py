"""What can go wrong while Asterisk asks us about a call.

AgiError
├── AgiProtocolError        what arrived is not AGI; the connection cannot go on
│   ├── EnvironmentMalformed    a line without a colon, a key twice, too many lines
│   ├── LineTooLong             a line or a value without an end
│   ├── ReplyMalformed          neither code and text, nor HANGUP
│   └── UnexpectedReply         an answer to no question
├── PeerGone                Asterisk closed the connection (`.step` says when)
├── ChannelHungUp           the caller is gone; only commands marked `after_hangup` still work
├── CommandRefused          Asterisk cannot do it (`.code` 510, 511, 520, or 200 with result -1)
├── CommandOverdue          no reply before the deadline
├── CommandInProgress       a second command while the first has no reply
└── UnsafeArgument          a line break, a NUL, or too long for Asterisk: refused before the wire
"""

from __future__ import annotations


class AgiError(Exception):
    """Anything that went wrong with AGI, with a stable `error_id`."""

    def __init__(self, error_id: str, message: str) -> None:
        super().__init__(message)
        self.error_id = error_id
        self.message = message


class AgiProtocolError(AgiError):
    """What arrived is not AGI."""


class EnvironmentMalformed(AgiProtocolError):
    """The block of `agi_…` lines cannot be trusted."""

    def __init__(self, why: str) -> None:
        super().__init__("agi_environment_malformed", f"AGI environment refused: {why}.")


class LineTooLong(AgiProtocolError):
    """A line or a value without an end."""

    def __init__(self, bound: int) -> None:
        super().__init__("agi_line_too_long", f"AGI line longer than {bound} bytes.")


class ReplyMalformed(AgiProtocolError):
    """Neither code and text, nor HANGUP."""

    def __init__(self, line: str) -> None:
        super().__init__("agi_reply_malformed", f"Not an AGI reply: {line[:64]!r}.")


class UnexpectedReply(AgiProtocolError):
    """An answer to no question."""

    def __init__(self, line: str) -> None:
        super().__init__("agi_unexpected_reply", f"AGI reply without a command: {line[:64]!r}.")


class PeerGone(AgiError):
    """Asterisk closed the connection."""

    def __init__(self, step: str) -> None:
        super().__init__("agi_peer_gone", f"Asterisk closed the AGI connection while in step {step}.")
        self.step = step


class ChannelHungUp(AgiError):
    """The caller is gone."""

    def __init__(self) -> None:
        super().__init__("agi_channel_hung_up", "The channel was hung up.")


class CommandRefused(AgiError):
    """Asterisk cannot do it."""

    def __init__(self, command: str, code: int, text: str) -> None:
        super().__init__("agi_command_refused", f"Asterisk refused {command}: {code} {text[:200]}")
        self.command = command
        self.code = code


class CommandOverdue(AgiError):
    """No reply before the deadline."""

    def __init__(self, command: str, deadline_s: float) -> None:
        super().__init__("agi_command_overdue", f"No reply to {command} within {deadline_s:g} s.")


class CommandInProgress(AgiError):
    """A second command while the first has no reply."""

    def __init__(self) -> None:
        super().__init__("agi_command_in_progress", "AGI takes one command at a time: await the first.")


class UnsafeArgument(AgiError):
    """Refused before the wire."""

    def __init__(self, why: str) -> None:
        super().__init__("agi_unsafe_argument", f"AGI argument refused: {why}.")
