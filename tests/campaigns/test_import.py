"""Promises of the import: every row of a file is either a lead or in the reject file with its reason, and what is broken costs only itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from campaigns.errors import BadInput, CampaignError, Conflict, Missing
from campaigns.importing import reading, run
from campaigns.importing.options import ImportOptions
from campaigns.importing.preview import preview_list
from campaigns.importing.run import ImportProgress, import_file
from campaigns.imports import get_import, undo_import
from campaigns.leads import find_lead, list_leads
from campaigns.projects import Project
from campaigns.release import EndedAttempt, finish
from campaigns.sql import Pool
from campaigns.states import ImportState, LeadState
from tests.builders import NOON, a_lead, a_project, an_attempt
from tests.campaigns.lists import given_back, load

pytestmark = pytest.mark.services


@pytest.fixture
async def project(pool: Pool) -> Project:
    return await a_project(pool)


async def test_good_rows_become_leads_and_the_others_come_back_with_line_column_and_reason(
    pool: Pool, project: Project, tmp_path: Path
) -> None:
    result = await load(
        pool, project, tmp_path, "姓名,手机号,城市\n王芳,138 1234 5678,上海\n李雷,12345,北京\n韩梅,+86-139-1234-5678,\n"
    )
    assert (result.accepted, result.rejected, result.reasons, result.encoding) == (
        2,
        1,
        {"number_invalid": 1},
        "utf-8-sig",
    )
    first, second = await list_leads(pool, project.id)
    assert (first.number, first.name, first.fields, first.state, first.next_at) == (
        "+8613812345678",
        "王芳",
        {"城市": "上海"},
        LeadState.NEW,
        None,
    )
    assert (second.number, second.fields, second.import_id) == ("+8613912345678", {}, result.id)
    (row,) = given_back(result)
    assert (row["line"], row["column"], row["error_id"]) == ("3", "手机号", "number_invalid")
    assert (row["姓名"], row["手机号"], row["城市"]) == ("李雷", "12345", "北京")
    kept = await get_import(pool, result.id)
    assert (kept.state, kept.accepted, kept.rejected, kept.file_name) == (ImportState.DONE, 2, 1, "list.csv")


@pytest.mark.parametrize(
    ("encoding", "found"),
    [("utf-8", "utf-8-sig"), ("utf-8-sig", "utf-8-sig"), ("gb18030", "gb18030"), ("gbk", "gb18030")],
)
async def test_the_encodings_of_chinese_clients_are_read_and_written_back(
    pool: Pool, project: Project, tmp_path: Path, encoding: str, found: str
) -> None:
    result = await load(pool, project, tmp_path, "手机,姓名\n13812345678,龚翠\n1,张伟\n".encode(encoding))
    assert result.encoding == found
    (lead,) = await list_leads(pool, project.id)
    assert lead.name == "龚翠"
    assert given_back(result)[0]["姓名"] == "张伟"


@pytest.mark.parametrize(
    ("content", "error_id"),
    [
        (b"", "file_empty"),
        (b"PK\x03\x04rest of a zip", "file_broken"),
        (b"phone,name\n13812345678,\xff\xfe\xff\n", "encoding_unknown"),
        ("name,city\nA,B\n", "header_without_number"),
        ("手机,电话\n13812345678,13812345679\n", "header_ambiguous"),
        ("phone,a,a\n13812345678,1,2\n", "header_duplicate"),
        ('"phone\n13812345678\n', "header_broken"),
        ("\n\n", "header_broken"),
        ("phone," + ",".join(f"c{i}" for i in range(600)) + "\n", "header_too_wide"),
    ],
)
async def test_a_file_that_cannot_be_understood_is_refused_whole(
    pool: Pool, project: Project, tmp_path: Path, content: str | bytes, error_id: str
) -> None:
    with pytest.raises(BadInput) as refused:
        await load(pool, project, tmp_path, content)
    assert refused.value.error_id == error_id
    assert await list_leads(pool, project.id) == []
    assert await pool.fetchval("select count(*) from imports") == 0


async def test_a_mapping_names_the_columns_that_the_headers_do_not(
    pool: Pool, project: Project, tmp_path: Path
) -> None:
    content = "A,B,C\n王芳,13812345678,7\n"
    await load(pool, project, tmp_path, content, mapping={"number": "B", "name": "A", "priority": "C"})
    (lead,) = await list_leads(pool, project.id)
    assert (lead.name, lead.priority, lead.fields) == ("王芳", 7, {})
    with pytest.raises(BadInput) as refused:
        await load(pool, project, tmp_path, content, mapping={"number": "nowhere"})
    assert refused.value.error_id == "mapping_invalid"


async def test_a_broken_quote_costs_its_own_line_and_no_other(pool: Pool, project: Project, tmp_path: Path) -> None:
    rows = [
        "phone,name",
        '13800000001,"good"',
        '13800000002,"never closed',
        "13800000003,after",
        '13800000004,"a"b"',
        '13800000005,"two',
        'lines"',
        "13800000006,end",
    ]
    result = await load(pool, project, tmp_path, "\r\n".join(rows))
    assert [lead.number[-1] for lead in await list_leads(pool, project.id)] == ["1", "3", "5", "6"]
    assert [(row["line"], row["error_id"]) for row in given_back(result)] == [
        ("3", "quotes_broken"),
        ("5", "quotes_broken"),
    ]
    lead = await find_lead(pool, project.id, "+8613800000005")
    assert lead is not None
    assert lead.name == "two\r\nlines"


async def test_a_quote_that_is_never_closed_in_a_long_file_costs_one_line(
    pool: Pool, project: Project, tmp_path: Path
) -> None:
    lines = [f"138{i:08d},x" for i in range(2000)]
    lines[5] = '13900000000,"open'
    result = await load(pool, project, tmp_path, "phone,name\n" + "\n".join(lines))
    assert (result.accepted, result.reasons) == (1999, {"quotes_broken": 1})


@pytest.mark.parametrize(
    ("row", "error_id", "column"),
    [
        ("13812345678,a\0b,", "nul_character", ""),
        ("13812345678,A,a\0b", "nul_character", ""),
        ("13812345678,A,,a\0b", "nul_character", ""),
        ("1381234\0" + "5678,A,", "number_invalid", "phone"),
        ("13812345678," + "x" * 10_000 + ",", "name_too_long", "name"),
        ("13812345678,A," + "y" * 10_000, "cell_too_long", "city"),
        ("13812345678,A,B,C,D", "too_many_cells", ""),
        ("13812345678 1381234567,A,", "number_invalid", "phone"),
        ("13812345678/110,A,", "number_emergency", "phone"),
        ("1" * 10_000 + ",A,", "number_invalid", "phone"),
        (",A,", "number_empty", "phone"),
        ("110,A,", "number_emergency", "phone"),
        ("4008123456,A,", "number_premium", "phone"),
        ("1.38E+10,A,", "number_rounded", "phone"),
        ("13812345678,A," + "z" * 2_000_000, "cell_too_long", ""),
    ],
)
async def test_a_row_that_cannot_be_used_is_given_back_and_its_neighbours_are_taken(
    pool: Pool, project: Project, tmp_path: Path, row: str, error_id: str, column: str
) -> None:
    result = await load(pool, project, tmp_path, f"phone,name,city,运营商\n13900000001,B,\n{row}\n13900000002,C,\n")
    assert (result.accepted, result.reasons) == (2, {error_id: 1})
    (back,) = given_back(result)
    assert (back["line"], back["column"]) == ("3", column)


async def test_numbers_on_the_do_not_call_list_are_taken_and_marked(
    pool: Pool, project: Project, tmp_path: Path
) -> None:
    await pool.execute("insert into do_not_call (number, reason, source) values ('+8613812345678', 'asked', 'test')")
    result = await load(pool, project, tmp_path, "phone\n13812345678\n13812345679\n")
    assert (result.accepted, result.do_not_call) == (2, 1)
    assert [lead.state for lead in await list_leads(pool, project.id)] == [LeadState.DO_NOT_CALL, LeadState.NEW]


async def test_nothing_in_the_reject_file_is_a_formula(pool: Pool, project: Project, tmp_path: Path) -> None:
    nasty = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "＝1+1", " =1+1", "\t=1", "|x"]
    rows = "".join(f'x,"{cell}"\n' for cell in nasty)
    result = await load(pool, project, tmp_path, "phone,=header\n" + rows)
    assert result.reject_path is not None
    for back, cell in zip(given_back(result), nasty, strict=True):
        assert back["'=header"] == "'" + cell


async def test_a_corrected_reject_file_can_be_imported(pool: Pool, project: Project, tmp_path: Path) -> None:
    result = await load(pool, project, tmp_path, "phone,name\n+86 1381234567,A\n")
    assert result.reject_path is not None
    corrected = result.reject_path.read_text("utf-8-sig").replace("1381234567", "13812345678")
    assert (await load(pool, project, tmp_path, corrected)).accepted == 1


async def test_text_from_a_file_stays_text(pool: Pool, project: Project, tmp_path: Path) -> None:
    nasty = "'); drop table leads; -- ${EXEC(rm)} \\N \\x41 \r\nAction: Originate <script>,\"\t"
    await load(
        pool,
        project,
        tmp_path,
        'phone,name,note\n13812345678,"' + nasty.replace('"', '""') + 'x","' + nasty.replace('"', '""') + '"\n',
    )
    (lead,) = await list_leads(pool, project.id)
    assert (lead.name, lead.fields) == (nasty + "x", {"note": nasty})


async def test_an_import_can_be_undone_until_a_lead_was_dialled(pool: Pool, project: Project, tmp_path: Path) -> None:
    before = await a_lead(pool, project.id)
    result = await load(pool, project, tmp_path, "phone\n13900000001\n13900000002\n13900000003\n")
    dialled = await find_lead(pool, project.id, "+8613900000002")
    assert dialled is not None
    await an_attempt(pool, project, dialled.id)
    async with pool.acquire() as conn:
        with pytest.raises(Conflict) as refused:
            await undo_import(conn, result.id)
        assert (refused.value.error_id, refused.value.detail) == ("import_dialled", {"dialled": 1})
        assert await undo_import(conn, result.id, undialled_only=True) == 2
        assert [lead.id for lead in await list_leads(conn, project.id)] == [before, dialled.id]
        with pytest.raises(Conflict) as again:
            await undo_import(conn, result.id)
    assert again.value.error_id == "import_not_done"


async def test_a_second_import_into_a_project_waits_its_turn(pool: Pool, project: Project, tmp_path: Path) -> None:
    async with pool.acquire() as conn, conn.transaction():
        await conn.fetchval("select pg_advisory_xact_lock($1, hashtext($2))", run.LOCK_SPACE, str(project.id))
        with pytest.raises(Conflict) as refused:
            await load(pool, project, tmp_path, "phone\n13900000001\n")
    assert refused.value.error_id == "import_running"
    assert await pool.fetchval("select error_id from imports") == "import_running"


async def test_an_import_whose_process_died_left_nothing_and_is_marked_by_the_next(
    pool: Pool, project: Project, tmp_path: Path
) -> None:
    lost = await pool.fetchval(
        "insert into imports (project_id, file_name, sha256) values ($1, 'lost.csv', '') returning id", project.id
    )
    await load(pool, project, tmp_path, "phone\n13900000001\n")
    kept = await get_import(pool, lost)
    assert (kept.state, kept.error_id) == (ImportState.FAILED, "import_interrupted")


async def test_an_import_that_loses_its_connection_takes_nothing_and_says_so(
    pool: Pool, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHUNK_ROWS", 100)
    cut: list[asyncio.Task[object]] = []

    def cut_the_line(at: ImportProgress) -> None:
        if at.accepted == 300:
            kill = "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())"
            cut.append(asyncio.get_running_loop().create_task(pool.execute(kill)))

    content = "phone\n" + "\n".join(f"138{i:08d}" for i in range(20_000))
    with pytest.raises(Exception, match=r"terminat|closed|operation"):
        await load(pool, project, tmp_path, content, progress=cut_the_line)
    await asyncio.gather(*cut)
    assert await pool.fetchval("select count(*) from leads") == 0
    assert await pool.fetchval("select state || ' ' || error_id from imports") == "failed import_failed"
    assert [path.name for path in tmp_path.iterdir()] == ["list.csv"]  # noqa: ASYNC240 -- one look, at the end


async def test_an_import_into_no_project_is_refused(pool: Pool, project: Project, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("phone\n13812345678\n", encoding="utf-8")
    with pytest.raises(Missing) as missing:
        await import_file(pool, project_id=(await a_project(pool)).trunk.id, path=path, reject_dir=tmp_path)  # type: ignore[union-attr]
    assert missing.value.error_id == "project_unknown"
    assert issubclass(Missing, CampaignError)


async def test_further_numbers_of_a_person_are_kept_in_their_order(
    pool: Pool, project: Project, tmp_path: Path
) -> None:
    content = "phone,备用电话\n13800000001/13800000002,13800000003 13800000001\n010-88886666转801,\n"
    await load(pool, project, tmp_path, content)
    first, second = await list_leads(pool, project.id)
    assert (first.number, first.other_numbers) == ("+8613800000001", ["+8613800000002", "+8613800000003"])
    assert (second.number, second.other_numbers, second.fields) == ("+861088886666", [], {"extension": "801"})


async def test_a_mapping_is_kept_for_the_next_lists_of_the_client_and_for_no_other(pool: Pool, tmp_path: Path) -> None:
    first, next_one, stranger = [await a_project(pool, client=client) for client in ("甲方", "甲方", "乙方")]
    mapping = {"number": "B", "name": "A"}
    await load(pool, first, tmp_path, "A,B\n王芳,13800000001\n", mapping=mapping, remember=True)
    await load(pool, next_one, tmp_path, "title\nA,B,C\n李雷,13800000002,x\n")
    (lead,) = await list_leads(pool, next_one.id)
    assert (lead.name, lead.number, lead.fields) == ("李雷", "+8613800000002", {"C": "x"})
    with pytest.raises(BadInput) as refused:
        await load(pool, stranger, tmp_path, "A,B\n王芳,13800000001\n")
    assert refused.value.error_id == "header_without_number"


async def test_a_lead_that_was_claimed_and_never_sent_does_not_block_an_undo(
    pool: Pool, project: Project, tmp_path: Path
) -> None:
    result = await load(pool, project, tmp_path, "phone\n13900000001\n13900000002\n")
    lead = await find_lead(pool, project.id, "+8613900000001")
    assert lead is not None
    attempt = await an_attempt(pool, project, lead.id)
    await finish(pool, [EndedAttempt(attempt_id=attempt.attempt_id, outcome="not_sent", ended_at=NOON)])
    async with pool.acquire() as conn:
        assert await undo_import(conn, result.id, undialled_only=True) == 1


def test_a_preview_says_how_a_list_would_be_read(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes("二月名单\n手机号;姓名;城市\n13812345678/010-88886666;王芳;上海\n12;李雷;\n".encode("gbk"))
    seen = preview_list(path, ImportOptions())
    assert (seen.facts.format, seen.facts.encoding, seen.facts.delimiter) == ("csv", "gb18030", ";")
    assert seen.mapping == {"number": "手机号", "name": "姓名"}
    assert [(row.line, row.numbers, row.kinds, row.name, row.error_id) for row in seen.rows] == [
        (1, (), (), "", "above_header"),
        (3, ("+8613812345678", "+861088886666"), ("mobile", "fixed"), "王芳", None),
        (4, (), (), "", "number_invalid"),
    ]
    assert seen.rows[2].fields == {"手机号": "12", "姓名": "李雷", "城市": ""}


def test_a_window_of_no_days_is_refused() -> None:
    with pytest.raises(BadInput) as refused:
        ImportOptions(within_days=0)
    assert refused.value.error_id == "window_invalid"
