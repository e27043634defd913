"""A caller number as the pool knows it, and as an engine offers it to a claim."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import asyncpg

from campaigns.states import CallerNumberState

Days = tuple[date, date]
"""From the first until before the second."""

_RANGE: Final = re.compile(r"\[(\d{4}-\d\d-\d\d),(\d{4}-\d\d-\d\d)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerNumber:
    """A number we may show, and the trunk it belongs to. `why` says why it rests or was retired; `rests_until`: when the rest ends by itself.

    `purposes`: what it may be shown for; none: whatever a project calls for. `certified`: the days its certificates cover; None: it never had one.
    `max_channels` calls at once, `max_cps` new calls a second, `max_per_hour` in any hour, `max_per_day` in a day of its `zone`; None: no limit of its own.
    After `cool_after_calls` calls it is not shown for `cool_min` minutes. What follows was so when the row was read, of numbers with a daily cap or a
    cool-down: the calls of the day `used_on`, those since it last cooled down, until when it cools down.
    `alarm`: what is wrong with it (`campaigns.caller_numbers.health`); `label`: what a label service says of it, and how many people said so.
    """

    id: UUID
    number: str
    trunk_id: UUID
    state: CallerNumberState = CallerNumberState.ACTIVE
    why: str | None = None
    rests_until: datetime | None = None
    owner: str = ""
    purposes: frozenset[str] = frozenset()
    province: str = ""
    city: str = ""
    zone: str = "Asia/Shanghai"
    certified: tuple[Days, ...] | None = None
    max_channels: int | None = None
    max_cps: Decimal | None = None
    max_per_hour: int | None = None
    max_per_day: int | None = None
    cool_after_calls: int | None = None
    cool_min: int | None = None
    used_on: date | None = None
    used_today: int = 0
    used_since_cool: int = 0
    cools_until: datetime | None = None
    alarm: str | None = None
    label: str = ""
    label_marks: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A number that an engine has room to show `room` times now, besides the `uses` calls that show it at present."""

    number: str
    room: int
    uses: int = 0


COLUMNS: Final = """
id, number, trunk_id, state, why, rests_until, owner, purposes, province, city, zone, certified::text as certified, max_channels, max_cps, max_per_hour,
max_per_day, cool_after_calls, cool_min, used_on, used_today, used_since_cool, cools_until, alarm, label, label_marks
"""
"""Of `caller_numbers`, as `caller_number` reads them."""


def caller_number(row: Mapping[str, Any] | asyncpg.Record | None) -> CallerNumber:
    """A row of `COLUMNS`, or the whole row as a JSON object."""
    assert row is not None  # noqa: S101 -- `returning` without a condition always gives a row
    return CallerNumber(
        id=UUID(str(row["id"])),
        number=row["number"],
        trunk_id=UUID(str(row["trunk_id"])),
        state=CallerNumberState(row["state"]),
        why=row["why"],
        rests_until=_moment(row["rests_until"]),
        owner=row["owner"],
        purposes=frozenset(row["purposes"]),
        province=row["province"],
        city=row["city"],
        zone=row["zone"],
        certified=_days(row["certified"]),
        max_channels=row["max_channels"],
        max_cps=None if row["max_cps"] is None else Decimal(str(row["max_cps"])),
        max_per_hour=row["max_per_hour"],
        max_per_day=row["max_per_day"],
        cool_after_calls=row["cool_after_calls"],
        cool_min=row["cool_min"],
        used_on=None if row["used_on"] is None else date.fromisoformat(str(row["used_on"])),
        used_today=row["used_today"],
        used_since_cool=row["used_since_cool"],
        cools_until=_moment(row["cools_until"]),
        alarm=row["alarm"],
        label=row["label"],
        label_marks=row["label_marks"],
    )


def _moment(value: Any) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _days(multirange: str | None) -> tuple[Days, ...] | None:
    """PostgreSQL's own writing of a datemultirange: `{[2026-01-01,2027-01-01)}`."""
    if multirange is None:
        return None
    return tuple((date.fromisoformat(first), date.fromisoformat(end)) for first, end in _RANGE.findall(multirange))
