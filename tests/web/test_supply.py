"""Promises of supply over the API: counted before it is used, shown with how far it is, and every change in the audit log."""

from __future__ import annotations

from campaigns.supply.sifting import sift
from dialer.domain.roles import Role
from tests.builders import a_lead, a_project
from tests.web.conftest import House


async def test_a_filter_is_counted_set_and_shown(house: House) -> None:
    project, person = await a_project(house.pool), await house.person(Role.PROJECT_MANAGER)
    for name in ("in", "in", "out"):
        await a_lead(house.pool, project.id, name=name)
    path, condition = f"/projects/{project.id}/supply", {"field": "name", "op": "=", "value": "in"}
    assert (await person.get(path))["filter"] is None
    assert await person.do("POST", f"{path}/count", {"filter": condition}) == {"matching": 2, "leads": 3}
    body = {"filter": condition, "ordering": {"by": "random", "seed": 7, "retry_first": True}, "alarm_hours": 8}
    made = await person.do("PUT", path, body)
    assert (made["applied"], made["ordering"]["seed"], made["alarm_hours"]) == (False, 7, 8)
    async with house.pool.acquire() as conn:
        await sift(conn, project.id)
    shown = await person.get(path)
    assert (shown["applied"], shown["matching"], shown["filter"]) == (True, 2, condition)
    lasts = await person.get(f"/projects/{project.id}/lasting")
    assert (lasts["fresh"], lasts["hours"], lasts["alarm"]) == (2, None, False)
    (row,) = await house.audited("supply_changed")
    assert row["detail"]["filter"] == condition


async def test_what_is_no_filter_or_no_order_is_refused_and_changes_nothing(house: House) -> None:
    project, person = await a_project(house.pool), await house.person(Role.PROJECT_MANAGER)
    path = f"/projects/{project.id}/supply"
    for body, error_id in (
        ({"filter": {"field": "name", "op": "; drop", "value": "x"}}, "filter_malformed"),
        ({"ordering": {"by": "field"}}, "ordering_malformed"),
        ({"ordering": {"by": "magic"}}, "invalid_request"),
    ):
        answer = await person.ask("PUT", path, body)
        assert (answer.status, answer.error_id) == (422, error_id)
    assert await house.pool.fetchval("select count(*) from supplies") == 0
