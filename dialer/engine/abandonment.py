"""The abandonment budget of each project: the calls of its contracts' periods, counted so that no restart forgets or doubles one.

What is over is read from PostgreSQL, where the statement that ends an attempt counts it; what the journal has not written yet is added,
and what ends after that. Until it is read the budget counts as used up: a restart can never raise the rate of abandoned calls. It is read
again each quarter of an hour, so that what another node or an operator wrote is in it too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg

from campaigns.projects import Project
from dialer.db.abandonment import Kept, Quarters, Wanted, answered_since, contracts_of, ended_among, span_in, strictest
from dialer.domain.pacing.budget import Budget, budget_of
from dialer.domain.pacing.contract import AbandonmentContract, AnsweredCall, AtLimit, Period, Standing, strictness
from dialer.domain.pacing.periods import Span, quarter_of
from dialer.engine.clock import Clock
from dialer.engine.floor import Call
from dialer.engine.journal import Journal
from dialer.engine.projects import Projects
from dialer.live.feed import Feed

_READ_AGAIN = timedelta(hours=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a snapshot says of the budget, by the contract that binds now. Without `counted` the counts are not known (yet)."""

    cap: Decimal
    answered: int
    abandoned: int
    left: int
    counted: bool
    standing: Standing


@dataclass(slots=True, kw_only=True)
class _Book:
    """A project's calls in the period of one of its contracts, by quarter. `complete`: nothing is missing."""

    zone: str
    span: Span
    quarter: datetime  # for which the span was looked up
    complete: bool = False
    read_for: datetime | None = None  # the quarter in which it was read last
    quarters: Quarters = field(default_factory=dict)
    calls: Counter[AnsweredCall] = field(default_factory=Counter)  # of all quarters

    _counted: tuple[AbandonmentContract, int, int] | None = None

    def counted(self, contract: AbandonmentContract) -> tuple[int, int]:
        """(answered, abandoned); reckoned when something has changed."""
        if self._counted is None or self._counted[0] is not contract:
            tally = contract.tally(self.calls)
            self._counted = (contract, contract.answered(tally), contract.abandoned(tally))
        return self._counted[1:]

    def add(self, quarter: datetime, kind: AnsweredCall) -> None:
        if quarter >= self.span.since:
            self.quarters.setdefault(quarter, Counter())[kind] += 1
            self.calls[kind] += 1
            self._counted = None

    def replace(self, read_from: datetime, found: Quarters) -> None:
        """What was read from a moment on, instead of what is here."""
        self.quarters = {quarter: calls for quarter, calls in self.quarters.items() if quarter < read_from} | found
        self._sum()

    def move_to(self, span: Span) -> None:
        """A later period of the same kind: what ended before it is forgotten."""
        self.span = span
        self.quarters = {quarter: calls for quarter, calls in self.quarters.items() if quarter >= span.since}
        self._sum()

    def _sum(self) -> None:
        self.calls = sum(self.quarters.values(), Counter())
        self._counted = None


_Key = tuple[UUID, Period]
"""A project, and one of the periods its contracts count by."""


@dataclass(frozen=True, slots=True)
class _Contracts:
    """A project's contracts, with the project and the quarter of an hour they were looked up for."""

    project: Project
    quarter: datetime
    contracts: tuple[AbandonmentContract, ...]


class Abandonment:
    """Counts answered calls that are over, by project."""

    def __init__(self, pool: asyncpg.Pool, projects: Projects, journal: Journal, feed: Feed, clock: Clock) -> None:
        self._pool = pool
        self._projects = projects
        self._journal = journal
        self._feed = feed
        self._clock = clock
        self._books: dict[_Key, _Book] = {}
        self._contracts: dict[UUID, _Contracts] = {}
        self._own: dict[UUID, tuple[UUID, datetime, AnsweredCall]] = {}  # ended since we read last
        self._changed: set[UUID] = set()
        self.on_news: list[Callable[[UUID, Budget], None]] = []

    def ended(self, call: Call) -> None:
        """A call is over."""
        if call.outcome is None or call.ended_at is None or call.answered_at is None:
            return
        kind = AnsweredCall.of(call.outcome.value, call.greeted_at or call.answered_at, call.bridged_at)
        quarter = quarter_of(call.ended_at)
        self._own[call.attempt_id] = (call.project_id, quarter, kind)
        if (project := self._projects.find(call.project_id)) is not None:
            for contract in self._contracts_of(project):
                self._book(project, contract.period).add(quarter, kind)
            self._changed.add(call.project_id)

    def of(self, project: Project, *, live_answers: int = 0, live_abandoned: int = 0) -> Account:
        """What the project's contracts say now. Calls that were answered, and of these the abandoned, count before they are over."""
        accounts = [
            self._account(contract, self._book(project, contract.period), live_answers, live_abandoned)
            for contract in self._contracts_of(project)
        ]
        if unknown := [one for one in accounts if not one.counted]:
            return unknown[0]
        return (
            accounts[0]
            if len(accounts) == 1
            else min(accounts, key=lambda one: strictness(one.standing, one.left, one.cap))
        )

    @staticmethod
    def _account(contract: AbandonmentContract, book: _Book, live_answers: int, live_abandoned: int) -> Account:
        if not book.complete:
            standing = Standing.STOPPED if contract.at_limit is AtLimit.STOP else Standing.FREE
            return Account(
                cap=contract.cap,
                answered=live_answers,
                abandoned=live_abandoned,
                left=0,
                counted=False,
                standing=standing,
            )
        answered, abandoned = book.counted(contract)
        answered, abandoned = answered + live_answers, abandoned + live_abandoned
        return Account(
            cap=contract.cap,
            answered=answered,
            abandoned=abandoned,
            left=contract.allowed(answered) - abandoned,
            counted=True,
            standing=contract.standing(answered, abandoned),
        )

    async def complete(self) -> None:
        """Read what is missing, of all projects where something is. Errors: those of a lost PostgreSQL."""
        quarter = quarter_of(self._clock.now())
        books = {
            (project.id, contract.period): self._book(project, contract.period)
            for project in self._projects
            for contract in self._contracts_of(project)
        }
        books = {key: book for key, book in books.items() if not book.complete or book.read_for != quarter}
        if not books:
            return
        # What is complete is read again for its newest quarters alone.
        newest = quarter - _READ_AGAIN
        wanted = {
            key: Wanted(
                key[0],
                max(book.span.since, newest) if book.complete else book.span.since,
                newest if book.span.until is not None else book.span.since,
            )
            for key, book in books.items()
        }
        async with self._pool.acquire(timeout=5) as conn, self._journal.settled():
            # What ends from here on is only in the journal, until we are through.
            self._own = {key: own for key, own in self._own.items() if self._journal.holds_end_of(key)}
            written = await ended_among(conn, self._own)  # given back by a connection that was lost after the commit
            found = dict(zip(wanted, await answered_since(conn, list(wanted.values())), strict=True))
            for key, book in books.items():
                if self._books.get(key) is book and book.span.since <= wanted[key].since:
                    book.replace(wanted[key].since, found[key])
                    self._add_unwritten(key[0], book, wanted[key].since, written)
                    book.complete, book.read_for = True, quarter
                    self._changed.add(key[0])

    def _add_unwritten(self, project_id: UUID, book: _Book, read_from: datetime, written: frozenset[UUID]) -> None:
        for attempt_id, (of_project, ended_in, kind) in self._own.items():
            if of_project == project_id and ended_in >= read_from and attempt_id not in written:
                book.add(ended_in, kind)

    def show(self) -> None:
        """Publish the budgets with news; once a tick, not once a call."""
        for project in self._projects:
            books = [(one, self._book(project, one.period)) for one in self._contracts_of(project)]
            if project.id in self._changed and all(book.complete for _, book in books):
                self._changed.discard(project.id)
                kept = strictest([Kept(one, budget_of(one, book.span, book.calls)) for one, book in books])
                self._feed.publish("abandonment", str(project.id), _value(project, kept))
                for tell in self.on_news:
                    tell(project.id, kept.budget)
        for project_id in [known for known in self._contracts if self._projects.find(known) is None]:
            self._keep_only(project_id, ())
            del self._contracts[project_id]
            self._changed.discard(project_id)
            self._feed.publish("abandonment", str(project_id), None)

    def _contracts_of(self, project: Project) -> tuple[AbandonmentContract, ...]:
        """Looked up again each quarter of an hour: lines of rule packs begin and end with a day."""
        known, quarter = self._contracts.get(project.id), quarter_of(self._clock.now())
        if known is None or known.project is not project or known.quarter != quarter:
            found = contracts_of(project, self._clock.now())
            if known is not None and known.contracts == found:
                found = known.contracts  # the same objects: what was reckoned by them stands
            else:
                self._changed.add(project.id)
                self._keep_only(project.id, found)
            known = self._contracts[project.id] = _Contracts(project, quarter, found)
        return known.contracts

    def _keep_only(self, project_id: UUID, contracts: Sequence[AbandonmentContract]) -> None:
        """Books that no contract counts by are closed: nothing is added to them any more."""
        for period in set(Period) - {one.period for one in contracts}:
            self._books.pop((project_id, period), None)

    def _book(self, project: Project, period: Period) -> _Book:
        quarter, key = quarter_of(self._clock.now()), (project.id, period)
        known = self._books.get(key)
        if known is not None and (known.quarter, known.zone) == (quarter, project.zone):
            return known
        span = span_in(project, period, self._clock.now())
        self._changed.add(project.id)
        if known is not None and known.zone == project.zone and known.span.since <= span.since:
            known.move_to(span)
            known.quarter = quarter
            return known
        # Another contract or zone, or a clock that was set back: the rows must be asked.
        self._books[key] = book = _Book(zone=project.zone, span=span, quarter=quarter)
        return book


def _value(project: Project, kept: Kept) -> dict[str, Any]:
    budget = kept.budget
    return {
        "project_id": str(project.id),
        "cap": str(kept.contract.cap),
        "since": _iso(budget.span.since),
        "until": _iso(budget.span.until),
        "answered": budget.answered,
        "abandoned": budget.abandoned,
        "allowed": budget.allowed,
        "left": budget.left,
        "standing": budget.standing.value,
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
