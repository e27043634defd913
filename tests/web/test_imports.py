"""Files of leads: the good rows are taken, the others come back, and nothing of a bad upload is left."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import signal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import xlsxwriter
from python_calamine import CalamineWorkbook

from dialer.domain.roles import Role
from dialer.web.app import sweep
from dialer.web.deps import WebSettings
from tests.builders import a_project
from tests.web.client import Answer, Person
from tests.web.conftest import House

GOOD = "number,name\n13812345678,王\n13812345679,李\n12,bad\n=13812345678,formula\n"


async def upload(
    person: Person,
    project_id: Any,
    content: Any,
    *,
    file_name: str = "list.csv",
    kind: str = "text/csv",
    **columns: str,
) -> Answer:
    data = content.encode() if isinstance(content, str) else content
    return await person.ask(
        "POST",
        f"/projects/{project_id}/imports",
        data=data,
        headers={"Content-Type": kind},
        file_name=file_name,
        query=columns,
    )


async def test_good_rows_become_leads_and_the_others_come_back_with_reasons(house: House) -> None:
    project, person = await a_project(house.pool), await house.person(Role.TECHNICAL_LEAD)
    answer = await upload(person, project.id, GOOD)
    assert (answer.status, answer.body["state"], answer.body["accepted"], answer.body["rejected"]) == (
        201,
        "done",
        2,
        2,
    )
    leads = await person.get(f"/projects/{project.id}/leads")
    assert [(one["name"], one["number"]) for one in leads["items"]] == [
        ("王", "+86138****5678"),
        ("李", "+86138****5679"),
    ]
    rejects = await person.ask("GET", f"/imports/{answer.body['id']}/rejects")
    assert rejects.status == 200
    assert "number_invalid" in rejects.raw.decode()
    assert "attachment" in rejects.headers["Content-Disposition"]
    assert [len(await house.audited(action)) for action in ("import_begun", "import_done", "rejects_downloaded")] == [
        1,
        1,
        1,
    ]


def a_workbook(*rows: list[str]) -> bytes:
    out = io.BytesIO()
    workbook = xlsxwriter.Workbook(out, {"in_memory": True})
    sheet = workbook.add_worksheet("名单")
    for at, row in enumerate(rows):
        sheet.write_row(at, 0, row)
    workbook.close()
    return out.getvalue()


async def test_a_workbook_is_taken_and_its_rejects_come_back_as_a_workbook(house: House) -> None:
    project, person = await a_project(house.pool), await house.person(Role.TECHNICAL_LEAD)
    book = a_workbook(["手机号", "姓名"], ["13812345678", "王"], ["12", "李"])
    answer = await upload(person, project.id, book, kind="application/octet-stream", file_name="名单.xlsx")
    assert (answer.status, answer.body["format"], answer.body["sheet"]) == (201, "xlsx", "名单")
    assert (answer.body["accepted"], answer.body["rejected"]) == (1, 1)
    rejects = await person.ask("GET", f"/imports/{answer.body['id']}/rejects")
    assert rejects.headers["Content-Type"].endswith("spreadsheetml.sheet")
    assert rejects.raw.startswith(b"PK")


async def test_a_list_can_be_looked_at_before_it_is_taken_and_shows_no_full_number(house: House) -> None:
    project, person = await a_project(house.pool), await house.person(Role.TECHNICAL_LEAD)
    path = f"/projects/{project.id}/imports/preview"
    content = "甲,乙\n王 13812345678,13812345678\n李,1381234567\n"
    headers = {"Content-Type": "text/csv"}
    asked = await person.ask("POST", path, data=content.encode(), headers=headers, file_name="x.csv")
    assert (asked.status, asked.error_id) == (422, "header_without_number")
    seen = await person.ask(
        "POST", path, data=content.encode(), headers=headers, file_name="x.csv", query={"number": "乙"}
    )
    assert (seen.status, seen.body["encoding"], seen.body["mapping"]) == (200, "utf-8-sig", {"number": "乙"})
    good, bad = seen.body["rows"]
    assert (good["numbers"], good["fields"]) == (["+86138****5678"], {"甲": "王 +86138****5678"})
    assert (bad["error_id"], bad["column"]) == ("number_invalid", "乙")
    assert "1381234567" not in seen.raw.decode()
    assert seen.body["same_file"] is None
    made = await upload(person, project.id, content, number="乙")
    again = await person.ask(
        "POST", path, data=content.encode(), headers=headers, file_name="x.csv", query={"number": "乙"}
    )
    assert again.body["same_file"] == made.body["id"]
    twice = await upload(person, project.id, content, number="乙")
    assert (twice.status, twice.error_id) == (409, "import_same_file")
    assert list(house.deps.upload_dir.glob("upload-*")) == []


@pytest.mark.parametrize(("kind", "encoding"), [("xlsx", ""), ("csv", "utf-8-sig"), ("csv-gb18030", "gb18030")])
async def test_leads_go_out_as_a_file_without_formulas_and_without_full_numbers(
    house: House, kind: str, encoding: str
) -> None:
    project, person = await a_project(house.pool), await house.person(Role.TECHNICAL_LEAD)
    rows = ["13812345671/13812345672,王芳,\"=cmd|' /C calc'!A0\"", "13812345673,龚翠,回电 138-1234-5673"]
    await upload(person, project.id, "\n".join(["phone,name,备注", *rows]))
    answer = await person.ask("GET", f"/projects/{project.id}/leads/export", query={"format": kind})
    assert answer.status == 200
    if encoding:
        table = list(csv.reader(io.StringIO(answer.raw.decode(encoding))))
    else:
        table = CalamineWorkbook.from_filelike(io.BytesIO(answer.raw)).get_sheet_by_index(0).to_python()  # type: ignore[assignment]
    header, first, second = table
    at = {name: place for place, name in enumerate(header)}
    assert (first[at["number"]], first[at["other_numbers"]], first[at["name"]]) == (
        "138****5671",
        "138****5672",
        "王芳",
    )
    assert first[at["备注"]] == (
        "'=cmd|' /C calc'!A0" if encoding else "=cmd|' /C calc'!A0"
    )  # in a workbook it is a text
    assert second[at["备注"]] == "回电 +86138****5673"
    assert second[at["state"]] == "new"
    (row,) = await house.audited("leads_exported")
    assert row["detail"] == {"format": kind, "state": None, "masked": True}
    assert list(house.deps.upload_dir.glob("export-*")) == []


async def test_an_unmasked_project_gives_its_numbers_as_they_are_dialled_at_home_and_they_can_come_back(
    house: House,
) -> None:
    project, person = await a_project(house.pool, mask_numbers=False), await house.person(Role.TECHNICAL_LEAD)
    await upload(person, project.id, "phone,name\n13812345671 / 010-88886666,A\n+16502530000,B\n")
    answer = await person.ask("GET", f"/projects/{project.id}/leads/export", query={"format": "csv"})
    assert "13812345671,01088886666,mobile,江苏,连云港".encode() in answer.raw
    assert b"0016502530000,,fixed_or_mobile,," in answer.raw
    other = await a_project(house.pool)
    again = await upload(person, other.id, answer.raw, number="number", other_numbers="other_numbers")
    assert (again.body["accepted"], again.body["rejected"]) == (2, 0)


async def test_an_import_can_be_taken_back(house: House) -> None:
    project, person = await a_project(house.pool), await house.person(Role.TECHNICAL_LEAD)
    made = (await upload(person, project.id, GOOD)).body
    assert (await person.do("POST", f"/imports/{made['id']}/undo", {}))["leads"] == 2
    assert (await person.get(f"/imports/{made['id']}"))["state"] == "undone"
    assert (await person.get(f"/projects/{project.id}/leads"))["items"] == []


async def test_columns_can_be_named(house: House) -> None:
    project, person = await a_project(house.pool), await house.person(Role.TECHNICAL_LEAD)
    answer = await upload(person, project.id, "甲,乙\n王,13812345678\n", number="乙", name="甲")
    assert (answer.status, answer.body["accepted"]) == (201, 1)


@pytest.mark.parametrize(
    ("content", "status"),
    [("", 422), ("no header that says anything\n1\n", 422), (b"\xff\xfe\x00\x00" * 50, 422), (b"\x00" * 100, 422)],
)
async def test_a_file_that_is_no_list_is_refused_and_nothing_is_left_of_it(
    house: House, content: Any, status: int
) -> None:
    project, person = await a_project(house.pool), await house.person(Role.TECHNICAL_LEAD)
    answer = await upload(person, project.id, content)
    assert answer.status == status, answer.body
    assert list(house.deps.upload_dir.glob("upload-*")) == []
    assert await house.pool.fetchval("select count(*) from leads") == 0


@pytest.mark.parametrize("settings", [WebSettings(upload_limit_bytes=10_000)])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_file_beyond_the_limit_is_refused(house: House, chunked: bool) -> None:
    project, person = await a_project(house.pool), await house.person(Role.TECHNICAL_LEAD)

    async def pieces() -> Any:
        for _ in range(20):
            yield b"x" * 1000

    answer = await upload(person, project.id, pieces() if chunked else b"x" * 20_000)
    assert (answer.status, answer.error_id) == (413, "body_too_large")
    assert list(house.deps.upload_dir.glob("upload-*")) == []


async def test_an_upload_that_breaks_off_leaves_nothing(house: House) -> None:
    project, person = await a_project(house.pool), await house.person(Role.TECHNICAL_LEAD)

    async def torn() -> Any:
        yield b"number\n13812345678\n"
        raise ConnectionError("the uploader is gone")

    with pytest.raises((aiohttp.ClientError, ConnectionError)):
        await upload(person, project.id, torn())
    async with asyncio.timeout(10):
        while list(house.deps.upload_dir.glob("upload-*")):  # noqa: ASYNC110  # a file has no event
            await asyncio.sleep(0.01)
    assert await house.pool.fetchval("select count(*) from leads") == 0


@pytest.mark.parametrize("kind", ["application/json", "text/html", "multipart/form-data; boundary=x"])
async def test_only_lists_are_taken(house: House, kind: str) -> None:
    project, person = await a_project(house.pool), await house.person(Role.TECHNICAL_LEAD)
    assert (await upload(person, project.id, GOOD, kind=kind)).error_id == "unsupported_media_type"


async def test_a_reject_file_is_read_only_from_our_own_folder(house: House) -> None:
    project, person = await a_project(house.pool), await house.person(Role.TECHNICAL_LEAD)
    made = (await upload(person, project.id, GOOD)).body
    await house.pool.execute("update imports set reject_path = '/etc/passwd'")
    answer = await person.ask("GET", f"/imports/{made['id']}/rejects")
    assert (answer.status, answer.error_id) == (404, "rejects_unknown")


@pytest.mark.parametrize("file_name", ["../../etc/passwd", "a" * 200, "<script>.csv", "名单.csv"])
async def test_the_files_name_is_only_a_name(house: House, file_name: str) -> None:
    project, person = await a_project(house.pool), await house.person(Role.TECHNICAL_LEAD)
    answer = await upload(person, project.id, GOOD, file_name=file_name)
    assert (answer.status, answer.body["file_name"]) == (201, file_name)


LONG = "number,name\n" + "".join(f"139{number:08},王\n" for number in range(60_000))


async def state_of(house: House, person: Person, import_id: str, wanted: set[str]) -> dict[str, Any]:
    """The import as soon as it is in one of these states."""
    async with asyncio.timeout(60):
        while (shown := await person.get(f"/imports/{import_id}"))["state"] not in wanted:  # noqa: ASYNC110  # the database has no event
            await asyncio.sleep(0.02)
    return dict(shown)


def workers() -> list[int]:
    """The processes of imports that are ours."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text(encoding="ascii").split()
    return [int(pid) for pid in children if b"dialer.web.imports.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


async def test_an_import_nobody_waits_for_is_answered_when_it_has_begun_and_ends_by_itself(house: House) -> None:
    project, person = await a_project(house.pool), await house.person(Role.TECHNICAL_LEAD)
    answer = await upload(person, project.id, LONG, wait="false")
    assert (answer.status, answer.body["state"]) == (201, "running")
    ended = await state_of(house, person, answer.body["id"], {"done", "failed"})
    assert (ended["state"], ended["accepted"], ended["rejected"]) == ("done", 60_000, 0)
    async with asyncio.timeout(10):
        while not await house.audited("import_done"):  # noqa: ASYNC110  # the database has no event
            await asyncio.sleep(0.02)
    assert list(house.deps.upload_dir.glob("upload-*")) == []


async def test_a_killed_import_takes_nothing_and_says_so(house: House) -> None:
    project, person = await a_project(house.pool), await house.person(Role.TECHNICAL_LEAD)
    answer = await upload(person, project.id, LONG, wait="false")
    [worker] = workers()
    os.kill(worker, signal.SIGKILL)
    ended = await state_of(house, person, answer.body["id"], {"done", "failed"})
    assert (ended["state"], ended["error_id"]) == ("failed", "import_interrupted")
    assert await house.pool.fetchval("select count(*) from leads") == 0


async def test_an_undo_and_its_audit_row_are_one(house: House) -> None:
    project, person = await a_project(house.pool), await house.person(Role.TECHNICAL_LEAD)
    made = (await upload(person, project.id, GOOD)).body
    await person.do("POST", f"/imports/{made['id']}/undo", {})
    refused = await person.ask("POST", f"/imports/{made['id']}/undo", {})
    assert (refused.status, refused.error_id) == (409, "import_not_done")
    assert [row["detail"]["leads"] for row in await house.audited("import_undone")] == [2]


async def test_a_lead_added_by_hand_is_asked_of_the_numbering_plan_and_has_a_place(house: House) -> None:
    project, person = await a_project(house.pool), await house.person(Role.TECHNICAL_LEAD)
    lead = await person.do("POST", f"/projects/{project.id}/leads", {"number": "01062345678"})
    assert (lead["province"], lead["city"], lead["zone"]) == ("北京", "北京", "Asia/Shanghai")
    assert await house.pool.fetchval("select region from leads") == "北京"


async def test_a_reject_file_is_deleted_when_its_days_are_over_and_not_before(house: House) -> None:
    project, person = await a_project(house.pool), await house.person(Role.TECHNICAL_LEAD)
    old, young = [
        (await upload(person, project.id, f"number\n12\n1381234567{place}\n")).body["id"] for place in range(2)
    ]
    moved = "update imports set created_at = $2::timestamptz - make_interval(days => $3) where id = $1"
    for import_id, days in ((old, 31), (young, 29)):
        await house.pool.execute(moved, import_id, house.deps.clock(), days)
    await sweep(house.deps)
    assert (await person.ask("GET", f"/imports/{old}/rejects")).error_id == "rejects_unknown"
    assert (await person.ask("GET", f"/imports/{young}/rejects")).status == 200
    assert {path.stem for path in house.deps.upload_dir.iterdir()} == {young}
