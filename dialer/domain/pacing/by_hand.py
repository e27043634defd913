"""Manual and preview: the agents dial, the pacer does not."""

from __future__ import annotations

from dialer.domain.pacing.policy import Decision, Limit, Snapshot


class ByHand:
    """Never places a call."""

    def decide(self, snapshot: Snapshot) -> Decision:  # noqa: ARG002 - the interface of all policies
        """Nothing to place."""
        return Decision(place=0, limited_by=Limit.MODE)
