"""Scripts over the API: from a draft to a published version that a project uses, and what came of it; and on the desk, answer by answer."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from campaigns.projects import Project
from campaigns.scripts.document import ScriptDocument
from dialer.domain.roles import Role
from tests.builders import NOON, a_lead, a_project, an_agent
from tests.campaigns.questionnaires.builders import choice, said, yes_no
from tests.campaigns.scripts.builders import a_talk, in_use
from tests.campaigns.scripts.test_script import EXAMPLE
from tests.web.client import Person
from tests.web.conftest import House


async def test_a_script_is_looked_at_and_nothing_is_kept(house: House) -> None:
    writer = await house.person(Role.NETWORK)
    assert await writer.do("POST", "/scripts/check", EXAMPLE) == {"findings": []}
    questions = [yes_no("a", next=[{"to": "end"}]), choice("b", when=said("a", "yes"))]
    found = await writer.do("POST", "/scripts/check", {"title": "t", "questionnaire": {"questions": questions}})
    assert [(one["code"], one["place"], one["remark"]) for one in found["findings"]] == [
        ("unreachable", "questions.b", False)
    ]


@pytest.mark.parametrize(
    "part",
    [
        {"title": ""}, {"questionnaire": {"questions": [{"kind": "sing", "name": "a", "text": "?"}]}}, {"sections": [{"name": "A b", "title": "x", "text": "x"}]},
        {"questionnaire": {"questions": [yes_no("a", code="import os")]}}, {"variables": {"x{": {"field": "name"}}}, {"sections": [{"name": "a", "title": "x", "text": "a\x1bb"}]},
    ],
)  # fmt: skip
async def test_what_is_no_script_is_refused_by_its_field(house: House, part: dict[str, Any]) -> None:
    writer = await house.person(Role.PROJECT_MANAGER)
    answer = await writer.ask("POST", "/scripts/check", {"title": "t", **part})
    assert (answer.status, answer.error_id) == (422, "invalid_request")


async def test_a_script_goes_from_its_draft_to_a_project(house: House) -> None:
    project, manager = await a_project(house.pool), await house.person(Role.PROJECT_MANAGER)
    writer = await house.person(Role.QA)
    script = await writer.do("POST", "/scripts", {"name": "保险"})
    path = f"/scripts/{script['id']}"
    faulty = {"title": "t", "questionnaire": {"questions": [yes_no("a", next=[{"to": "a"}])]}}
    saved = await writer.do("PUT", f"{path}/draft", faulty)
    assert (saved["version"], [one["code"] for one in saved["findings"]]) == (1, ["endless"])
    refused = await manager.ask("POST", f"{path}/publish")
    assert (refused.status, refused.error_id) == (422, "script_invalid")
    assert refused.body["detail"]["findings"][0]["place"] == "questions.a.next"
    assert (await writer.ask("POST", f"{path}/publish")).error_id == "role_not_allowed"
    await writer.do("PUT", f"{path}/draft", EXAMPLE)
    assert (await manager.do("POST", f"{path}/publish"))["version"] == 1
    assert (await manager.ask("POST", f"{path}/publish")).error_id == "script_draft_missing"
    changed = {**EXAMPLE, "title": "新版"}
    assert (await writer.do("PUT", f"{path}/draft", changed))["version"] == 2
    found = await manager.get(f"{path}/compare", before=1, after=2)
    assert [(one["place"], one["change"], one["after"]) for one in found["differences"]] == [("title", "changed", "新版")]  # fmt: skip
    use = {"script_id": script["id"], "version": 2}
    assert (await manager.ask("PUT", f"/projects/{project.id}/script", use)).error_id == "script_not_published"
    made = await manager.do("PUT", f"/projects/{project.id}/script", use | {"version": 1})
    assert (made["used"]["name"], made["trial"], made["ended_at"]) == ("保险", None, None)
    shown = await manager.get(f"/projects/{project.id}/script")
    assert (shown["current"]["id"], shown["quotas"]) == (made["id"], {})
    written = (await manager.get(f"{path}/versions/1"))["document"]
    assert ScriptDocument.model_validate(written) == ScriptDocument.model_validate(EXAMPLE)
    file = await manager.ask("GET", f"{path}/versions/1/file")
    assert json.loads(file.raw) == written
    assert [one["published_at"] is None for one in (await manager.get(path))["versions"]] == [True, False]
    await writer.do("DELETE", f"{path}/draft")
    assert [one["draft"] for one in (await manager.get("/scripts"))["items"]] == [None]
    await manager.do("DELETE", f"/projects/{project.id}/script")
    assert (await manager.ask("DELETE", f"/projects/{project.id}/script")).error_id == "script_none"
    for action, count in (("script_created", 1), ("script_draft_saved", 3), ("script_published", 1), ("script_draft_dropped", 1), ("script_assigned", 1), ("script_unassigned", 1)):  # fmt: skip
        assert len(await house.audited(action)) == count, action


@pytest.fixture
async def project(house: House) -> Project:
    """It uses the example."""
    made = await a_project(house.pool, mask_numbers=True)
    await in_use(house.pool, made, ScriptDocument.model_validate(EXAMPLE))
    return made


async def at_work(house: House, project: Project, **lead: Any) -> tuple[Person, str]:
    """An agent who talks, and the call."""
    agent = await house.person(Role.AGENT, projects=(project.id,))
    lead_id = await a_lead(house.pool, project.id, **lead)
    call = str(await a_talk(house.pool, project, lead_id=lead_id))
    house.feed.publish("agent", str(agent.agent_id), {"state": "talking", "project_id": str(project.id), "lead_id": lead_id, "attempt_id": call})  # fmt: skip
    return agent, call


async def test_the_desk_leads_the_agent_through_the_script_and_forgets_nothing(house: House, project: Project) -> None:
    agent, call = await at_work(house, project, name="王芳", fields={"产品": "百万医疗"})

    async def answers(name: str, given: Any) -> Any:
        return await agent.do("PUT", f"/desk/me/script/answers/{name}", {"attempt_id": call, "answer": given})

    begun = await agent.get("/desk/me/script")
    assert begun["question"]["text"] == "请问您就是王芳本人吗？"
    assert begun["sections"][0]["text"].startswith("您好，请问是王芳吗？")
    assert "refused" in begun["missing"]
    await answers("is_person", True)
    await answers("interested", "yes")
    shown = await answers("age", 35)
    assert (shown["question"]["kind"], shown["question"]["options"][0]["label"]) == ("choices", "高血压")
    assert [(one["name"], one["said"]) for one in shown["steps"]] == [("is_person", "是"), ("interested", "是"), ("age", "35岁")]  # fmt: skip
    assert {one["name"] for one in shown["sections"]} == {"opening", "product", "risk_notice", "cooling_off"}
    assert await agent.get("/desk/me/script") == shown, "a browser that is opened again"
    house.clock.ahead = NOON + timedelta(seconds=42) - house.clock()
    for _ in range(2):
        read = await agent.do("POST", "/desk/me/script/sections/risk_notice/read", {"attempt_id": call})
        house.clock.ahead += timedelta(seconds=10)
    [risk] = [one for one in read["sections"] if one["name"] == "risk_notice"]
    assert 42_000 <= risk["read_at_ms"] < 50_000
    ticked = await answers("mood", ["angry", "calm"])
    assert [one["answer"] for one in ticked["selections"]] == [None, ["calm", "angry"]]
    assert await house.pool.fetchval("select count(*) from script_answers where user_id = $1", agent.user_id) == 4
    house.feed.publish(
        "agent", str(agent.agent_id), {"state": "wrap_up", "project_id": str(project.id), "attempt_id": call}
    )
    late = await agent.ask("POST", "/desk/me/script/sections/cooling_off/read", {"attempt_id": call})
    assert (late.status, late.error_id) == (409, "call_over")
    found = await agent.get("/desk/me/script/objections", search="有保险")
    assert found["objections"][0]["answer"].startswith("王芳，有保障说明")


async def test_no_number_that_is_masked_is_in_a_script(house: House, project: Project) -> None:
    number = "+8613812345678"
    agent, _ = await at_work(house, project, name="王 138-1234-5678", number=number, fields={"产品": "卡13812345678"})
    shown = await agent.get("/desk/me/script")
    found = await agent.get("/desk/me/script/objections", search="")
    for text in (json.dumps(shown, ensure_ascii=False), json.dumps(found, ensure_ascii=False)):
        assert "138****5678" in text
        assert "1234-5678" not in text
        assert "12345678" not in text


async def test_an_answer_is_written_to_the_call_it_was_given_on_and_to_no_other(house: House, project: Project) -> None:
    agent, call = await at_work(house, project)
    other = str(await a_talk(house.pool, project))
    path = "/desk/me/script/answers/is_person"
    for wrong in (other, str(uuid4())):
        assert (await agent.ask("PUT", path, {"attempt_id": wrong, "answer": True})).error_id == "not_your_call"
    invalid = await agent.ask("PUT", path, {"attempt_id": call, "answer": "maybe"})
    assert (invalid.status, invalid.error_id, invalid.body["detail"]["question"]) == (422, "answer_invalid", "is_person")  # fmt: skip
    assert (await agent.ask("PUT", "/desk/me/script/answers/weather", {"attempt_id": call, "answer": 1})).error_id == "question_unknown"  # fmt: skip
    house.feed.publish("agent", str(agent.agent_id), {"state": "ready", "project_id": str(project.id)})
    assert (await agent.ask("PUT", path, {"attempt_id": call, "answer": True})).error_id == "not_your_call"
    await house.pool.execute("update attempts set agent_id = $2, created_at = $3 where id = $1", UUID(call), agent.agent_id, house.clock())  # fmt: skip
    await agent.do(
        "PUT", path, {"attempt_id": call, "answer": True}
    )  # the wrap-up's limit has passed; the answer is not lost
    await house.pool.execute("update attempts set wrapped_at = now() where id = $1", UUID(call))
    assert (await agent.ask("PUT", path, {"attempt_id": call, "answer": True})).error_id == "not_your_call"
    leader = await house.person(Role.TEAM_LEADER)
    stranger = await an_agent(house.pool)
    assert (await leader.ask("GET", f"/desk/{stranger}/script")).error_id == "script_none"


async def test_a_lead_in_preview_is_shown_with_the_script_as_it_begins(house: House, project: Project) -> None:
    agent = await house.person(Role.AGENT, projects=(project.id,))
    lead_id = await a_lead(house.pool, project.id, name="李雷", fields={"到期日": "2026-12-01"})
    house.feed.publish("agent", str(agent.agent_id), {"state": "preview", "project_id": str(project.id), "lead_id": lead_id})  # fmt: skip
    shown = await agent.get("/desk/me/script")
    assert (shown["attempt_id"], [one["name"] for one in shown["sections"]]) == (None, ["opening", "renewal"])


async def test_results_and_answers_are_those_of_the_version_and_nothing_in_a_file_is_a_formula(
    house: House, project: Project
) -> None:
    manager = await house.person(Role.PROJECT_MANAGER)
    quoted = {**EXAMPLE, "questionnaire": {"questions": [{"kind": "text", "name": "words", "text": "?"}, choice("plan")]}, "sections": EXAMPLE["sections"][:1]}  # fmt: skip
    quoted["sections"] = [{**quoted["sections"][0], "must_read_before": ["agreed"]}]
    await in_use(house.pool, project, ScriptDocument.model_validate(quoted), now=NOON - timedelta(minutes=1))
    agent, call = await at_work(house, project, number="+8613812345678")
    for name, given in (("words", "=HYPERLINK(1) 13812345678"), ("plan", "b"), ("mood", ["calm", "angry"])):
        await agent.do("PUT", f"/desk/me/script/answers/{name}", {"attempt_id": call, "answer": given})
    house.clock.ahead = NOON + timedelta(seconds=7) - house.clock()
    await agent.do("POST", "/desk/me/script/sections/opening/read", {"attempt_id": call})
    await house.pool.execute("update attempts set disposition = 'agreed' where id = $1", UUID(call))
    found = await manager.get(f"/projects/{project.id}/script/results")
    assert (found["used"]["converted"]["count"], found["used"]["complete"]["count"], found["trial"]) == (1, 1, None)
    file = await manager.ask("GET", f"/projects/{project.id}/script/answers")
    header, row = file.raw.decode("utf-8-sig").splitlines()
    assert header.split(",")[9:] == ["words", "plan", "intention", "mood", "read_opening_s"]
    assert "'=HYPERLINK(1) +86138****5678,B,,平和、生气,7." in row
    assert "12345678" not in row
    codes = (await manager.ask("GET", f"/projects/{project.id}/script/answers", codes="true")).raw.decode("utf-8-sig")
    assert ',b,,"calm,angry",7.' in codes
    assert (await manager.ask("GET", f"/projects/{project.id}/script/answers", format="xlsx")).raw[:2] == b"PK"
    assert len(await house.audited("script_answers_exported")) == 3
