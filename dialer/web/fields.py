"""Types that many operations share: texts, numbers, zones, pages. What does not fit is refused before any handler sees it."""

from __future__ import annotations

import base64
import binascii
import unicodedata
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Generic, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from dialer.domain.errors import BadRequest

T = TypeVar("T")
Source = TypeVar("Source")


class In(BaseModel):
    """What a client sends: nothing unknown is taken."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Out(BaseModel):
    """What a client gets."""

    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)


def _one_line(text: str) -> str:
    if any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in text):
        raise ValueError("control characters and line breaks are not allowed here")
    return text


def _lines(text: str) -> str:
    if any(unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\t\r" for char in text):
        raise ValueError("control characters other than line breaks and tabs are not allowed here")
    return text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("not a time zone of the IANA database, for example Asia/Shanghai") from error
    return name


FIRST_YEAR, LAST_YEAR = 1970, 3000  # beyond them a zone, a sum of days or the database gives up


def _utc(moment: datetime) -> datetime:
    if not FIRST_YEAR < moment.year < LAST_YEAR:
        raise ValueError(f"a year from {FIRST_YEAR + 1} to {LAST_YEAR - 1}")
    return moment.astimezone(UTC)


def _day(day: date) -> date:
    if not FIRST_YEAR < day.year < LAST_YEAR:
        raise ValueError(f"a year from {FIRST_YEAR + 1} to {LAST_YEAR - 1}")
    return day


Rate = Annotated[
    Decimal, Field(gt=0, le=1000, max_digits=6, decimal_places=2, description="Most new calls in a second.")
]
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_one_line)]
Line = Annotated[str, Field(max_length=500), AfterValidator(_one_line)]
Prose = Annotated[str, Field(max_length=100_000), AfterValidator(_lines)]
Note = Annotated[str, Field(max_length=4_000), AfterValidator(_lines)]
Number = Annotated[
    str,
    Field(min_length=1, max_length=40, description="A telephone number, as people write it."),
    AfterValidator(_one_line),
]
E164 = Annotated[str, Field(pattern=r"^\+[1-9][0-9]{4,17}$", description="A telephone number in E.164 form.")]
Zone = Annotated[str, Field(max_length=64, description="A time zone of the IANA database."), AfterValidator(_zone)]
Purpose = Annotated[
    str,
    Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,39}$", description="What calls are for, a code such as insurance_sales."),
]
Moment = Annotated[AwareDatetime, AfterValidator(_utc)]
Day = Annotated[date, AfterValidator(_day)]
Seconds = Annotated[int, Field(ge=0, le=366 * 24 * 3600)]
BigId = Annotated[int, Field(ge=1, le=2**63 - 1)]
Cells = Annotated[
    dict[Annotated[Line, Field(min_length=1, max_length=100)], Line],
    Field(max_length=100, description="Column → text."),
]
Masked = Annotated[str, Field(description="A telephone number; masked where the project masks numbers.")]


class PageQuery(In):
    """Which part of a list. The next part begins where `next` of the last answer says."""

    limit: int = Field(default=50, ge=1, le=500)
    cursor: str | None = Field(default=None, max_length=1000, description="`next` of the page before.")


class Page(Out, Generic[T]):
    """A part of a list."""

    items: list[T]
    next: str | None = Field(description="Send it as `cursor` for the next page; null at the end.")


def page_of(
    rows: Sequence[Source], limit: int, shown: Callable[[Source], T], key: Callable[[Source], Sequence[object]]
) -> Page[T]:
    """A page from up to limit + 1 rows: the extra row only says that there is more."""
    part = rows[:limit]
    more = cursor_of(key(part[-1])) if len(rows) > limit else None
    return Page[T](items=[shown(row) for row in part], next=more)


def cursor_of(key: Sequence[object]) -> str:
    """Where a page ended, as a client carries it about."""
    return base64.urlsafe_b64encode(orjson.dumps(list(key), default=str)).decode().rstrip("=")


def after_cursor(cursor: str | None, *kinds: Callable[[str], T]) -> tuple[T, ...] | None:
    """Where the page before ended. Errors: BadRequest `cursor_invalid`."""
    if cursor is None:
        return None
    try:
        parts = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(parts, list) or len(parts) != len(kinds):
            raise ValueError("another list's cursor")
        return tuple(kind(str(part)) for kind, part in zip(kinds, parts, strict=True))
    except (ValueError, binascii.Error, UnicodeError, OverflowError) as error:
        raise BadRequest("cursor_invalid", "This cursor is not from this list: begin without one.") from error


def big_id(text: str) -> int:
    """An id in a cursor. Errors: ValueError when it cannot be one."""
    value = int(text)
    if not 0 <= value < 2**63:
        raise ValueError("out of range")
    return value


def moment(text: str) -> datetime:
    """A time in a cursor. Errors: ValueError."""
    value = datetime.fromisoformat(text)
    if value.tzinfo is None:
        raise ValueError("naive")
    return _utc(value)


def plain_text(text: str) -> str:
    """A text in a cursor. Errors: ValueError when a database could not hold it."""
    return _one_line(text)


def seconds(duration: timedelta | None) -> int | None:
    """A duration in whole seconds."""
    return None if duration is None else int(duration.total_seconds())
