"""Which policy a mode has."""

from __future__ import annotations

from dialer.domain.pacing.by_hand import ByHand
from dialer.domain.pacing.fixed import FixedRatio
from dialer.domain.pacing.policy import Mode, Policy


def policy_for(mode: Mode) -> Policy:
    """A new policy for a project of this mode.

    Predictive dialling has its place here; until its policy is written such a project is dialled progressively, which can
    abandon nobody.
    """
    match mode:
        case Mode.MANUAL | Mode.PREVIEW:
            return ByHand()
        case Mode.RATIO:
            return FixedRatio()
        case Mode.PROGRESSIVE | Mode.PREDICTIVE:
            return FixedRatio(calls_per_ready_agent=1.0)
