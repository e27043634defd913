"""The pool over the API: facts, limits, certificates; every change is in the audit log and told to the engine before it is answered."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from typing import Any

import pytest

from campaigns.projects import Project
from dialer.domain.commands import ReloadProject
from dialer.domain.roles import Role
from tests.builders import a_project, a_trunk, an_attempt
from tests.web.client import Person
from tests.web.conftest import House

PDF = b"%PDF-1.7 a certificate"
FILE = {"file_name": "号码证书.pdf", "valid_from": "2026-01-01", "valid_until": "2026-12-31", "content": base64.b64encode(PDF).decode()}  # fmt: skip


async def a_listed_number(house: House) -> tuple[Person, Project, str]:
    project = await a_project(house.pool)
    return await house.person(Role.NETWORK), project, f"/caller-numbers/{project.caller_numbers[0].id}"


async def audited(house: House, project: Project) -> list[str]:
    rows = await house.pool.fetch("select action from audit_log where subject_id = $1 order by id", str(project.caller_numbers[0].id))  # fmt: skip
    return [row["action"] for row in rows]


async def test_new_number_is_at_home_where_the_tables_or_the_numbering_plan_say(house: House) -> None:
    admin, trunk = await house.person(Role.ADMIN), await a_trunk(house.pool)
    known = await admin.do("POST", "/caller-numbers", {"number": "+862512345678", "trunk_id": str(trunk.id), "owner": "Acme", "purposes": ["surveys"]})  # fmt: skip
    assert (known["province"], known["city"], known["owner"], known["purposes"]) == (
        "江苏",
        "南京",
        "Acme",
        ["surveys"],
    )
    said = await admin.do("POST", "/caller-numbers", {"number": "+862112345678", "trunk_id": str(trunk.id), "province": "浙江省", "city": "杭州市"})  # fmt: skip
    assert (said["province"], said["city"], said["certified"]) == ("浙江", "杭州", None)


@pytest.mark.parametrize(
    ("method", "what", "body", "action", "shown"),
    [
        ("PATCH", "", {"state": "resting", "why": "complaints", "rests_until": "2026-12-01T00:00:00Z"}, "caller_number_changed", {"state": "resting", "why": "complaints", "rests_until": "2026-12-01T00:00:00Z"}),
        ("PATCH", "/facts", {"owner": "Acme", "purposes": ["b", "a"], "city": "苏州市"}, "caller_number_described", {"owner": "Acme", "purposes": ["a", "b"], "city": "苏州"}),
        ("PUT", "/limits", {"max_per_day": 200, "cool_after_calls": 20, "cool_min": 30}, "caller_number_limited", {"max_per_day": 200, "cool_after_calls": 20, "cool_min": 30, "max_channels": None}),
        ("POST", "/certificates", FILE, "certificate_added", {"file_name": "号码证书.pdf", "size": len(PDF), "sha256": hashlib.sha256(PDF).hexdigest()}),
    ],
    ids=["state", "facts", "limits", "certificate"],
)  # fmt: skip
async def test_every_change_is_shown_audited_and_told_to_the_engine(
    house: House, method: str, what: str, body: dict[str, Any], action: str, shown: dict[str, Any]
) -> None:
    network, project, path = await a_listed_number(house)
    answer = await network.do(method, path + what, body)
    assert answer.items() >= shown.items()
    assert await audited(house, project) == [action]
    assert house.engine.commands == [ReloadProject(project_id=project.id)]


@pytest.mark.parametrize(
    ("method", "what", "body", "status", "error_id"),
    [
        ("PATCH", "", {"state": "active", "why": "", "rests_until": "2026-12-01T00:00:00Z"}, 422, "rest_end_without_rest"),
        ("PATCH", "", {"state": "retired", "why": ""}, 422, "reason_missing"),
        ("PUT", "/limits", {"cool_min": 5}, 422, "cool_down_half"),
        ("PATCH", "/facts", {"purposes": ["Insurance Sales"]}, 422, "invalid_request"),
        ("PATCH", "/facts", {"zone": "Mars/Olympus"}, 422, "invalid_request"),
        ("POST", "/certificates", FILE | {"valid_until": "2025-12-31"}, 422, "certificate_days"),
        ("POST", "/certificates", FILE | {"content": ""}, 422, "certificate_size"),
        ("POST", "/certificates/00000000-0000-0000-0000-000000000000/withdraw", {"why": "expired"}, 404, "certificate_unknown"),
    ],
)  # fmt: skip
async def test_what_cannot_be_is_refused_by_name_and_changes_nothing(
    house: House, method: str, what: str, body: dict[str, Any], status: int, error_id: str
) -> None:
    network, project, path = await a_listed_number(house)
    answer = await network.ask(method, path + what, body)
    assert (answer.status, answer.error_id) == (status, error_id)
    assert await audited(house, project) == []
    assert await house.pool.fetchval("select certified from caller_numbers where id = $1", project.caller_numbers[0].id) is None  # fmt: skip


@pytest.mark.parametrize(("size", "status", "error_id"), [(5 * 1024 * 1024 + 1, 422, "certificate_size"), (7 * 1024 * 1024, 413, "body_too_large")])  # fmt: skip
async def test_certificate_that_is_too_large_is_not_kept(house: House, size: int, status: int, error_id: str) -> None:
    network, _, path = await a_listed_number(house)
    body = json.dumps(FILE | {"content": base64.b64encode(bytes(size)).decode()}).encode()
    answer = await network.ask("POST", f"{path}/certificates", data=io.BytesIO(body), headers={"Content-Type": "application/json"})  # fmt: skip
    assert (answer.status, answer.error_id) == (status, error_id)
    assert (await network.get(f"{path}/certificates"))["items"] == []


async def test_certificates_cover_their_days_until_they_are_withdrawn_and_their_files_come_back(house: House) -> None:
    network, project, path = await a_listed_number(house)
    first = await network.do("POST", f"{path}/certificates", FILE)
    again = await network.ask("POST", f"{path}/certificates", FILE)
    assert (again.status, again.error_id) == (409, "certificate_there")
    second = await network.do("POST", f"{path}/certificates", FILE | {"valid_from": "2027-01-01", "valid_until": "2027-06-30"})  # fmt: skip
    assert await covered(network) == [{"first": "2026-01-01", "last": "2027-06-30"}]
    file = await network.ask("GET", f"{path}/certificates/{first['id']}/file")
    assert (file.status, file.raw) == (200, PDF)
    gone = await network.do("POST", f"{path}/certificates/{first['id']}/withdraw", {"why": "revoked by the carrier"})
    assert gone["withdrawn_why"] == "revoked by the carrier"
    assert await covered(network) == [{"first": "2027-01-01", "last": "2027-06-30"}]
    await network.do("POST", f"{path}/certificates/{second['id']}/withdraw", {"why": "wrong file"})
    assert await covered(network) == [], "it had certificates, so without one it is not shown"
    assert [one["withdrawn_why"] for one in (await network.get(f"{path}/certificates"))["items"]] == ["wrong file", "revoked by the carrier"]  # fmt: skip
    assert await audited(house, project) == ["certificate_added"] * 2 + ["certificate_withdrawn"] * 2


async def covered(person: Person) -> Any:
    return (await person.get("/caller-numbers"))["items"][0]["certified"]


async def test_health_says_how_a_number_does_against_the_others_with_its_interval(house: House) -> None:
    project = await a_project(house.pool, caller_number_count=3)
    manager = await house.person(Role.PROJECT_MANAGER)
    for one, answered in zip(project.caller_numbers, (40, 150, 152), strict=True):
        await house.pool.execute(
            "insert into caller_number_hours values ($1, date_trunc('hour', now() - interval '1 hour'), $2, 500, $3, 3)", one.number, project.id, answered
        )  # fmt: skip
    bad, good = [await manager.get(f"/caller-numbers/{one.id}/health") for one in project.caller_numbers[:2]]
    assert (bad["calls"], bad["answered"], bad["short"], bad["complaints"]) == (500, 40, 3, 0)
    [answers] = [one for one in bad["drifts"] if one["measure"] == "answers"]
    assert (answers["own"], answers["alarm"]) == (0.08, True)
    assert answers["low"] < 0.08 - 302 / 1000 < answers["high"] < 0
    assert not any(one["alarm"] for one in good["drifts"])
    await house.pool.execute("update caller_numbers set state = 'retired', why = 'x' where id = $1", project.caller_numbers[0].id)  # fmt: skip
    gone = await manager.ask("GET", f"/caller-numbers/{project.caller_numbers[0].id}/health")
    assert (gone.status, gone.error_id) == (404, "caller_number_retired")


async def test_complaints_are_written_down_for_a_number_and_for_the_number_a_call_showed(house: House) -> None:
    network, project, path = await a_listed_number(house)
    leader = await house.person(Role.TEAM_LEADER)
    call = await an_attempt(house.pool, project)
    complaint = {"source": "carrier", "note": "case 4711"}
    assert (await network.ask("POST", f"{path}/complaints", complaint)).status == 204
    assert (await leader.ask("POST", f"/calls/{call.attempt_id}/complaint", {"source": "customer"})).status == 204
    again = await leader.ask("POST", f"/calls/{call.attempt_id}/complaint", {"source": "customer"})
    assert (again.status, again.error_id) == (409, "complaint_there")
    unknown = await leader.ask("POST", f"/calls/{project.id}/complaint", {"source": "customer"})
    assert (unknown.status, unknown.error_id) == (404, "attempt_unknown")
    assert (await network.ask("POST", f"{path}/complaints", {"source": "nobody"})).error_id == "invalid_request"
    assert (await network.get(f"{path}/health"))["complaints"] == 2
    assert await audited(house, project) == ["caller_number_complaint"]


async def test_only_those_who_keep_telephony_change_the_pool(house: House) -> None:
    _, _, path = await a_listed_number(house)
    manager = await house.person(Role.PROJECT_MANAGER)
    for method, what, body in (("PATCH", "/facts", {"owner": "me"}), ("POST", "/certificates", FILE)):
        assert (await manager.ask(method, path + what, body)).error_id == "role_not_allowed"
    assert (await manager.get(f"{path}/certificates"))["items"] == []
