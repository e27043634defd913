"""What an event does to a call: the state table of an attempt.

News of a call comes on three ways that may overtake each other (AMI events, the question of the dialplan over FastAGI, a listing
of the channels after a loss), so later news may always skip states forward, and never leads backward by itself.

Why pairs are stragglers: earlier news that arrives late or twice (`ringing` in `bridged`), and everything that arrives after the
end. Why pairs are illegal: they would mean that we lost count of what we sent (`not_sent` of something Asterisk has spoken of), or
that a conversation was resumed which never began.
"""

from __future__ import annotations

from enum import StrEnum

from dialer.domain.machine import Table
from dialer.domain.states import CallState as S


class CallEvent(StrEnum):
    """What can happen to a call, in the past tense."""

    SENT = "sent"  # the Originate was written to Asterisk
    RINGING = "ringing"  # Asterisk says that it rings
    ANSWERED = "answered"  # the customer's channel is up
    BRIDGED = "bridged"  # the customer and an agent hear each other
    HELD = "held"  # the customer was sent to the music
    RESUMED = (
        "resumed"  # the customer comes back from the music (or on the way to another agent) and waits for the bridge
    )
    UNBRIDGED = "unbridged"  # the customer left the bridge and is still there: the seat has gone
    HUNG_UP = "hung_up"  # the channel is gone
    REFUSED = "refused"  # Asterisk could not place it: no channel came of it
    NOT_SENT = "not_sent"  # nothing went on the wire and nothing will


E = CallEvent
_LIVE = (S.COMMITTED, S.ORIGINATING, S.RINGING, S.ANSWERED, S.BRIDGED, S.HELD)

MOVES: dict[tuple[S, E], S] = {
    (S.COMMITTED, E.SENT): S.ORIGINATING,
    (S.COMMITTED, E.NOT_SENT): S.ENDED,
    # Reconciled: Asterisk has never heard of it, neither among its channels nor in its records.
    (S.ORIGINATING, E.NOT_SENT): S.ENDED,
    (S.COMMITTED, E.REFUSED): S.ENDED,
    (S.ORIGINATING, E.REFUSED): S.ENDED,
    (S.RINGING, E.REFUSED): S.ENDED,
    # After a death of ours the row may still say `committed` while the customer already talks.
    (S.COMMITTED, E.RINGING): S.RINGING,
    (S.ORIGINATING, E.RINGING): S.RINGING,
    **{(state, E.ANSWERED): S.ANSWERED for state in (S.COMMITTED, S.ORIGINATING, S.RINGING)},
    **{(state, E.BRIDGED): S.BRIDGED for state in (S.COMMITTED, S.ORIGINATING, S.RINGING, S.ANSWERED, S.HELD)},
    **{(state, E.HELD): S.HELD for state in (S.COMMITTED, S.ORIGINATING, S.RINGING, S.ANSWERED, S.BRIDGED)},
    # The news of answer and bridge was lost, but who leaves a bridge is up.
    **{(state, E.UNBRIDGED): S.ANSWERED for state in (S.COMMITTED, S.ORIGINATING, S.RINGING, S.BRIDGED)},
    (S.HELD, E.RESUMED): S.ANSWERED,
    (S.BRIDGED, E.RESUMED): S.ANSWERED,  # on the way to another agent
    **{(state, E.HUNG_UP): S.ENDED for state in _LIVE},
}

STRAGGLERS: set[tuple[S, E]] = {
    *((S.ENDED, event) for event in E),
    *((state, E.SENT) for state in (S.ORIGINATING, S.RINGING, S.ANSWERED, S.BRIDGED, S.HELD)),
    *((state, E.RINGING) for state in (S.RINGING, S.ANSWERED, S.BRIDGED, S.HELD)),
    *((state, E.ANSWERED) for state in (S.ANSWERED, S.BRIDGED, S.HELD)),
    # A refusal that crosses an answer: the hang-up decides.
    *((state, E.REFUSED) for state in (S.ANSWERED, S.BRIDGED, S.HELD)),
    (S.BRIDGED, E.BRIDGED),
    (S.HELD, E.HELD),
    (S.HELD, E.UNBRIDGED),  # going on hold is leaving the bridge
    (S.ANSWERED, E.UNBRIDGED),
    (S.ANSWERED, E.RESUMED),
}

ILLEGAL: set[tuple[S, E]] = {
    *((state, E.NOT_SENT) for state in (S.RINGING, S.ANSWERED, S.BRIDGED, S.HELD)),
    *((state, E.RESUMED) for state in (S.COMMITTED, S.ORIGINATING, S.RINGING)),
}

CALL_TABLE: Table[S, E] = Table(S, E, moves=MOVES, stragglers=STRAGGLERS, illegal=ILLEGAL)
