"""Where a project masks numbers nobody sees one: every JSON body of every operation is searched."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import pytest

from dialer.domain.roles import Role
from dialer.web.app import all_operations
from dialer.web.masking import scrubbed, without_numbers
from tests.builders import NOON, a_lead, a_project, an_agent, an_attempt
from tests.web.client import Person
from tests.web.conftest import House

NUMBER = "+8613912345678"
LEAK = re.compile(r"139\D{0,3}1234\D{0,3}5678")
NOTE = "Call 139 1234 5678 or +86 139-1234-5678 or 008613912345678 again"


async def a_busy_floor(house: House, *, mask_numbers: bool) -> dict[str, Any]:
    """A project whose number is wherever a number could be."""
    project = await a_project(house.pool, mask_numbers=mask_numbers)
    agent = await an_agent(house.pool, projects=[project.id])
    lead = await a_lead(house.pool, project.id, number=NUMBER, name="王 13912345678",
                        fields={"phone": "13912345678", "second": 13912345678, "nested": {"13912345678": ["139-1234-5678"]}, "order": "77"})  # fmt: skip
    call = await an_attempt(house.pool, project, lead, agent_id=agent)
    await house.pool.execute(
        "update attempts set note = $2, state = 'ended', ended_at = created_at, answered_at = created_at, outcome = 'answered' where id = $1",
        call.attempt_id, NOTE,
    )  # fmt: skip
    recording = await house.pool.fetchval(
        "insert into recordings (attempt_id, lead_id, project_id, agent_id, state, reason, started_at) "
        "values ($1, $2, $3, $4, 'missing', 'spool_lost', $5) returning id",
        call.attempt_id, lead, project.id, agent, NOON,
    )  # fmt: skip
    await house.pool.execute("insert into do_not_call (number, reason, source) values ($1, $2, 'test')", NUMBER, NOTE)
    house.feed.publish("call", str(call.attempt_id), {
        "attempt_id": str(call.attempt_id), "project_id": str(project.id), "lead_id": lead, "number": NUMBER, "mode": "progressive",
        "state": "bridged", "agent_id": str(agent),
    })  # fmt: skip
    house.feed.publish("agent", str(agent), {
        "agent_id": str(agent), "state": "talking", "wanted": "ready", "reason": None, "since": "2026-06-01T04:00:00Z", "seated": True,
        "project_id": str(project.id), "attempt_id": str(call.attempt_id), "lead_id": lead, "call_state": "bridged", "wrap_up_until": None,
        "preview_until": None, "logged_in_at": "2026-06-01T04:00:00Z",
    })  # fmt: skip
    house.engine.explained = {
        **house.engine.explained,
        "number": NUMBER,
        "sentence": f"{NUMBER} was called twice",
        "gates": [NOTE],
    }
    return {
        "project_id": project.id,
        "agent_id": agent,
        "lead_id": lead,
        "call_id": call.attempt_id,
        "recording_id": recording,
    }


async def read_everything(person: Person, ids: dict[str, Any]) -> list[str]:
    """All operations that only read, with the ids of what is there; returns the paths that answered."""
    read = []
    for one in all_operations():
        if one.method != "GET" or one.path in {"/live", "/recordings/{recording_id}/audio"}:
            continue
        path = one.path
        for name in re.findall(r"{(\w+)}", path):
            path = path.replace(f"{{{name}}}", str(ids.get(name, UUID(int=0))))
        answer = await person.ask("GET", path)
        if answer.status == 200:
            read.append(path)
    return read


@pytest.mark.parametrize("role", list(Role))
async def test_a_masked_number_is_in_no_answer_for_no_role(house: House, role: Role) -> None:
    ids = await a_busy_floor(house, mask_numbers=True)
    person = await house.person(role)
    read = await read_everything(person, ids)
    assert read
    for body in person.heard:
        assert not LEAK.search(body), body


async def test_the_agent_in_the_call_sees_everything_but_the_number(house: House) -> None:
    ids = await a_busy_floor(house, mask_numbers=True)
    user_id = await house.pool.fetchval("select user_id from agents where id = $1", ids["agent_id"])
    agent = await house.session_of(user_id)
    desk = await agent.get("/desk/me")
    assert desk["lead"]["number"] == desk["call"]["number"] == "+86139****5678"
    assert desk["lead"]["fields"]["order"] == "77"
    await read_everything(agent, ids)
    for body in agent.heard:
        assert not LEAK.search(body), body


async def test_the_search_would_find_a_number_that_is_shown(house: House) -> None:
    ids = await a_busy_floor(house, mask_numbers=False)
    admin = await house.person(Role.ADMIN)
    await read_everything(admin, ids)
    leaks = [body for body in admin.heard if LEAK.search(body)]
    assert len(leaks) >= 6, "lead, list of leads, calls, call, recordings, why, desk"
    assert (await admin.get(f"/leads/{ids['lead_id']}"))["fields"]["second"] == 13912345678


async def test_a_project_that_begins_to_mask_does_so_at_once(house: House) -> None:
    ids = await a_busy_floor(house, mask_numbers=False)
    admin = await house.person(Role.ADMIN)
    assert (await admin.get(f"/desk/{ids['agent_id']}"))["call"]["number"] == NUMBER
    await admin.do("PATCH", f"/projects/{ids['project_id']}", {"mask_numbers": True})
    assert (await admin.get(f"/desk/{ids['agent_id']}"))["call"]["number"] == "+86139****5678"


async def test_errors_repeat_no_numbers(house: House) -> None:
    admin = await house.person(Role.ADMIN)
    project = await a_project(house.pool)
    for path, body in [
        ("/do-not-call", {"numbers": ["1391234567899"], "reason": "x"}),
        ("/do-not-call/check", {"number": "+86 139 1234 5678 ext 5"}),
        (f"/projects/{project.id}/leads", {"number": "139123456789"}),
        ("/caller-numbers", {"number": "13912345678", "trunk_id": str(UUID(int=1))}),
    ]:
        answer = await admin.ask("POST", path, body)
        assert answer.status == 422
        assert "1391234567" not in answer.raw.decode()
        assert not LEAK.search(answer.raw.decode())


@pytest.mark.parametrize("text", [
    "13912345678", "+8613912345678", "8613912345678", "0086 139 1234 5678", "(139) 1234-5678", "139.1234.5678", "x139 12345678y",
])  # fmt: skip
def test_a_number_is_found_in_whatever_way_it_is_written(text: str) -> None:
    assert not LEAK.search(scrubbed(text, NUMBER, masked=True))
    assert scrubbed(text, NUMBER, masked=False) == text


def test_other_digits_stay_as_they_are() -> None:
    assert (
        scrubbed("order 20260601, 3 pieces, 010-12345678", NUMBER, masked=True)
        == "order 20260601, 3 pieces, 010-12345678"
    )


def test_texts_of_unknown_origin_lose_all_numbers_and_keep_ids_and_times() -> None:
    given = {
        "a": NOTE,
        "b": 13912345678,
        "id": "00000000-0000-4000-8000-000000000001",
        "at": "2026-06-01T04:00:00.123456+00:00",
        "n": 42,
        "x": [None, True],
    }
    made = without_numbers(given)
    assert not LEAK.search(str(made))
    assert {name: made[name] for name in ("id", "at", "n", "x")} == {
        name: given[name] for name in ("id", "at", "n", "x")
    }


@pytest.mark.parametrize("written", [
    "138-1234-5678", "１３８１２３４５６７８", "138_1234_5678", "138，1234，5678", "138—1234—5678", "138·1234·5678", "138 ,1234, 5678", "138:1234:5678",
    "138\u200b1234\u200b5678", "(+86)13812345678", "0086 138 1234 5678", "一三八一二三四五六七八", "幺三八幺二三四五六七八",
])  # fmt: skip
def test_a_number_is_found_in_whatever_way_a_person_writes_it(written: str) -> None:
    text = f"请打 {written} 找王先生，房间１２"
    found = scrubbed(text, "+8613812345678", masked=True)
    assert written not in found
    assert "+86138****5678" in found
    assert found.endswith("找王先生，房间１２")
    assert scrubbed(text, "+8613812345679", masked=True) == text


@pytest.mark.parametrize("written", ["１３８１２３４５６７８", "138_1234_5678", "138·1234·5678", "13812345678"])
def test_a_number_nobody_knows_is_found_in_any_text(written: str) -> None:
    assert written not in without_numbers({"x": [f"打 {written}"]})["x"][0]
    assert without_numbers("2026-03-10T12:00:00+00:00 房间１２") == "2026-03-10T12:00:00+00:00 房间１２"


async def test_the_note_of_a_pause_and_the_tags_of_a_recording_hide_the_number_too(house: House) -> None:
    ids = await a_busy_floor(house, mask_numbers=True)
    number = await house.pool.fetchval("select number from leads where id = $1", ids["lead_id"])
    pause = {
        "from_ms": 0, "to_ms": 1, "reason": "other", "note": f"read out {number}", "agent_id": str(ids["agent_id"]), "started_at": "2026-01-01T00:00:00Z",
        "ended_at": None, "ended_by": None,
    }  # fmt: skip
    await house.pool.execute(
        "update recordings set tags = $2, pauses = $3 where id = $1", ids["recording_id"], [number], [pause]
    )
    listener = await house.person(Role.QA)
    await listener.get(f"/recordings/{ids['recording_id']}")
    for body in listener.heard:
        assert not LEAK.search(body), body
