"""Machines: which calls the dialplan listens to before it asks for an agent, and what its answer means.

Asterisk's AMD listens (`asterisk-conf/amd.conf`). It decides a while after the greeting was over, so the moments are told apart: the
greeting's end begins the wait for an agent that contracts count, the decision is what pacing has to foresee.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from campaigns.projects import Project
from campaigns.states import MachineDetection
from dialer.domain.pacing import DIALLED_FOR_AGENTS, Mode

AFTER_GREETING_MS: Final = 800
"""How long it must be quiet after a greeting before AMD believes that it was one: `after_greeting_silence` in `amd.conf`."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What detection says of who answered. `ago`: so long before the decision the greeting was over, at the earliest."""

    machine: bool
    ago: timedelta = timedelta(milliseconds=AFTER_GREETING_MS)


def detects(project: Project, mode: Mode) -> bool:
    """Calls of this project are listened to: only those that go to whichever agent is free."""
    return project.machine_detection is not MachineDetection.OFF and mode in DIALLED_FOR_AGENTS


def heard(said: Sequence[str]) -> Heard | None:
    """From the later arguments of `/call/answered`: AMD's status and cause. None: nobody listened, or the customer hung up meanwhile.

    Whoever says nothing may be a person who waits for us to speak, and what AMD is not sure of may be one too: both get an agent.
    """
    status, cause = (*said, "", "")[:2]
    match status:
        case "MACHINE":
            return Heard(machine=not cause.startswith("INITIALSILENCE"))
        case "HUMAN" | "NOTSURE":
            return Heard(machine=False)
        case _:
            return None
