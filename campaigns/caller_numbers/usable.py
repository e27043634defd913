"""May a caller number be shown now, and if not, why not? Pure; the same as `may_be_shown` and `calls_left` of the database, for explaining and for offers.

What a number was used for is as old as the row it was read with; the claim asks the database again, in the row it locks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from uuid import UUID
from zoneinfo import ZoneInfo

from campaigns.caller_numbers.number import CallerNumber
from campaigns.states import CallerNumberState


class Unusable(StrEnum):
    """Why a number of the list is not shown."""

    OTHER_TRUNK = "other_trunk"
    RETIRED = "retired"
    RESTING = "resting"
    CERTIFICATE = "certificate"
    PURPOSE = "purpose"
    COOLING = "cooling"
    DAY_CAP = "day_cap"


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyNot:
    """With a sentence for people; `until`: when it ends by itself, as far as that is known."""

    why: Unusable
    reason: str
    until: datetime | None = None


def why_not(one: CallerNumber, *, trunk_id: UUID | None, purpose: str, day: date, now: datetime) -> WhyNot | None:
    """What keeps a listed number from being shown over a trunk, for a purpose, on the project's `day`; None: nothing does."""
    if one.trunk_id != trunk_id:
        return WhyNot(why=Unusable.OTHER_TRUNK, reason="it belongs to another trunk")
    if one.state is CallerNumberState.RETIRED:
        return WhyNot(why=Unusable.RETIRED, reason=f"it is retired: {one.why}")
    if one.state is not CallerNumberState.ACTIVE:
        return WhyNot(why=Unusable.RESTING, reason=f"it rests: {one.why}", until=one.rests_until)
    if one.certified is not None and not any(first <= day < end for first, end in one.certified):
        return WhyNot(why=Unusable.CERTIFICATE, reason=_certificates(one.certified, day))
    if one.purposes and purpose not in one.purposes:
        return WhyNot(
            why=Unusable.PURPOSE,
            reason=f"it is for {', '.join(sorted(one.purposes))}, and the project's purpose is {purpose or 'not said'}",
        )
    if one.cools_until is not None and one.cools_until > now:
        return WhyNot(
            why=Unusable.COOLING,
            reason=f"it cools down until {one.cools_until:%Y-%m-%d %H:%M} UTC",
            until=one.cools_until,
        )
    today = now.astimezone(ZoneInfo(one.zone)).date()
    if one.max_per_day is not None and one.used_on == today and one.used_today >= one.max_per_day:
        return WhyNot(
            why=Unusable.DAY_CAP,
            reason=f"its {one.max_per_day} calls of {today} are used up",
            until=datetime.combine(today + timedelta(days=1), datetime.min.time(), ZoneInfo(one.zone)),
        )
    return None


def _certificates(certified: Sequence[tuple[date, date]], day: date) -> str:
    """`certified` are days from the first until before the second."""
    over = [end - timedelta(days=1) for _, end in certified if end <= day]
    if over:
        return f"its certificate ended on {max(over)}"
    first = min((first for first, _ in certified), default=None)
    return f"its certificate begins on {first}" if first is not None else "its certificate was withdrawn"
