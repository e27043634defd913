"""Lists from the command line: taken, given back, located, filtered, written out; who must not be called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dialer.cli.exits import Exit
from tests.cli.terminal import Waihu, run_in_thread


async def test_a_list_is_looked_at_taken_and_written_out_again(waihu: Waihu, tmp_path: Path) -> None:
    def work() -> None:
        waihu("project", "create", "Autumn")
        file, out = tmp_path / "list.csv", tmp_path / "out.csv"
        file.write_text("A;B\nWang;13812345678\n", encoding="utf-8")
        code, [row] = waihu("import", "Autumn", str(file), "--number", "B", "--preview")
        assert (code, row["numbers"], row["error"]) == (Exit.OK, ["+8613812345678"], "")
        assert waihu("import", "Autumn", str(file), "--number", "B")[1]["accepted"] == 1
        assert waihu("import", "Autumn", str(file), "--number", "B")[0] == Exit.REFUSED
        assert waihu("export", "Autumn", str(out), "--format", "csv")[0] == Exit.OK
        assert "138****5678" in out.read_text(encoding="utf-8-sig")
        assert waihu("export", "Autumn", str(out))[0] == Exit.REFUSED

    await run_in_thread(work)


async def test_a_projects_supply_is_set_and_its_numbers_are_located(waihu: Waihu, tmp_path: Path) -> None:
    def work() -> None:
        waihu("project", "create", "Autumn")
        condition = '{"field": "city", "op": "=", "value": "深圳"}'
        assert waihu("supply", "count", "Autumn", "--filter", condition)[1] == {"matching": 0, "leads": 0}
        code, made = waihu("supply", "set", "Autumn", "--filter", condition, "--order", "newest")
        assert (code, made["applied"]) == (Exit.OK, False)
        assert waihu("supply", "set", "Autumn", "--filter", "{")[0] == Exit.USAGE
        assert waihu("supply", "lasting", "Autumn")[1]["alarm"] is True
        table = tmp_path / "prefixes.csv"
        table.write_text("prefix,province,city,carrier\n1381234,广东,深圳,x\n", encoding="utf-8")
        assert waihu("locality", "load", str(table), "--name", "t", "--version", "1", "--use")[0] == Exit.OK
        assert waihu("locality", "of", "13812345678")[1]["city"] == "深圳"
        assert waihu("locality", "list")[1][0]["in_use"] is True
        assert waihu("locality", "relocate")[1]["changed"] == 0

    await run_in_thread(work)


async def test_good_rows_are_imported_and_bad_ones_come_back(waihu: Waihu, tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text("number,name\n13800000001,A\n13800000002,B\nnonsense,C\n", encoding="utf-8")

    def build() -> Any:
        waihu("project", "create", "Autumn")
        return waihu("import", "Autumn", str(file))

    code, result = await run_in_thread(build)
    assert code == Exit.OK
    assert (result["accepted"], result["rejected"]) == (2, 1)
    assert "nonsense" in await run_in_thread(lambda: Path(result["reject_file"]).read_text(encoding="utf-8"))


async def test_do_not_call_takes_numbers_and_answers_about_them(waihu: Waihu) -> None:
    def build() -> None:
        assert waihu("dnc", "add", "--why", "asked for it", "13800000001", "13800000002")[1]["added"] == 2
        assert waihu("dnc", "check", "13800000001")[0] == Exit.OK
        assert waihu("dnc", "check", "13800000009")[0] == Exit.FOUND_FAULTS
        assert waihu("dnc", "remove", "13800000001", "--why", "a mistake")[0] == Exit.OK
        assert waihu("dnc", "check", "13800000001")[0] == Exit.FOUND_FAULTS
        listed = waihu("dnc", "list")[1]
        assert len(listed) == 1
        assert "13800000002" not in listed[0]["number"]

    await run_in_thread(build)


async def test_one_entry_is_lifted_and_the_others_are_named(waihu: Waihu) -> None:
    def work() -> None:
        number = "13800000001"
        waihu("project", "create", "Autumn")
        waihu("dnc", "add", "--why", "x", number)
        waihu("dnc", "add", "--why", "theirs", "--client", "acme", number)
        waihu("dnc", "add", "--why", "x", "--project", "Autumn", number)
        assert waihu("dnc", "remove", number, "--why", "x", "--client", "other")[0] == Exit.NOT_FOUND
        assert waihu("dnc", "remove", number, "--why", "x")[0] == Exit.OK
        assert waihu("dnc", "remove", number, "--why", "x", "--project", "Autumn")[0] == Exit.OK
        code, [entry] = waihu("dnc", "check", number)
        assert (code, entry["client"], entry["reason"]) == (Exit.OK, "acme", "theirs")

    await run_in_thread(work)


async def test_a_lifted_number_is_brought_back_to_its_project(waihu: Waihu, tmp_path: Path) -> None:
    def work() -> None:
        waihu("project", "create", "Autumn")
        file = tmp_path / "list.csv"
        file.write_text("number\n13800000001\n", encoding="utf-8")
        waihu("import", "Autumn", str(file))
        waihu("dnc", "add", "--why", "x", "13800000001")
        assert waihu("dnc", "bring-back", "Autumn", "13800000001", "--why", "wrote again")[1]["leads"] == 0
        waihu("dnc", "remove", "13800000001", "--why", "wrote again")
        assert waihu("dnc", "bring-back", "Autumn", "13800000001", "--why", "wrote again")[1]["leads"] == 1

    await run_in_thread(work)


async def test_prefixes_and_regions_are_entered_shown_and_lifted(waihu: Waihu) -> None:
    def work() -> None:
        assert waihu("dnc", "area", "add", "prefix", "+86139", "--why", "x", "--client", "acme")[1]["added"] == 1
        assert waihu("dnc", "area", "add", "prefix", "+86139", "--why", "x", "--client", "acme")[1]["added"] == 0
        assert waihu("dnc", "area", "add", "region", "上海", "--why", "x", "--until", "2099-01-01")[1]["added"] == 1
        assert waihu("dnc", "area", "add", "prefix", "010", "--why", "x")[0] == Exit.USAGE
        assert waihu("dnc", "check", "13900000001")[1][0]["what"] == "prefix +86139"
        assert waihu("dnc", "area", "remove", "prefix", "+86139", "--why", "x")[0] == Exit.NOT_FOUND
        assert waihu("dnc", "area", "remove", "prefix", "+86139", "--why", "x", "--client", "acme")[0] == Exit.OK
        [left] = waihu("dnc", "area", "list")[1]
        assert (left["value"], left["expires_at"][:4]) == ("上海", "2099")

    await run_in_thread(work)


async def test_a_wrong_file_does_not_pass_for_a_fresh_list(waihu: Waihu, tmp_path: Path) -> None:
    file = tmp_path / "registry.csv"

    def load(lines: list[str], *more: str, encoding: str = "utf-8") -> tuple[int, Any]:
        file.write_bytes("\n".join(lines).encode(encoding))
        return waihu("dnc", "load", "us-national-dnc", str(file), *more)

    def work() -> None:
        numbers = [f"138{n:08d}" for n in range(200)]
        assert load(["号码", *numbers, "no number"], encoding="gb18030")[1] == {
            "done": "200 numbers in us-national-dnc; 1 lines are no number, the first is line 202", "entries": 200, "left_out": 1,
        }  # fmt: skip
        before = waihu("dnc", "lists")[1]
        for wrong in (["号码"], numbers[:99], [*numbers, "a", "b", "c"], ["name,number", *(f"x,{n}" for n in numbers)]):
            assert load(wrong)[0] == Exit.REFUSED
        assert load(numbers, encoding="utf-16-le")[0] == Exit.USAGE
        assert waihu("dnc", "lists")[1] == before
        assert waihu("dnc", "check", numbers[0])[0] == Exit.OK
        assert load(numbers[:99], "--anyway")[1]["entries"] == 99
        assert load(["号码"], "--anyway")[1]["entries"] == 0

    await run_in_thread(work)


async def test_consents_are_loaded_found_and_taken_back(waihu: Waihu, tmp_path: Path) -> None:
    def work() -> None:
        file = tmp_path / "consents.csv"
        file.write_text(
            "号码,凭证,同意时间\n13800000001,表单,2020-05-01\n13800000002,,2020-05-01\n", encoding="gb18030"
        )
        load = ("consents", "load", str(file), "--scope", "marketing")
        assert waihu(*load)[0] == Exit.FOUND_FAULTS
        code, done = waihu(*load, "--zone", "Asia/Shanghai")
        assert (code, done["accepted"], done["rejected"]) == (Exit.OK, 1, 1)
        assert "evidence_missing" in Path(done["reject_file"]).read_text(encoding="gb18030")
        assert waihu("consents", "find", "13800000001")[1][0]["withdrawn_at"] is None
        assert waihu("consents", "undo", done["id"], "--why", "the wrong file")[1]["ended"] == 1
        assert waihu("consents", "withdraw", "13800000001", "--why", "asked")[1]["ended"] == 0
        assert waihu("consents", "find", "13800000001")[1][0]["withdrawn_at"]

    await run_in_thread(work)
