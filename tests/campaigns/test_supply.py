"""Promises of supply: who is outside the filter is not dialled, not for a second; the others go in their order; and the claim never asks a filter."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.claim import claim
from campaigns.errors import BadInput
from campaigns.leads import add_lead
from campaigns.projects import Project, lead_counts
from campaigns.sql import Pool
from campaigns.supply import sifting
from campaigns.supply.filters import compile_filter
from campaigns.supply.lasting import lasting
from campaigns.supply.ordering import OrderBy, Ordering
from campaigns.supply.sifting import sift, waiting
from campaigns.supply.supplies import count_filter, get_supply, judge_again, set_supply
from lab.waiting import wait_until
from tests.builders import NOON, a_lead, a_project, a_request, an_attempt


@pytest.fixture
async def project(pool: Pool) -> Project:
    return await a_project(pool)


async def use(pool: Pool, project: Project, condition: Any = None, **order: Any) -> None:
    """Set a supply and judge the leads by it."""
    async with pool.acquire() as conn:
        await set_supply(conn, project.id, condition=condition, ordering=Ordering(**order))
        assert await sift(conn, project.id)


async def dialled(pool: Pool, project: Project, count: int = 50) -> list[int]:
    """The leads that are claimed, in their order, until there are no more."""
    found: list[int] = []
    while claimed := await claim(pool, a_request(project, 1)):
        found += [one.lead_id for one in claimed if one.lead_id is not None]
        if len(found) >= count:
            break
    return found


PLACE = "insert into places (country, province, city, carrier, zone) values ('CN', $1, $2, '中国移动', 'Asia/Shanghai') on conflict do nothing returning id"


@pytest.mark.services
@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        (None, "abcd"),
        ({"field": "province", "op": "=", "value": "江苏"}, "ab"),
        ({"field": "city", "op": "in", "value": ["南京", "上海"]}, "ac"),
        ({"not": {"field": "province", "op": "=", "value": "江苏"}}, "cd"),
        ({"field": "province", "op": "!=", "value": "江苏"}, "cd"),
        ({"field": "province", "op": "empty"}, "d"),
        ({"field": "carrier", "op": "=", "value": "中国联通"}, "b"),
        ({"custom": "金额", "op": ">=", "value": 1000}, "bc"),
        ({"custom": "金额", "op": "=", "value": "500"}, "a"),
        ({"custom": "金额", "op": "contains", "value": "00"}, "abc"),
        ({"custom": "nothing", "op": "empty"}, "abcd"),
        ({"field": "name", "op": "starts", "value": "王"}, "ac"),
        ({"field": "kind", "op": "in", "value": ["mobile", "fixed_or_mobile"]}, "ab"),
        ({"field": "kind", "op": "empty"}, "d"),
        ({"field": "priority", "op": ">", "value": 0}, "d"),
        ({"field": "attempts", "op": "=", "value": 0}, "abcd"),
        ({"not": {"field": "last_attempt_at", "op": "within_days", "value": 3}}, "abcd"),
        ({"field": "last_attempt_at", "op": "older_than_days", "value": 3}, ""),
        ({"field": "created_at", "op": "after", "value": "2020-01-01T00:00:00+08:00"}, "abcd"),
        ({"all": [{"field": "province", "op": "=", "value": "江苏"}, {"custom": "金额", "op": "<", "value": 1000}]}, "a"),
        ({"any": [{"field": "city", "op": "=", "value": "上海"}, {"field": "priority", "op": "=", "value": 1}]}, "cd"),
    ],
)  # fmt: skip
async def test_a_filter_takes_in_whom_it_says_and_the_count_says_so_before(
    pool: Pool, project: Project, condition: Any, wanted: str
) -> None:
    nanjing = await pool.fetchval(PLACE, "江苏", "南京")
    suzhou = await pool.fetchval(PLACE, "江苏", "苏州")
    shanghai = await pool.fetchval(PLACE, "上海", "上海")
    leads = {
        "a": await a_lead(pool, project.id, name="王芳", kind="mobile", place_id=nanjing, fields={"金额": "500"}),
        "b": await a_lead(
            pool,
            project.id,
            name="李雷",
            kind="mobile",
            place_id=suzhou,
            carrier="中国联通",
            fields={"金额": " 1000.50 "},
        ),
        "c": await a_lead(pool, project.id, name="王五", kind="fixed", place_id=shanghai, fields={"金额": "20000"}),
        "d": await a_lead(pool, project.id, name="x", priority=1, fields={"金额": "many"}),
    }
    async with pool.acquire() as conn:
        assert await count_filter(conn, project.id, condition) == (len(wanted), 4)
    await use(pool, project, condition)
    assert (await get_supply(pool, project.id)).matching == len(wanted)
    assert (await lead_counts(pool, project.id, NOON))["dialable_now"] == len(wanted)
    assert set(await dialled(pool, project)) == {leads[name] for name in wanted}


@pytest.mark.parametrize(
    ("condition", "path"),
    [
        ([], "filter"), ({}, "filter"), ({"all": []}, "filter.all"), ({"all": {}}, "filter.all"), ({"any": [3]}, "filter.any[0]"), ({"not": None}, "filter.not"),
        ({"field": "password", "op": "="}, "filter.field"), ({"field": "name", "op": "; drop table leads", "value": "x"}, "filter.op"),
        ({"field": "name", "op": "=", "value": 3}, "filter.value"), ({"field": "name", "op": "=", "value": "a\0"}, "filter.value"),
        ({"field": "name", "op": "in", "value": []}, "filter.value"), ({"field": "attempts", "op": "=", "value": "1 or true"}, "filter.value"),
        ({"field": "attempts", "op": "=", "value": True}, "filter.value"), ({"field": "attempts", "op": "=", "value": float("nan")}, "filter.value"),
        ({"field": "created_at", "op": "before", "value": "yesterday"}, "filter.value"), ({"field": "created_at", "op": "after", "value": "2026-01-01"}, "filter.value"),
        ({"field": "created_at", "op": "within_days", "value": 0}, "filter.value"), ({"custom": "", "op": "="}, "filter.custom"),
        ({"field": "name", "custom": "x", "op": "="}, "filter"), ({"field": "name", "op": "=", "value": "x", "sql": "1"}, "filter"),
        ({"all": [{"field": "name", "op": "empty"}], "any": []}, "filter"),
    ],
)  # fmt: skip
def test_what_is_no_filter_is_refused_with_the_place_of_the_error(condition: Any, path: str) -> None:
    with pytest.raises(BadInput) as refused:
        compile_filter(condition)
    assert (refused.value.error_id, refused.value.detail["path"]) == ("filter_malformed", path)


def test_a_filter_is_neither_too_deep_nor_too_long() -> None:
    leaf = {"field": "name", "op": "empty"}
    deep: dict[str, Any] = leaf
    for _ in range(20):
        deep = {"not": deep}
    for condition in (deep, {"all": [leaf] * 500}):
        with pytest.raises(BadInput):
            compile_filter(condition)


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_word_of_a_person_is_in_the_sql(name: str, value: str) -> None:
    try:
        compiled = compile_filter({"custom": name, "op": "=", "value": value})
    except BadInput:
        return
    assert compiled.sql == "coalesce((l.fields ->> $1::text) = $2::text, false)"
    assert compiled.arguments == (name, value)


@pytest.mark.services
@pytest.mark.parametrize(
    ("order", "wanted"),
    [
        ({}, "abcd"),
        ({"by": OrderBy.NEWEST}, "dcba"),
        ({"by": OrderBy.FIELD, "column": "n"}, "bacd"),
        ({"by": OrderBy.FIELD_NUMBER, "column": "n"}, "abcd"),
        ({"by": OrderBy.FIELD_NUMBER, "column": "n", "descending": True}, "cbad"),
    ],
)
async def test_fresh_leads_go_in_the_order_that_was_set(pool: Pool, project: Project, order: Any, wanted: str) -> None:
    cells = {"a": "9", "b": "10", "c": "9999", "d": "many"}
    leads = {name: await a_lead(pool, project.id, fields={"n": cells[name]}) for name in "abcd"}
    await use(pool, project, None, **order)
    assert await dialled(pool, project) == [leads[name] for name in wanted]


@pytest.mark.services
async def test_an_order_that_follows_the_sun_begins_in_the_east(pool: Pool, project: Project) -> None:
    zones = ("Asia/Shanghai", "Asia/Tokyo", None, "Europe/London")
    for zone in zones:
        await a_lead(pool, project.id, zone=zone)
    await use(pool, project, None, by=OrderBy.FOLLOW_SUN)
    ranked = await pool.fetch("select zone from leads order by rank")
    assert [row["zone"] for row in ranked] == ["Asia/Tokyo", "Asia/Shanghai", "Europe/London", None]


@pytest.mark.services
async def test_a_random_order_is_the_same_with_the_same_seed_and_another_with_another(
    pool: Pool, project: Project
) -> None:
    for _ in range(30):
        await a_lead(pool, project.id)

    async def order_with(seed: int) -> list[int]:
        await use(pool, project, None, by=OrderBy.RANDOM, seed=seed)
        return [row["id"] for row in await pool.fetch("select id from leads order by rank")]

    first = await order_with(1)
    assert await order_with(2) != first
    assert await order_with(1) == first != sorted(first)


@pytest.mark.services
async def test_lists_are_mixed_by_their_weights_all_along(pool: Pool, project: Project) -> None:
    new = "insert into imports (project_id, file_name, sha256) values ($1, 'x', '') returning id"
    heavy, light = [UUID(str(await pool.fetchval(new, project.id))) for _ in range(2)]
    of_heavy = {await a_lead(pool, project.id, import_id=heavy) for _ in range(30)}
    for _ in range(30):
        await a_lead(pool, project.id, import_id=light)
    await use(pool, project, None, weights={heavy: 3})
    order = await dialled(pool, project, 40)
    for end in range(8, 40, 4):
        assert abs(len(of_heavy.intersection(order[:end])) - end * 3 / 4) <= 1


@pytest.mark.services
async def test_who_comes_again_goes_after_fresh_leads_or_before_them_as_is_set(pool: Pool, project: Project) -> None:
    again = await a_lead(pool, project.id, state="retry", next_at=NOON - timedelta(hours=1))
    later = await a_lead(pool, project.id, state="retry", next_at=NOON + timedelta(hours=1))
    fresh = await a_lead(pool, project.id)
    await use(pool, project, None, retry_first=True)
    first = await claim(pool, a_request(project, 1))
    assert [one.lead_id for one in first] == [again]
    assert await dialled(pool, project) == [fresh]
    await pool.execute("delete from live_attempts")
    await pool.execute("update leads set state = 'retry' where id = $1", again)
    await pool.execute("update leads set state = 'new' where id = $1", fresh)
    await use(pool, project, None)
    assert await dialled(pool, project) == [fresh, again]
    assert later not in {fresh, again}


@pytest.mark.services
async def test_nobody_outside_a_new_filter_is_dialled_before_the_leads_are_judged(pool: Pool, project: Project) -> None:
    await a_lead(pool, project.id, name="out")
    inside = await a_lead(pool, project.id, name="in")
    async with pool.acquire() as conn:
        await set_supply(conn, project.id, condition={"field": "name", "op": "=", "value": "in"}, ordering=Ordering())
        assert await claim(pool, a_request(project, 2)) == []
        assert await waiting(conn, resift_after_s=600) == [project.id]
        assert await sift(conn, project.id)
        assert await waiting(conn, resift_after_s=600) == []
    assert await dialled(pool, project) == [inside]


@pytest.mark.services
async def test_dialling_goes_on_while_new_leads_wait_to_be_judged(pool: Pool, project: Project) -> None:
    inside = await a_lead(pool, project.id, name="in")
    await use(pool, project, {"field": "name", "op": "=", "value": "in"})
    out = await add_lead(pool, project_id=project.id, number="13912345678", name="out")
    new = await add_lead(pool, project_id=project.id, number="13912345679", name="in")
    assert await dialled(pool, project) == [inside], "what is not judged waits"
    async with pool.acquire() as conn:
        assert await waiting(conn, resift_after_s=600) == [project.id]
        assert await sift(conn, project.id)
    assert await dialled(pool, project) == [new]
    assert await pool.fetchval("select held from leads where id = $1", out)


@pytest.mark.services
async def test_a_judging_does_not_undo_what_a_number_given_meanwhile_was_judged_to_be(
    pool: Pool, project: Project
) -> None:
    lead_id = await a_lead(pool, project.id, number="+8613812345678", held=True)
    async with pool.acquire() as conn, pool.acquire() as other, asyncio.TaskGroup() as tasks:
        await set_supply(
            conn, project.id, condition={"field": "number", "op": "starts", "value": "+86138"}, ordering=Ordering()
        )
        async with other.transaction():
            await other.execute("update leads set number = '+8613912345678' where id = $1", lead_id)
            judging = tasks.create_task(sift(conn, project.id), name="sift")
            await wait_until(lambda: _waits(pool), timeout_s=10, what="the judging waits for the lead")
    assert judging.result()
    assert await dialled(pool, project) == []


async def _waits(pool: Pool) -> bool:
    return bool(await pool.fetchval("select exists (select from pg_stat_activity where wait_event_type = 'Lock')"))


@pytest.mark.services
async def test_a_judging_that_was_broken_off_or_overtaken_is_begun_again(
    pool: Pool, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sifting, "CHUNK", 10)
    monkeypatch.setattr(sifting, "AHEAD", 20)
    for at in range(60):
        await a_lead(pool, project.id, name="in" if at % 2 else "out")
    condition = {"field": "name", "op": "=", "value": "in"}
    async with pool.acquire() as conn, pool.acquire() as other:
        await set_supply(conn, project.id, condition=condition, ordering=Ordering(by=OrderBy.NEWEST))
        tasks = [asyncio.get_running_loop().create_task(sift(one, project.id)) for one in (conn, other)]
        assert sorted(await asyncio.gather(*tasks)) in (
            [False, True],
            [True, True],
        )  # one does it, or one after the other
        await conn.execute("update leads set held = false, rank = 0; update supplies set applied = 0, opened = 0")
        assert await claim(pool, a_request(project, 1)) == []
        assert await sift(conn, project.id)
        await judge_again(conn, project.id)
        assert not (await get_supply(conn, project.id)).applied
        assert await sift(conn, project.id)
    supply = await get_supply(pool, project.id)
    assert (supply.applied, supply.matching) == (True, 30)
    order = await dialled(pool, project, 100)
    assert order == sorted(order, reverse=True)
    assert len(order) == 30


@pytest.mark.services
async def test_a_supply_that_cannot_be_judged_says_why_and_waits_for_a_change(pool: Pool, project: Project) -> None:
    await a_lead(pool, project.id, zone="Mars/Olympus")
    async with pool.acquire() as conn:
        await set_supply(conn, project.id, condition=None, ordering=Ordering(by=OrderBy.FOLLOW_SUN))
        assert not await sift(conn, project.id)
        supply = await get_supply(conn, project.id)
        assert (supply.applied, "Mars/Olympus" in (supply.error or "")) == (False, True)
        assert await waiting(conn, resift_after_s=0) == []
        await set_supply(conn, project.id, condition=None, ordering=Ordering())
        assert await waiting(conn, resift_after_s=600) == [project.id]
        assert await sift(conn, project.id)
        assert (await get_supply(conn, project.id)).error is None


@pytest.mark.services
async def test_a_filter_on_history_is_asked_again_after_a_while(pool: Pool, project: Project) -> None:
    lead = await a_lead(pool, project.id)
    await use(pool, project, {"field": "attempts", "op": "=", "value": 0})
    await pool.execute("update leads set attempts = 1 where id = $1", lead)
    async with pool.acquire() as conn:
        assert await waiting(conn, resift_after_s=600) == []
        assert await waiting(conn, resift_after_s=0) == [project.id]
        await sift(conn, project.id)
    assert await dialled(pool, project) == []
    await use(pool, project, {"field": "name", "op": "empty"})
    async with pool.acquire() as conn:
        assert await waiting(conn, resift_after_s=0) == [], "what calls do not change is not asked again"


@pytest.mark.services
async def test_a_claim_walks_the_index_past_nobody_who_is_held(pool: Pool, project: Project) -> None:
    await pool.execute(
        "insert into leads (project_id, number, held) select $1, '+86' || (13000000000 + i), i % 100 <> 0 from generate_series(1, 20000) i",
        project.id,
    )
    await pool.execute("vacuum analyze leads")
    plan = await pool.fetch(
        "explain (analyze, buffers, format text) select id from leads l where l.project_id = $1 and l.priority = 0 and coalesce(l.zone, '') = ''"
        " and l.next_at between '-infinity' and now() and l.state in ('new', 'retry') and l.callback_agent_id is null and not l.held"
        " order by l.next_at, l.rank, l.id limit 50",
        project.id,
    )
    text = "\n".join(row[0] for row in plan)
    assert "leads_dialable" in text
    assert "Rows Removed" not in text
    assert "Sort" not in text


@pytest.mark.services
async def test_the_data_lasts_as_long_as_fresh_leads_at_the_rate_of_first_calls(pool: Pool, project: Project) -> None:
    assert (await lasting(pool, project.id, NOON)).alarm, "there is nothing left"
    for _ in range(10):
        await a_lead(pool, project.id)
    still = await lasting(pool, project.id, NOON)
    assert (still.fresh, still.hours, still.alarm) == (10, None, False)
    for minutes in (30, 20, 10):
        await an_attempt(pool, project, now=NOON - timedelta(minutes=minutes))
    found = await lasting(pool, project.id, NOON)
    assert (found.fresh, found.coming_back, round(found.per_hour)) == (10, 0, 6)
    assert found.hours == pytest.approx(10 / 6)
    assert found.alarm, "it is less than four hours"
    async with pool.acquire() as conn:
        await set_supply(conn, project.id, condition=None, ordering=Ordering(), alarm_hours=1)
    assert not (await lasting(pool, project.id, NOON)).alarm


@pytest.mark.parametrize(
    "order", [{"by": OrderBy.FIELD}, {"column": "x"}, {"weights": {UUID(int=1): 0}}, {"weights": {UUID(int=1): 5000}}]
)
def test_an_order_that_says_too_little_or_too_much_is_refused(order: Any) -> None:
    with pytest.raises(BadInput) as refused:
        Ordering(**order)
    assert refused.value.error_id == "ordering_malformed"
