"""Promises of locality: every lead knows where its number is at home, by the table in use, else by the plan; and nothing is guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from campaigns.claim import claim
from campaigns.errors import BadInput, Conflict, Missing
from campaigns.importing.run import import_file
from campaigns.leads import add_lead, list_leads
from campaigns.locality.locating import locate
from campaigns.locality.place import Place, block_of, split_place
from campaigns.locality.plan import place_of, zone_of
from campaigns.locality.tables import list_tables, load_table, use_table
from campaigns.sql import Pool
from campaigns.supply.ordering import Ordering
from campaigns.supply.relocating import relocate
from campaigns.supply.sifting import sift
from campaigns.supply.supplies import set_supply
from tests.builders import a_lead, a_project, a_request

TABLE = "号段,省份,城市,运营商\n1381234,广东省,深圳市,中国移动\n1381235,上海,上海,中国移动\n"


@pytest.mark.parametrize(
    ("number", "place"),
    [
        ("+8613812345678", Place(country="CN", province="江苏", city="连云港", carrier="中国移动", zone="Asia/Shanghai")),
        ("+861088886666", Place(country="CN", province="北京", city="北京", zone="Asia/Shanghai")),
        ("+8675588886666", Place(country="CN", province="广东", city="深圳", zone="Asia/Shanghai")),
        ("+16502530000", Place(country="US", city="Mountain View, CA", zone="America/Los_Angeles")),
        ("+442079460958", Place(country="GB", city="London", zone="Europe/London")),
        ("+18005551212", Place(country="US")),
    ],
)  # fmt: skip
def test_the_numbering_plan_knows_the_world_and_guesses_no_zone(number: str, place: Place) -> None:
    assert place_of(number) == place
    assert zone_of(number) == place.zone


@pytest.mark.parametrize(
    ("text", "found"),
    [("江苏省连云港市", ("江苏", "连云港")), ("上海市", ("上海", "上海")), ("新疆乌鲁木齐市", ("新疆", "乌鲁木齐")), ("中国", ("", "中国")), ("", ("", ""))],
)  # fmt: skip
def test_a_description_is_split_into_province_and_city(text: str, found: tuple[str, str]) -> None:
    assert split_place(text) == found


def test_a_block_is_a_number_without_its_last_four_digits() -> None:
    assert block_of("+8613812345678") == "+861381234"


async def load(pool: Pool, folder: Path, content: str = TABLE, version: str = "1") -> int:
    path = folder / f"prefixes-{version}.csv"
    path.write_text(content, encoding="utf-8")
    return await load_table(pool, path, name="public", version=version)


async def take(pool: Pool, folder: Path, content: str) -> list[tuple[str | None, str | None, str | None, str | None]]:
    path = folder / "list.csv"
    path.write_text(content, encoding="utf-8")
    project = await a_project(pool)
    await import_file(pool, project_id=project.id, path=path, reject_dir=folder)
    return [(one.province, one.city, one.carrier, one.zone) for one in await list_leads(pool, project.id)]


@pytest.mark.services
async def test_a_list_gets_its_places_by_the_table_in_use_and_ported_numbers_by_what_it_says(
    pool: Pool, tmp_path: Path
) -> None:
    content = "phone,运营商\n13812345678,\n13812345679,中国联通\n010-88886666,\n+1 800-555-1212,\n"
    before = await take(pool, tmp_path, content)
    assert before[0] == ("江苏", "连云港", "中国移动", "Asia/Shanghai")
    table = await load(pool, tmp_path)
    assert (await take(pool, tmp_path, content + "\n"))[0] == before[0], "loaded is not yet in use"
    async with pool.acquire() as conn:
        await use_table(conn, table)
    assert await take(pool, tmp_path, content + "\n\n") == [
        ("广东", "深圳", "中国移动", "Asia/Shanghai"),
        ("广东", "深圳", "中国联通", "Asia/Shanghai"),
        ("北京", "北京", "", "Asia/Shanghai"),
        (None, None, "", None),
    ]
    regions = await pool.fetch("select distinct region from leads where number = '+8613812345678'")
    assert {row["region"] for row in regions} == {"江苏", "广东"}


@pytest.mark.services
async def test_a_table_is_replaced_without_a_restart_and_leads_move_with_it(pool: Pool, tmp_path: Path) -> None:
    project = await a_project(pool)
    first = await load(pool, tmp_path)
    async with pool.acquire() as conn:
        await use_table(conn, first)
    await add_lead(pool, project_id=project.id, number="13812345678")
    await add_lead(pool, project_id=project.id, number="+16502530000")
    assert [(one.city, one.zone) for one in await list_leads(pool, project.id)] == [
        ("深圳", "Asia/Shanghai"),
        (None, "America/Los_Angeles"),
    ]
    second = await load(pool, tmp_path, TABLE.replace("广东省,深圳市", "浙江,杭州"), version="2")
    async with pool.acquire() as conn:
        await use_table(conn, second)
    assert [(one.id, one.in_use, one.blocks) for one in await list_tables(pool)] == [
        (second, True, 2),
        (first, False, 2),
    ]
    assert (await locate(pool, "+8613812345678")).city == "杭州"
    assert await relocate(pool) == 2
    assert [one.city for one in await list_leads(pool, project.id)] == ["杭州", "Mountain View, CA"]
    assert await relocate(pool) == 0
    assert [row["region"] for row in await pool.fetch("select region from leads order by id")] == ["浙江", "US"]


@pytest.mark.services
async def test_a_lead_whose_new_place_is_outside_the_filter_is_not_called_and_one_inside_is(
    pool: Pool, tmp_path: Path
) -> None:
    project = await a_project(pool)
    leaves, comes = [await a_lead(pool, project.id, number=number) for number in ("+8613812345678", "+8613812355678")]
    async with pool.acquire() as conn:
        await use_table(conn, await load(pool, tmp_path))
        await relocate(pool)
        await set_supply(
            conn, project.id, condition={"field": "province", "op": "=", "value": "广东"}, ordering=Ordering()
        )
        assert await sift(conn, project.id)
        assert [row["id"] for row in await conn.fetch("select id from leads where not held")] == [leaves]
        table = TABLE.replace("广东省,深圳市", "西藏,拉萨").replace("上海,上海", "广东,广州")
        await use_table(conn, await load(pool, tmp_path, table, version="2"))
    assert await relocate(pool) == 2
    assert [one.lead_id for one in await claim(pool, a_request(project, 2))] == [comes]


@pytest.mark.services
async def test_leads_get_the_kind_of_their_number_when_they_come_in_and_those_without_by_relocating(
    pool: Pool, tmp_path: Path
) -> None:
    await take(pool, tmp_path, "phone\n13812345678\n010-88886666\n+1 800-555-1212\n")
    project = await a_project(pool)
    await add_lead(pool, project_id=project.id, number="010-88886667")
    kinds = "select kind from leads order by id"
    first = [row["kind"] for row in await pool.fetch(kinds)]
    assert first == ["mobile", "fixed", "toll_free", "fixed"]
    async with pool.acquire() as conn:
        await conn.execute("update leads set kind = null")
        await set_supply(
            conn, project.id, condition={"field": "kind", "op": "=", "value": "fixed"}, ordering=Ordering()
        )
        assert await sift(conn, project.id)
    assert await claim(pool, a_request(project)) == []
    await relocate(pool)
    assert [row["kind"] for row in await pool.fetch(kinds)] == first
    assert [one.number for one in await claim(pool, a_request(project))] == ["+861088886667"]


@pytest.mark.services
@pytest.mark.parametrize(
    ("content", "error_id"),
    [
        ("号段,省份\n1381234,广东\n", "prefix_table_columns"),
        (TABLE + "138123,广东,深圳,x\n", "prefix_invalid"),
        (TABLE + "1381234,上海,上海,x\n", "prefix_twice"),
    ],
)
async def test_a_table_with_an_error_is_not_loaded_at_all(
    pool: Pool, tmp_path: Path, content: str, error_id: str
) -> None:
    with pytest.raises(BadInput) as refused:
        await load(pool, tmp_path, content)
    assert refused.value.error_id == error_id
    assert await list_tables(pool) == []


@pytest.mark.services
async def test_a_version_is_loaded_once_and_only_what_is_there_is_used(pool: Pool, tmp_path: Path) -> None:
    await load(pool, tmp_path)
    with pytest.raises(Conflict) as twice:
        await load(pool, tmp_path)
    assert twice.value.error_id == "locality_table_exists"
    async with pool.acquire() as conn:
        with pytest.raises(Missing) as unknown:
            await use_table(conn, 4711)
    assert unknown.value.error_id == "locality_table_unknown"
