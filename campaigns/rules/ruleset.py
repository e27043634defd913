"""The packs of a project, together: every line of every pack must pass, so the strictest wins whatever the order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from campaigns.rules.calendar import Calendar
from campaigns.rules.facts import Subject
from campaigns.rules.judge import Refusal, judge, zone_of
from campaigns.rules.schema import Abandonment, AnyLine, Pack, RingTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A line with the pack it stands in."""

    pack: str
    version: str
    line: AnyLine
    calendar: Calendar = field(repr=False)

    @property
    def name(self) -> str:
        """`pack@version#line`: what a log, a screen and an explanation call it."""
        return f"{self.pack}@{self.version}#{self.line.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a rule said of a number. `refusal` None: it passed."""

    rule: Rule
    refusal: Refusal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """The rules of a project. `out_of_date`: a pack that cannot be read or has run out, by name; then nothing is dialled."""

    rules: tuple[Rule, ...] = ()
    packs: tuple[tuple[str, str, date | None, date | None], ...] = ()
    unreadable: tuple[str, ...] = ()

    def pack_refusal(self, day: date) -> str | None:
        """Why the packs themselves forbid every call on this day, if they do."""
        if self.unreadable:
            return f"The rule pack {self.unreadable[0]} cannot be read; choose another version of it."
        for pack, version, _, until in self.packs:
            if until is not None and until <= day:
                return f"The rule pack {pack}@{version} has run out on {until}; choose its newer version."
        return None

    def in_force(self, day: date, mode: str) -> Iterator[Rule]:
        """The rules that speak of this day and mode, in the order of the packs."""
        begun = {(pack, version) for pack, version, since, _ in self.packs if since is None or since <= day}
        return (rule for rule in self.rules if (rule.pack, rule.version) in begun and rule.line.in_force(day, mode))


NO_RULES: Final = RuleSet()


def combine(packs: Iterable[Pack], unreadable: Iterable[str] = ()) -> RuleSet:
    """The rules of these packs. The order is only that in which they are explained."""
    rules: list[Rule] = []
    heads = []
    for pack in packs:
        calendar = pack.days()
        heads.append((pack.pack, pack.version, pack.effective_from, pack.effective_until))
        rules += [Rule(pack=pack.pack, version=pack.version, line=line, calendar=calendar) for line in pack.rule]
    return RuleSet(rules=tuple(rules), packs=tuple(heads), unreadable=tuple(unreadable))


def local_day(subject: Subject) -> date:
    """The day in the project's zone, by which effective dates are read. Errors: those of ZoneInfo."""
    return subject.now.astimezone(zone_of(subject.project_zone)).date()


def findings(rules: RuleSet, subject: Subject, *, only: Callable[[Rule], bool] | None = None) -> list[Finding]:
    """What every rule in force says, in order. Errors: those of ZoneInfo for the project's zone."""
    return [
        Finding(rule=rule, refusal=judge(rule.line, rule.calendar, subject))
        for rule in rules.in_force(local_day(subject), subject.mode)
        if only is None or only(rule)
    ]


def first_refusal(rules: RuleSet, subject: Subject, *, only: Callable[[Rule], bool] | None = None) -> Finding | None:
    """The first rule in force that forbids the call; None when all pass. Errors: those of ZoneInfo for the project's zone."""
    if not rules.rules:
        return None
    for rule in rules.in_force(local_day(subject), subject.mode):
        if only is not None and not only(rule):
            continue
        refusal = judge(rule.line, rule.calendar, subject)
        if refusal is not None:
            return Finding(rule=rule, refusal=refusal)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The strictest of what the packs say about ringing."""

    ring_least_s: int = 0
    ring_most_s: int = 120


def limits(rules: RuleSet, day: date, mode: str) -> Limits:
    """The ring times that others enforce."""
    rings = [rule.line for rule in rules.in_force(day, mode) if isinstance(rule.line, RingTime)]
    return Limits(
        ring_least_s=max((line.least_s for line in rings), default=0),
        ring_most_s=min((line.most_s for line in rings), default=120),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareRule:
    """A rule about abandoned calls, with its line as what it is."""

    rule: Rule
    line: Abandonment

    @property
    def name(self) -> str:
        """As the rule's."""
        return self.rule.name


def abandonment_lines(rules: RuleSet, day: date, mode: str) -> tuple[ShareRule, ...]:
    """What the packs say of abandoned calls, the strictest line first; others keep it (`campaigns.abandonment`)."""
    found = [
        ShareRule(rule=rule, line=rule.line) for rule in rules.in_force(day, mode) if isinstance(rule.line, Abandonment)
    ]
    return tuple(sorted(found, key=lambda one: (one.line.limit, one.line.within_s)))


def moment_of(findings_: Iterable[Finding]) -> datetime | None:
    """When all refusals may be over, as far as each can tell; None when one cannot."""
    until: list[datetime] = []
    for finding in findings_:
        if finding.refusal is not None:
            if finding.refusal.until is None:
                return None
            until.append(finding.refusal.until)
    return max(until, default=None)
