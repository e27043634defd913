"""Calling rules over HTTP: packs are listed with their sources, added once, chosen for a project, and the engine hears of it."""

from __future__ import annotations

from campaigns.rules.loading import shipped
from dialer.domain.commands import ReloadProject
from dialer.domain.roles import Role
from tests.builders import a_project
from tests.campaigns.rules.test_loading import HEAD, RULE
from tests.web.conftest import House

COLLECTION = {"pack": "cn-collection", "version": "2026.1"}


async def test_packs_are_listed_with_every_line_and_its_source(house: House) -> None:
    person = await house.person(Role.QA)
    answer = await person.ask("GET", "/rule-packs")
    (collection,) = [one for one in answer.body["packs"] if one["pack"] == "cn-collection"]
    assert collection["shipped"] is True
    assert "lawyer" in collection["remark_en"]
    assert "GB/T 45251-2025" in collection["rules"][0]["source"]
    document = (await person.ask("GET", "/rule-packs/cn-collection/2026.1")).body["document"]
    assert document == shipped()["cn-collection", "2026.1"]
    assert (await person.ask("GET", "/rule-packs/cn-collection/1")).error_id == "rule_pack_unknown"


async def test_a_project_gets_its_packs_with_an_audit_row_and_the_engine_is_told(house: House) -> None:
    project, person = await a_project(house.pool), await house.person(Role.PROJECT_MANAGER)
    path = f"/projects/{project.id}/rule-packs"
    assert (await person.ask("PUT", path, {"packs": [COLLECTION]})).body == {"packs": [COLLECTION]}
    assert house.engine.commands == [ReloadProject(project_id=project.id)]
    assert (await person.ask("GET", path)).body == {"packs": [COLLECTION]}
    row = await house.pool.fetchrow("select * from audit_log where action = 'project_rules_set'")
    assert row is not None
    assert row["detail"]["packs"] == ["cn-collection@2026.1"]
    unknown = await person.ask("PUT", path, {"packs": [{"pack": "mars", "version": "1"}]})
    assert (unknown.status, unknown.error_id) == (404, "rule_pack_unknown")
    assert (await person.ask("GET", path)).body == {"packs": [COLLECTION]}


async def test_a_pack_of_ones_own_is_added_once_and_a_wrong_one_is_refused_with_its_line(house: House) -> None:
    person = await house.person(Role.TECHNICAL_LEAD)
    made = await person.ask("POST", "/rule-packs", {"document": HEAD + RULE})
    assert (made.status, made.body["shipped"], made.body["rules"][0]["id"]) == (201, False, "hours")
    taken = await person.ask("POST", "/rule-packs", {"document": HEAD + RULE.replace("house rule", "other")})
    assert (taken.status, taken.error_id) == (409, "rule_pack_exists")
    untrue = await person.ask("POST", "/rule-packs", {"document": HEAD + RULE.replace("T20:00:00", "T19:59:59")})
    assert (untrue.status, untrue.error_id, untrue.body["detail"]["line"]) == (422, "rule_pack_untrue", 10)
    assert (await (await house.person(Role.QA)).ask("POST", "/rule-packs", {"document": "x"})).status == 403
