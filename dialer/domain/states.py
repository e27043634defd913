"""The states of a call and of an agent. Their tables are `call_table` and `agent_table`, next door."""

from __future__ import annotations

from enum import StrEnum


class CallState(StrEnum):
    """Where an attempt is; the same words as in `attempts.state`."""

    COMMITTED = "committed"  # the row is there, nothing is on the wire
    ORIGINATING = "originating"  # the action was written; until Asterisk speaks of it, its fate is unknown
    RINGING = "ringing"
    ANSWERED = "answered"  # a customer hears silence and waits for an agent
    BRIDGED = "bridged"
    HELD = "held"
    ENDED = "ended"


class AgentState(StrEnum):
    """What an agent does now; the same words as in `agent_live.state` and `agent_times.state`."""

    LOGGED_OUT = "logged_out"
    SEATING = "seating"  # the softphone is being called
    BREAK = "break"  # logged in, seated, not to be given calls (小休)
    READY = "ready"
    PREVIEW = "preview"  # looks at a lead before dialling it
    RESERVED = "reserved"  # a call is promised to this agent: matched but not bridged, manual dialling, transfer
    TALKING = "talking"
    WRAP_UP = "wrap_up"
