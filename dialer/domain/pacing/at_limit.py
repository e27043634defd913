"""What a contract that stops at its limit makes of a policy's decision."""

from __future__ import annotations

import math
from dataclasses import replace

from dialer.domain.pacing.contract import Standing
from dialer.domain.pacing.policy import Decision, Limit, Mode, Snapshot

_NOT_OURS = frozenset({Limit.MODE, Limit.NO_AGENTS})


def within_contract(snapshot: Snapshot, decision: Decision) -> Decision:
    """The decision, or the part of it that the contract allows: should every call under way be answered at once, no more are abandoned than may be."""
    if snapshot.standing is Standing.FREE or decision.limited_by in _NOT_OURS:
        return decision
    if snapshot.standing is Standing.STOPPED:
        return replace(decision, place=0, limited_by=Limit.ABANDONMENT_STOP)
    if snapshot.mode is Mode.AGENTLESS:
        return decision  # whoever answers hears what they were called for; no agent is promised
    covered = math.floor(snapshot.ready + 1e-9) + max(0, snapshot.may_abandon)
    most = max(0, covered - len(snapshot.in_flight))
    return decision if decision.place <= most else replace(decision, place=most, limited_by=Limit.ABANDONMENT)
