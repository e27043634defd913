"""Promises of reading lists: of whatever is sent, every row is taken, or given back with its line and reason, or the whole is refused with what to do."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest
from python_calamine import CalamineWorkbook

from campaigns.errors import BadInput
from campaigns.importing.options import ImportOptions
from campaigns.importing.reading import Chunk, chunks, open_list
from campaigns.importing.reject_file import OURS
from campaigns.importing.run import ImportResult, import_file
from campaigns.sql import Pool
from tests.builders import a_project
from tests.campaigns.hostile_lists import LISTS, Hostile


def written(hostile: Hostile, folder: Path) -> Path:
    path = folder / hostile.name
    path.write_bytes(hostile.content())
    return path


def read(hostile: Hostile, folder: Path) -> list[Chunk]:
    source = open_list(written(hostile, folder), ImportOptions(**hostile.options))
    try:
        return list(chunks(source, "CN"))
    finally:
        source.table.close()


def test_the_folder_holds_what_was_promised() -> None:
    assert len({one.name for one in LISTS}) == len(LISTS) >= 60


@pytest.mark.parametrize("hostile", [one for one in LISTS if one.refused], ids=lambda one: one.name)
def test_a_list_that_cannot_be_read_for_certain_is_refused_whole(hostile: Hostile, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as refused:
        read(hostile, tmp_path)
    assert refused.value.error_id == hostile.refused
    assert len(refused.value.message) > 20


@pytest.mark.parametrize("hostile", [one for one in LISTS if not one.refused], ids=lambda one: one.name)
def test_every_row_of_a_list_is_taken_or_given_back_with_its_line_and_reason(hostile: Hostile, tmp_path: Path) -> None:
    found = read(hostile, tmp_path)
    assert tuple(row.number for chunk in found for row in chunk.rows) == hostile.taken
    rejects = [reject for chunk in found for reject in chunk.rejects]
    assert {reject.line: reject.error_id for reject in rejects} == hostile.back
    assert len(rejects) == len(hostile.back)
    for reject in rejects:
        assert any(reject.cells) or reject.error_id == "number_empty"


def given_back(result: ImportResult) -> list[list[str]]:
    """The rows of a reject file, without its header."""
    assert result.reject_path is not None
    if result.reject_path.suffix == ".xlsx":
        rows = CalamineWorkbook.from_path(result.reject_path).get_sheet_by_index(0).to_python()
        table = [[str(cell) for cell in row] for row in rows]
    else:
        with result.reject_path.open(encoding=result.encoding, newline="") as file:
            table = list(csv.reader(file))
    assert tuple(table[0][: len(OURS)]) == OURS
    return table[1:]


@pytest.mark.services
async def test_the_whole_folder_is_imported_and_nothing_is_lost(pool: Pool, tmp_path: Path) -> None:
    for hostile in (one for one in LISTS if not one.refused):
        project = await a_project(pool)
        path = written(hostile, tmp_path)
        result = await import_file(
            pool, project_id=project.id, path=path, reject_dir=tmp_path, options=ImportOptions(**hostile.options)
        )
        assert (result.accepted, result.rejected) == (len(hostile.taken), len(hostile.back)), hostile.name
        assert result.reasons == dict(Counter(hostile.back.values())), hostile.name
        numbers = await pool.fetch("select number from leads where project_id = $1 order by id", project.id)
        assert tuple(row["number"] for row in numbers) == hostile.taken, hostile.name
        if hostile.back:
            assert {int(row[0]): row[2] for row in given_back(result)} == hostile.back, hostile.name
