"""A project's way through its life: every step with what it asks for, said all at once; figures and signatures that never change."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from campaigns import projects
from campaigns.claim import claim, claim_number
from campaigns.dispositions import DEFAULT_DISPOSITIONS
from campaigns.errors import BadInput, Conflict, Missing, Refused
from campaigns.life.freezing import figures_now, frozen_of
from campaigns.life.requirements import SignOffKind
from campaigns.life.sign_offs import record, sign_offs_of
from campaigns.life.steps import By, Taken, history, possible, take
from campaigns.life.table import Life, Step
from campaigns.projects import Project
from campaigns.release import EndedAttempt, WrapUp, finish, wrap_up
from campaigns.sql import Pool
from campaigns.states import DialMode, ProjectState, Stage
from campaigns.teams import add_team, set_team
from tests.builders import NOON, a_lead, a_project, a_request, a_script, an_agent
from tests.campaigns.test_claim_rules import a_rule, under

pytestmark = pytest.mark.services
MANAGER = By(actor="wang", role="project_manager")
LEADER = By(actor="li", role="team_leader")


async def ready(pool: Pool, *, leads: int = 6, **settings: Any) -> Project:
    """A draft with sign-offs that has all but the client's word."""
    project = await a_project(
        pool, state=ProjectState.DRAFT, sign_offs=True, trial_size=4, mode="predictive", max_attempts=9,
        daily_cap_per_number=9, **settings,
    )  # fmt: skip
    await set_team(
        pool, await an_agent(pool, projects=[project.id]), (await add_team(pool, name=project.name, senior=True)).id
    )
    project = await under(pool, project, a_rule("attempts", most=50))
    await certified(pool)
    await a_script(pool, project.id)
    for _ in range(leads):
        await a_lead(pool, project.id)
    return await projects.load_project(pool, project.id)


async def certified(pool: Pool, days: str = "{[2026-01-01,2027-01-01)}") -> None:
    await pool.execute("update caller_numbers set certified = $1::text::datemultirange", days)


async def go(pool: Pool, project: Project, step: Step, minutes: float = 0, by: By = MANAGER, **said: str) -> Taken:
    async with pool.acquire() as conn:
        return await take(conn, project.id, step, by=by, now=NOON + timedelta(minutes=minutes), **said)


async def signed(
    pool: Pool, project: Project, kind: SignOffKind, minutes: float = 0, covers: str | None = None
) -> UUID:
    at = NOON + timedelta(minutes=minutes)
    return await record(
        pool, project.id, kind=kind, signer="陈经理", signed_at=at, evidence_name="签字.pdf", evidence_sha256="ab" * 32, covers=covers, note="",
        user_id=None, actor="wang", now=at,
    )  # fmt: skip


async def dialled(
    pool: Pool, project: Project, minutes: float, *, talks_s: tuple[float, ...] = (), said: str | None = "agreed"
) -> None:
    """Leads of the trial are called: one is busy, the others talk so long."""
    at = NOON + timedelta(minutes=minutes)
    taken = await claim(pool, a_request(project, 1 + len(talks_s), mode=DialMode.TRIAL, now=at))
    busy, *talking = taken
    await finish(pool, [EndedAttempt(attempt_id=busy.attempt_id, outcome="busy", ended_at=at)])
    for one, talk_s in zip(talking, talks_s, strict=False):
        over = at + timedelta(seconds=talk_s)
        await finish(
            pool,
            [
                EndedAttempt(
                    attempt_id=one.attempt_id, outcome="connected", ended_at=over, answered_at=at, bridged_at=at
                )
            ],
        )
        if said is not None:
            await wrap_up(pool, WrapUp(attempt_id=one.attempt_id, disposition=said, now=over))


def lacks(refused: pytest.ExceptionInfo[Refused]) -> set[str]:
    assert refused.value.error_id == "step_refused"
    missing: Any = refused.value.detail["missing"]
    assert all(one["to_do"] for one in missing)
    return {one["id"] for one in missing}


async def test_a_step_that_is_refused_says_everything_that_is_missing_at_once_and_changes_nothing(pool: Pool) -> None:
    project = await a_project(pool, state=ProjectState.DRAFT, sign_offs=True, caller_number_count=0, trunk_id=None)
    await pool.execute("delete from dispositions where project_id = $1", project.id)
    with pytest.raises(Refused) as refused:
        await go(pool, project, Step.BEGIN_TRIAL)
    assert lacks(refused) == {
        "script",
        "trunk",
        "caller_number",
        "data",
        "rule_pack",
        "conversion",
        "senior_agents",
        "sign_off_trial",
    }
    assert (await projects.load_project(pool, project.id)).life is Life.DRAFT
    assert await history(pool, project.id) == []


async def test_a_project_goes_through_its_whole_life_and_each_step_is_kept_with_what_was_found(pool: Pool) -> None:
    project = await ready(pool)
    await signed(pool, project, SignOffKind.TRIAL)
    began = await go(pool, project, Step.BEGIN_TRIAL)
    assert (began.life, began.project.state, began.project.stage) == (Life.TRIAL, ProjectState.RUNNING, Stage.TRIAL)
    assert began.project.mode is DialMode.TRIAL
    await dialled(pool, began.project, 1, talks_s=(10, 20, 60))
    await go(pool, project, Step.PAUSE, 3)
    closed = await go(pool, project, Step.CLOSE_TRIAL, 4)
    assert closed.life is Life.REVIEW
    assert closed.figures is not None
    shares = closed.figures.figures["shares"]
    assert {name: (one["count"], one["total"]) for name, one in shares.items()} == {
        "reach": (3, 4), "connect": (3, 4), "valid_connect": (2, 4), "abandoned": (0, 3), "conversion": (3, 3), "complaint": (0, 3),
    }  # fmt: skip
    assert (closed.figures.figures["talk_s"]["mean"], closed.figures.figures["talk_s"]["conversations"]) == ("30.0", 3)
    await signed(pool, project, SignOffKind.FORMAL, 5, covers=closed.figures.sha256)
    formal = await go(pool, project, Step.GO_FORMAL, 6)
    assert (formal.life, formal.project.mode) == (Life.FORMAL, DialMode.PREDICTIVE)
    await go(pool, project, Step.STOP, 7, by=LEADER, why="客户投诉")
    await signed(pool, project, SignOffKind.CORRECTION, 8)
    lifted = await go(pool, project, Step.LIFT, 9, changed="话术第三段")
    assert lifted.life is Life.PAUSED
    assert (await go(pool, project, Step.RESUME, 10)).life is Life.FORMAL
    await go(pool, project, Step.COMPLETE, 11)
    await signed(pool, project, SignOffKind.SETTLEMENT, 12)
    await go(pool, project, Step.SETTLE, 13)
    assert (await go(pool, project, Step.ARCHIVE, 14)).life is Life.ARCHIVED
    kept = list(reversed(await history(pool, project.id)))
    assert [one.step.value for one in kept] == [
        "begin_trial", "pause", "close_trial", "go_formal", "stop", "lift", "resume", "complete", "settle", "archive",
    ]  # fmt: skip
    assert all(before.to_life is after.from_life for before, after in itertools.pairwise(kept))
    stop, lift = kept[4], kept[5]
    assert (stop.actor, stop.role, stop.why) == ("li", "team_leader", "客户投诉")
    assert lift.changed == "话术第三段"
    assert kept[0].found["script"] == "话术 1"
    assert kept[0].found["rule_pack"] == "test@1"
    assert [one.used_by for one in await sign_offs_of(pool, project.id)] == [
        "begin_trial",
        "go_formal",
        "lift",
        "settle",
    ]


async def test_frozen_figures_stay_as_they_were_whatever_is_dialled_or_corrected_afterwards(pool: Pool) -> None:
    project = await ready(pool)
    await signed(pool, project, SignOffKind.TRIAL)
    trial = (await go(pool, project, Step.BEGIN_TRIAL)).project
    await dialled(pool, trial, 1, talks_s=(30, 40))
    frozen = (await go(pool, project, Step.CLOSE_TRIAL, 4)).figures
    assert frozen is not None
    await pool.execute(
        "update attempts set disposition = 'complaint', bridged_at = bridged_at + interval '5 seconds' where bridged_at is not null"
    )
    assert (await figures_now(pool, project.id))["shares"]["complaint"]["count"] == 2
    [kept] = await frozen_of(pool, project.id)
    assert (kept.document, kept.sha256, kept.holds) == (frozen.document, frozen.sha256, True)
    assert kept.figures["shares"]["complaint"]["count"] == 0
    for change in ("update trial_figures set document = '{}', sha256 = sha256('{}')", "delete from trial_figures"):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="append-only"):
            await pool.execute(change)


async def test_the_trial_is_not_closed_while_a_call_lives_or_before_anything_was_dialled(pool: Pool) -> None:
    project = await ready(pool)
    await signed(pool, project, SignOffKind.TRIAL)
    trial = (await go(pool, project, Step.BEGIN_TRIAL)).project
    with pytest.raises(Refused) as nothing:
        await go(pool, project, Step.CLOSE_TRIAL, 1)
    assert lacks(nothing) == {"sample"}
    [live] = await claim(pool, a_request(trial, 1, mode=DialMode.TRIAL, now=NOON + timedelta(minutes=1)))
    with pytest.raises(Refused) as alive:
        await go(pool, project, Step.CLOSE_TRIAL, 2)
    assert lacks(alive) == {"calls_over", "sample"}
    await finish(pool, [EndedAttempt(attempt_id=live.attempt_id, outcome="busy", ended_at=NOON + timedelta(minutes=2))])
    assert (await go(pool, project, Step.CLOSE_TRIAL, 3)).life is Life.REVIEW


async def test_the_formal_run_needs_the_signature_of_these_very_figures(pool: Pool) -> None:
    project = await ready(pool)
    for run in range(2):
        await signed(pool, project, SignOffKind.TRIAL, run * 10)
        trial = (await go(pool, project, Step.BEGIN_TRIAL, run * 10)).project
        await dialled(pool, trial, run * 10 + 1)
        await go(pool, project, Step.CLOSE_TRIAL, run * 10 + 2)
    first, second = await frozen_of(pool, project.id)
    await signed(pool, project, SignOffKind.FORMAL, 20, covers=first.sha256)
    with pytest.raises(Refused) as refused:
        await go(pool, project, Step.GO_FORMAL, 21)
    assert lacks(refused) == {"sign_off_formal"}
    await signed(pool, project, SignOffKind.FORMAL, 22, covers=second.sha256)
    assert (await go(pool, project, Step.GO_FORMAL, 23)).life is Life.FORMAL


async def test_a_signature_is_good_for_one_step_and_one_from_before_the_stop_lifts_nothing(pool: Pool) -> None:
    project = await ready(pool)
    await signed(pool, project, SignOffKind.TRIAL)
    await signed(pool, project, SignOffKind.CORRECTION, 0)
    await go(pool, project, Step.BEGIN_TRIAL)
    await go(pool, project, Step.STOP, 1, why="试呼话术有误")
    with pytest.raises(Refused) as refused:
        await go(pool, project, Step.LIFT, 2)
    assert lacks(refused) == {"changed", "sign_off_correction"}
    await signed(pool, project, SignOffKind.CORRECTION, 3)
    await go(pool, project, Step.LIFT, 4, changed="话术")
    await go(pool, project, Step.STOP, 5, why="又错")
    with pytest.raises(Refused) as again:
        await go(pool, project, Step.LIFT, 6, changed="话术")
    assert lacks(again) == {"sign_off_correction"}


async def test_a_project_that_was_never_agreed_to_run_formally_does_not_by_being_reopened(pool: Pool) -> None:
    project = await ready(pool)
    await signed(pool, project, SignOffKind.TRIAL)
    await go(pool, project, Step.BEGIN_TRIAL)
    await go(pool, project, Step.PAUSE, 1)
    await go(pool, project, Step.COMPLETE, 2)
    await go(pool, project, Step.REOPEN, 3, why="客户加量")
    with pytest.raises(Refused) as refused:
        await go(pool, project, Step.RESUME, 4)
    assert lacks(refused) == {"formal_agreed"}


async def test_who_may_not_take_a_step_is_refused_and_a_stop_rule_may_only_stop(pool: Pool) -> None:
    project = await a_project(pool)
    rule = By(actor="stop rule", role=None)
    for by, step in (
        (LEADER, Step.COMPLETE),
        (By(actor="zhao", role="agent"), Step.PAUSE),
        (rule, Step.RESUME),
        (rule, Step.LIFT),
    ):
        with pytest.raises(Refused, match="This step is for") as refused:
            await go(pool, project, step, by=by)
        assert refused.value.error_id == "step_not_for_role"
    stopped = await go(pool, project, Step.STOP, by=rule, why="complaint rate")
    assert stopped.life is Life.STOPPED
    assert await claim(pool, a_request(project, 1)) == []


async def test_a_project_without_sign_offs_is_started_paused_and_resumed_without_ceremony(pool: Pool) -> None:
    project = await a_project(pool, state=ProjectState.DRAFT)
    assert (await go(pool, project, Step.START)).life is Life.FORMAL
    assert (await go(pool, project, Step.START)).moved is False
    assert (await go(pool, project, Step.PAUSE)).life is Life.PAUSED
    assert (await go(pool, project, Step.RESUME)).life is Life.FORMAL
    assert len(await history(pool, project.id)) == 3
    with pytest.raises(Conflict, match="while a project is a draft"):
        await projects.update_project(pool, project.id, sign_offs=True)


async def test_a_project_with_sign_offs_cannot_be_started_past_its_trial(pool: Pool) -> None:
    project = await ready(pool)
    with pytest.raises(Refused) as refused:
        await go(pool, project, Step.START)
    assert lacks(refused) == {"trial_first"}
    with pytest.raises(Refused) as formal:
        await go(pool, project, Step.GO_FORMAL)
    assert {"state", "figures", "sign_off_formal"} <= lacks(formal)


async def test_the_mode_of_a_trial_is_that_of_the_sample_until_it_is_formal(pool: Pool) -> None:
    project = await ready(pool)
    await signed(pool, project, SignOffKind.TRIAL)
    await go(pool, project, Step.BEGIN_TRIAL)
    with pytest.raises(Conflict) as refused:
        await projects.update_project(pool, project.id, mode="predictive")
    assert refused.value.error_id == "project_in_trial"
    with pytest.raises(Conflict, match="what was agreed to"):
        await projects.update_project(pool, project.id, trial_size=5000)


async def test_a_trial_that_was_signed_for_dials_its_sample_and_nothing_else_whatever_an_engine_believes(
    pool: Pool,
) -> None:
    project = await ready(pool)
    await signed(pool, project, SignOffKind.TRIAL)
    trial = (await go(pool, project, Step.BEGIN_TRIAL)).project
    assert await claim(pool, a_request(trial, 6, mode=DialMode.PREDICTIVE)) == []
    with pytest.raises(Refused) as by_hand:
        await claim_number(pool, a_request(trial, mode=DialMode.MANUAL), number="+8613900000001")
    assert by_hand.value.error_id == "project_not_running"
    assert len(await claim(pool, a_request(trial, 6, mode=DialMode.TRIAL))) == 4


async def test_the_mode_that_is_chosen_while_the_client_looks_at_the_trial_is_that_of_the_formal_run(
    pool: Pool,
) -> None:
    project = await ready(pool)
    await signed(pool, project, SignOffKind.TRIAL)
    trial = (await go(pool, project, Step.BEGIN_TRIAL)).project
    await dialled(pool, trial, 1)
    figures = (await go(pool, project, Step.CLOSE_TRIAL, 2)).figures
    assert figures is not None
    await projects.update_project(pool, project.id, mode="ratio")
    await signed(pool, project, SignOffKind.FORMAL, 3, covers=figures.sha256)
    assert (await go(pool, project, Step.GO_FORMAL, 4)).project.mode is DialMode.RATIO


async def test_two_who_take_the_same_step_at_the_same_moment_take_it_once(pool: Pool) -> None:
    project = await a_project(pool, state=ProjectState.DRAFT)
    taken = await asyncio.gather(*(go(pool, project, Step.START) for _ in range(5)))
    assert sum(one.moved for one in taken) == 1
    assert len(await history(pool, project.id)) == 1


async def test_steps_and_signatures_are_never_changed(pool: Pool) -> None:
    project = await a_project(pool)
    await go(pool, project, Step.PAUSE)
    await signed(pool, project, SignOffKind.TRIAL)
    for change in (
        "update project_steps set actor = 'x'",
        "delete from project_steps",
        "update sign_offs set signer = 'x'",
        "delete from sign_offs",
    ):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="append-only"):
            await pool.execute(change)


async def test_a_signature_of_the_future_of_nothing_or_of_figures_that_are_not_there_is_refused(pool: Pool) -> None:
    project = await a_project(pool)
    usual: dict[str, Any] = {
        "signer": "x",
        "evidence_name": "x",
        "evidence_sha256": "ab" * 32,
        "note": "",
        "user_id": None,
        "actor": "x",
        "now": NOON,
    }
    late = NOON + timedelta(seconds=1)
    with pytest.raises(BadInput) as future:
        await record(pool, project.id, kind=SignOffKind.TRIAL, signed_at=late, covers=None, **usual)
    with pytest.raises(BadInput) as nothing:
        await record(pool, project.id, kind=SignOffKind.FORMAL, signed_at=NOON, covers=None, **usual)
    with pytest.raises(Missing) as unknown:
        await record(pool, project.id, kind=SignOffKind.FORMAL, signed_at=NOON, covers="cd" * 32, **usual)
    assert [one.value.error_id for one in (future, nothing, unknown)] == [
        "sign_off_in_future",
        "sign_off_covers_nothing",
        "figures_unknown",
    ]


async def test_the_steps_that_lead_on_are_shown_with_what_each_asks_for(pool: Pool) -> None:
    project = await ready(pool, leads=0)
    found = await possible(pool, project, NOON)
    assert {step: {one.requirement.value for one in asked if not one.met} for step, asked in found.items()} == {
        Step.START: {"trial_first"}, Step.BEGIN_TRIAL: {"data", "sign_off_trial"}, Step.ARCHIVE: set(),
    }  # fmt: skip


def test_the_usual_results_say_what_a_conversion_and_a_complaint_is() -> None:
    assert {one.code: one.meaning for one in DEFAULT_DISPOSITIONS if one.meaning} == {
        "agreed": "conversion",
        "complaint": "complaint",
    }


async def test_every_caller_number_that_may_be_shown_needs_a_certificate_of_the_day(pool: Pool) -> None:
    project = await ready(pool)
    await signed(pool, project, SignOffKind.TRIAL)
    await pool.execute("update caller_numbers set certified = null")
    with pytest.raises(Refused) as never:
        await go(pool, project, Step.BEGIN_TRIAL)
    assert lacks(never) == {"certificates"}
    await certified(pool, "{[2025-01-01,2026-06-01)}")
    with pytest.raises(Refused) as over:
        await go(pool, project, Step.BEGIN_TRIAL)
    assert lacks(over) == {"caller_number"}
    await certified(pool, "{[2025-01-01,2026-06-02)}")
    assert (await go(pool, project, Step.BEGIN_TRIAL)).life is Life.TRIAL
