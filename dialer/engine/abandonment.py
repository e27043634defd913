"""The abandonment budget of each project: the calls of its contract's period, counted so that no restart forgets or doubles one.

What is over is read from PostgreSQL, where the statement that ends an attempt counts it; what the journal has not written yet is added,
and what ends after that. Until it is read the budget counts as used up: a restart can never raise the rate of abandoned calls. It is read
again each quarter of an hour, so that what another node or an operator wrote is in it too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from campaigns.projects import Project
from dialer.db.abandonment import Quarters, Wanted, answered_since, contract_of, ended_among, period_of
from dialer.domain.pacing.budget import Budget, budget_of
from dialer.domain.pacing.contract import AbandonmentContract, AnsweredCall, AtLimit, Period, Standing
from dialer.domain.pacing.periods import Span, quarter_of
from dialer.engine.clock import Clock
from dialer.engine.floor import Call
from dialer.engine.journal import Journal
from dialer.engine.projects import Projects
from dialer.live.feed import Feed

_READ_AGAIN = timedelta(hours=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a snapshot says of the budget. Without `counted` the counts are not known (yet)."""

    answered: int
    abandoned: int
    left: int
    counted: bool
    standing: Standing


@dataclass(slots=True, kw_only=True)
class _Book:
    """A project's calls in the period of its contract, by quarter. `complete`: nothing is missing."""

    period: tuple[Period, str]
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


class Abandonment:
    """Counts answered calls that are over, by project."""

    def __init__(self, pool: asyncpg.Pool, projects: Projects, journal: Journal, feed: Feed, clock: Clock) -> None:
        self._pool = pool
        self._projects = projects
        self._journal = journal
        self._feed = feed
        self._clock = clock
        self._books: dict[UUID, _Book] = {}
        self._contracts: dict[UUID, tuple[Project, AbandonmentContract]] = {}
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
            self._book(project).add(quarter, kind)
            self._changed.add(call.project_id)

    def of(self, project: Project, *, live_answers: int = 0, live_abandoned: int = 0) -> Account:
        """What the project's contract says now. Calls that were answered, and of these the abandoned, count before they are over."""
        contract, book = self._contract(project), self._book(project)
        if not book.complete:
            standing = Standing.STOPPED if contract.at_limit is AtLimit.STOP else Standing.FREE
            return Account(answered=live_answers, abandoned=live_abandoned, left=0, counted=False, standing=standing)
        answered, abandoned = book.counted(contract)
        answered, abandoned = answered + live_answers, abandoned + live_abandoned
        return Account(
            answered=answered,
            abandoned=abandoned,
            left=contract.allowed(answered) - abandoned,
            counted=True,
            standing=contract.standing(answered, abandoned),
        )

    async def complete(self) -> None:
        """Read what is missing, of all projects where something is. Errors: those of a lost PostgreSQL."""
        quarter = quarter_of(self._clock.now())
        books = {project.id: self._book(project) for project in self._projects}
        books = {key: book for key, book in books.items() if not book.complete or book.read_for != quarter}
        if not books:
            return
        # What is complete is read again for its newest quarters alone.
        newest = quarter - _READ_AGAIN
        wanted = {
            key: Wanted(
                max(book.span.since, newest) if book.complete else book.span.since,
                newest if book.span.until is not None else book.span.since,
            )
            for key, book in books.items()
        }
        async with self._pool.acquire(timeout=5) as conn, self._journal.settled():
            # What ends from here on is only in the journal, until we are through.
            self._own = {key: own for key, own in self._own.items() if self._journal.holds_end_of(key)}
            written = await ended_among(conn, self._own)  # given back by a connection that was lost after the commit
            found = await answered_since(conn, wanted)
            for key, book in books.items():
                if self._books.get(key) is book and book.span.since <= wanted[key].since:
                    book.replace(wanted[key].since, found[key])
                    self._add_unwritten(key, book, wanted[key].since, written)
                    book.complete, book.read_for = True, quarter
                    self._changed.add(key)

    def _add_unwritten(self, project_id: UUID, book: _Book, read_from: datetime, written: frozenset[UUID]) -> None:
        for attempt_id, (of_project, ended_in, kind) in self._own.items():
            if of_project == project_id and ended_in >= read_from and attempt_id not in written:
                book.add(ended_in, kind)

    def show(self) -> None:
        """Publish the budgets with news; once a tick, not once a call."""
        for project in self._projects:
            book = self._book(project)
            if project.id in self._changed and book.complete:
                self._changed.discard(project.id)
                budget = budget_of(self._contract(project), book.span, book.calls)
                self._feed.publish("abandonment", str(project.id), _value(project, budget))
                for tell in self.on_news:
                    tell(project.id, budget)
        for project_id in [known for known in self._books if self._projects.find(known) is None]:
            del self._books[project_id]
            self._contracts.pop(project_id, None)
            self._changed.discard(project_id)
            self._feed.publish("abandonment", str(project_id), None)

    def _contract(self, project: Project) -> AbandonmentContract:
        known = self._contracts.get(project.id)
        if known is None or known[0] is not project:
            if known is not None:
                self._changed.add(project.id)
            known = self._contracts[project.id] = (project, contract_of(project))
        return known[1]

    def _book(self, project: Project) -> _Book:
        contract = self._contract(project)
        quarter, period = quarter_of(self._clock.now()), (contract.period, project.zone)
        known = self._books.get(project.id)
        if known is not None and (known.quarter, known.period) == (quarter, period):
            return known
        span = period_of(project, self._clock.now())
        self._changed.add(project.id)
        if known is not None and known.period == period and known.span.since <= span.since:
            known.move_to(span)
            known.quarter = quarter
            return known
        # Another contract or zone, or a clock that was set back: the rows must be asked.
        self._books[project.id] = book = _Book(period=period, span=span, quarter=quarter)
        return book


def _value(project: Project, budget: Budget) -> dict[str, Any]:
    return {
        "project_id": str(project.id),
        "cap": str(project.abandonment_cap),
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
