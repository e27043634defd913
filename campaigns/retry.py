"""Retry rules: what the outcome of a call does to the lead when no agent has said anything else.

outcome → again after a time, at most so many times; an outcome without a rule is final. The statement in `release.py` does it; `after` explains it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg

from campaigns.errors import BadInput, Missing
from campaigns.sql import Connection
from campaigns.states import LeadState

LONGEST_DELAY: Final = timedelta(days=30)
"""To which a growing delay grows."""

NEVER_DIALLED: Final = "not_sent"
"""The outcome of an attempt that was committed and never sent: its lead goes back as if nothing had been."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRule:
    """After `outcome`: call again after `retry_after`, but at most `max_times` times because of this outcome.

    `counts`: it is one of the attempts that the project allows. (Caps on how often a number is called count it in any case.)
    `growth_percent`: the delay after each further time, of the one before; 100 stays, 200 doubles, up to thirty days.
    """

    outcome: str
    retry_after: timedelta
    max_times: int
    counts: bool = True
    growth_percent: int = 100


DEFAULT_RETRY_RULES: Final = (
    RetryRule(outcome="busy", retry_after=timedelta(minutes=15), max_times=3),
    RetryRule(outcome="no_answer", retry_after=timedelta(hours=4), max_times=3),
    RetryRule(outcome="unreachable", retry_after=timedelta(hours=8), max_times=2),
    RetryRule(outcome="machine", retry_after=timedelta(hours=4), max_times=2),
    RetryRule(outcome="congestion", retry_after=timedelta(minutes=5), max_times=5),
    RetryRule(outcome="failed", retry_after=timedelta(minutes=15), max_times=3),
    RetryRule(outcome="canceled", retry_after=timedelta(minutes=30), max_times=3, counts=False),
    RetryRule(outcome="abandoned", retry_after=timedelta(days=3), max_times=1),
)
"""What a new project starts with. Someone we let wait in vain is left in peace for three days; a failure of ours or of the trunk costs nobody their call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadMove:
    """Where a lead goes; `next_at` is there for a retry."""

    state: LeadState
    next_at: datetime | None = None


def after(
    outcome: str, rules: Sequence[RetryRule], *, times_before: int, attempts: int, max_attempts: int, ended_at: datetime
) -> LeadMove:
    """What a call that ended with `outcome` does to its lead.

    `times_before`: earlier attempts of the lead's present number with this outcome. `attempts`: all of them, with this one. A call that was never on the
    wire does not count, and gives the lead back at once.
    """
    if outcome == NEVER_DIALLED:
        return LeadMove(state=LeadState.RETRY, next_at=ended_at)
    rule = next((rule for rule in rules if rule.outcome == outcome), None)
    if rule is None:
        return LeadMove(state=LeadState.DONE)
    if times_before >= rule.max_times or attempts - (not rule.counts) >= max_attempts:
        return LeadMove(state=LeadState.EXHAUSTED)
    return LeadMove(
        state=LeadState.RETRY, next_at=ended_at + grown(rule.retry_after, rule.growth_percent, times_before)
    )


def grown(delay: timedelta, growth_percent: int, times_before: int) -> timedelta:
    """The delay after so many earlier times; the database's function of this name says the same."""
    if growth_percent == 100 or times_before == 0:
        return delay
    # So many seconds as thirty days have: the factor that takes any delay there.
    factor = min((growth_percent / 100) ** min(times_before, 100), LONGEST_DELAY.total_seconds())
    return max(delay, min(delay * factor, LONGEST_DELAY))


_SAVE = """
with gone as (
    delete from retry_rules where project_id = $1 and outcome <> all ($2::text[])
)
insert into retry_rules (project_id, outcome, retry_after, max_times, counts, growth_percent)
select $1, i.outcome, i.retry_after, i.max_times, i.counts, i.growth_percent
from unnest($2::text[], $3::interval[], $4::integer[], $5::boolean[], $6::integer[]) i (outcome, retry_after, max_times, counts, growth_percent)
on conflict (project_id, outcome) do update set retry_after = excluded.retry_after, max_times = excluded.max_times, counts = excluded.counts,
    growth_percent = excluded.growth_percent
"""


async def save(conn: Connection, project_id: UUID, rules: Sequence[RetryRule]) -> None:
    """Make these the retry rules of a project. Errors: BadInput `retry_rule_malformed`; Missing `project_unknown`."""
    if len({rule.outcome for rule in rules}) != len(rules):
        raise BadInput("retry_rule_malformed", "An outcome has two rules.")
    try:
        await conn.execute(
            _SAVE,
            project_id,
            [rule.outcome for rule in rules],
            [rule.retry_after for rule in rules],
            [rule.max_times for rule in rules],
            [rule.counts for rule in rules],
            [rule.growth_percent for rule in rules],
        )
    except asyncpg.CheckViolationError as error:
        raise BadInput(
            "retry_rule_malformed", "An outcome is a word of a-z and _; times and numbers are not negative."
        ) from error
    except asyncpg.ForeignKeyViolationError as error:
        raise Missing("project_unknown", "There is no such project.") from error
