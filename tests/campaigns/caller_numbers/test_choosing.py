"""Which number a call shows: the claim chooses among what may be shown, by the documented order, and is compared with a model of it on random pools."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from campaigns import projects
from campaigns.caller_numbers import pool as caller_numbers
from campaigns.caller_numbers.number import CallerNumber, Offer, caller_number
from campaigns.caller_numbers.usable import why_not
from campaigns.claim import ClaimedLead, claim, claim_number
from campaigns.errors import Refused
from campaigns.projects import Project
from campaigns.release import EndedAttempt, finish
from campaigns.sql import Pool
from campaigns.states import CallerNumberState
from lab.waiting import wait_until
from tests.builders import NOON, a_caller_number, a_lead, a_number, a_project, a_request, a_trunk

pytestmark = pytest.mark.services

TODAY = date(2026, 6, 1)  # in Shanghai, at NOON
CITIES = (("上海", "上海"), ("江苏", "南京"), ("江苏", "苏州"), ("浙江", "杭州"), ("", ""))


async def set_columns(pool: Pool, number: str, **columns: Any) -> None:
    for name, value in columns.items():
        await pool.execute(f"update caller_numbers set {name} = $2 where number = $1", number, value)


async def a_pool(pool: Pool, *places: tuple[str, str], **settings: Any) -> tuple[Project, list[str]]:
    """A project with a number at home in each place."""
    project = await a_project(pool, caller_number_count=len(places), **settings)
    numbers = [one.number for one in project.caller_numbers]
    for number, (province, city) in zip(numbers, places, strict=True):
        await set_columns(pool, number, province=province, city=city)
    return project, numbers


async def a_lead_of(pool: Pool, project: Project, place: tuple[str, str], **columns: Any) -> int:
    place_id = await pool.fetchval(
        """insert into places (country, province, city, carrier, zone) values ('CN', $1, $2, '', 'Asia/Shanghai')
           on conflict (country, province, city, carrier, zone) do update set country = 'CN' returning id""",
        *place,
    )
    return await a_lead(pool, project.id, place_id=place_id, **columns)


def offers(numbers: Sequence[str], **of: int) -> tuple[Offer, ...]:
    return tuple(Offer(number=number, room=9, uses=of.get(f"n{place}", 0)) for place, number in enumerate(numbers))


async def shown_to(pool: Pool, project: Project, of: Sequence[Offer], **request: Any) -> str:
    (claimed,) = await claim(pool, replace(a_request(project, **request), offers=tuple(of)))
    return claimed.caller_number


async def test_number_of_the_same_city_comes_before_the_province_and_both_before_the_least_used(pool: Pool) -> None:
    project, (nanjing, suzhou, shanghai) = await a_pool(pool, ("江苏", "南京"), ("江苏", "苏州"), ("上海", "上海"))
    of = offers((nanjing, suzhou, shanghai), n0=3, n1=5)
    for place, expected in ((("江苏", "苏州"), suzhou), (("江苏", "无锡"), nanjing), (("上海", "上海"), shanghai), (("北京", "北京"), shanghai), (("", ""), shanghai)):  # fmt: skip
        await a_lead_of(pool, project, place)
        assert await shown_to(pool, project, of) == expected, place


async def test_person_who_was_called_before_is_shown_the_same_number_while_it_may_be_shown(pool: Pool) -> None:
    project, (far, near) = await a_pool(
        pool, ("上海", "上海"), ("江苏", "南京"), max_attempts=99, daily_cap_per_number=99
    )
    lead_id = await a_lead_of(pool, project, ("江苏", "南京"))
    seen = []
    for turn in range(4):
        offered = offers((far,)) if turn == 0 else offers((far, near), n0=9)
        (claimed,) = await claim(pool, replace(a_request(project), offers=offered))
        seen.append(claimed.caller_number)
        await finish(pool, [EndedAttempt(attempt_id=claimed.attempt_id, outcome="busy", ended_at=NOON)])
        await pool.execute("update leads set state = 'retry', next_at = '-infinity'")
        if turn == 1:
            manual = await claim_number(pool, replace(a_request(project), offers=offered), lead_id=lead_id)
            assert manual.caller_number == far
            await finish(pool, [EndedAttempt(attempt_id=manual.attempt_id, outcome="busy", ended_at=NOON)])
            await pool.execute("update leads set state = 'retry', next_at = '-infinity'")
        if turn == 2:
            [number] = [one for one in project.caller_numbers if one.number == far]
            await caller_numbers.set_state(pool, number.id, CallerNumberState.RETIRED, "complaints")
    assert seen == [far, far, far, near]


async def test_number_that_is_no_lead_is_called_from_a_number_of_its_own_city(pool: Pool) -> None:
    project, (shanghai, nanjing) = await a_pool(pool, ("上海", "上海"), ("江苏", "南京"))
    callee = "+8613912345678"
    table = await pool.fetchval(
        "insert into locality_tables (name, version, in_use) values ('t', '1', true) returning id"
    )
    place = await pool.fetchval("insert into places (country, province, city, carrier, zone) values ('CN', '江苏', '南京', '', '') returning id")  # fmt: skip
    await pool.execute("insert into locality_blocks values ($1, $2, $3)", table, callee[:-4], place)
    claimed = await claim_number(
        pool, replace(a_request(project), offers=offers((shanghai, nanjing), n1=4)), number=callee
    )
    assert claimed.caller_number == nanjing


async def test_idle_pool_goes_round_and_a_batch_is_spread_over_it(pool: Pool) -> None:
    project, numbers = await a_pool(pool, *[("", "")] * 3)
    await pool.execute("update caller_numbers set max_per_day = 9")
    for _ in range(7):
        await a_lead(pool, project.id)
    claimed = await claim(pool, replace(a_request(project, 7), offers=offers(numbers, n2=1)))
    shown = [one.caller_number for one in sorted(claimed, key=lambda one: one.lead_id or 0)]
    assert shown == [numbers[place] for place in (0, 1, 0, 1, 2, 0, 1)]
    rows = await pool.fetch("select number, used_on, used_today from caller_numbers order by number")
    assert {row["number"]: row["used_today"] for row in rows} == Counter(shown)
    assert {row["used_on"] for row in rows} == {TODAY}


@pytest.mark.parametrize(
    ("columns", "purpose"),
    [
        ({"state": "resting", "why": "complaints"}, ""),
        ({"state": "retired", "why": "given back"}, ""),
        ({"purposes": ["surveys"]}, "insurance_sales"),
        ({"purposes": ["surveys"]}, ""),
        ({"cools_until": NOON + timedelta(seconds=1)}, ""),
        ({"max_per_day": 5, "used_on": TODAY, "used_today": 5}, ""),
        ({"cool_after_calls": 5, "cool_min": 9, "cools_until": NOON + timedelta(minutes=1)}, ""),
    ],
    ids=["resting", "retired", "other purpose", "purpose not said", "cooling", "day used up", "cooling down"],
)  # fmt: skip
async def test_number_that_may_not_be_shown_now_is_shown_to_nobody(
    pool: Pool, columns: dict[str, Any], purpose: str
) -> None:
    project = await a_project(pool, purpose=purpose)
    lead_id = await a_lead(pool, project.id)
    if "cool_after_calls" in columns:
        await pool.execute("update caller_numbers set cool_after_calls = 5, cool_min = 9")
        columns = {"cools_until": columns["cools_until"]}
    if "why" in columns:
        await pool.execute("update caller_numbers set state = $1, why = $2", columns["state"], columns["why"])
    else:
        await set_columns(pool, project.caller_numbers[0].number, **columns)
    for refuse in (claim(pool, a_request(project)), claim_number(pool, a_request(project), lead_id=lead_id)):
        with pytest.raises(Refused) as refused:
            await refuse
        assert refused.value.error_id == "caller_number_refused"
    assert await pool.fetchval("select count(*) from attempts") == 0


async def test_number_with_a_purpose_is_shown_for_it(pool: Pool) -> None:
    project = await a_project(pool, purpose="insurance_sales")
    await a_lead(pool, project.id)
    await set_columns(pool, project.caller_numbers[0].number, purposes=["surveys", "insurance_sales"])
    assert await shown_to(pool, project, offers([project.caller_numbers[0].number]))


async def test_day_cap_ends_with_the_day_of_the_numbers_own_zone(pool: Pool) -> None:
    project = await a_project(pool, zone="UTC")
    number = project.caller_numbers[0].number
    await set_columns(pool, number, max_per_day=2)
    for _ in range(9):
        await a_lead(pool, project.id)
    made = [await claimed_at(pool, project, at) for at in (NOON, NOON, NOON, NOON + timedelta(hours=12), NOON + timedelta(hours=13))]  # fmt: skip
    assert made == [1, 1, 0, 1, 1], "NOON is noon in Shanghai, whose day the number's is"


@pytest.mark.parametrize("cooled_before", [False, True])
async def test_day_cap_that_is_set_at_midday_counts_what_the_number_showed_in_the_morning(
    pool: Pool, cooled_before: bool
) -> None:
    project = await a_project(pool, zone="UTC")
    number = project.caller_numbers[0]
    for _ in range(9):
        await a_lead(pool, project.id)
    night = datetime(2026, 5, 31, 15, 59, tzinfo=UTC)  # a minute before the first of June in Shanghai
    assert [await claimed_at(pool, project, night + timedelta(minutes=n)) for n in range(4)] == [1, 1, 1, 1]
    if cooled_before:
        await limited(pool, number, cool_after_calls=50, cool_min=1)
    await limited(pool, number, max_per_day=4)
    assert [await claimed_at(pool, project, NOON) for _ in range(2)] == [1, 0]
    await limited(pool, number)
    assert await claimed_at(pool, project, NOON) == 1
    await limited(pool, number, max_per_day=4)
    assert await claimed_at(pool, project, NOON) == 0


async def limited(pool: Pool, number: CallerNumber, **limits: int) -> None:
    await caller_numbers.set_limits(pool, number.id, max_channels=None, max_cps=None, max_per_hour=None, now=NOON, **limits)  # fmt: skip


async def test_number_cools_down_after_its_calls_and_is_shown_again_when_that_is_over(pool: Pool) -> None:
    project = await a_project(pool)
    number = project.caller_numbers[0]
    await limited(pool, number, cool_after_calls=3, cool_min=10)
    for _ in range(20):
        await a_lead(pool, project.id)
    assert len(await claim(pool, a_request(project, 2))) == 2
    assert len(await claim(pool, a_request(project, 5))) == 1, "a batch does not go beyond"
    row = await pool.fetchrow("select * from caller_numbers")
    assert row is not None
    assert (row["used_since_cool"], row["cools_until"]) == (0, NOON + timedelta(minutes=10))
    assert await claimed_at(pool, project, NOON + timedelta(minutes=9)) == 0
    assert await claimed_at(pool, project, NOON + timedelta(minutes=10)) == 1


async def claimed_at(pool: Pool, project: Project, at: datetime) -> int:
    try:
        return len(await claim(pool, a_request(project, now=at)))
    except Refused as refused:
        return 0 if refused.error_id == "caller_number_refused" else -1


@pytest.mark.parametrize("other", ["retired meanwhile", "used up meanwhile"])
async def test_claim_that_comes_second_sees_what_the_first_has_committed(pool: Pool, other: str) -> None:
    """Both look at the row at once; the second waits for the lock, and judges the row as it is then."""
    project = await a_project(pool)
    number = project.caller_numbers[0]
    await set_columns(pool, number.number, max_per_day=1)
    await a_lead(pool, project.id)
    async with pool.acquire() as first, pool.acquire() as watch:
        transaction = first.transaction()
        await transaction.start()
        if other == "retired meanwhile":
            await caller_numbers.set_state(first, number.id, CallerNumberState.RETIRED, "given back")
        else:
            await first.execute("update caller_numbers set used_on = $1, used_today = 1", TODAY)
        second = asyncio.get_running_loop().create_task(claimed_at(pool, project, NOON), name="second")
        waiting = (
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        )

        async def waits() -> bool:
            return bool(await watch.fetchval(waiting))

        await wait_until(waits, timeout_s=5, what="the second claim to wait")
        await transaction.commit()
        assert await second == 0
    assert await pool.fetchval("select count(*) from attempts") == 0


@dataclass(slots=True)
class Model:
    """The documented order over one pool, in plain Python."""

    numbers: dict[str, CallerNumber]
    offered: list[Offer]

    def choose(self, last: str | None, place: tuple[str, str]) -> str | None:
        fit = [offer for offer in self.offered if offer.room > 0]
        if not fit:
            return None

        def preference(offer: Offer) -> tuple[bool, bool, bool, int, int]:
            one = self.numbers[offer.number]
            same_province = bool(one.province) and one.province == place[0]
            same_city = bool(one.city) and one.city == place[1] and one.province == place[0]
            return (offer.number != last, not same_city, not same_province, offer.uses, self.offered.index(offer))

        best = min(fit, key=preference)
        place_of = self.offered.index(best)
        self.offered[place_of] = replace(best, room=best.room - 1, uses=best.uses + 1)
        return best.number


@pytest.mark.parametrize("seed", range(4))
async def test_claims_on_random_pools_show_what_a_model_of_the_order_shows_and_never_what_may_not_be_shown(
    pool: Pool, seed: int
) -> None:
    rng = random.Random(seed)
    for _ in range(12):
        project, leads, offered = await a_random_floor(pool, rng)
        listed = {one.number: one for one in project.caller_numbers}
        fit = []
        for offer in offered:
            one = listed.get(offer.number)
            assert project.trunk is not None
            if one is None or why_not(one, trunk_id=project.trunk.id, purpose=project.purpose, day=TODAY, now=NOON):
                continue
            left = [offer.room]
            if one.max_per_day is not None:
                left.append(one.max_per_day - (one.used_today if one.used_on == TODAY else 0))
            if one.cool_after_calls is not None:
                left.append(one.cool_after_calls - one.used_since_cool)
            fit.append(replace(offer, room=min(left)))
        model = Model(listed, fit)
        wanted = rng.randint(1, len(leads) + 2)
        expected = {
            lead_id: number
            for lead_id, last, place in leads[:wanted]
            if (number := model.choose(last, place)) is not None
        }
        claimed = await claimed_or_refused(pool, project, wanted, offered)
        assert {one.lead_id: one.caller_number for one in claimed} == expected
        await never_over_a_cap(pool, project.id)
        await pool.execute("delete from live_attempts")


async def a_random_floor(
    pool: Pool, rng: random.Random
) -> tuple[Project, list[tuple[int, str | None, tuple[str, str]]], list[Offer]]:
    trunk, elsewhere = await a_trunk(pool), await a_trunk(pool)
    project = await a_project(pool, trunk=trunk, caller_number_count=0, purpose=rng.choice(["", "sales"]))
    made = [await a_caller_number(pool, rng.choice([trunk.id] * 9 + [elsewhere.id])) for _ in range(rng.randint(1, 9))]
    for one in made:
        province, city = rng.choice(CITIES)
        cooling = rng.random() < 0.3
        state = rng.choice(["active"] * 8 + ["resting", "retired"])
        await pool.execute(
            """update caller_numbers set province = $2, city = $3, state = $4, why = 'x', purposes = $5, certified = $6::text::datemultirange, max_per_day = $7,
               used_on = $8, used_today = $9, cool_after_calls = $10, cool_min = $11, used_since_cool = $12, cools_until = $13 where id = $1""",
            one.id, province, city, state, rng.choice([[], [], ["sales"], ["surveys"]]),
            rng.choice([None, None, "{[2026-01-01,2027-01-01)}", "{[2025-01-01,2026-06-01)}", "{[2025-01-01,2026-01-01),[2026-06-01,2026-06-02)}", "{}"]),
            rng.choice([None, 1, 3]), rng.choice([None, TODAY, date(2026, 5, 31)]), rng.randint(0, 3),
            3 if cooling else None, 5 if cooling else None, rng.randint(0, 2) if cooling else 0,
            rng.choice([None, NOON, NOON + timedelta(minutes=1)]),
        )  # fmt: skip
    await caller_numbers.allow(pool, project.id, [one.id for one in made if rng.random() < 0.9])
    leads = []
    for _ in range(rng.randint(1, 8)):
        place, last = rng.choice(CITIES), rng.choice([None, *[one.number for one in made]])
        leads.append((await a_lead_of(pool, project, place, last_caller_number=last), last, place))
    offered = [Offer(number=one.number, room=rng.randint(1, 4), uses=rng.randint(0, 3)) for one in made]
    rng.shuffle(offered)
    offered.append(Offer(number=a_number(), room=5))
    return await projects.load_project(pool, project.id), leads, offered


async def claimed_or_refused(pool: Pool, project: Project, count: int, offered: Sequence[Offer]) -> list[ClaimedLead]:
    try:
        return await claim(pool, replace(a_request(project, count), offers=tuple(offered)))
    except Refused as refused:
        if refused.error_id != "caller_number_refused":
            raise
        return []


async def never_over_a_cap(pool: Pool, project_id: UUID) -> None:
    rows = await pool.fetch("select * from caller_numbers")
    assert not [
        row
        for row in rows
        if row["max_per_day"] is not None and row["used_on"] == TODAY and row["used_today"] > max(row["max_per_day"], 3)
    ]
    assert not [
        row for row in rows if row["cool_after_calls"] is not None and row["used_since_cool"] >= row["cool_after_calls"]
    ]


def test_pool_as_json_reads_as_the_same_number_as_its_columns() -> None:
    row = {
        "id": "0192f0c1-0000-7000-8000-000000000000", "number": "+8621", "trunk_id": "0192f0c1-0000-7000-8000-000000000001", "state": "resting", "why": "w",
        "rests_until": "2026-06-01T04:00:00+00:00", "owner": "o", "purposes": ["a"], "province": "p", "city": "c", "zone": "UTC",
        "certified": "{[2025-01-01,2025-02-01),[2026-01-01,2026-02-01)}", "max_channels": 1, "max_cps": 1.5, "max_per_hour": 2, "max_per_day": 3,
        "cool_after_calls": 4, "cool_min": 5, "used_on": "2026-06-01", "used_today": 6, "used_since_cool": 7, "cools_until": "2026-06-01T04:00:00+00:00",
        "alarm": "wears out", "label": "sales", "label_marks": 8,
    }  # fmt: skip
    one = caller_number(row)
    assert (one.alarm, one.label, one.label_marks) == ("wears out", "sales", 8)
    assert one.certified == ((date(2025, 1, 1), date(2025, 2, 1)), (date(2026, 1, 1), date(2026, 2, 1)))
    assert (one.rests_until, one.used_on) == (datetime(2026, 6, 1, 4, tzinfo=UTC), date(2026, 6, 1))
    assert all(first < end for first, end in one.certified)
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(one.certified))
