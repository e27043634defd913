"""What an event does to an agent: the state table of the desk.

A seat (the nailed-up channel) is not a state: it may vanish in any. Where an agent must be reachable (break, ready, preview,
reserved) losing it means being called again; in a conversation the end of the call decides, and in wrap-up the agent needs no line.

Wishes that must wait (`ready`, `break`, `logout` during a conversation) are kept as what is *wanted*; the event comes when the
work is done. That is why these pairs are illegal here: the desk must not apply them early. Stragglers are late news of a seat or a
call after the agent has moved on.
"""

from __future__ import annotations

from enum import StrEnum

from dialer.domain.machine import Table
from dialer.domain.states import AgentState as S


class AgentEvent(StrEnum):
    """What can happen to an agent, in the past tense (READY, BREAK: has become)."""

    LOGIN = "login"  # logged in: the softphone is called
    SEAT_LOST = "seat_lost"  # the nailed-up channel is gone
    READY = "ready"  # seated, released, wrapped up or asked: and wants calls
    BREAK = "break"  # the same, and wants none
    LOGOUT = "logout"
    PREVIEW = "preview"  # a lead is shown
    RESERVED = "reserved"  # a call is promised
    BRIDGED = "bridged"  # hears a customer
    CALL_ENDED = "call_ended"  # the conversation is over for this agent


E = AgentEvent
_SEATED_IDLE = (S.BREAK, S.READY, S.PREVIEW)

MOVES: dict[tuple[S, E], S] = {
    (S.LOGGED_OUT, E.LOGIN): S.SEATING,
    **{(state, E.READY): S.READY for state in (S.SEATING, S.BREAK, S.PREVIEW, S.RESERVED, S.WRAP_UP)},
    **{(state, E.BREAK): S.BREAK for state in (S.SEATING, S.READY, S.PREVIEW, S.RESERVED, S.WRAP_UP)},
    **{(state, E.LOGOUT): S.LOGGED_OUT for state in (S.SEATING, *_SEATED_IDLE, S.RESERVED, S.WRAP_UP)},
    **{(state, E.SEAT_LOST): S.SEATING for state in (*_SEATED_IDLE, S.RESERVED)},
    # The line is needed again, and it is gone: called again when the wrap-up is done.
    (S.WRAP_UP, E.LOGIN): S.SEATING,
    **{(state, E.PREVIEW): S.PREVIEW for state in (S.BREAK, S.READY)},
    **{(state, E.RESERVED): S.RESERVED for state in _SEATED_IDLE},
    # Adopted after a death of ours: the row may lag behind the conversation.
    **{(state, E.BRIDGED): S.TALKING for state in (S.SEATING, *_SEATED_IDLE, S.RESERVED, S.WRAP_UP)},
    (S.TALKING, E.CALL_ENDED): S.WRAP_UP,
    (S.RESERVED, E.CALL_ENDED): S.WRAP_UP,  # the news of the bridge was lost
}

STRAGGLERS: set[tuple[S, E]] = {
    (S.LOGGED_OUT, E.LOGOUT),
    (S.LOGGED_OUT, E.SEAT_LOST),
    (S.LOGGED_OUT, E.CALL_ENDED),
    (S.SEATING, E.LOGIN),
    (S.SEATING, E.SEAT_LOST),
    (S.READY, E.READY),
    (S.BREAK, E.BREAK),
    (S.PREVIEW, E.PREVIEW),
    (S.TALKING, E.BRIDGED),
    (S.TALKING, E.SEAT_LOST),
    (S.WRAP_UP, E.SEAT_LOST),
    *((state, E.CALL_ENDED) for state in (S.SEATING, *_SEATED_IDLE, S.WRAP_UP)),
}

ILLEGAL: set[tuple[S, E]] = {
    # Nobody is there.
    *((S.LOGGED_OUT, event) for event in (E.READY, E.BREAK, E.PREVIEW, E.RESERVED, E.BRIDGED)),
    # The softphone does not answer yet; no call may be promised.
    (S.SEATING, E.PREVIEW),
    (S.SEATING, E.RESERVED),
    # Promised once is promised.
    *((state, E.RESERVED) for state in (S.RESERVED, S.TALKING, S.WRAP_UP)),
    *((state, E.PREVIEW) for state in (S.RESERVED, S.TALKING, S.WRAP_UP)),
    # Wishes wait for the end of the conversation.
    *((S.TALKING, event) for event in (E.READY, E.BREAK, E.LOGOUT, E.LOGIN)),
    *((state, E.LOGIN) for state in (S.BREAK, S.READY, S.PREVIEW, S.RESERVED)),
}

AGENT_TABLE: Table[S, E] = Table(S, E, moves=MOVES, stragglers=STRAGGLERS, illegal=ILLEGAL)
