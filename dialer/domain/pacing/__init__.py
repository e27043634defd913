"""How many calls to place, and why not more: one policy for each project mode, behind one interface."""

from __future__ import annotations

from dialer.domain.pacing.policy import Decision, FlightState, Limit, Mode, Policy, Snapshot
from dialer.domain.pacing.registry import policy_for

__all__ = ["Decision", "FlightState", "Limit", "Mode", "Policy", "Snapshot", "policy_for"]
