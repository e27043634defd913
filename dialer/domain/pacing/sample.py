"""The assisted trial: progressive, until the sample is full."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from dialer.domain.pacing.fixed import FixedRatio
from dialer.domain.pacing.policy import Decision, Limit, Policy, Snapshot


@dataclass(frozen=True, slots=True)
class Trial:
    """One call for each ready agent, and no more than places are left. The claim counts exactly; here it is only known before."""

    progressive: Policy = field(default_factory=lambda: FixedRatio(calls_per_ready_agent=1.0))

    def decide(self, snapshot: Snapshot) -> Decision:
        """The calls that are missing, as far as the sample has room."""
        decision = self.progressive.decide(snapshot)
        left = max(0, snapshot.sample_left)
        because = (*decision.because, ("sample_left", float(left)))
        if left == 0 or decision.place > left:
            return Decision(place=min(decision.place, left), limited_by=Limit.SAMPLE, because=because)
        return replace(decision, because=because)
