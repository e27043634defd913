"""Progressive (one call for each ready agent) and fixed ratio (so many calls for each ready agent)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dialer.domain.pacing.policy import Decision, Limit, Snapshot


@dataclass(frozen=True, slots=True)
class FixedRatio:
    """Keeps `calls_per_ready_agent` calls under way for each ready agent; progressive dialling is the ratio of one.

    No call is placed for an agent who may be gone when it is answered. Over the abandonment cap (after 20 answered calls) a ratio above one falls back to one until the day's rate is back.
    """

    calls_per_ready_agent: float | None = None  # None: the ratio of the project
    enough_answers: int = 20

    def decide(self, snapshot: Snapshot) -> Decision:
        """The calls that are missing."""
        if not snapshot.agents:
            return Decision(place=0, limited_by=Limit.NO_AGENTS)
        ratio = snapshot.ratio if self.calls_per_ready_agent is None else self.calls_per_ready_agent
        limit = Limit.AGENTS
        if ratio > 1 and self._over_cap(snapshot):
            ratio, limit = 1.0, Limit.ABANDONMENT
        # A part of an agent (shared with another project) is only worth a call when the parts make a whole.
        wanted = math.floor(ratio * snapshot.ready_after(snapshot.ring_timeout_s) + 1e-9)
        missing = max(0, wanted - len(snapshot.in_flight))
        return Decision(place=missing, limited_by=limit, because=(("ratio", ratio),))

    def _over_cap(self, snapshot: Snapshot) -> bool:
        return (
            snapshot.answered >= self.enough_answers
            and snapshot.abandoned > snapshot.abandonment_cap * snapshot.answered
        )
