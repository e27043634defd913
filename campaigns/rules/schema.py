"""How a rule pack is written: one TOML file, a head, and `[[rule]]` lines, each with its source and vectors that test it.

Every line narrows what may be dialled and none widens it: so any number of packs can be combined, in any order, and the strictest wins.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from campaigns.rules.calendar import OF_CALENDAR, Calendar, Day

MAX_PERIOD: Final = timedelta(days=31)
"""The longest window of a frequency line: how far back the calls to a number are kept for counting."""

_SPAN: Final = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])")
_WHOLE_DAY: Final = 1440


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=4000, str_strip_whitespace=True)


class Standing(StrEnum):
    """How binding the source of a line is."""

    LAW = "law"
    STANDARD = "standard"
    NOTICE = "notice"
    PRACTICE = "practice"  # nobody demands it; it is what careful callers do
    TO_BE_CONFIRMED = "to_be_confirmed"  # read second-hand or known to be disputed


class Counts(StrEnum):
    """Which calls to a number a frequency line counts."""

    ATTEMPTS = "attempts"
    ANSWERED = "answered"
    ABANDONED = "abandoned"


class Reach(StrEnum):
    """Whose calls to the number are counted."""

    EVERYBODY = "everybody"
    CLIENT = "client"
    PROJECT = "project"


def _span(text: Any) -> Any:
    if isinstance(text, str) and (found := _SPAN.fullmatch(text)):
        hours = [int(part) for part in found.groups()]
        start, end = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
        if start < end <= _WHOLE_DAY:
            return (start, end)
    if isinstance(text, tuple):
        return text
    raise ValueError("write a span of the day as 09:00-20:30; it ends after it begins, at 24:00 at the latest")


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"there is no time zone {name!r}; give a name such as Asia/Shanghai") from error
    return name


def _whole_seconds(period: timedelta) -> timedelta:
    if period.microseconds:
        raise ValueError("a period is of whole seconds")
    return period


Span = Annotated[tuple[int, int], BeforeValidator(_span)]
"""From minute to minute of the local day: the first is inside, the last is not."""
Zone = Annotated[str, AfterValidator(_known_zone)]
Word = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,39}$")]
Prefix = Annotated[str, Field(pattern=r"^\+[1-9][0-9]{0,14}$")]
Text = Annotated[str, Field(min_length=1)]


class Vector(_Frozen):
    """A situation and what the line must say of it. What is left out is as harmless as can be; `before`: how long ago the number was called."""

    allowed: bool
    at: AwareDatetime
    zone: str | None = None
    number: Prefix = "+12025550123"
    region: str | None = None
    attempts: int = Field(0, ge=0)
    before: tuple[timedelta, ...] = ()
    consent: bool = False
    list_age: timedelta | None = None
    ring_s: int = 30
    abandoned: int = 0
    answered: int = 0


class Line(_Frozen):
    """One rule: what it demands, who says so, since when, and vectors that prove that it does."""

    id: Word
    says_en: Text
    says_zh: Text
    source: Text
    url: str = ""
    standing: Standing
    effective_from: date | None = None
    effective_until: date | None = None
    modes: tuple[Word, ...] = ()
    test: tuple[Vector, ...] = Field(min_length=1)

    def in_force(self, day: date, mode: str) -> bool:
        """Whether the line speaks of this day (the first without it is `effective_until`) and this mode of dialling."""
        return (
            (self.effective_from is None or self.effective_from <= day)
            and (self.effective_until is None or day < self.effective_until)
            and (not self.modes or mode in self.modes)
        )

    @model_validator(mode="after")
    def _both_sides_tested(self) -> Line:
        if {vector.allowed for vector in self.test} != {True, False}:
            raise ValueError("give at least one test that is allowed and one that is not")
        if self.effective_from and self.effective_until and self.effective_from >= self.effective_until:
            raise ValueError("effective_until is not after effective_from")
        return self


class Window(Line):
    """On these days calls are placed only within these spans of the callee's local day; no span: not at all.

    `unknown_zone`: what holds for a callee whose zone is not known: `refuse`, `project` (the project's zone), or a list of zones that must all be open.
    """

    kind: Literal["window"]
    days: tuple[Day, ...] = Field(min_length=1)
    open: tuple[Span, ...]
    unknown_zone: Literal["refuse", "project"] | tuple[Zone, ...] = "refuse"


class Frequency(Line):
    """Fewer than `most` calls to the number in the last `period` (a sliding window), across all caller numbers."""

    kind: Literal["frequency"]
    most: int = Field(ge=1, le=1000)
    period: Annotated[timedelta, AfterValidator(_whole_seconds)] = Field(gt=timedelta(0), le=MAX_PERIOD)
    counts: Counts = Counts.ATTEMPTS
    of: Reach = Reach.CLIENT


class Attempts(Line):
    """A lead is called at most so often in all."""

    kind: Literal["attempts"]
    most: int = Field(ge=1, le=1000)


class Registry(Line):
    """A list of numbers that must be loaded, no older than `max_age`, and looked into: a national registry, say."""

    kind: Literal["registry"]
    category: Word
    max_age: timedelta = Field(gt=timedelta(0))


class Consent(Line):
    """A record of consent of the number's holder, for this client and scope, that has not ended."""

    kind: Literal["consent"]
    scope: Word


class Blind(Line):
    """Numbers of these prefixes, or of these regions, are not called."""

    kind: Literal["blind_region"]
    prefixes: tuple[Prefix, ...] = ()
    regions: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _somewhere(self) -> Blind:
        if not self.prefixes and not self.regions:
            raise ValueError("name prefixes or regions")
        return self


class RingTime(Line):
    """How long an unanswered call must, and may, ring."""

    kind: Literal["ring_time"]
    least_s: int = Field(0, ge=0, le=120)
    most_s: int = Field(120, ge=5, le=120)


class Abandonment(Line):
    """The largest share of answered calls that may be abandoned, the period it is measured over, and what the callee must hear."""

    kind: Literal["abandonment"]
    limit: Annotated[Decimal, BeforeValidator(str)] = Field(ge=0, le=1)
    period: Literal["day", "24_hours", "30_days"]
    within_s: Decimal = Field(Decimal(2), ge=0, le=10)
    message_en: Text
    message_zh: Text


AnyLine = Annotated[
    Window | Frequency | Attempts | Registry | Consent | Blind | RingTime | Abandonment, Field(discriminator="kind")
]


class CalendarYear(_Frozen):
    """A year's holidays (single days or `2026-10-01..2026-10-07`) and made-up working days, and who published them."""

    year: int = Field(ge=2000, le=2200)
    source: Text
    holidays: tuple[str, ...] = ()
    workdays: tuple[date, ...] = ()

    def days(self) -> frozenset[date]:
        """The holidays, one by one."""
        found: set[date] = set()
        for text in self.holidays:
            first, _, last = text.partition("..")
            day, end = date.fromisoformat(first), date.fromisoformat(last or first)
            if not day <= end <= day + timedelta(days=60):
                raise ValueError(f"{text} is no span of holidays")
            while day <= end:
                found.add(day)
                day += timedelta(days=1)
        return frozenset(found)

    @model_validator(mode="after")
    def _of_this_year(self) -> CalendarYear:
        days = self.days()
        if any(day.year != self.year for day in days | set(self.workdays)):
            raise ValueError(f"a day is not in {self.year}")
        if days & set(self.workdays):
            raise ValueError("a day is both a holiday and made up for")
        return self


class Pack(_Frozen):
    """A version of a rule pack. It is in force between its dates; beyond `effective_until` nothing is dialled under it."""

    pack: Word
    version: Word
    title_en: Text
    title_zh: Text
    jurisdiction: Text
    remark_en: Text
    remark_zh: Text
    effective_from: date | None = None
    effective_until: date | None = None
    calendar: tuple[CalendarYear, ...] = ()
    rule: tuple[AnyLine, ...] = Field(min_length=1, max_length=200)

    @model_validator(mode="after")
    def _whole(self) -> Pack:
        ids = [line.id for line in self.rule]
        if len(set(ids)) != len(ids):
            raise ValueError("two rules have the same id")
        years = [one.year for one in self.calendar]
        if len(set(years)) != len(years):
            raise ValueError("the calendar has a year twice")
        asks = any(isinstance(line, Window) and OF_CALENDAR & set(line.days) for line in self.rule)
        if asks and not self.calendar:
            raise ValueError("a window asks for workdays or holidays, and there is no calendar")
        return self

    def days(self) -> Calendar:
        """The pack's calendar."""
        return Calendar(
            sources={one.year: one.source for one in self.calendar},
            holidays=frozenset(day for one in self.calendar for day in one.days()),
            workdays=frozenset(day for one in self.calendar for day in one.workdays),
        )
