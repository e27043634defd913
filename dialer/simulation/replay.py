"""A project's own measured times, as a floor on which they are played again."""

from __future__ import annotations

from collections.abc import Sequence

from dialer.simulation.durations import Measured
from dialer.simulation.world import World, always


def replayed(
    *,
    agents: int,
    hours: float,
    rang_until_answer_s: Sequence[float],
    rang_for_nothing_s: Sequence[float],
    talked_s: Sequence[float],
    wrapped_up_s: Sequence[float],
    cap: float,
    agent_wait_s: float,
) -> World:
    """Each measured time is as likely as it was seen, and as large a share of the calls is answered. ValueError when there are none of a kind."""
    placed = len(rang_until_answer_s) + len(rang_for_nothing_s)
    return World(
        agents=agents,
        answer=always(len(rang_until_answer_s) / placed if placed else 0.0),
        hours=hours,
        ring=Measured(rang_until_answer_s),
        quick_failure=1.0,  # whatever was not answered
        quick_failure_s=Measured(rang_for_nothing_s),
        talk=Measured(talked_s),
        wrap_up=Measured(wrapped_up_s),
        cap=cap,
        agent_wait_s=agent_wait_s,
    )
