"""Which copies to read again this year: pure.

Every copy is read again at the latest when its interval is over. Besides, from each batch of media (label, year, custodian's place: whatever shares a
fate) some are drawn at random as early warning: how many follows from the share of bad discs that must not be missed.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from uuid import UUID

INTERVAL: Final = timedelta(days=365)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disc:
    """A copy that was verified, when, and the batch whose fate it shares."""

    copy_id: UUID
    batch: str
    verified_on: date


def sample_size(lot: int, *, bad_share: float, confidence: float) -> int:
    """How many of a lot to read so that, were `bad_share` of it bad, at least one bad one is seen with this confidence.

    Hypergeometric, acceptance number 0 (ISO 2859-2); exact, by counting up.
    """
    bad = math.ceil(lot * bad_share)
    missed = 1.0
    for drawn in range(lot):
        if 1 - missed >= confidence:
            return drawn
        missed *= max(0, lot - bad - drawn) / (lot - drawn)
    return lot


def due(
    discs: Sequence[Disc],
    *,
    today: date,
    chance: random.Random,
    interval: timedelta = INTERVAL,
    bad_share: float = 0.1,
    confidence: float = 0.9,
) -> list[UUID]:
    """Copies to read again now: those whose interval is over, and of each batch as many more as the sample lacks."""
    over = [disc for disc in discs if today - disc.verified_on >= interval]
    chosen = [disc.copy_id for disc in over]
    batches: dict[str, list[Disc]] = {}
    for disc in discs:
        batches.setdefault(disc.batch, []).append(disc)
    for _, batch in sorted(batches.items()):
        lately = sum(today - disc.verified_on < interval / 4 for disc in batch)
        rest = [disc for disc in batch if interval / 4 <= today - disc.verified_on < interval]
        missing = sample_size(len(batch), bad_share=bad_share, confidence=confidence)
        missing -= lately + sum(disc.copy_id in chosen for disc in batch)
        rest.sort(key=lambda disc: disc.copy_id)
        chosen += [disc.copy_id for disc in chance.sample(rest, max(0, min(missing, len(rest))))]
    return chosen
