"""Trunks that fail: when calls end as the trunk's fault one after the other, tries get rare until one gets through.

Without this a trunk that is down eats the list of leads as fast as the carrier says no.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from dialer.domain.outcomes import Outcome

FAILING_AFTER = 5  # single numbers behind a congested exchange are no trunk that fails
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_THE_TRUNKS_FAULT = frozenset({Outcome.CONGESTION, Outcome.FAILED})
_SAYS_NOTHING = frozenset({Outcome.NOT_SENT, Outcome.CANCELED, Outcome.NO_ANSWER})


@dataclass(slots=True)
class _Trouble:
    failures: int = 0  # without a success between them
    pause_s: float = 0.0
    until_s: float = 0.0


class TrunkHealth:
    """Told how calls end; tells how many may be tried now. Times are monotonic seconds and come in as arguments."""

    def __init__(self) -> None:
        self._trouble: dict[UUID, _Trouble] = {}

    def ended(self, trunk_id: UUID, outcome: Outcome | None, at_s: float) -> None:
        """A call over this trunk has ended."""
        if outcome in _THE_TRUNKS_FAULT:
            trouble = self._trouble.setdefault(trunk_id, _Trouble())
            trouble.failures += 1
            if trouble.failures >= FAILING_AFTER and at_s >= trouble.until_s:
                # Those that were under way together fail together: that is one failure, not many.
                trouble.pause_s = min(_LONGEST_PAUSE_S, trouble.pause_s * 2 or _FIRST_PAUSE_S)
                trouble.until_s = at_s + trouble.pause_s
        elif outcome not in _SAYS_NOTHING:
            self.works(trunk_id)

    def works(self, trunk_id: UUID) -> None:
        """A call has got through."""
        self._trouble.pop(trunk_id, None)

    def tries(self, trunk_id: UUID, at_s: float) -> int | None:
        """How many calls may be tried now; None: as many as you like."""
        trouble = self._trouble.get(trunk_id)
        if trouble is None or trouble.failures < FAILING_AFTER:
            return None
        return 0 if at_s < trouble.until_s else 1

    def tried(self, trunk_id: UUID, at_s: float) -> None:
        """A call goes out; on a failing trunk the next may only follow after the pause."""
        trouble = self._trouble.get(trunk_id)
        if trouble is not None and trouble.failures >= FAILING_AFTER:
            trouble.until_s = at_s + trouble.pause_s
