"""What an event does to the recording of a call that can be paused: the state table.

Asterisk keeps the two legs and their time axis; what is muted in them is ours to know. `paused` is said to an agent only after Asterisk has
answered: they are about to ask for a card number. What may be muted and should not be is `resuming`, until Asterisk says that it is not: a lost
command must not leave the rest of a call silent.

Why pairs are stragglers: an end that comes twice (the agent's word crosses the limit), and answers to a command that was overtaken by an end; the
order to unmute goes out after the order to mute. Why pairs are illegal: one pause at a time; who asks for a new one waits until the former is over.
"""

from __future__ import annotations

from enum import StrEnum

from dialer.domain.machine import Table


class PauseState(StrEnum):
    """What is written of a call."""

    RECORDED = "recorded"
    PAUSING = "pausing"  # the order to mute is out, its answer is not there
    PAUSED = "paused"
    RESUMING = "resuming"  # the pause is over; until Asterisk says so, the legs may still be muted


class PauseEvent(StrEnum):
    """What can happen to it, in the past tense."""

    ASKED = "asked"  # an agent wants a pause
    MUTED = "muted"  # Asterisk has muted both legs
    REFUSED = "refused"  # nothing was muted, and nothing will be
    UNSURE = "unsure"  # the order may have arrived or not
    OVER = "over"  # the agent, the limit or a transfer ends the pause
    UNMUTED = "unmuted"  # Asterisk writes both legs again


S = PauseState
E = PauseEvent

MOVES: dict[tuple[S, E], S] = {
    (S.RECORDED, E.ASKED): S.PAUSING,
    (S.PAUSING, E.MUTED): S.PAUSED,
    (S.PAUSING, E.REFUSED): S.RECORDED,
    (S.PAUSING, E.UNSURE): S.RESUMING,
    (S.PAUSING, E.OVER): S.RESUMING,
    (S.PAUSED, E.OVER): S.RESUMING,
    (S.RESUMING, E.UNMUTED): S.RECORDED,
}

STRAGGLERS: set[tuple[S, E]] = {
    *((S.RECORDED, event) for event in (E.OVER, E.UNMUTED, E.MUTED, E.REFUSED, E.UNSURE)),
    *((S.RESUMING, event) for event in (E.OVER, E.MUTED, E.REFUSED, E.UNSURE)),
    (S.PAUSED, E.MUTED),
}

ILLEGAL: set[tuple[S, E]] = {
    *((state, E.ASKED) for state in (S.PAUSING, S.PAUSED, S.RESUMING)),
    # Nobody has ordered it.
    *((state, E.UNMUTED) for state in (S.PAUSING, S.PAUSED)),
    *((S.PAUSED, event) for event in (E.REFUSED, E.UNSURE)),
}

PAUSE_TABLE: Table[S, E] = Table(S, E, moves=MOVES, stragglers=STRAGGLERS, illegal=ILLEGAL)
