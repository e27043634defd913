"""A retention policy: versioned data, written by people who know the law, read by `judge`.

    {"minima": [{"from": "contract_end", "years": 5, "source": "..."}, {"from": "call", "months": 6, "source": "..."}],
     "maximum": {"from": "call", "years": 6, "source": "..."}, "delete": "after_minima", "copies": 2}

A policy that cannot be read deletes nothing. The guide with norms and sources is docs/retention.md.
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final

from recorder.errors import BadPolicy

MOST_COPIES: Final = 9
_UNITS: Final = ("years", "months", "days")
_MOST: Final = {"years": 100, "months": 1200, "days": 36_600}


class Basis(StrEnum):
    """The business dates that a period is counted from."""

    CALL = "call"  # day of the answer, in the project's zone
    CONTRACT_END = "contract_end"
    PRODUCT_END = "product_end"
    DISPUTE_END = "dispute_end"


class When(StrEnum):
    """When a recording whose minima are over is deleted."""

    AFTER_MINIMA = "after_minima"
    AT_MAXIMUM = "at_maximum"


class LockMode(StrEnum):
    """How copies in buckets are locked: whether anybody at all may end it before its day."""

    GOVERNANCE = "governance"  # who has the right to
    COMPLIANCE = "compliance"  # nobody, not even the owner of the account


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A time from a business date on, and the norm or agreement that asks for it."""

    basis: Basis
    years: int = 0
    months: int = 0
    days: int = 0
    source: str = ""

    def end(self, start: date) -> date:
        """The first day after the period. A 29 February that a year lacks becomes the 28th; what the calendar cannot hold any more never comes."""
        months = start.month - 1 + self.months + 12 * self.years
        year, month = start.year + months // 12, months % 12 + 1
        if year > date.max.year:
            return date.max
        day = min(start.day, calendar.monthrange(year, month)[1])
        return date.fromordinal(min(date(year, month, day).toordinal() + self.days, date.max.toordinal()))

    def __str__(self) -> str:
        length = " ".join(f"{value} {unit}" for unit in _UNITS if (value := getattr(self, unit)))
        return f"{length} from {self.basis}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What applies to a project's recordings. `copies` verified archive copies are wanted before anything leaves the store."""

    name: str
    version: int
    minima: tuple[Period, ...]
    maximum: Period | None
    delete: When
    copies: int
    lock: LockMode = LockMode.GOVERNANCE


def read_policy(name: str, version: int, body: Mapping[str, Any]) -> Policy:
    """A policy from its stored or sent form. Raises BadPolicy `policy_invalid` with the field."""
    unknown = set(body) - {"minima", "maximum", "delete", "copies", "lock"}
    if unknown:
        raise _bad(f"{min(unknown)}: there is no such field")
    minima = body.get("minima")
    if not isinstance(minima, list) or not minima:
        raise _bad("minima: at least one period is needed")
    read = tuple(_period(f"minima[{n}]", one) for n, one in enumerate(minima))
    maximum = None if body.get("maximum") is None else _period("maximum", body["maximum"])
    if maximum is not None and maximum.basis is not Basis.CALL:
        raise _bad("maximum: is counted from the call, or it could never be reached")
    try:
        delete = When(body.get("delete", When.AFTER_MINIMA))
    except ValueError:
        raise _bad(f"delete: one of {', '.join(When)}") from None
    if delete is When.AT_MAXIMUM and maximum is None:
        raise _bad("delete: at_maximum needs a maximum")
    copies = body.get("copies", 2)
    if not isinstance(copies, int) or isinstance(copies, bool) or not 2 <= copies <= MOST_COPIES:
        raise _bad(f"copies: a whole number from 2 to {MOST_COPIES}")
    try:
        lock = LockMode(body.get("lock", LockMode.GOVERNANCE))
    except ValueError:
        raise _bad(f"lock: one of {', '.join(LockMode)}") from None
    return Policy(name=name, version=version, minima=read, maximum=maximum, delete=delete, copies=copies, lock=lock)


def _period(where: str, given: object) -> Period:
    if not isinstance(given, Mapping):
        raise _bad(f"{where}: an object with 'from' and a length")
    unknown = set(given) - {"from", "source", *_UNITS}
    if unknown:
        raise _bad(f"{where}.{min(unknown, key=str)}: there is no such field")
    try:
        basis = Basis(given.get("from", ""))
    except ValueError:
        raise _bad(f"{where}.from: one of {', '.join(Basis)}") from None
    lengths: dict[str, int] = {}
    for unit in _UNITS:
        value = given.get(unit, 0)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST[unit]:
            raise _bad(f"{where}.{unit}: a whole number from 0 to {_MOST[unit]}")
        lengths[unit] = value
    if not any(lengths.values()):
        raise _bad(f"{where}: a length in years, months or days")
    source = given.get("source", "")
    if not isinstance(source, str):
        raise _bad(f"{where}.source: a text")
    return Period(basis=basis, source=source, **lengths)


def _bad(problem: str) -> BadPolicy:
    return BadPolicy("policy_invalid", f"The retention policy cannot be used: {problem}. See docs/retention.md.")
