"""What may and what must happen to a recording on a day, and why.

Keep until the longest of the minima that apply; a maximum for personal data never cuts a minimum short (a duty to keep goes before the duty to
delete: Personal Information Protection Law, article 47); a legal hold stands above both. What cannot be evaluated is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from recorder.retention.policy import Basis, Period, Policy, When


class Why(StrEnum):
    """The reason that decides."""

    ON_HOLD = "on_hold"
    NO_POLICY = "no_policy"
    DATE_UNKNOWN = "date_unknown"  # a minimum counts from a date that nobody has stated
    MINIMUM = "minimum"  # the longest minimum is not over
    MAXIMUM_NOT_REACHED = "maximum_not_reached"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a verdict stands on: the business dates that are known, the call's among them, and the reasons of the open legal holds."""

    dates: Mapping[Basis, date]
    holds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`expired`: it may and shall be deleted. `expires` is the day from which on it is (None: cannot be told), whatever holds there are."""

    expired: bool
    why: Why
    sentence: str
    expires: date | None


def judge(policy: Policy | None, facts: Facts, day: date) -> Verdict:
    """The verdict on a day in the project's zone."""
    expires, why, sentence = _expiry(policy, facts)
    if facts.holds:
        held = f"legal hold: {'; '.join(facts.holds)}"
        return Verdict(expired=False, why=Why.ON_HOLD, sentence=held, expires=expires)
    if expires is None or day < expires:
        return Verdict(expired=False, why=why, sentence=sentence, expires=expires)
    return Verdict(expired=True, why=Why.EXPIRED, sentence=f"over since {expires}: {sentence}", expires=expires)


def _expiry(policy: Policy | None, facts: Facts) -> tuple[date | None, Why, str]:
    if policy is None:
        return None, Why.NO_POLICY, "the project has no retention policy"
    ends: list[tuple[date, Period]] = []
    for minimum in policy.minima:
        start = facts.dates.get(minimum.basis)
        if start is None:
            if minimum.basis is Basis.DISPUTE_END:
                continue  # applies only where there was a dispute; an open one is a legal hold
            return None, Why.DATE_UNKNOWN, f"{minimum.basis} is not known ({minimum})"
        ends.append((minimum.end(start), minimum))
    if Basis.CALL not in facts.dates or not ends:
        return None, Why.DATE_UNKNOWN, "no minimum can be counted"
    last, longest = max(ends, key=lambda pair: pair[0])
    sentence = f"{longest} ends {last}" + (f" ({longest.source})" if longest.source else "")
    if policy.delete is When.AFTER_MINIMA or policy.maximum is None:
        return last, Why.MINIMUM, sentence
    cap = policy.maximum.end(facts.dates[Basis.CALL])
    if cap <= last:
        return last, Why.MINIMUM, f"{sentence}; goes before the maximum of {cap}"
    return (
        cap,
        Why.MAXIMUM_NOT_REACHED,
        f"{policy.maximum} ends {cap}" + (f" ({policy.maximum.source})" if policy.maximum.source else ""),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """An archive copy of a recording as the ledger of discs has it."""

    number: int
    verified: bool
    lent: bool


def good_copies(copies: Iterable[Copy]) -> int:
    """Copies that count: verified by re-reading, and in our hands."""
    return len({copy.number for copy in copies if copy.verified and not copy.lent})


def may_release(policy: Policy | None, holds: tuple[str, ...], copies: Iterable[Copy]) -> str:
    """Whether the store's file may go because the archive has it: empty when it may, else why not. Under hold nothing is moved."""
    if holds:
        return f"legal hold: {'; '.join(holds)}"
    wanted, found = (policy.copies if policy else 2), good_copies(copies)
    return "" if found >= wanted else f"{found} of {wanted} verified copies are in our hands"
