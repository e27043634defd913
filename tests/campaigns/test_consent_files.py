"""Promises about files of consents: good rows count from the next claim on, bad ones come back with their reason, and a wrong file is taken back."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from campaigns import consents
from campaigns.claim import claim
from campaigns.errors import BadInput, Conflict, Missing
from campaigns.importing.consents import ConsentLoad, ConsentOptions, load_consents, undo_load
from campaigns.sql import Pool
from tests.builders import NOON, a_lead, a_number, a_project
from tests.campaigns.test_claim_rules import a_rule, asking, under

pytestmark = pytest.mark.services
HEADER = "手机号,scope,evidence,given at,client,expires at"


async def loaded(
    pool: Pool, folder: Path, *rows: str, header: str = HEADER, encoding: str = "utf-8", **said: Any
) -> ConsentLoad:
    """A file with these rows, loaded."""
    path = folder / "consents.csv"
    await asyncio.to_thread(path.write_bytes, "\n".join([header, *rows]).encode(encoding))
    return await load_consents(pool, path, options=ConsentOptions(**said), now=NOON, reject_dir=folder)


async def test_people_of_a_file_may_be_called_from_the_next_claim_on(pool: Pool, tmp_path: Path) -> None:
    project = await under(pool, await a_project(pool, client="acme"), a_rule("consent", scope="marketing"))
    ours, theirs = a_number(), a_number()
    lead_id, _ = [await a_lead(pool, project.id, number=number) for number in (ours, theirs)]
    assert await claim(pool, asking(project, NOON, count=2)) == []
    done = await loaded(
        pool,
        tmp_path,
        f"{ours[3:]},marketing,表单 17,2026-05-01 09:00,acme,",
        f"{theirs},marketing,form 18,2026-05-01T09:00+08:00,other,2027-01-01",
        encoding="gb18030",
        zone="Asia/Shanghai",
    )
    assert (done.accepted, done.known, done.rejected, done.reject_path) == (2, 0, 0, None)
    assert [one.lead_id for one in await claim(pool, asking(project, NOON, count=2))] == [lead_id]
    (record,) = await consents.consents_of(pool, ours)
    assert (record.evidence, record.granted_at.isoformat()) == ("表单 17", "2026-05-01T01:00:00+00:00")


async def test_rows_that_prove_nothing_come_back_with_column_and_reason(pool: Pool, tmp_path: Path) -> None:
    number = a_number()
    wrong = {
        "12,marketing,x,2026-05-01,,": ("手机号", "number_invalid"),
        f"{number},Marketing!,x,2026-05-01,,": ("scope", "scope_malformed"),
        f"{number},marketing, ,2026-05-01,,": ("evidence", "evidence_missing"),
        f"{number},marketing,{'x' * 2001},2026-05-01,,": ("evidence", "cell_too_long"),
        f"{number},marketing,x,last week,,": ("given at", "time_malformed"),
        f"{number},marketing,x,0001-01-01,,": ("given at", "time_malformed"),
        f"{number},marketing,x,2026-06-02,,": ("given at", "time_ahead"),
        f"{number},marketing,x,2026-05-01,,2026-04-01": ("expires at", "ends_before_it_begins"),
        f"{number},marketing,x\0,2026-05-01,,": ("", "nul_character"),
    }
    done = await loaded(pool, tmp_path, *wrong, f"{number},marketing,x,2026-05-01,,", zone="UTC")
    assert [(one.line, one.column, one.error_id) for one in done.rejects] == [
        (line, *said) for line, said in enumerate(wrong.values(), 2)
    ]
    assert (done.accepted, done.rejected) == (1, len(wrong))
    assert done.reject_path is not None
    assert "last week" in await asyncio.to_thread(done.reject_path.read_text)
    (one,) = (await loaded(pool, tmp_path, f"{number},marketing,x,2026-05-01,,")).rejects
    assert one.error_id == "time_without_zone"


async def test_what_is_the_same_for_all_rows_is_said_once(pool: Pool, tmp_path: Path) -> None:
    number = a_number()
    row, header = f"{number},form,2026-05-01", "number,evidence,given at"
    await loaded(pool, tmp_path, row, header=header, scope="service", client="acme", zone="UTC")
    (record,) = await consents.consents_of(pool, number)
    assert (record.scope, record.client) == ("service", "acme")
    for said, error_id in (
        ({}, "consent_columns_missing"),
        ({"scope": "A b"}, "scope_malformed"),
        ({"scope": "a", "zone": "Mars"}, "zone_unknown"),
    ):
        with pytest.raises(BadInput) as refused:
            await loaded(pool, tmp_path, row, header=header, **said)
        assert refused.value.error_id == error_id
    with pytest.raises(BadInput) as refused:
        await loaded(pool, tmp_path, row, header="number,mobile,evidence")
    assert refused.value.error_id == "header_ambiguous"
    assert await pool.fetchval("select count(*) from consent_loads") == 1


async def test_the_same_consent_is_written_once_and_none_that_was_withdrawn_comes_back_to_life(
    pool: Pool, tmp_path: Path
) -> None:
    known, withdrawn = a_number(), a_number()
    rows = [f"{number},marketing,x,2026-05-01,," for number in (known, withdrawn)]
    assert (await loaded(pool, tmp_path, *rows, rows[0], zone="UTC")).known == 1
    await consents.withdraw(pool, withdrawn, now=NOON)
    older = f"{withdrawn},marketing,an older form,2026-04-01,,"
    again = await loaded(pool, tmp_path, *rows, older, zone="UTC")
    assert (again.accepted, again.known) == (1, 2)
    assert all(one.withdrawn_at == NOON for one in await consents.consents_of(pool, withdrawn))


async def test_a_wrong_file_is_taken_back_and_the_right_one_counts(pool: Pool, tmp_path: Path) -> None:
    number, gone = a_number(), a_number()
    rows = [f"{one},marketing,x,2026-05-01,," for one in (number, gone)]
    wrong = await loaded(pool, tmp_path, *rows, zone="UTC")
    await consents.withdraw(pool, gone, now=NOON)
    async with pool.acquire() as conn, conn.transaction():
        assert await undo_load(conn, wrong.id, now=NOON + timedelta(minutes=1)) == 1
        with pytest.raises(Conflict):
            await undo_load(conn, wrong.id, now=NOON)
        with pytest.raises(Missing):
            await undo_load(conn, (await pool.fetchval("select gen_random_uuid()")), now=NOON)
    assert (await loaded(pool, tmp_path, *rows, zone="UTC")).accepted == 1
    assert {one.withdrawn_at is None for one in await consents.consents_of(pool, number)} == {True, False}
    assert all(one.withdrawn_at for one in await consents.consents_of(pool, gone))
