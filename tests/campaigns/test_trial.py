"""Promises of the trial: its sample is never exceeded, places that did not count are given back, and the figures are those of the rows."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from campaigns import gates, projects
from campaigns.callbacks import due_callbacks, put_off
from campaigns.claim import claim, claim_number
from campaigns.errors import Refused
from campaigns.life.freezing import figures_now
from campaigns.life.intervals import Share
from campaigns.projects import Project
from campaigns.release import EndedAttempt, WrapUp, finish, wrap_up
from campaigns.sql import Pool
from campaigns.states import DialMode, TrialCounts
from campaigns.trial import begin_trial, trial_of
from tests.builders import NOON, a_lead, a_project, a_request

pytestmark = pytest.mark.services


async def a_trial(pool: Pool, *, leads: int, **settings: Any) -> Project:
    project = await a_project(pool, mode=DialMode.TRIAL.value, max_attempts=100, daily_cap_per_number=100, **settings)
    for _ in range(leads):
        await a_lead(pool, project.id)
    return project


async def taken(pool: Pool, project: Project) -> int:
    return (await projects.load_project(pool, project.id)).trial_taken


async def take(pool: Pool, project: Project, count: int = 1) -> list[EndedAttempt]:
    """Claim for the trial; gives the ends that the test may change and write."""
    claimed = await claim(pool, a_request(project, count, mode=DialMode.TRIAL))
    return [EndedAttempt(attempt_id=one.attempt_id, outcome="busy", ended_at=NOON) for one in claimed]


async def test_no_more_leads_are_claimed_than_the_sample_has_room_for(pool: Pool) -> None:
    project = await a_trial(pool, leads=10, trial_size=3)
    assert [len(await take(pool, project, 2)) for _ in range(3)] == [2, 1, 0]
    assert await taken(pool, project) == 3
    assert await pool.fetchval("select count(*) from leads where state = 'new' and next_at = '-infinity'") == 7
    assert len(await claim(pool, a_request(project, 5))) == 5, "the other modes know no sample"


async def test_eight_claimers_never_take_more_than_the_sample(pool: Pool) -> None:
    project = await a_trial(pool, leads=60, trial_size=17)

    async def claimer() -> int:
        return sum([len(await take(pool, project, 3)) for _ in range(6)])

    assert sum(await asyncio.gather(*(claimer() for _ in range(8)))) == 17
    assert await taken(pool, project) == 17 == await pool.fetchval("select count(*) from attempts")


async def test_a_lead_called_again_takes_no_second_place_and_a_full_sample_is_not_called_again(pool: Pool) -> None:
    project = await a_trial(pool, leads=1, trial_size=2)
    for _ in range(3):
        [end] = await take(pool, project)
        await finish(pool, [end])
        await pool.execute("update leads set state = 'retry', next_at = '-infinity'")
    assert await taken(pool, project) == 1
    await a_lead(pool, project.id)
    assert len(await take(pool, project, 2)) == 2
    assert await taken(pool, project) == 2
    await pool.execute("delete from live_attempts; update leads set state = 'retry', next_at = '-infinity'")
    assert await take(pool, project, 2) == []


async def test_a_lead_that_was_never_on_the_wire_gives_its_place_back(pool: Pool) -> None:
    project = await a_trial(pool, leads=2, trial_size=1)
    [end] = await take(pool, project)
    not_sent = EndedAttempt(attempt_id=end.attempt_id, outcome="not_sent", ended_at=NOON)
    await finish(pool, [not_sent])
    await finish(pool, [not_sent])
    assert await taken(pool, project) == 0
    [again] = await take(pool, project)
    await finish(pool, [again])
    assert await taken(pool, project) == 1


async def test_a_sample_of_leads_reached_counts_answers_and_what_rings(pool: Pool) -> None:
    project = await a_trial(pool, leads=9, trial_size=2, trial_counts="reached")
    busy, answered = await take(pool, project, 3)
    assert await take(pool, project) == [], "what rings may be answered"
    reached = EndedAttempt(attempt_id=answered.attempt_id, outcome="abandoned", ended_at=NOON, answered_at=NOON)
    await finish(pool, [busy, reached])
    assert await taken(pool, project) == 1
    assert len(await take(pool, project, 3)) == 1


async def test_a_callback_of_a_trial_is_made_to_leads_of_its_sample_only(pool: Pool) -> None:
    project = await a_trial(pool, leads=1, trial_size=1)
    await begin_trial(pool, project.id, NOON - timedelta(hours=1))
    [end] = await take(pool, project)
    await finish(pool, [EndedAttempt(attempt_id=end.attempt_id, outcome="connected", ended_at=NOON, answered_at=NOON)])
    sampled = await pool.fetchval("update leads set state = 'callback', next_at = $1 returning id", NOON)
    stranger = await a_lead(pool, project.id, state="callback", next_at=NOON)
    asked = a_request(project, mode=DialMode.TRIAL)
    due = await due_callbacks(pool, lines=[(project.id, None)], now=NOON)
    assert {one.lead_id for one in due} == {sampled, stranger}
    openings = gates.openings(project, NOON)
    kept = await put_off(pool, due, project_id=project.id, mode=DialMode.TRIAL, openings=openings, node="node-1", holder=None, now=NOON)  # fmt: skip
    assert [one.lead_id for one in kept] == [sampled]
    with pytest.raises(Refused) as refused:
        await claim_number(pool, asked, lead_id=stranger)
    assert refused.value.error_id == "not_in_sample"
    await claim_number(pool, asked, lead_id=sampled)
    found = await figures_now(pool, project.id)
    assert (await taken(pool, project), found["attempted"], found["calls"]) == (1, 1, 2)


async def test_a_new_sample_begins_empty_and_late_ends_of_the_old_one_do_not_count(pool: Pool) -> None:
    project = await a_trial(pool, leads=4, trial_size=2)
    old = await take(pool, project, 2)
    await begin_trial(pool, project.id, NOON + timedelta(minutes=1))
    assert await taken(pool, project) == 0
    await finish(pool, [EndedAttempt(attempt_id=end.attempt_id, outcome="not_sent", ended_at=NOON) for end in old])
    assert await taken(pool, project) == 0
    assert len(await take(pool, project, 4)) == 2


async def test_the_figures_of_a_trial_are_those_of_its_leads_with_intervals(pool: Pool) -> None:
    project = await a_trial(pool, leads=5, trial_size=5)
    await begin_trial(pool, project.id, NOON - timedelta(seconds=1))
    busy, early, agreed, refused, not_sent = await take(pool, project, 5)
    for end in (agreed, refused):
        done = EndedAttempt(
            attempt_id=end.attempt_id, outcome="connected", ended_at=NOON, answered_at=NOON, bridged_at=NOON
        )
        await finish(pool, [done])
    await finish(pool, [busy, EndedAttempt(attempt_id=early.attempt_id, outcome="hung_up_early", ended_at=NOON, answered_at=NOON)])  # fmt: skip
    await finish(pool, [EndedAttempt(attempt_id=not_sent.attempt_id, outcome="not_sent", ended_at=NOON)])
    await wrap_up(pool, WrapUp(attempt_id=agreed.attempt_id, disposition="agreed", now=NOON))
    await wrap_up(pool, WrapUp(attempt_id=refused.attempt_id, disposition="refused", now=NOON))
    found = await trial_of(pool, project.id)
    assert (found.counts, found.taken, found.full) == (TrialCounts.ATTEMPTED, 4, False)
    assert (found.attempts, found.attempted) == (4, 4)
    assert (found.answered.count, found.answered.total, found.bridged.count, found.bridged.total) == (3, 4, 2, 3)
    assert found.abandoned == Share(count=0, total=3, low=0.0, high=found.abandoned.high)
    assert {code: (share.count, share.total) for code, share in found.dispositions.items()} == {
        "agreed": (1, 2),
        "refused": (1, 2),
    }
