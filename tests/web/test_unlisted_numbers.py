"""No request names the number a call shows: what smuggles one in is refused before any handler sees it, or is text like any other."""

from __future__ import annotations

from typing import Any

from dialer.domain.roles import Role
from tests.builders import a_project
from tests.web.conftest import House

NAMES = (
    "caller_number",
    "caller_id",
    "callerId",
    "from",
    "from_number",
    "cli",
    "ani",
    "display_number",
    "主显号码",
    "透传号码",
)
TRIES = 400
_OF_THE_POOL = {"/caller-numbers", "/projects/{project_id}/caller-numbers", "/trunks"}


async def test_four_hundred_requests_that_name_a_caller_number_are_refused(house: House) -> None:
    project = await a_project(house.pool)
    agent = await house.person(Role.AGENT, projects=(project.id,))
    admin = await house.person(Role.ADMIN)
    desk, tries = f"/desk/{agent.agent_id}", 0
    calls: list[tuple[Any, str, str, dict[str, Any]]] = [
        (agent, "POST", f"{desk}/dial", {"project_id": str(project.id), "number": "13800138000"}),
        (agent, "POST", f"{desk}/preview/next", {"project_id": str(project.id)}),
        (admin, "PATCH", f"/projects/{project.id}", {}),
        (admin, "POST", f"/projects/{project.id}/leads", {"number": "13800138000"}),
    ]
    while tries < TRIES:
        for person, method, path, body in calls:
            for name in NAMES:
                answer = await person.ask(method, path, {**body, name: "+8695588"})
                assert (answer.status, answer.error_id) == (422, "invalid_request"), (path, name)
                tries += 1
    assert house.engine.commands == []
    assert await house.pool.fetchval("select count(*) from attempts") == 0


async def test_no_operation_but_those_of_the_pool_takes_a_caller_number(house: House) -> None:
    found = set()
    for path, methods in house.document["paths"].items():
        for operation in methods.values():
            names = str(operation.get("requestBody", "")) + str(
                [one["name"] for one in operation.get("parameters", [])]
            )
            schemas = {part for part in house.document["components"]["schemas"] if f"/{part}'" in names}
            fields = {field for schema in schemas for field in house.document["components"]["schemas"][schema].get("properties", {})}  # fmt: skip
            if any("caller_number" in field or field == "diversion" for field in fields):
                found.add(path.removeprefix("/api/v1"))
    assert found <= {"/projects/{project_id}/caller-numbers", "/trunks/{trunk_id}"}
