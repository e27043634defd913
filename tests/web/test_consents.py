"""Consent and do-not-call with a reach over HTTP: written with their evidence, masked, audited, and holding at the next claim."""

from __future__ import annotations

from typing import Any

from dialer.domain.roles import Role
from tests.builders import NOON, a_lead, a_number, a_project
from tests.web.conftest import House


async def test_a_consent_is_written_found_and_ended_with_audit_rows_and_without_its_number(house: House) -> None:
    planner, reader = await house.person(Role.PROJECT_MANAGER), await house.person(Role.QA)
    number = a_number()
    given = {
        "number": number,
        "scope": "marketing",
        "evidence": f"form of {number}",
        "granted_at": NOON.isoformat(),
        "client": "acme",
    }
    made = await planner.ask("POST", "/consents", given)
    assert made.status == 201
    found = (await reader.ask("POST", "/consents/find", {"number": number})).body["consents"]
    assert [(one["scope"], one["client"], one["withdrawn_at"]) for one in found] == [("marketing", "acme", None)]
    assert number not in str(found)
    ended = await reader.ask("POST", "/consents/withdraw", {"number": number, "reason": "asked by telephone"})
    assert ended.body == {"ended": 1}
    assert (await reader.ask("POST", "/consents/find", {"number": number})).body["consents"][0]["withdrawn_at"]
    assert len(await house.audited("consent_granted")) == len(await house.audited("consent_withdrawn")) == 1
    assert number not in str([row["detail"] for row in await house.audited("consent_withdrawn")])
    wrong = await planner.ask("POST", "/consents", given | {"expires_at": "2020-01-01T00:00:00Z"})
    assert (wrong.status, wrong.error_id) == (422, "consent_malformed")
    assert (await reader.ask("POST", "/consents", given)).status == 403


async def test_a_file_of_consents_is_written_down_and_taken_back(house: House) -> None:
    planner, reader = await house.person(Role.PROJECT_MANAGER), await house.person(Role.QA)
    number = a_number()
    content = f"number,evidence,given at\n{number},form 7,2020-05-01 09:00\n12,form 8,2020-05-01 09:00\n"
    sent: dict[str, Any] = {"data": content.encode(), "headers": {"Content-Type": "text/csv"}, "file_name": "c.csv"}
    query = {"scope": "marketing", "zone": "Asia/Shanghai"}
    assert (await reader.ask("POST", "/consents/load", query=query, **sent)).status == 403
    wrong = await planner.ask("POST", "/consents/load", query={"zone": "Asia/Shanghai"}, **sent)
    assert (wrong.status, wrong.error_id) == (422, "consent_columns_missing")
    done = await planner.ask("POST", "/consents/load", query=query, **sent)
    assert (done.status, done.body["accepted"], done.body["known"], done.body["rejected"]) == (201, 1, 0, 1)
    [reject] = done.body["rejects"]
    assert (reject["line"], reject["column"], reject["error_id"]) == (3, "number", "number_invalid")
    [found] = (await reader.ask("POST", "/consents/find", {"number": number})).body["consents"]
    assert (found["evidence"], found["granted_at"]) == ("form 7", "2020-05-01T01:00:00Z")
    path = f"/consents/loads/{done.body['id']}/undo"
    assert (await planner.ask("POST", path, {"reason": "the wrong file"})).body == {"ended": 1}
    assert (await planner.ask("POST", path, {"reason": "again"})).error_id == "consent_load_undone"
    assert len(await house.audited("consents_loaded")) == len(await house.audited("consents_load_undone")) == 1


async def test_entries_have_a_reach_an_end_and_a_guard(house: House) -> None:
    admin = await house.person(Role.ADMIN)
    project = await a_project(house.pool)
    number = a_number()
    body: dict[str, Any] = {
        "numbers": [number],
        "reason": "refused",
        "client": "acme",
        "guarded_until": "2099-01-01T00:00:00Z",
    }
    assert (await admin.ask("POST", "/do-not-call", body)).body == {"added": 1}
    assert (await admin.ask("POST", "/do-not-call", body | {"client": "other"})).body == {"added": 1}
    both = await admin.ask("POST", "/do-not-call", body | {"project_id": str(project.id)})
    assert (both.status, both.error_id) == (422, "reach_malformed")
    listed = (await admin.ask("GET", "/do-not-call")).body["items"]
    assert {one["client"] for one in listed} == {"acme", "other"}
    assert {one["category"] for one in listed} == {"own"}
    unknown = await admin.ask("POST", "/do-not-call/remove", {"number": number, "reason": "x"})
    assert (unknown.status, unknown.error_id) == (404, "do_not_call_unknown")
    guarded = await admin.ask("POST", "/do-not-call/remove", {"number": number, "reason": "x", "client": "acme"})
    assert (guarded.status, guarded.error_id) == (409, "do_not_call_guarded")


async def test_lifting_an_entry_says_in_the_audit_log_whose_it_was(house: House) -> None:
    admin, project, number = await house.person(Role.ADMIN), await a_project(house.pool), a_number()
    lead_id = await a_lead(house.pool, project.id, number=number)
    whom = {"client": None, "project_id": str(project.id)}
    for given in ({"client": "acme"}, {"project_id": str(project.id)}):
        await admin.ask("POST", "/do-not-call", {"numbers": [number], "reason": "x", **given})
    lifted = await admin.ask("POST", "/do-not-call/remove", {"number": number, "reason": "a mistake", **whom})
    assert lifted.status == 204
    [row] = await house.audited("do_not_call_removed")
    assert {name: row["detail"][name] for name in whom} == whom
    found = (await admin.ask("POST", "/do-not-call/check", {"number": number})).body["entries"]
    assert [one["client"] for one in found] == ["acme"]
    path = f"/projects/{project.id}/leads/bring-back"
    assert (await admin.ask("POST", path, {"numbers": [number], "reason": "a mistake"})).body == {"leads": 1}
    assert (await admin.ask("GET", f"/leads/{lead_id}")).body["state"] == "new"
    assert number not in str([row["detail"] for row in await house.audited("do_not_call_leads_brought_back")])


async def test_prefixes_and_regions_are_entered_listed_and_taken_off(house: House) -> None:
    admin = await house.person(Role.ADMIN)
    body = {"kind": "prefix", "value": "+8610", "reason": "the client's wish"}
    assert (await admin.ask("POST", "/do-not-call/areas", body)).body == {"added": 1}
    assert (await admin.ask("POST", "/do-not-call/areas", body)).body == {"added": 0}
    wrong = await admin.ask("POST", "/do-not-call/areas", body | {"value": "010"})
    assert (wrong.status, wrong.error_id) == (422, "area_malformed")
    assert [one["value"] for one in (await admin.ask("GET", "/do-not-call/areas")).body["areas"]] == ["+8610"]
    found = (await admin.ask("POST", "/do-not-call/check", {"number": "+861062345678"})).body
    assert (found["listed"], found["entries"][0]["what"]) == (True, "prefix +8610")
    assert (await admin.ask("POST", "/do-not-call/areas/remove", body | {"client": "acme"})).status == 404
    assert (await admin.ask("POST", "/do-not-call/areas/remove", body)).status == 204
    assert (await admin.ask("POST", "/do-not-call/areas/remove", body)).error_id == "do_not_call_unknown"
    assert (await admin.ask("GET", "/do-not-call/lists")).body == {"lists": []}
