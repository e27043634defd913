"""Ten thousand tries to show a number that is not on the project's list; none succeeds.

A try is one number that should not be shown, put in by one way. Where they are checked:

- 6,000 numbers offered to the claim itself, as a lying engine would: in the row of the attempt (`test_no_number_that_is_offered_...`);
- 2,400 rows of a list whose columns and names ask for another number: in the Originate that is built for each (`test_no_column_...`);
- 1,600 calls for which the number is withdrawn while they are claimed: in the answer of the last gate (`test_no_number_that_is_withdrawn_...`).

Further: 400 requests over HTTP that name a number (`tests/web/test_unlisted_numbers.py`), and 400 calls through the engine and a real Asterisk while numbers
come and go, read off the wire (`tests/system/engine/test_unlisted_numbers.py`).
"""

from __future__ import annotations

import asyncio
import csv
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from campaigns.caller_numbers import pool as caller_numbers
from campaigns.caller_numbers.last_gate import may_go
from campaigns.caller_numbers.number import Offer
from campaigns.claim import ClaimedLead, claim, claim_number
from campaigns.errors import Refused
from campaigns.importing.run import import_file
from campaigns.projects import Project
from campaigns.sql import Pool
from campaigns.states import CallerNumberState
from dialer.domain.pacing import Mode
from dialer.engine.floor import Call
from dialer.engine.sending import originate
from tests.builders import NOON, a_caller_number, a_lead, a_number, a_project, a_request, a_trunk

pytestmark = pytest.mark.services

INJECTIONS = (
    "' or 1=1 --", "'; update caller_numbers set state = 'active'; --", "+8613800000000\r\nVariable: CALLERID(num)=95588", "95588", "+8695588,30,tT", "${CALLERID(num)}",
    "{+862155550000}", "%", "\\", "+86 2155550000", "０２１５５５５００００", "", "null", "+862155550000;isub=1", "anonymous", "<sip:95588@bank>",
)  # fmt: skip
OFFERED, CLAIMS = 20, 300
ROWS = 2_400
RACES = 1_600


async def a_hostile_pool(pool: Pool) -> tuple[Project, str, list[str]]:
    """A project with one number it may show, and numbers it may not: of another project, another trunk, retired, resting, expired, for something else, unknown."""
    trunk, other_trunk = await a_trunk(pool), await a_trunk(pool)
    project = await a_project(pool, trunk=trunk, caller_number_count=0, purpose="insurance_sales", daily_cap_per_number=100)  # fmt: skip
    good = await a_caller_number(pool, trunk.id)
    listed, hostile = [good.id], [a_number() for _ in range(4)]
    for columns in ({"state": "retired"}, {"state": "resting"}, {"certified": "{[2025-01-01,2026-06-01)}"}, {"certified": "{}"}, {"purposes": "{surveys}"}, {"cools_until": "2026-06-01T05:00:00Z"}, {"trunk_id": str(other_trunk.id)}):  # fmt: skip
        one = await a_caller_number(pool, trunk.id)
        for name, value in columns.items():
            kind = {"purposes": "text[]", "certified": "datemultirange", "cools_until": "timestamptz", "trunk_id": "uuid"}.get(name, "text")  # fmt: skip
            await pool.execute(f"update caller_numbers set {name} = $1::text::{kind} where id = $2", value, one.id)
        listed.append(one.id)
        hostile.append(one.number)
    hostile.append((await a_caller_number(pool, trunk.id)).number)  # of the trunk, on no list
    hostile.append((await a_project(pool, trunk=trunk)).caller_numbers[0].number)  # on another project's
    await caller_numbers.allow(pool, project.id, listed)
    ours = good.number
    hostile += [ours[1:], "00" + ours[1:], ours + " ", " " + ours, ours + "0", ours[:-1], ours.replace("1", "１")]
    return project, ours, hostile + list(INJECTIONS)


async def test_no_number_that_is_offered_to_the_claim_is_shown_unless_the_project_may_show_it(pool: Pool) -> None:
    rng = random.Random(4)
    project, ours, hostile = await a_hostile_pool(pool)
    tries = 0
    for turn in range(CLAIMS):
        offered = [Offer(number=rng.choice(hostile), room=rng.randint(1, 9)) for _ in range(OFFERED)]
        tries += len(offered)
        with_ours = turn % 3 == 0
        if with_ours:
            offered.insert(rng.randint(0, OFFERED), Offer(number=ours, room=1, uses=50))
        request = replace(a_request(project), offers=tuple(offered))
        lead_id = await a_lead(pool, project.id, last_caller_number=rng.choice(hostile))
        claimed = await refused_or(claim_number(pool, request, lead_id=lead_id) if turn % 2 else claim(pool, request))
        assert [one.caller_number for one in claimed] == [ours] * with_ours
        await pool.execute("delete from live_attempts; delete from leads where state <> 'in_flight'")
    assert tries == OFFERED * CLAIMS == 6_000
    assert {row["caller_number"] for row in await pool.fetch("select distinct caller_number from attempts")} == {ours}


async def refused_or(asked: Any) -> list[ClaimedLead]:
    try:
        found = await asked
    except Refused as refused:
        assert refused.error_id == "caller_number_refused"  # noqa: PT017 -- both answers are right, another refusal is not
        return []
    return found if isinstance(found, list) else [found]


async def test_no_column_and_no_name_of_a_list_says_which_number_is_shown(pool: Pool, tmp_path: Path) -> None:
    project, ours, hostile = await a_hostile_pool(pool)
    headers = ["手机号", "姓名", "主显号码", "caller_number", "透传号码", "CallerID", "last_caller_number", "WAIHU_CALLER_NUMBER", "P-Asserted-Identity"]  # fmt: skip
    path = tmp_path / "list.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(headers)
        for row in range(ROWS):
            bad = hostile[row % len(hostile)] or "95588"
            writer.writerow([f"139{row:08d}", f'"{bad}" <{bad}>', *[bad] * (len(headers) - 2)])
    taken = await import_file(pool, project_id=project.id, path=path, reject_dir=tmp_path)
    assert (taken.accepted, taken.rejected) == (ROWS, 0)
    assert project.trunk is not None
    built = 0
    while claimed := await claim(pool, replace(a_request(project, 400), offers=(Offer(number=ours, room=400),))):
        for lead in claimed:
            call = Call(
                attempt_id=lead.attempt_id, project_id=project.id, lead_id=lead.lead_id, number=lead.number, name=lead.name, fields=lead.fields,
                mode=Mode.PROGRESSIVE, trunk_id=project.trunk.id, caller_number=lead.caller_number, created_at=NOON, placed_s=0.0,
            )  # fmt: skip
            headers_sent = originate(call, project, project.trunk).headers
            text = "\n".join(f"{name}: {value}" for name, value in headers_sent if "WAIHU_" not in value and name != "ChannelId")  # fmt: skip
            assert set(re.findall(r"\+?[0-9]{5,}", text)) == {lead.number, ours, "30000"}
            built += 1
    assert built == ROWS


async def test_no_number_that_is_withdrawn_passes_the_last_gate_afterwards(pool: Pool) -> None:
    """Claims and gates run while another task lists and retires; a gate that is asked after a withdrawal was committed, and answered before it was taken back, must not let the number through."""
    project = await a_project(pool, caller_number_count=4, daily_cap_per_number=100)
    assert project.trunk is not None
    trunk_id, numbers = project.trunk.id, list(project.caller_numbers)
    await pool.execute(
        "insert into leads (project_id, number) select $1, '+86137' || lpad(i::text, 8, '0') from generate_series(1, $2) i", project.id, RACES
    )  # fmt: skip
    clock = asyncio.get_running_loop().time
    gone: dict[str, list[tuple[float, float]]] = {one.number: [] for one in numbers}
    passed: list[tuple[float, float, frozenset[str]]] = []
    done = 0

    async def changes() -> None:
        rng = random.Random(7)
        while done < RACES:
            one = rng.choice(numbers)
            if rng.random() < 0.5:
                await caller_numbers.set_state(pool, one.id, CallerNumberState.RETIRED, "given back")
                since = clock()
                await asyncio.sleep(0)
                gone[one.number].append((since, clock()))
                await caller_numbers.set_state(pool, one.id, CallerNumberState.ACTIVE, "again")
            else:
                await caller_numbers.allow(pool, project.id, [two.id for two in numbers if two is not one])
                since = clock()
                await pool.fetchval("select 1")
                gone[one.number].append((since, clock()))
                await caller_numbers.allow(pool, project.id, [two.id for two in numbers])

    async def calls() -> None:
        nonlocal done
        while done < RACES:
            for lead in await refused_or(claim(pool, replace(a_request(project, 8), offers=tuple(Offer(number=one.number, room=2) for one in numbers)))):  # fmt: skip
                asked = clock()
                may = await may_go(pool, project.id, trunk_id, [lead.caller_number], diversion=None, now=NOON)
                passed.append((asked, clock(), may))
                done += 1

    async with asyncio.TaskGroup() as tasks:
        for place in range(3):
            tasks.create_task(calls(), name=f"calls {place}")
        tasks.create_task(changes(), name="changes")
    assert len(passed) >= RACES
    assert sum(len(times) for times in gone.values()) > 20
    for asked, answered, may in passed:
        for number in may:
            assert not any(since <= asked and answered <= until for since, until in gone[number])
