"""Text from outside is data: it comes back as it went in, as JSON, and becomes nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from dialer.domain.commands import AgentBreak, WrapUp
from dialer.domain.roles import Role
from tests.builders import a_project, a_user
from tests.web.conftest import House

HOSTILE = [
    "<script>alert(1)</script>", "'; drop table users; --", "${EXEC(rm -rf /)}", "=HYPERLINK(\"http://x\")", "{{7*7}}", "%s%n%x", "../../../etc/passwd",
    "王小明 😀 \u202e gnp.exe", "\\\" \\u0000 \\r\\n", "a,b;c|d", "x" * 200,
]  # fmt: skip
REFUSED = ["nul\x00byte", "two\r\nlines", "bell\x07", "\u2028", "Action: Originate\r\nChannel: PJSIP/1", "x" * 201]


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_text_comes_back_inert_from_every_field(house: House, text: str) -> None:
    admin = await house.person(Role.ADMIN, agent=True)
    project = await admin.do("POST", "/projects", {"name": text, "client": text, "script": text})
    trunk = await admin.do(
        "POST", "/trunks", {"name": text, "node": await _node(house), "endpoint": "e", "max_channels": 1, "max_cps": 1}
    )
    user = await a_user(house.pool)
    agent = await admin.do("POST", "/agents", {"user_id": str(user), "number": "8001", "display_name": text})
    lead = await admin.do(
        "POST",
        f"/projects/{project['id']}/leads",
        {"number": "13812345678", "name": text, "fields": {text[:100]: text}},
    )
    results = {"dispositions": [{"code": "ok", "label_zh": text, "label_en": text, "effect": "final"}]}
    kept = await admin.do("PUT", f"/projects/{project['id']}/dispositions", results)
    token = await admin.do("POST", "/tokens", {"name": text})
    shown: list[Any] = [
        project["name"], project["client"], project["script"], trunk["name"], agent["display_name"], lead["name"], lead["fields"][text[:100]],
        kept["dispositions"][0]["label_zh"], token["token"]["name"],
    ]  # fmt: skip
    assert shown == [text] * len(shown)
    await admin.do("POST", "/desk/me/break", {"reason": text[:40]})
    await admin.do("POST", "/desk/me/wrap-up", {"disposition": "ok", "note": text, "fields": {text[:100]: text}})
    taken, wrapped = house.engine.commands[-2:]
    assert isinstance(taken, AgentBreak)
    assert taken.reason == text[:40]
    assert isinstance(wrapped, WrapUp)
    assert (wrapped.note, wrapped.fields) == (text, {text[:100]: text})
    await admin.get("/audit")
    assert await house.pool.fetchval("select count(*) from users") > 0


@pytest.mark.parametrize("text", REFUSED)
async def test_text_that_no_field_can_hold_is_refused_by_name(house: House, text: str) -> None:
    admin = await house.person(Role.ADMIN, agent=True)
    for path, body, field in [
        ("/projects", {"name": text}, "name"),
        ("/tokens", {"name": text}, "name"),
        ("/desk/me/break", {"reason": text}, "reason"),
        ("/users", {"login": text, "display_name": "x", "role": "qa"}, "login"),
        ("/do-not-call", {"numbers": [text], "reason": "x"}, "numbers.0"),
    ]:
        answer = await admin.ask("POST", path, body)
        assert (answer.status, answer.error_id) == (422, "invalid_request"), path
        assert answer.body["detail"]["problems"][0]["field"] == field
    assert house.engine.commands == []


@pytest.mark.parametrize("text", ["'; drop table users; --", "%00", "\u202e", "x" * 5000, "<b>", "-1", "1e9", "NaN"])
async def test_hostile_queries_and_paths_are_refused_or_find_nothing(house: House, text: str) -> None:
    admin = await house.person(Role.ADMIN)
    for path in (
        "/projects",
        "/calls",
        "/leads/1/calls",
        "/audit",
        "/do-not-call",
        "/users",
        "/recordings",
        "/agents",
        "/tokens",
    ):
        for name in ("cursor", "limit", "nonsense"):
            answer = await admin.ask("GET", f"{path}", query={name: text})
            assert answer.status in {404, 422}, f"{path}?{name}"
    async with house.http.get(f"{house.base}/api/v1/leads/{text}", headers=admin.headers()) as response:
        assert response.status in {404, 422}
        assert response.content_type == "application/json"
        assert "<b>" not in await response.text()


async def test_numbers_in_dialling_become_e164_or_nothing(house: House) -> None:
    project = await a_project(house.pool)
    agent = await house.person(Role.AGENT, projects=(project.id,))
    for number in ("13812345678,,,9", "PJSIP/1@evil", "138${X}", "110", "13812345678&SIP/1", "\uff11\uff13"):
        answer = await agent.ask("POST", "/desk/me/dial", {"project_id": str(project.id), "number": number})
        assert answer.status == 422, number
    await agent.do("POST", "/desk/me/dial", {"project_id": str(project.id), "number": "138 1234-5678"})
    assert [getattr(command, "number", None) for command in house.engine.commands] == ["+8613812345678"]


async def _node(house: House) -> str:
    await house.pool.execute("insert into nodes (name) values ('node-1') on conflict do nothing")
    return "node-1"
