"""Which policy a mode has."""

from __future__ import annotations

from typing import Any

from dialer.domain.pacing.agentless import Agentless
from dialer.domain.pacing.by_hand import ByHand
from dialer.domain.pacing.fixed import FixedRatio
from dialer.domain.pacing.policy import Mode, Policy
from dialer.domain.pacing.predictive import Predictive
from dialer.domain.pacing.sample import Trial


def policy_for(mode: Mode, learned: dict[str, Any] | None = None, *, trust: float = 1.0) -> Policy:
    """A new policy for a project of this mode; one that learns begins with what was `learned` (its `to_state`), as far as it is trusted.

    Errors: KeyError, TypeError or ValueError when `learned` is not what the policy writes.
    """
    match mode:
        case Mode.MANUAL | Mode.PREVIEW:
            return ByHand()
        case Mode.RATIO:
            return FixedRatio()
        case Mode.PROGRESSIVE:
            return FixedRatio(calls_per_ready_agent=1.0)
        case Mode.TRIAL:
            return Trial()
        case Mode.AGENTLESS:
            return Agentless()
        case Mode.PREDICTIVE:
            return Predictive() if learned is None else Predictive.from_state(learned, trust)
