"""Twenty and more seeded situations: for each the first gate that is shut is the one that was shut, with its rule; together they cover every gate."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from campaigns import consents, do_not_call, projects
from campaigns.do_not_call import Reach
from campaigns.explaining.counts import DIALABLE, dry_run, explain_counts, spoken
from campaigns.explaining.number import Question, explain_number
from campaigns.explaining.results import Asked, Explanation
from campaigns.projects import Project
from campaigns.release import EndedAttempt, finish
from campaigns.rule_packs import PackRef, choose
from campaigns.rules.loading import read_pack
from campaigns.rules.ruleset import NO_RULES, combine
from campaigns.sql import Pool
from campaigns.states import ProjectState
from tests.builders import NODE, NOON, a_lead, a_number, a_project, an_agent, an_attempt
from tests.campaigns.test_claim_rules import HEAD, a_rule, called, refusal, under

pytestmark = pytest.mark.services
Situation = Callable[[Pool, Project, int], Awaitable[Any]]


async def explained(pool: Pool, project: Project, lead_id: int, **asked: Any) -> Explanation:
    project = await projects.load_project(pool, project.id)
    async with pool.acquire() as conn:
        return await explain_number(
            conn, Question(project=project, lead_id=lead_id, now=asked.pop("now", NOON), **asked)
        )


def sql(statement: str) -> Situation:
    async def change(pool: Pool, project: Project, _lead_id: int) -> None:
        await pool.execute(statement.replace("$project", f"'{project.id}'"))

    return change


def rule(kind: str, **given: Any) -> Situation:
    async def put(pool: Pool, project: Project, _lead_id: int) -> None:
        await under(pool, project, a_rule(kind, **given))

    return put


def a_promise(*, serves: bool = True) -> Situation:
    async def promise(pool: Pool, project: Project, lead_id: int) -> None:
        agent_id = await an_agent(pool, projects=[project.id] if serves else [])
        await pool.execute(
            "update leads set state = 'callback', callback_agent_id = $2 where id = $1", lead_id, agent_id
        )

    return promise


def pack(name: str) -> Situation:
    async def put(pool: Pool, project: Project, _lead_id: int) -> None:
        async with pool.acquire() as conn:
            await choose(conn, project.id, [PackRef(pack=name, version="2026.1")], now=NOON)

    return put


def entered(reach: Reach = do_not_call.EVERYBODY, *, of_client: bool = False) -> Situation:
    async def enter(pool: Pool, project: Project, lead_id: int) -> None:
        number = await pool.fetchval("select number from leads where id = $1", lead_id)
        to = Reach(client=project.client) if of_client else reach
        await do_not_call.add(pool, [number], reason="asked", source="test", now=NOON, reach=to)
        await pool.execute("update leads set state = 'new'")

    return enter


def area(kind: str, value: str) -> Situation:
    async def enter(pool: Pool, _project: Project, _lead_id: int) -> None:
        await do_not_call.add_area(pool, kind, value, reason="asked", now=NOON)

    return enter


def calls(count: int, *rules: str) -> Situation:
    async def make(pool: Pool, project: Project, _lead_id: int) -> None:
        project = await under(pool, project, *rules) if rules else project
        for minute in range(count):
            assert await called(pool, project, NOON - timedelta(minutes=9 - minute))

    return make


async def live_elsewhere(pool: Pool, _project: Project, lead_id: int) -> None:
    number = await pool.fetchval("select number from leads where id = $1", lead_id)
    other = await a_project(pool)
    await an_attempt(pool, other, await a_lead(pool, other.id, number=number))


async def cannot_be_read(pool: Pool, project: Project, _lead_id: int) -> None:
    document = HEAD.format(name="old") + a_rule("attempts", most=9).replace(
        'kind = "attempts"', 'kind = "of-the-future"'
    )
    await pool.execute(
        "insert into rule_packs values ('old', '1', $1, sha256(convert_to($1, 'UTF8')), null, $2)", document, NOON
    )
    await pool.execute("insert into project_rule_packs values ($1, 'old', '1', $2)", project.id, NOON)


SITUATIONS: dict[str, tuple[Situation, Asked, str | None]] = {
    "the project is paused": (sql("update projects set state = 'paused'"), Asked.PROJECT, None),
    "the project is a draft": (sql("update projects set state = 'draft'"), Asked.PROJECT, None),
    "no trunk": (sql("update projects set trunk_id = null"), Asked.TRUNK, None),
    "the trunk is switched off": (sql("update trunks set enabled = false"), Asked.TRUNK, None),
    "nothing to say": (sql("update projects set mode = 'agentless'"), Asked.SURVEY, None),
    "the caller numbers rest": (sql("update caller_numbers set state = 'resting'"), Asked.CALLER_NUMBER, None),
    "the certificate ended": (sql("update caller_numbers set certified = '{[2025-01-01,2026-06-01)}'"), Asked.CALLER_NUMBER, None),
    "for another purpose": (sql("update caller_numbers set purposes = '{surveys}'"), Asked.CALLER_NUMBER, None),
    "the number cools down": (sql("update caller_numbers set cools_until = '2026-06-01T05:00:00Z'"), Asked.CALLER_NUMBER, None),
    "the number's day is used up": (sql("update caller_numbers set max_per_day = 2, used_on = '2026-06-01', used_today = 2"), Asked.CALLER_NUMBER, None),
    "no number on the list": (sql("delete from project_caller_numbers"), Asked.CALLER_NUMBER, None),
    "outside the project's hours": (
        sql("update projects set window_start = '13:00', window_end = '14:00'"),
        Asked.PROJECT_WINDOW,
        None,
    ),
    "a pack that cannot be read": (cannot_be_read, Asked.RULE_PACK, None),
    "rings too short": (sql("update projects set ring_timeout_s = 10"), Asked.RING_TIME, "uk-ofcom@2026.1#ring-15-seconds"),
    "a registry was never loaded": (pack("cn-insurance"), Asked.REGISTRY, "cn-insurance@2026.1#refusals-looked-up"),
    "no message for whoever gets no agent": (
        rule("abandonment", limit=0.03, period="day", message_en="x", message_zh="x"),
        Asked.ABANDONMENT,
        "test@1#",
    ),
    "the lead is done": (sql("update leads set state = 'done'"), Asked.LEAD, None),
    "the lead is exhausted": (sql("update leads set state = 'exhausted'"), Asked.LEAD, None),
    "outside the project's filter": (sql("update leads set held = true"), Asked.SUPPLY, None),
    "a filter is being applied": (sql("insert into supplies (project_id, opened) select id, 0 from projects"), Asked.SUPPLY, None),
    "the sample is full": (sql("update projects set mode = 'trial', trial_size = 1, trial_taken = 1"), Asked.TRIAL, None),
    "a callback of a lead that is not of the sample": (sql("update projects set mode = 'trial', trial_size = 5; update leads set state = 'callback'"), Asked.TRIAL, None),
    "a callback of an agent who is away": (a_promise(), Asked.PROMISE, None),
    "a callback of an agent who works elsewhere": (a_promise(serves=False), Asked.PROMISE, None),
    "a callback, and nobody is ready": (sql("update leads set state = 'callback'"), Asked.PROMISE, None),
    "outside the callee's hours": (sql("update leads set zone = 'America/New_York'"), Asked.WINDOW, "cn-collection@2026.1#hours"),
    "the callee's zone does not exist": (sql("update leads set zone = 'Mars/Olympus'"), Asked.WINDOW, "cn-collection@2026.1#hours"),
    "on everybody's list": (entered(), Asked.DO_NOT_CALL, None),
    "on the client's list": (entered(of_client=True), Asked.DO_NOT_CALL, None),
    "by prefix": (area("prefix", "+86138"), Asked.DO_NOT_CALL, None),
    "by region": (area("region", "上海"), Asked.DO_NOT_CALL, None),
    "a blind prefix": (rule("blind_region", prefixes=["+8613"]), Asked.BLIND_REGION, "test@1#"),
    "no consent": (rule("consent", scope="marketing"), Asked.CONSENT, "test@1#"),
    "as often as the project allows": (sql("update leads set attempts = 3, state = 'retry'"), Asked.ATTEMPTS, None),
    "as often as a rule allows": (calls(1, a_rule("attempts", most=1)), Asked.ATTEMPTS, "test@1#"),
    "called by another project now": (live_elsewhere, Asked.NUMBER_LIVE, None),
    "over the daily cap": (calls(2), Asked.DAILY_CAP, None),
    "over a sliding cap": (calls(1, a_rule("frequency", most=1, period="PT1H")), Asked.FREQUENCY, "test@1#"),
    "not due": (sql("update leads set next_at = '2026-06-01T05:00:00Z'"), Asked.DUE, None),
}  # fmt: skip
BEFORE = {"rings too short": pack("uk-ofcom"), "outside the callee's hours": pack("cn-collection"), "the callee's zone does not exist": pack("cn-collection")}  # fmt: skip


@pytest.mark.parametrize("name", list(SITUATIONS))
async def test_the_first_gate_that_is_shut_is_named_with_its_rule_and_agrees_with_the_claim(
    pool: Pool, name: str
) -> None:
    change, gate, of_rule = SITUATIONS[name]
    project = await a_project(pool, client="acme", daily_cap_per_number=2)
    lead_id = await a_lead(pool, project.id, region="上海")
    assert (await explained(pool, project, lead_id)).first is None
    if name in BEFORE:
        await BEFORE[name](pool, project, lead_id)
    await change(pool, project, lead_id)
    found = await explained(pool, project, lead_id)
    assert found.first is not None
    assert found.first.gate is gate, found.first
    assert found.first.reason
    if of_rule is None:
        assert found.first.rule is None
    else:
        assert (found.first.rule or "").startswith(of_rule)
        assert found.first.source
    project = await projects.load_project(pool, project.id)
    if gate in _OF_THE_CLAIM and "lead is" not in name:
        told = await refusal(pool, project, NOON, lead_id=lead_id)
        assert told is not None or name == "as often as the project allows"  # a person is not held back by that
        async with pool.acquire() as conn:
            (held,) = await explain_counts(conn, project, NOON)
        assert told in {held.reason, None}


_OF_THE_CLAIM = {
    Asked.WINDOW,
    Asked.DO_NOT_CALL,
    Asked.BLIND_REGION,
    Asked.CONSENT,
    Asked.ATTEMPTS,
    Asked.NUMBER_LIVE,
    Asked.DAILY_CAP,
    Asked.FREQUENCY,
}


def test_the_situations_are_twenty_and_cover_every_gate() -> None:
    assert len(SITUATIONS) >= 20
    assert {gate for _, gate, _ in SITUATIONS.values()} == set(Asked)


async def test_a_past_moment_is_explained_by_what_held_then(pool: Pool) -> None:
    project = await under(
        pool, await a_project(pool, daily_cap_per_number=50), a_rule("frequency", most=1, period="PT1H")
    )
    lead_id = await a_lead(pool, project.id, created_at=NOON - timedelta(days=2))
    number = await pool.fetchval("select number from leads where id = $1", lead_id)
    assert await called(pool, project, NOON)
    await consents.grant(pool, number, scope="x", evidence="x", granted_at=NOON, now=NOON)
    async with pool.acquire() as conn:
        await choose(conn, project.id, [], now=NOON + timedelta(hours=3))
    later: dict[str, Any] = {"now": NOON + timedelta(days=3), "state_then": ProjectState.RUNNING}
    assert (await explained(pool, project, lead_id, now=NOON + timedelta(days=3))).first is None
    half_past = await explained(pool, project, lead_id, at=NOON + timedelta(minutes=30), **later)
    assert half_past.first is not None
    assert (half_past.first.gate, half_past.first.until) == (Asked.FREQUENCY, NOON + timedelta(hours=1))
    assert (await explained(pool, project, lead_id, at=NOON + timedelta(hours=2), **later)).first is None
    assert (await explained(pool, project, lead_id, at=NOON - timedelta(minutes=1), **later)).first is None
    ringing = await explained(pool, project, lead_id, at=NOON + timedelta(seconds=20), **later)
    assert ringing.first is not None
    assert ringing.first.gate is Asked.NUMBER_LIVE
    old = await explained(pool, project, lead_id, at=NOON - timedelta(days=3), **later)
    assert old.first is not None
    assert (old.first.gate, old.first.reason) == (Asked.LEAD, "The lead came later.")


async def test_a_callback_passes_as_soon_as_its_agent_is_ready(pool: Pool) -> None:
    project = await a_project(pool)
    agent_id = await an_agent(pool, projects=[project.id])
    lead_id = await a_lead(pool, project.id, state="callback", next_at=NOON, callback_agent_id=agent_id)
    for state, shut in (("break", Asked.PROMISE), ("ready", None)):
        await pool.execute("delete from agent_live")
        await pool.execute(
            "insert into agent_live (agent_id, node, state, since, logged_in_at) values ($1, $2, $3, $4, $4)",
            agent_id,
            NODE,
            state,
            NOON,
        )
        first = (await explained(pool, project, lead_id)).first
        assert (first.gate if first else None) == shut


async def test_a_number_was_being_called_also_when_its_lead_has_another_one_now_or_is_anothers(pool: Pool) -> None:
    project, other = await a_project(pool), await a_project(pool)
    lead_id = await a_lead(pool, project.id, created_at=NOON - timedelta(days=1))
    number = await pool.fetchval("select number from leads where id = $1", lead_id)
    attempt = await an_attempt(pool, project, lead_id)
    end = EndedAttempt(attempt_id=attempt.attempt_id, outcome="vacant", ended_at=NOON + timedelta(seconds=40))
    await finish(pool, [end])
    await pool.execute(
        "update leads set number = $1, former_numbers = array[$2] where id = $3", a_number(), number, lead_id
    )
    for of in (project, other):
        for after, live in ((timedelta(seconds=5), True), (timedelta(seconds=45), False)):
            question = Question(project=of, number=number, now=NOON + timedelta(hours=1), at=NOON + after)
            async with pool.acquire() as conn:
                found = await explain_number(conn, question)
            assert [gate.passed for gate in found.gates if gate.gate is Asked.NUMBER_LIVE] == [not live]
    now_another = await explained(pool, project, lead_id, now=NOON + timedelta(hours=1), at=NOON + timedelta(seconds=5))
    assert all(gate.passed for gate in now_another.gates if gate.gate is Asked.NUMBER_LIVE), (
        "that number rang, not this"
    )


async def test_what_is_not_known_of_a_past_moment_is_said_to_be_unknown(pool: Pool) -> None:
    project = await under(pool, await a_project(pool), a_rule("frequency", most=1, period="P7D"))
    lead_id = await a_lead(pool, project.id, created_at=NOON - timedelta(days=90))
    found = await explained(pool, project, lead_id, at=NOON, now=NOON + timedelta(days=40))
    unknown = {gate.gate for gate in found.gates if gate.passed is None}
    assert unknown == {
        Asked.PROJECT,
        Asked.LEAD,
        Asked.SUPPLY,
        Asked.NUMBER_LIVE,
        Asked.DAILY_CAP,
        Asked.FREQUENCY,
        Asked.DUE,
    }


async def test_a_number_that_is_no_lead_is_explained_too(pool: Pool) -> None:
    project, number = await a_project(pool), a_number()
    await do_not_call.add(pool, [number], reason="asked in writing", source="letter", now=NOON)
    async with pool.acquire() as conn:
        found = await explain_number(conn, Question(project=project, number=number, now=NOON))
    assert found.lead_id is None
    assert found.first is not None
    assert "asked in writing" in found.first.reason


async def test_a_list_behind_a_full_sample_is_counted_as_such(pool: Pool) -> None:
    project = await a_project(pool, mode="trial", trial_size=1)
    await a_lead(pool, project.id)
    async with pool.acquire() as conn:
        assert [held.reason for held in await explain_counts(conn, project, NOON)] == [DIALABLE]
        await conn.execute("update projects set trial_taken = 1")
        assert [held.reason for held in await explain_counts(conn, project, NOON)] == ["sample_full"]


async def test_a_list_is_counted_by_what_holds_its_leads_back(pool: Pool) -> None:
    project = await under(
        pool,
        await a_project(pool),
        a_rule("window", days=["sun", "mon", "tue"], open=["09:00-20:00"], unknown_zone="project"),
    )
    for zone in (None, None, "America/New_York", "America/New_York", "America/Los_Angeles"):
        await a_lead(pool, project.id, zone=zone)
    await a_lead(pool, project.id, state="done")
    await a_lead(pool, project.id, next_at=NOON + timedelta(minutes=5), state="retry")
    blocked = a_number()
    await a_lead(pool, project.id, number=blocked)
    await do_not_call.add(pool, [blocked], reason="x", source="x", now=NOON)
    async with pool.acquire() as conn:
        held = await explain_counts(conn, project, NOON)
    assert {one.reason: one.leads for one in held} == {
        DIALABLE: 2,
        "outside_window": 3,
        "not_due": 1,
        "do_not_call": 1,
        "done": 1,
    }
    assert spoken(held) == (
        "8 leads: 2 dialable, 3 outside window until 2026-06-01 13:00 UTC, 1 not due until 2026-06-01 04:05 UTC, 1 do not call, 1 done."
    )
    assert spoken([]) == "The project has no leads."


async def test_a_dry_run_says_what_a_pack_would_change_and_changes_nothing(pool: Pool) -> None:
    project = await a_project(pool, client="acme")
    number = a_number()
    await a_lead(pool, project.id, number=number)
    for _ in range(3):
        await a_lead(pool, project.id)
    await a_lead(pool, project.id, state="done")
    await consents.grant(pool, number, scope="marketing", evidence="x", granted_at=NOON, now=NOON)
    rules = combine([read_pack(HEAD.format(name="dry") + a_rule("consent", scope="marketing"))])
    async with pool.acquire() as conn:
        changed = await dry_run(conn, project, rules, NOON)
        assert [(one.before, one.after, one.leads) for one in changed] == [(DIALABLE, "no_consent", 3)]
        assert await dry_run(conn, project, NO_RULES, NOON) == []
    assert await pool.fetchval("select count(*) from project_rules where project_id = $1", project.id) == 0
