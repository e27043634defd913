"""Promises of the rules in the claim: caps, consent, blind regions, do-not-call lists and zones hold in the statement that decides, in every project and mode."""

from __future__ import annotations

import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from campaigns import consents, gates, leads, projects
from campaigns.claim import ClaimRequest, claim, claim_number
from campaigns.errors import BadInput, Refused
from campaigns.projects import Project
from campaigns.release import EndedAttempt, finish
from campaigns.rule_packs import PackRef, add_pack, choose
from campaigns.sql import Pool
from campaigns.states import DialMode, LeadState
from tests.builders import NOON, a_lead, a_number, a_project, a_request

pytestmark = pytest.mark.services
HEAD = """
pack = "{name}"
version = "1"
jurisdiction = "XX"
title_en = "x"
title_zh = "x"
remark_en = "x"
remark_zh = "x"
"""
_TESTS = {
    "frequency": '{ allowed = true, at = 2026-06-01T04:00:00Z }, { allowed = false, at = 2026-06-01T04:00:00Z, before = ["PT1S", "PT2S", "PT3S"] }',
    "abandonment": "{ allowed = true, at = 2026-06-01T04:00:00Z, answered = 100, abandoned = 1 }, { allowed = false, at = 2026-06-01T04:00:00Z, answered = 10, abandoned = 9 }",
    "attempts": "{ allowed = true, at = 2026-06-01T04:00:00Z }, { allowed = false, at = 2026-06-01T04:00:00Z, attempts = 50 }",
    "consent": "{ allowed = true, at = 2026-06-01T04:00:00Z, consent = true }, { allowed = false, at = 2026-06-01T04:00:00Z }",
    "blind_region": '{ allowed = true, at = 2026-06-01T04:00:00Z, number = "+12025550123" }, { allowed = false, at = 2026-06-01T04:00:00Z, number = "+8613900000000", region = "西藏" }',
    "window": '{ allowed = true, at = 2026-06-01T04:00:00Z, zone = "Asia/Shanghai" }, { allowed = false, at = 2026-06-01T20:00:00Z, zone = "Asia/Shanghai" }',
}  # fmt: skip


def a_rule(kind: str, *, tests: str | None = None, **given: Any) -> str:
    """A line of a pack; `tests` where those of its kind do not fit."""
    fields = "\n".join(f"{name} = {value!r}" for name, value in given.items()).replace("'", '"')
    return f"""
[[rule]]
id = "{kind.replace("_", "-")}-{zlib.crc32(fields.encode())}"
kind = "{kind}"
says_en = "x"
says_zh = "x"
source = "x"
standing = "practice"
{fields}
test = [{tests or _TESTS[kind]}]
"""


async def under(pool: Pool, project: Project, *rules: str, name: str = "test", at: datetime = NOON) -> Project:
    """The project with a pack of these rules in force."""
    async with pool.acquire() as conn:
        pack = await add_pack(conn, HEAD.format(name=name) + "".join(rules), now=at)
        await choose(conn, project.id, [PackRef(pack=pack.pack, version=pack.version)], now=at)
    return await projects.load_project(pool, project.id)


def asking(project: Project, at: datetime, **changes: Any) -> ClaimRequest:
    """A request as an engine makes it, with the zones judged by the project's rules."""
    return a_request(project, now=at, openings=gates.openings(project, at, changes.get("mode")), **changes)


async def called(pool: Pool, project: Project, at: datetime, *, outcome: str = "busy", **ended: Any) -> UUID | None:
    """Claim one lead and end its call; the lead waits again at once."""
    found = await claim(pool, asking(project, at))
    if not found:
        return None
    end = EndedAttempt(attempt_id=found[0].attempt_id, outcome=outcome, ended_at=at + timedelta(seconds=40), **ended)
    await finish(pool, [end])
    await pool.execute("update leads set state = 'retry', next_at = '-infinity' where id = $1", found[0].lead_id)
    return found[0].attempt_id


async def refusal(pool: Pool, project: Project, at: datetime, **target: Any) -> str | None:
    """What a call by hand is told."""
    try:
        await claim_number(pool, asking(project, at), **target)
    except Refused as error:
        return error.error_id
    return None


async def test_a_sliding_cap_holds_over_all_projects_of_a_client_and_ends_to_the_microsecond(pool: Pool) -> None:
    number = a_number()
    rule = a_rule("frequency", most=2, period="PT1H", of="client")
    one, two, stranger = [
        await under(pool, await a_project(pool, client=client, max_attempts=50, daily_cap_per_number=50), rule)
        for client in ("acme", "acme", "other")
    ]
    ids = [await a_lead(pool, project.id, number=number) for project in (one, two, stranger)]
    assert await called(pool, one, NOON)
    assert await called(pool, two, NOON + timedelta(minutes=10))
    assert await called(pool, one, NOON + timedelta(minutes=20)) is None
    lead = await leads.get_lead(pool, ids[0])
    assert (lead.state, lead.next_at) == (
        LeadState.RETRY,
        NOON + timedelta(hours=1),
    )  # when the first call falls out of the window
    assert await refusal(pool, two, NOON + timedelta(minutes=20), number=number) == "frequency_cap"
    assert await called(pool, stranger, NOON + timedelta(minutes=20))
    assert await called(pool, one, NOON + timedelta(hours=1) - timedelta(microseconds=1)) is None
    assert await called(pool, one, NOON + timedelta(hours=1))


@pytest.mark.parametrize("outcome", ["no_answer", "canceled"])
async def test_at_most_so_many_calls_in_all_are_made_whatever_the_retry_rules_do_not_count(
    pool: Pool, outcome: str
) -> None:
    project = await a_project(pool, max_attempts=50, daily_cap_per_number=50)
    await pool.execute(
        "update retry_rules set counts = false, max_times = 100, retry_after = '1 minute' where outcome = $1", outcome
    )
    project = await under(pool, project, a_rule("attempts", most=2))
    lead_id = await a_lead(pool, project.id)
    [lost] = await claim(pool, asking(project, NOON))
    await finish(pool, [EndedAttempt(attempt_id=lost.attempt_id, outcome="not_sent", ended_at=NOON)])
    made = [await called(pool, project, NOON + timedelta(hours=1 + n), outcome=outcome) for n in range(4)]
    assert [one is not None for one in made] == [True, True, False, False], "what was never on the wire was no call"
    lead = await leads.get_lead(pool, lead_id)
    assert (lead.state, lead.attempts) == (LeadState.EXHAUSTED, 0)
    assert await refusal(pool, project, NOON + timedelta(days=1), lead_id=lead_id) == "exhausted"


async def test_a_number_that_is_no_lead_is_called_by_hand_as_often_as_a_lead_would_be(pool: Pool) -> None:
    rule = a_rule("attempts", most=2)
    project = await under(pool, await a_project(pool, daily_cap_per_number=50), rule)
    free = await a_project(pool, daily_cap_per_number=50)
    number = a_number()

    async def by_hand(at: datetime, outcome: str = "no_answer", of: Project = project) -> None:
        found = await claim_number(pool, asking(of, at), number=number)
        ended = EndedAttempt(attempt_id=found.attempt_id, outcome=outcome, ended_at=at + timedelta(seconds=40))
        await finish(pool, [ended])
        await finish(pool, [ended])

    await by_hand(NOON, "not_sent")
    for hour in (1, 2):
        await by_hand(NOON + timedelta(hours=hour))
    assert await refusal(pool, project, NOON + timedelta(hours=3), number=number) == "exhausted"
    await by_hand(NOON + timedelta(hours=3), of=free)


async def test_answered_and_abandoned_calls_are_counted_apart(pool: Pool) -> None:
    project = await under(
        pool,
        await a_project(pool, max_attempts=50, daily_cap_per_number=50),
        a_rule("frequency", most=2, period="P1D", counts="answered", of="client"),
        a_rule("frequency", most=1, period="PT72H", counts="abandoned", of="everybody"),
    )
    await a_lead(pool, project.id)
    for minute in range(5):
        assert await called(pool, project, NOON + timedelta(minutes=minute))
    assert await called(
        pool,
        project,
        NOON + timedelta(minutes=10),
        outcome="connected",
        answered_at=NOON + timedelta(minutes=10, seconds=9),
    )
    abandoned_at = NOON + timedelta(minutes=20, seconds=9)
    assert await called(
        pool, project, NOON + timedelta(minutes=20), outcome="abandoned", answered_at=abandoned_at, abandoned=True
    )
    assert await called(pool, project, NOON + timedelta(hours=30)) is None
    assert await called(pool, project, abandoned_at + timedelta(hours=72) - timedelta(seconds=1)) is None
    assert await called(pool, project, abandoned_at + timedelta(hours=72))


async def test_calls_older_than_any_window_are_forgotten_and_the_row_stays_small(pool: Pool) -> None:
    project = await a_project(pool, max_attempts=100, daily_cap_per_number=100)
    await a_lead(pool, project.id)
    for day in range(0, 80, 8):
        assert await called(pool, project, NOON + timedelta(days=day))
    sizes = await pool.fetchrow("select cardinality(called) as called, cardinality(answered) as answered from callees")
    assert sizes is not None
    assert tuple(sizes) == (4, 4)  # of the last 32 days


async def test_a_cap_holds_only_in_its_modes_and_between_its_dates(pool: Pool) -> None:
    project = await under(
        pool,
        await a_project(pool, max_attempts=50, daily_cap_per_number=50),
        a_rule("frequency", most=1, period="P7D", modes=["predictive"]),
        a_rule("frequency", most=2, period="P7D").replace("most = 2", "most = 2\neffective_from = 2026-06-03"),
    )
    await a_lead(pool, project.id)
    for hour in range(3):
        assert await called(pool, project, NOON + timedelta(hours=hour))
    assert await called(pool, project, NOON + timedelta(days=2)) is None


async def test_the_attempts_of_a_rule_exhaust_a_lead_also_by_hand(pool: Pool) -> None:
    project = await under(
        pool, await a_project(pool, max_attempts=50, daily_cap_per_number=50), a_rule("attempts", most=2)
    )
    lead_id = await a_lead(pool, project.id)
    assert await called(pool, project, NOON)
    assert await called(pool, project, NOON)
    assert await refusal(pool, project, NOON, lead_id=lead_id) == "exhausted"
    assert await called(pool, project, NOON) is None
    assert (await leads.get_lead(pool, lead_id)).state is LeadState.EXHAUSTED


async def test_without_a_consent_that_holds_nobody_is_dialled(pool: Pool) -> None:
    project = await under(pool, await a_project(pool, client="acme"), a_rule("consent", scope="marketing"))
    number = a_number()
    lead_id = await a_lead(pool, project.id, number=number)
    given: dict[str, Any] = {"evidence": "recording 17", "granted_at": NOON - timedelta(days=1), "now": NOON}
    assert await called(pool, project, NOON) is None
    assert await refusal(pool, project, NOON, lead_id=lead_id) == "no_consent"
    await consents.grant(pool, number, scope="service", **given)
    await consents.grant(pool, number, scope="marketing", client="other", **given)
    await consents.grant(pool, number, scope="marketing", **given | {"granted_at": NOON + timedelta(days=1)})
    await consents.grant(pool, number, scope="marketing", expires_at=NOON - timedelta(hours=1), **given)
    assert await refusal(pool, project, NOON, lead_id=lead_id) == "no_consent"
    await consents.grant(pool, number, scope="marketing", client="acme", **given)
    assert await called(pool, project, NOON)  # the lead did not have to wait for its hour
    assert await consents.withdraw(pool, number, now=NOON, scope="marketing") == 3
    assert await refusal(pool, project, NOON, lead_id=lead_id) == "no_consent"
    assert len(await consents.consents_of(pool, number)) == 5


@pytest.mark.parametrize("wrong", [{"evidence": ""}, {"scope": "Not A Word"}, {"expires_at": NOON - timedelta(days=2)}])
async def test_a_consent_without_evidence_scope_or_sense_is_refused(pool: Pool, wrong: dict[str, Any]) -> None:
    given: dict[str, Any] = {"scope": "marketing", "evidence": "form 3", "granted_at": NOON, "now": NOON}
    with pytest.raises(BadInput) as refused:
        await consents.grant(pool, a_number(), **given | wrong)
    assert refused.value.error_id == "consent_malformed"


async def test_blind_regions_are_not_called_and_an_unknown_region_is_not_guessed(pool: Pool) -> None:
    project = await under(
        pool,
        await a_project(pool),
        a_rule("blind_region", prefixes=["+86139"]),
        a_rule("blind_region", regions=["西藏"]),
    )
    prefix = await a_lead(pool, project.id, number="+8613900000001", region="上海")
    region = await a_lead(pool, project.id, region="西藏")
    unknown = await a_lead(pool, project.id)
    fine = await a_lead(pool, project.id, region="上海")
    assert [one.lead_id for one in await claim(pool, asking(project, NOON, count=4))] == [fine]
    for lead_id in (prefix, region, unknown):
        assert await refusal(pool, project, NOON, lead_id=lead_id) == "blind_region"


@pytest.mark.parametrize(("province", "said"), [("江苏", None), ("西藏", "blind_region")])
async def test_a_number_that_is_no_lead_is_judged_by_the_region_and_zone_that_the_tables_know(
    pool: Pool, province: str, said: str | None
) -> None:
    window = a_rule("window", days=["mon", "tue"], open=["09:00-20:00"], unknown_zone="refuse")
    project = await under(pool, await a_project(pool), a_rule("blind_region", regions=["西藏"]), window)
    async with pool.acquire() as conn:
        await conn.execute("insert into locality_tables (name, version, in_use) values ('t', '1', true)")
        await conn.execute(
            "insert into places (country, province, city, carrier, zone) values ('CN', $1, '', '', 'Asia/Shanghai')",
            province,
        )
        await conn.execute(
            "insert into locality_blocks select t.id, '+861391234', p.id from locality_tables t, places p"
        )
    assert await refusal(pool, project, NOON, number="+8613912345678") == said
    assert await refusal(pool, project, NOON, number="+8613812345678") in {"outside_window", "blind_region"}


async def unconsented(pool: Pool, project: Project, count: int) -> None:
    """Leads at the front of a list that nobody may call."""
    await pool.execute(
        "insert into leads (project_id, number, priority) select $1, '+86137' || lpad(g::text, 8, '0'), 9 from generate_series(1, $2) g",
        project.id,
        count,
    )


async def agreed(pool: Pool, number: str) -> None:
    await consents.grant(pool, number, scope="marketing", evidence="form", granted_at=NOON, now=NOON)


async def test_many_leads_without_consent_at_the_front_do_not_keep_the_next_from_being_called(pool: Pool) -> None:
    project = await under(pool, await a_project(pool), a_rule("consent", scope="marketing"))
    await unconsented(pool, project, 1200)
    good = await a_lead(pool, project.id)
    await agreed(pool, await pool.fetchval("select number from leads where id = $1", good))
    found = await claim(pool, asking(project, NOON))
    assert ([one.lead_id for one in found], found.more) == ([good], False)


async def test_a_claim_says_whether_it_came_to_the_end_of_the_leads_that_may_not_be_called(pool: Pool) -> None:
    project = await under(pool, await a_project(pool), a_rule("consent", scope="marketing"))
    await unconsented(pool, project, 2500)
    first = await claim(pool, asking(project, NOON))
    assert (list(first), first.more) == ([], True)
    second = await claim(pool, asking(project, NOON))
    assert (list(second), second.more) == ([], False)
    assert await pool.fetchval("select count(*) from leads where next_at = $1", NOON + timedelta(hours=1)) == 2500


async def test_a_window_for_calls_by_hand_holds_them_in_a_project_that_dials_by_itself_and_holds_nothing_else(
    pool: Pool,
) -> None:
    window = a_rule("window", modes=["manual"], days=["mon", "tue"], open=["09:00-10:00"], unknown_zone="project", tests=(
        '{ allowed = true, at = 2026-06-01T01:30:00Z, zone = "Asia/Shanghai" }, { allowed = false, at = 2026-06-01T20:00:00Z, zone = "Asia/Shanghai" }'
    ))  # fmt: skip
    project = await under(pool, await a_project(pool, zone="Asia/Shanghai"), window)
    lead_id = await a_lead(pool, project.id)
    by_hand = asking(project, NOON, mode=DialMode.MANUAL)
    with pytest.raises(Refused) as refused:
        await claim_number(pool, by_hand, lead_id=lead_id)
    assert refused.value.error_id == "outside_window"
    assert await claim(pool, asking(project, NOON))


async def test_leads_are_called_in_their_own_hours_and_those_of_a_sleeping_zone_stay_where_they_are(pool: Pool) -> None:
    window = a_rule("window", days=["mon", "tue"], open=["09:00-20:00"], unknown_zone="refuse")
    project = await under(pool, await a_project(pool, zone="UTC"), window)
    asleep = [await a_lead(pool, project.id, zone="America/New_York", priority=9) for _ in range(200)]
    unknown = await a_lead(pool, project.id)
    awake = await a_lead(pool, project.id, zone="Asia/Shanghai")
    mars = await a_lead(pool, project.id, zone="Mars/Olympus")
    request = asking(project, NOON, count=3)
    assert [one.lead_id for one in await claim(pool, request)] == [awake]
    assert {zone for zone, opens in request.openings.known.items() if opens is None} == {"Asia/Shanghai"}
    assert request.openings.known["America/New_York"] == datetime(2026, 6, 1, 13, tzinfo=UTC)
    assert await pool.fetchval("select count(*) from leads where state = 'new' and next_at = '-infinity'") == 202
    for lead_id in (asleep[0], unknown, mars):
        assert await refusal(pool, project, NOON, lead_id=lead_id) == "outside_window"
    evening = datetime(2026, 6, 1, 14, tzinfo=UTC)
    taken = await claim(pool, asking(project, evening, count=2))
    assert {one.lead_id for one in taken} <= set(asleep)
    assert len(taken) == 2


async def test_the_order_of_a_list_stays_by_priority_and_time_across_zones(pool: Pool) -> None:
    project = await a_project(pool)
    late = await a_lead(pool, project.id, zone="Asia/Tokyo", state="retry", next_at=NOON - timedelta(hours=1))
    early = await a_lead(pool, project.id, zone="Europe/Paris", state="retry", next_at=NOON - timedelta(hours=2))
    urgent = await a_lead(pool, project.id, zone="Zulu", priority=5)
    low = await a_lead(pool, project.id, priority=-3)
    assert [one.lead_id for one in await claim(pool, a_request(project, 4))] != []
    order = [row["lead_id"] for row in await pool.fetch("select lead_id from attempts order by id")]
    assert set(order) == {late, early, urgent, low}
    await pool.execute("update leads set state = 'retry', attempts = 0; ")
    await pool.execute("delete from live_attempts; ")
    await pool.execute("delete from callees")
    assert [(await claim(pool, a_request(project)))[0].lead_id for _ in range(4)] == [urgent, early, late, low]


async def test_choosing_other_packs_changes_what_the_claim_asks_at_once(pool: Pool) -> None:
    project = await under(
        pool, await a_project(pool, daily_cap_per_number=50), a_rule("frequency", most=1, period="P7D")
    )
    await a_lead(pool, project.id)
    assert await called(pool, project, NOON)
    stale = asking(project, NOON + timedelta(minutes=1))  # an engine that has not heard
    async with pool.acquire() as conn:
        await choose(conn, project.id, [], now=NOON)
    assert await pool.fetchval("select count(*) from project_rules") == 0
    assert len(await claim(pool, replace(stale))) == 1
