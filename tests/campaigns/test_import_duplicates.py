"""Promises of the import about people who are there already: in the file, in the project, among the projects of a client; and that a file comes once."""

from __future__ import annotations

from pathlib import Path

import pytest

from campaigns.errors import BadInput, Conflict
from campaigns.importing import reading, taking
from campaigns.importing.options import Among
from campaigns.leads import find_lead
from campaigns.projects import Project
from campaigns.sql import Pool
from tests.builders import a_lead, a_project
from tests.campaigns.lists import given_back, load

pytestmark = pytest.mark.services


@pytest.fixture
async def project(pool: Pool) -> Project:
    return await a_project(pool)


async def test_duplicates_in_the_file_and_in_the_project_are_told_apart(
    pool: Pool, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHUNK_ROWS", 2)  # the doubles fall into other chunks
    await a_lead(pool, project.id, number="+8613800000001")
    numbers = ["13800000001", "13800000002", "13800000003", "13800000002", "13800000004", "+8613800000004"]
    result = await load(pool, project, tmp_path, "phone\n" + "\n".join(numbers))
    assert (result.accepted, result.reasons) == (3, {"duplicate_in_project": 1, "duplicate_in_file": 2})
    assert [row["line"] for row in given_back(result)] == ["2", "5", "7"]


async def test_a_number_may_be_a_lead_of_two_projects(pool: Pool, project: Project, tmp_path: Path) -> None:
    other = await a_project(pool)
    for one in (project, other):
        assert (await load(pool, one, tmp_path, "phone\n13812345678\n")).accepted == 1


async def test_the_same_file_twice_is_noticed_until_the_first_is_undone(
    pool: Pool, project: Project, tmp_path: Path
) -> None:
    content = "phone\n13900000001\n"
    result = await load(pool, project, tmp_path, content)
    with pytest.raises(Conflict) as refused:
        await load(pool, project, tmp_path, content)
    assert (refused.value.error_id, refused.value.detail) == ("import_same_file", {"import_id": str(result.id)})
    assert (await load(pool, project, tmp_path, content, again=True)).reasons == {"duplicate_in_project": 1}
    await pool.execute("update imports set state = 'undone'")
    await pool.execute("delete from leads")
    assert (await load(pool, project, tmp_path, content)).accepted == 1


async def test_people_are_told_apart_by_a_column_of_the_client(
    pool: Pool, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHUNK_ROWS", 1)  # the doubles fall into other chunks
    await a_lead(pool, project.id, reference="c-1")
    rows = ["c-1,13800000001", "c-2,13800000002", "c-2,13800000003", "c-3,13800000002", "c-4,13800000004"]
    result = await load(pool, project, tmp_path, "id,phone\n" + "\n".join(rows), unique_by="id")
    assert result.reasons == {"reference_in_project": 1, "reference_in_file": 1, "duplicate_in_file": 1}
    assert [(row["line"], row["column"]) for row in given_back(result)] == [("2", "id"), ("4", "id"), ("5", "phone")]
    lead = await find_lead(pool, project.id, "+8613800000004")
    assert lead is not None
    assert (lead.reference, lead.fields) == ("c-4", {"id": "c-4"})
    with pytest.raises(BadInput) as refused:
        await load(pool, project, tmp_path, "phone\n1\n", unique_by="id")
    assert refused.value.error_id == "unique_by_unknown"


async def test_duplicates_are_found_among_all_projects_of_the_client_within_a_window(
    pool: Pool, tmp_path: Path
) -> None:
    ours, sister, stranger = [await a_project(pool, client=client) for client in ("甲方", "甲方", "乙方")]
    month = "now() - interval '30 days'"
    for project_id, end in ((sister.id, "1"), (stranger.id, "2"), (sister.id, "3")):
        await a_lead(pool, project_id, number=f"+861380000000{end}", reference=f"c-{end}")
    await pool.execute(f"update leads set created_at = {month} where reference = 'c-3'")
    content = "id,phone\nc-9,13800000001\nc-2,13800000002\nc-8,13800000003\nc-1,13800000004\nc-3,13800000005\n"
    result = await load(pool, ours, tmp_path, content, among=Among.CLIENT, within_days=7, unique_by="id")
    assert result.reasons == {"duplicate_in_client": 1, "reference_in_client": 1}
    assert [row["line"] for row in given_back(result)] == ["2", "5"]
    other = await a_project(pool, client="甲方")
    assert (await load(pool, other, tmp_path, content, among=Among.CLIENT, unique_by="id")).accepted == 0


async def test_a_project_without_a_client_has_no_sisters(pool: Pool, project: Project, tmp_path: Path) -> None:
    other = await a_project(pool)
    await a_lead(pool, other.id, number="+8613800000001")
    assert (await load(pool, project, tmp_path, "phone\n13800000001\n", among=Among.CLIENT)).accepted == 1


async def test_a_long_list_is_not_gone_through_again_for_each_part_of_it(
    pool: Pool, project: Project, tmp_path: Path
) -> None:
    """The plan, not the clock: who came earlier in the file is found by number, however many leads the import has by then."""
    result = await load(pool, project, tmp_path, "phone\n" + "".join(f"138{n:08d}\n" for n in range(3000)))
    found = await pool.fetch(
        "explain (analyze, timing off) " + taking.OURS,
        project.id,
        result.id,
        [1, 2],
        ["+8613800000001", "+8613900000002"],
    )
    plan = "\n".join(row[0] for row in found)
    assert "leads_once_in_project" in plan, plan
    assert "Seq Scan on leads" not in plan, plan
    assert "(actual rows=1 " in found[0][0], plan
