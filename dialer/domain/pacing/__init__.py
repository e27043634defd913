"""How many calls to place, and why not more: one policy for each project mode, behind one interface."""

from __future__ import annotations

from dialer.domain.pacing.policy import (
    DIALLED_FOR_AGENTS,
    Decision,
    FlightState,
    Learning,
    Limit,
    Mode,
    Observation,
    Policy,
    Seen,
    Snapshot,
)
from dialer.domain.pacing.predictive import Predictive
from dialer.domain.pacing.registry import policy_for

__all__ = [
    "DIALLED_FOR_AGENTS",
    "Decision",
    "FlightState",
    "Learning",
    "Limit",
    "Mode",
    "Observation",
    "Policy",
    "Predictive",
    "Seen",
    "Snapshot",
    "policy_for",
]
