"""Text from outside, all the way: from the file and the carrier's headers to originate, feed, API and call records. It stays text."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from dialer.domain.commands import AgentLogin, StartProject, WrapUp
from dialer.domain.states import AgentState
from lab.api_client import ApiClient
from lab.carrier import Behaviour, number_for
from lab.floor import ADMIN
from lab.waiting import wait_until
from tests.faults.call_centre import CallCentre
from tests.faults.hostile_carrier import INJECTIONS, HostileCarrier
from tests.system.engine.conftest import Floor

pytestmark = [
    pytest.mark.system,
    pytest.mark.faults,
    pytest.mark.services,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(180),
]

TEXTS = [
    'O"Brien, "Bob"; \\',
    "first line\r\nAction: Originate\r\nChannel: Local/s@waihu-hold",
    "two\nlines",
    "${SYSTEM(touch /var/log/asterisk/owned)}$[1/0]${ENV(PATH)}",
    "=cmd|'/C calc'!A1",
    "'; drop table leads; --",
    "<script>alert(1)</script>",
]
BAD_NUMBERS = (
    "13810100000\r\nAction: Hangup",
    "${EXTEN}",
    "13810100000,30,tT",
    "13810100000@evil&PJSIP/1",
    "1" * 10_000,
    "",
)
COLUMNS = 16  # of a line in the call records


async def test_hostile_names_and_fields_of_an_import_are_dialled_and_shown_as_they_are(centre: CallCentre) -> None:
    names = [*TEXTS, "n" * 10_240]
    numbers = [
        number_for(Behaviour.HUMAN, ring_code=0, talk_code=9, serial=7_000 + place, prefix="137")
        for place in range(len(names))
    ]
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["number", "name", "note"])
    for number, name in zip(numbers, names, strict=True):
        writer.writerow([number, name, name[:3000]])
    for number in BAD_NUMBERS:
        writer.writerow([number, "somebody", ""])
    async with ApiClient(centre.floor.url) as admin:
        await admin.log_in(ADMIN, centre.floor.admin_password)
        result = await admin.upload(
            f"/projects/{centre.project_id}/imports", out.getvalue().encode(), file_name="${x}\"'; rm -rf.csv"
        )
        assert result["accepted"] == len(TEXTS)
        assert result["rejected"] == len(BAD_NUMBERS) + 1

        shown = await dial_them_all(centre, len(TEXTS))
        ids = await centre.fetch("select id, number from leads where number = any($1::text[])", numbers)
        by_id = {lead["id"]: lead for lead in await admin.all(f"/projects/{centre.project_id}/leads")}
        leads = {row["number"]: by_id[row["id"]] for row in ids}  # the API masks numbers
        for number, text in zip(numbers, TEXTS, strict=False):
            assert leads[number]["name"] == text.strip()
            assert leads[number]["fields"]["note"] == text.strip()
            calls = await admin.get(f"/leads/{leads[number]['id']}/calls")
            assert [call["outcome"] for call in calls["items"]] == ["connected"]
    assert shown == {leads[number]["id"] for number in numbers[: len(TEXTS)]}
    records = call_records(centre.floor.node.cdr_file.read_text(encoding="utf-8", errors="replace"))
    assert not (centre.floor.node.log_dir / "owned").exists()
    assert all(len(record) == COLUMNS for record in records)
    carried = [call.number for call in centre.floor.carrier.cdr() if call.number in numbers]
    assert sorted(carried) == sorted(numbers[: len(TEXTS)])


async def dial_them_all(centre: CallCentre, count: int) -> set[Any]:
    """Every lead is called, each wrapped up with hostile words; gives the leads that the feed showed."""
    [seat] = centre.seats
    await centre.engine.execute(AgentLogin(agent_id=seat.agent_id, device_id=seat.device_id, wanted="ready"))
    await centre.engine.execute(StartProject(project_id=centre.project_id))
    shown: set[Any] = set()
    wrapped = 0

    async def all_wrapped() -> bool:
        nonlocal wrapped
        agent = await centre.agent()
        if agent.get("lead_id"):
            shown.add(agent["lead_id"])
        if agent.get("state") == "wrap_up":
            text = TEXTS[wrapped]
            await centre.engine.execute(
                WrapUp(agent_id=seat.agent_id, disposition="agreed", note=text, fields={"said": text})
            )
            wrapped += 1
        else:
            await centre.work()
        return wrapped == count

    await wait_until(all_wrapped, timeout_s=90, what="all leads called")
    return shown


def call_records(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


@pytest.mark.parametrize("poison", INJECTIONS, ids=range(len(INJECTIONS)))
async def test_poisoned_headers_of_an_answer_and_of_the_hang_up_stay_text(floor: Floor, poison: str) -> None:
    engine = await floor.start()
    project = await floor.project(ring_timeout_s=5)
    await floor.pool.execute("update trunks set endpoint = 'hostile'")
    agent_id = await floor.agent(project)
    sessions = engine.parts.ami.counters.sessions
    async with HostileCarrier(poison) as carrier:
        lead_id = await floor.lead(project)
        call = await floor.talking(agent_id)
        carrier.hang_up((floor.node.sip_host, floor.node.sip_port))
        [row] = await floor.ended(1, timeout_s=20)
    assert (row["outcome"], row["lead_id"], row["agent_id"]) == ("connected", lead_id, agent_id)
    await floor.becomes(agent_id, AgentState.READY)
    await nothing_broke(floor, sessions, call.channel_id)


@pytest.mark.parametrize(("status", "outcome"), [(486, "busy"), (603, "rejected"), (404, "vacant"), (699, None)])
async def test_poisoned_refusals_are_recorded_by_their_status(floor: Floor, status: int, outcome: str | None) -> None:
    engine = await floor.start()
    project = await floor.project(ring_timeout_s=5)
    await floor.pool.execute("update trunks set endpoint = 'hostile'")
    agent_id = await floor.agent(project)
    sessions = engine.parts.ami.counters.sessions
    async with HostileCarrier(INJECTIONS[0]) as carrier:
        carrier.answer_invites_with = [status]
        await floor.lead(project)
        [row] = await floor.ended(1, timeout_s=20)
    assert outcome is None or row["outcome"] == outcome
    assert row["outcome"] != "connected"
    await floor.becomes(agent_id, AgentState.READY)
    await nothing_broke(floor, sessions, "")


async def nothing_broke(floor: Floor, sessions: int, channel_id: str) -> None:
    """The session with Asterisk is the same, no event was malformed, the records have their columns, no command ran."""
    counters = floor.engine.parts.ami.counters
    assert (counters.sessions, counters.sessions_lost, counters.malformed) == (sessions, 0, 0)
    assert floor.engine.asterisk_up
    assert not (floor.node.log_dir / "owned").exists()

    def record() -> list[list[str]]:
        return call_records(floor.node.cdr_file.read_text(encoding="utf-8", errors="replace"))

    await floor.until(lambda: not channel_id or any(row[0] == channel_id for row in record()), "the call record", 10)
    assert all(len(row) == COLUMNS for row in record())
