"""What can go wrong between us and the Asterisk Manager Interface.

AmiError
├── NotSent                 nothing reached Asterisk: safe to decide anew
│   ├── NotConnected            there is no session just now
│   ├── UnsafeText              CR, LF, NUL or no valid text in a header: refused before the wire
│   ├── ActionTooLarge          longer than Asterisk would read: refused before the wire
│   └── TooManyPending          the bound of unanswered actions is reached
├── ActionFailed            Asterisk answered `Response: Error` (its answer is in `.response`)
├── OutcomeUnknown          it may or may not have happened: reconcile, never send again
│   ├── AnswerOverdue           the deadline passed without an answer
│   └── ConnectionLost          the session ended before the answer
├── SessionClosed           the session was ended, by Asterisk or by us
├── ListTooLong             an event list went over its bound: it was read to no end and thrown away
├── SessionFailed           no session could be had
│   ├── ConnectFailed           no TCP connection
│   ├── LoginRefused            user, secret or ACL
│   ├── NotBooted               connected, but Asterisk does not say that it is fully booted
│   └── UnsupportedAsterisk     older than 22.8: we do not start
└── ProtocolError           what arrived is not AMI; the session cannot go on
    ├── GreetingMalformed
    ├── MessageTooLarge
    └── StreamTruncated         end of file inside a message
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dialer.domain.errors import WaihuError

if TYPE_CHECKING:
    from dialer.asterisk.ami.message import Response


class AmiError(WaihuError):
    """Anything that went wrong with AMI."""


class NotSent(AmiError):
    """Nothing reached Asterisk."""


class NotConnected(NotSent):
    """There is no session just now."""

    def __init__(self, why: str = "") -> None:
        super().__init__("ami_not_connected", f"No AMI session{': ' + why if why else ''}. Wait for Connected.")


class UnsafeText(NotSent):
    """A header holds what would become another header or action."""

    def __init__(self, header: str, why: str) -> None:
        super().__init__("ami_unsafe_text", f"AMI header {header!r} refused: {why}.", header=header)


class ActionTooLarge(NotSent):
    """Asterisk reads lines of at most 1,024 bytes and messages of at most 128 lines."""

    def __init__(self, why: str) -> None:
        super().__init__("ami_action_too_large", f"AMI action refused: {why}. Shorten it.")


class TooManyPending(NotSent):
    """The bound of actions without an answer is reached."""

    def __init__(self, bound: int) -> None:
        super().__init__("ami_too_many_pending", f"{bound} AMI actions wait for an answer. Send slower.", bound=bound)


class ActionFailed(AmiError):
    """Asterisk refused the action: it did not happen."""

    def __init__(self, action: str, response: Response) -> None:
        text = response.get("Message") or "no reason given"
        super().__init__("ami_action_failed", f"Asterisk refused {action}: {text}", action=action)
        self.response = response


class OutcomeUnknown(AmiError):
    """The action was written, the answer is missing: it may have happened. Reconcile, never send again."""

    def __init__(self, error_id: str, action: str, why: str) -> None:
        super().__init__(error_id, f"Outcome of {action} unknown: {why}. Reconcile with Asterisk.", action=action)
        self.action = action


class AnswerOverdue(OutcomeUnknown):
    """No answer before the deadline."""

    def __init__(self, action: str, deadline_s: float) -> None:
        super().__init__("ami_answer_overdue", action, f"no answer within {deadline_s:g} s")


class ConnectionLost(OutcomeUnknown):
    """The session ended before the answer."""

    def __init__(self, action: str, why: str) -> None:
        super().__init__("ami_connection_lost", action, f"session lost ({why})")


class SessionClosed(AmiError):
    """The session was ended in an orderly way, or for a reason outside AMI."""

    def __init__(self, why: str) -> None:
        super().__init__("ami_session_closed", f"The AMI session ended: {why}.")


class ListTooLong(AmiError):
    """An event list is longer than its bound."""

    def __init__(self, action: str, bound: int) -> None:
        super().__init__("ami_list_too_long", f"{action} gave more than {bound} events. Raise the bound.", bound=bound)


class SessionFailed(AmiError):
    """No session could be had."""


class ConnectFailed(SessionFailed):
    """No TCP connection, or it broke while logging in."""

    def __init__(self, host: str, port: int, why: str) -> None:
        super().__init__(
            "ami_connect_failed",
            f"Cannot reach AMI at {host}:{port}: {why}. Is Asterisk running and manager.conf enabled?",
            host=host,
            port=port,
        )


class LoginRefused(SessionFailed):
    """Asterisk does not accept the user."""

    def __init__(self, user: str, why: str) -> None:
        super().__init__(
            "ami_login_refused",
            f"Asterisk refused AMI user {user!r}: {why}. Compare user, secret and permit/deny with manager.conf.",
            user=user,
        )


class NotBooted(SessionFailed):
    """Asterisk does not say FullyBooted."""

    def __init__(self, deadline_s: float) -> None:
        super().__init__(
            "ami_not_booted",
            f"Asterisk did not report FullyBooted within {deadline_s:g} s. "
            "Is it still starting, or does the AMI user lack read=system?",
        )


class UnsupportedAsterisk(SessionFailed):
    """Too old, or of a version that cannot be read."""

    def __init__(self, found: str, wanted: str) -> None:
        super().__init__(
            "ami_unsupported_asterisk",
            f"Asterisk {found or '(unknown version)'} found; {wanted} or later is needed. Upgrade Asterisk.",
            found=found,
            wanted=wanted,
        )


class ProtocolError(AmiError):
    """What arrived is not AMI."""


class GreetingMalformed(ProtocolError):
    """The first line is not `Asterisk Call Manager/...`."""

    def __init__(self, line: bytes) -> None:
        super().__init__("ami_greeting_malformed", f"Not an AMI greeting: {line[:64]!r}. Is this the AMI port?")


class MessageTooLarge(ProtocolError):
    """A message without an end."""

    def __init__(self, bound: int) -> None:
        super().__init__("ami_message_too_large", f"AMI message longer than {bound} bytes.", bound=bound)


class StreamTruncated(ProtocolError):
    """End of file inside a message."""

    def __init__(self, left: int) -> None:
        super().__init__("ami_stream_truncated", f"AMI stream ended inside a message ({left} bytes).", left=left)
