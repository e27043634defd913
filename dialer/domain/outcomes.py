"""What came of an attempt, from what Asterisk told us: how far the call got, and why the channel ended.

Sources: ITU-T Q.850 cause values; Asterisk's mapping of SIP answers to them (`hangup_sip2cause`), measured against the lab
carrier; the SIP answer itself (`TechCause` of the Hangup event) where the cause is too coarse.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """The same words as in `attempts.outcome` and `retry_rules.outcome`."""

    CONNECTED = "connected"  # a customer and an agent heard each other
    ABANDONED = "abandoned"  # answered, no agent within the limit: safe harbour; or given up as it was answered
    HUNG_UP_EARLY = "hung_up_early"  # answered, and left before an agent came, within the limit
    MACHINE = "machine"  # answered by a machine, as detection heard it: no agent was looked for
    PLAYED = "played"  # agentless: the message or survey came to its end
    BROKEN_OFF = "broken_off"  # agentless: answered, and left before its end
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    REJECTED = "rejected"
    VACANT = "vacant"  # the number is not in use
    UNREACHABLE = "unreachable"  # powered off, out of coverage
    CONGESTION = "congestion"
    INVALID_NUMBER = "invalid_number"
    FAILED = "failed"  # anything else; also: its end was not seen and left no record
    NOT_SENT = "not_sent"  # committed, and never on the wire
    CANCELED = "canceled"  # we gave up while it rang


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a call ended. `cause` is a Q.850 value (0 or None: unknown), `sip_status` the last SIP answer if Asterisk told it."""

    answered: bool = False
    bridged: bool = False
    waited_out: bool = False  # the limit for an agent passed, or the safe-harbour message began
    machine: bool = False  # detection heard one
    canceled: bool = False  # we gave it up while it rang
    rang: bool = False  # ringing was heard of
    rang_out: bool = False  # our own ring timeout ended it
    played: bool | None = None  # of a message or survey: it came to its end; None: there was none
    cause: int | None = None
    sip_status: int | None = None


_BY_CAUSE: dict[int, Outcome] = {
    1: Outcome.VACANT,  # unallocated number; SIP 404, 604
    2: Outcome.VACANT,
    3: Outcome.VACANT,
    16: Outcome.NO_ANSWER,  # cleared while it rang
    17: Outcome.BUSY,  # SIP 486, 600
    18: Outcome.NO_ANSWER,  # SIP 408
    19: Outcome.NO_ANSWER,  # SIP 480: see _BY_SIP
    20: Outcome.UNREACHABLE,  # subscriber absent
    21: Outcome.REJECTED,  # SIP 401, 403, 603
    22: Outcome.VACANT,  # number changed; SIP 410
    26: Outcome.NO_ANSWER,
    27: Outcome.FAILED,  # destination out of order; SIP 502
    28: Outcome.INVALID_NUMBER,  # SIP 484
    29: Outcome.REJECTED,
    31: Outcome.NO_ANSWER,
    34: Outcome.CONGESTION,  # no circuit; SIP 503
    38: Outcome.CONGESTION,
    41: Outcome.CONGESTION,
    42: Outcome.CONGESTION,
    44: Outcome.CONGESTION,
    102: Outcome.NO_ANSWER,  # timer expired; SIP 504
}

_BY_SIP: dict[int, Outcome] = {
    401: Outcome.FAILED,  # our credentials are wrong: nothing is known about the customer
    403: Outcome.REJECTED,
    404: Outcome.VACANT,
    408: Outcome.NO_ANSWER,
    410: Outcome.VACANT,
    480: Outcome.UNREACHABLE,  # without ringing before it; after ringing the network gave up
    484: Outcome.INVALID_NUMBER,
    486: Outcome.BUSY,
    407: Outcome.FAILED,
    503: Outcome.CONGESTION,
    600: Outcome.BUSY,
    603: Outcome.REJECTED,
    604: Outcome.VACANT,
}


def outcome_of(ending: Ending) -> Outcome:
    """The outcome of a call that was on the wire."""
    if ending.bridged:
        return Outcome.CONNECTED
    if ending.machine:
        return Outcome.MACHINE
    if ending.answered and ending.played is not None and not (ending.waited_out or ending.canceled):
        return Outcome.PLAYED if ending.played else Outcome.BROKEN_OFF
    if ending.answered:
        # Given up in the moment of the answer, and nobody came: our doing, not the customer's.
        return Outcome.ABANDONED if ending.waited_out or ending.canceled else Outcome.HUNG_UP_EARLY
    if ending.canceled:
        return Outcome.CANCELED
    if ending.rang_out or (ending.rang and ending.sip_status == 480):
        return Outcome.NO_ANSWER
    if ending.sip_status in _BY_SIP:
        return _BY_SIP[ending.sip_status]
    return _BY_CAUSE.get(ending.cause or 0, Outcome.FAILED)
