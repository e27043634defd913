"""What is no good request, what is too much, and lists that go on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from dialer.db.audit_trail import Entry
from dialer.domain.roles import Role
from dialer.web.deps import WebSettings
from dialer.web.parts import PARTS
from tests.builders import NOON, a_lead, a_project, an_attempt
from tests.web.client import Person
from tests.web.conftest import House


async def pages(person: Person, path: str, limit: int, **query: Any) -> list[list[Any]]:
    """All pages of a list."""
    read, cursor = [], None
    while True:
        page = await person.get(path, limit=limit, **query, **({"cursor": cursor} if cursor else {}))
        read.append(page["items"])
        cursor = page["next"]
        if cursor is None:
            return read


async def test_every_list_is_walked_to_its_end_without_doubles_or_gaps(house: House) -> None:
    admin = await house.person(Role.ADMIN)
    project = await a_project(house.pool)
    for index in range(7):
        lead = await a_lead(house.pool, project.id)
        call = await an_attempt(house.pool, project, lead)
        await house.pool.execute(
            "insert into recordings (attempt_id, project_id, state, reason, created_at) values ($1, $2, 'missing', 'x', $3)",
            call.attempt_id, project.id, NOON,
        )  # fmt: skip
        await admin.do(
            "POST", "/users", {"login": f"u{index}", "display_name": "x", "role": "qa", "password": "0123456789"}
        )
        await admin.do("POST", "/tokens", {"name": f"t{index}"})
        await admin.do("POST", "/projects", {"name": f"p{index}"})
    await house.pool.execute(
        "insert into do_not_call (number, reason, source, created_at) select '+86138' || i, 'x', 'x', $1 from generate_series(10000000, 10000006) i",
        NOON,
    )
    for path, count in [
        (f"/projects/{project.id}/leads", 7), ("/calls", 7), ("/recordings", 7), ("/users", 8), ("/tokens", 7), ("/projects", 8), ("/do-not-call", 7),
        ("/audit", 21),
    ]:  # fmt: skip
        whole = [item for page in await pages(admin, path, 500) for item in page]
        assert len(whole) == count, path
        for limit in (1, 3, 7):
            parts = await pages(admin, path, limit)
            assert [item for page in parts for item in page] == whole, f"{path} by {limit}"
            assert all(len(page) == limit for page in parts[:-1])


async def test_no_cursor_of_the_do_not_call_list_carries_a_number(house: House) -> None:
    import base64

    admin = await house.person(Role.ADMIN)
    await admin.do("POST", "/do-not-call", {"numbers": ["13812345678", "13812345679"], "reason": "x"})
    cursor = (await admin.get("/do-not-call", limit=1))["next"]
    assert "12345" not in base64.urlsafe_b64decode(cursor + "==").decode()


async def test_a_cursor_of_another_list_is_refused(house: House) -> None:
    admin = await house.person(Role.ADMIN)
    for name in ("a", "b"):
        await admin.do("POST", "/projects", {"name": name})
    cursor = (await admin.get("/projects", limit=1))["next"]
    for path in ("/calls", "/audit", "/recordings", "/do-not-call"):
        assert (await admin.ask("GET", path, cursor=cursor)).error_id == "cursor_invalid", path


@pytest.mark.parametrize(("data", "kind", "status", "error_id"), [
    (b"", "application/json", 422, "invalid_request"),
    (b"{", "application/json", 422, "invalid_request"),
    (b"[]", "application/json", 422, "invalid_request"),
    (b"null", "application/json", 422, "invalid_request"),
    (b'{"name": "\xff\xfe"}', "application/json", 422, "invalid_request"),
    (b'{"name": "\\ud800"}', "application/json", 422, "invalid_request"),
    (b'{"name": "a", "extra": 1}', "application/json", 422, "invalid_request"),
    (b'{"name": 5}', "application/json", 422, "invalid_request"),
    (b"[" * 100_000, "application/json", 422, "invalid_request"),
    (b'{"name": "a"}', "text/plain", 415, "unsupported_media_type"),
    (b"name=a", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
    (b'{"name": "' + b"a" * 300_000 + b'"}', "application/json", 413, "body_too_large"),
])  # fmt: skip
async def test_a_body_that_is_none_of_ours_is_refused_plainly(
    house: House, data: bytes, kind: str, status: int, error_id: str
) -> None:
    admin = await house.person(Role.ADMIN)
    answer = await admin.ask("POST", "/projects", data=data, headers={"Content-Type": kind})
    assert (answer.status, answer.error_id) == (status, error_id)


async def test_nothing_unasked_is_taken(house: House) -> None:
    admin = await house.person(Role.ADMIN)
    project = await a_project(house.pool)
    assert (await admin.ask("GET", "/session", extra=1)).error_id == "invalid_request"
    assert (await admin.ask("GET", "/projects", extra=1)).error_id == "invalid_request"
    assert (await admin.ask("POST", f"/projects/{project.id}/start", {"now": True})).error_id == "invalid_request"
    async with house.http.get(f"{house.base}/api/v1/projects?limit=1&limit=2", headers=admin.headers()) as response:
        assert (response.status, (await response.json())["error_id"]) == (422, "invalid_request")


async def test_paths_and_methods_there_are_not_are_said_plainly(house: House) -> None:
    admin = await house.person(Role.ADMIN)
    assert (await admin.ask("GET", "/nothing")).error_id == "no_such_path"
    answer = await admin.ask("DELETE", "/projects")
    assert (answer.status, answer.error_id) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET,POST"


@pytest.mark.parametrize("settings", [WebSettings(request_timeout_s=0.2)])
async def test_what_takes_too_long_is_given_up(house: House) -> None:
    admin = await house.person(Role.ADMIN)
    async with house.pool.acquire() as conn, conn.transaction():
        await conn.execute("lock table projects in access exclusive mode")
        answer = await admin.ask("GET", "/projects")
    assert (answer.status, answer.error_id) == (503, "timed_out")


async def test_a_defect_of_ours_says_nothing_but_a_reference(house: House) -> None:
    admin = await house.person(Role.ADMIN)
    house.engine.refuse = RuntimeError("secret of the house: 13812345678")
    answer = await admin.ask("POST", f"/projects/{(await a_project(house.pool)).id}/start")
    assert (answer.status, answer.error_id) == (500, "internal_error")
    assert "secret" not in answer.raw.decode()
    assert answer.body["detail"]["reference"] in answer.body["message"]


@pytest.mark.parametrize("settings", [WebSettings(trusted_proxies=("127.0.0.1", "10.0.0.9"))])
@pytest.mark.parametrize(("said", "address"), [
    ("203.0.113.7", "203.0.113.7"), ("1.1.1.1, 203.0.113.7", "203.0.113.7"), ("203.0.113.7, 10.0.0.9", "203.0.113.7"), ("nonsense", None),
    ("2001:db8::1", "2001:db8::1"), ("fe80::1%eth0", "fe80::1"),
])  # fmt: skip
async def test_a_trusted_proxy_is_believed_its_last_word(house: House, said: str, address: str | None) -> None:
    admin = await house.person(Role.ADMIN)
    await admin.ask("POST", "/projects", {"name": "p"}, headers={"X-Forwarded-For": said})
    [row] = await house.audited("project_created")
    assert (str(row["address"]).split("/")[0] if row["address"] else None) == address


async def test_anybody_else_is_not_believed(house: House) -> None:
    admin = await house.person(Role.ADMIN)
    await admin.ask("POST", "/projects", {"name": "p"}, headers={"X-Forwarded-For": "203.0.113.7"})
    [row] = await house.audited("project_created")
    assert str(row["address"]).startswith("127.0.0.1")


async def test_health_is_for_anybody_and_measures_for_operators(house: House) -> None:
    text = ""
    async with house.http.get(f"{house.base}/healthz") as response:
        assert (response.status, await response.json()) == (200, {"status": "ok"})
    for who, status in (
        (house.nobody(), 401),
        (await house.person(Role.QA, token=True), 403),
        (await house.person(Role.NETWORK, token=True), 200),
    ):
        async with house.http.get(f"{house.base}/metrics", headers=who.headers()) as response:
            assert response.status == status
            text = await response.text()
    assert 'waihu_http_requests_total{operation="other",status="200"}' in text


@pytest.mark.parametrize("settings", [WebSettings(metrics_token="scrape")])
async def test_a_scraper_has_its_own_token(house: House) -> None:
    for sent, status in (("Bearer scrape", 200), ("Bearer other", 401)):
        async with house.http.get(f"{house.base}/metrics", headers={"Authorization": sent}) as response:
            assert response.status == status


async def test_many_at_once_are_all_answered(house: House) -> None:
    admin = await house.person(Role.ADMIN)
    answers = await asyncio.gather(*(admin.ask("GET", "/projects") for _ in range(100)))
    assert {answer.status for answer in answers} == {200}


@pytest.mark.parametrize(("path", "query"), [
    ("/calls", {"since": "0001-01-01T00:00:00Z"}), ("/recordings", {"until": "0001-01-01T00:00:00+14:00"}), ("/projects/{project}/logs/0001-01-01", {}),
    ("/projects/{project}/logs/9999-12-31", {}),
])  # fmt: skip
async def test_moments_nobody_can_mean_are_refused_plainly(house: House, path: str, query: dict[str, str]) -> None:
    project = await a_project(house.pool)
    answer = await (await house.person(Role.ADMIN)).ask("GET", path.format(project=project.id), query=query)
    assert (answer.status, answer.error_id) == (422, "invalid_request")


async def test_an_audit_row_that_cannot_be_written_stops_no_desk(house: House) -> None:
    audit = house.server.app[PARTS].desk_audit
    bad = Entry(
        at=house.clock(), user_id=None, actor="x", address="no address", action="agent_ready", subject_type="agent", subject_id="1", detail={}
    )  # fmt: skip
    await audit.write(bad)
    await audit.write(replace(bad, address="203.0.113.7"))
    assert (audit.waiting, audit.dropped) == (0, 1)
    assert len(await house.audited("agent_ready")) == 1
