"""What a contract's limit makes of a policy's decision."""

from __future__ import annotations

from dataclasses import replace

from dialer.domain.pacing.contract import Standing
from dialer.domain.pacing.fixed import FixedRatio
from dialer.domain.pacing.policy import Decision, Limit, Mode, Snapshot

_ONE_TO_ONE = FixedRatio(calls_per_ready_agent=1.0)
_NOT_OURS = frozenset({Limit.MODE, Limit.NO_AGENTS})


def within_contract(snapshot: Snapshot, decision: Decision) -> Decision:
    """The decision, or the part of it that the contract still allows."""
    if snapshot.standing is Standing.FREE or decision.limited_by in _NOT_OURS:
        return decision
    if snapshot.standing is Standing.STOPPED:
        return replace(decision, place=0, limited_by=Limit.ABANDONMENT_STOP)
    if snapshot.mode is Mode.AGENTLESS:
        return decision  # whoever answers hears what they were called for; no agent is promised
    most = _ONE_TO_ONE.decide(snapshot).place
    return decision if decision.place <= most else replace(decision, place=most, limited_by=Limit.ABANDONMENT)
