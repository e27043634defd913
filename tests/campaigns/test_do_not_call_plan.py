"""A do-not-call list is looked up by index, however long it is: the plan has no scan of it, alone and inside the claim."""

from __future__ import annotations

from uuid import UUID

import pytest

from campaigns.claim_sql import CLAIM
from campaigns.do_not_call_sql import listed
from campaigns.sql import Pool
from tests.builders import a_project, a_request

pytestmark = pytest.mark.services


@pytest.fixture
async def long_lists(pool: Pool) -> Pool:
    await pool.execute(
        "insert into do_not_call (number, reason, source) select '+86138' || lpad(i::text, 8, '0'), 'x', 'x' from generate_series(1, 30000) i"
    )
    await pool.execute(
        "insert into callees select '+86138' || lpad(i::text, 8, '0'), array[now()], array[gen_random_uuid()], array[''], array[null::timestamptz], array[null::timestamptz] from generate_series(1, 30000) i"
    )
    await pool.execute("analyze do_not_call, callees")
    return pool


async def test_a_lookup_is_an_index_step(long_lists: Pool) -> None:
    condition = listed(number="$1::text", client="$2::text", project="$3::uuid", region="$4::text", at="now()")
    plan = await long_lists.fetch(f"explain select {condition}", "+8613800000001", "acme", UUID(int=1), None)
    text = "\n".join(row[0] for row in plan)
    assert "do_not_call_number on do_not_call" in text
    assert "Seq Scan on do_not_call d" not in text


async def test_the_claim_scans_neither_the_list_nor_the_callees(long_lists: Pool) -> None:
    project = await a_project(long_lists)
    await long_lists.execute(
        "insert into leads (project_id, number) select $1, '+86139' || lpad(i::text, 8, '0') from generate_series(1, 30000) i",
        project.id,
    )
    await long_lists.execute("analyze leads")
    asked = a_request(project, 5)
    plan = await long_lists.fetch(
        f"explain {CLAIM}", asked.project_id, asked.now, 5, asked.node, asked.trunk_id, asked.attempt_ids, [one.number for one in asked.offers],
        asked.mode.value, None, None, None, [""], [""], [one.room for one in asked.offers], [one.uses for one in asked.offers],
    )  # fmt: skip
    text = "\n".join(row[0] for row in plan)
    for table in ("do_not_call d", "callees c", "leads l"):
        assert f"Seq Scan on {table}" not in text
    assert "leads_dialable" in text
