"""What the process of a simulation is told."""

from __future__ import annotations

from pydantic import BaseModel

from dialer.domain.pacing import Mode


class Assumed(BaseModel):
    """Times and answers that somebody assumes: log-normal, seconds."""

    answer: float
    talk_s: float
    wrap_up_s: float


class Measured(BaseModel):
    """Times of a project, to be played again."""

    rang_until_answer_s: tuple[float, ...]
    rang_for_nothing_s: tuple[float, ...]
    talked_s: tuple[float, ...]
    wrapped_up_s: tuple[float, ...]


class Job(BaseModel):
    """A floor, and the modes in which its day is played, each day with another seed."""

    name: str
    times: Assumed | Measured
    agents: int
    hours: float
    days: int
    modes: tuple[Mode, ...]
    ratio: float
    cap: float
    agent_wait_s: float
    leads: int | None
