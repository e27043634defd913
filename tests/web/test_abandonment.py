"""The abandonment contract over the API: it is set with the project, and shown as a budget."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from campaigns.release import EndedAttempt, finish
from dialer.domain.roles import Role
from tests.builders import a_lead, a_project, an_attempt
from tests.web.conftest import House

CONTRACT = {
    "abandonment_cap": "0.02", "abandonment_period": "hours_24", "abandonment_at_limit": "stop", "abandonment_within_ms": 1500,
    "abandonment_counts_late": False, "abandonment_counts_machines": True, "abandonment_false_machine_rate": "0.1",
}  # fmt: skip


async def test_a_contract_is_set_with_the_project_and_shown_in_words_and_figures(house: House) -> None:
    manager = await house.person(Role.PROJECT_MANAGER)
    project = await a_project(house.pool)
    path = f"/projects/{project.id}"
    changed = await manager.do("PATCH", path, CONTRACT)
    assert {name: changed[name] for name in CONTRACT} == CONTRACT | {
        "abandonment_cap": "0.0200",
        "abandonment_false_machine_rate": "0.1000",
    }
    shown = await manager.get(f"{path}/abandonment")
    assert shown["definition"] == (
        "At most 2 % of the calls answered in the last 24 hours (by the quarter of an hour) may be abandoned, then nothing is dialled. "
        "Abandoned is who got no agent and heard safe-harbour. Machines count as answered. "
        "Of those taken for machines 10 % count as abandoned people."
    )
    assert "2 %" in shown["definition_zh"]
    assert (shown["answered"], shown["left"], shown["share"], shown["until"], shown["projected"]) == (
        0,
        0,
        None,
        None,
        None,
    )
    assert shown["standing"] == "covered"


async def test_the_budget_says_what_is_used_and_left_and_where_the_day_ends(house: House) -> None:
    leader = await house.person(Role.SUPERVISOR)
    project = await a_project(house.pool, abandonment_cap="0.25", zone="UTC")
    now = house.clock()
    for outcome, waited_s in (("abandoned", None), ("hung_up_early", None), ("connected", 1), ("connected", 2.1)):
        claimed = await an_attempt(house.pool, project, now=now)
        end = EndedAttempt(
            attempt_id=claimed.attempt_id, outcome=outcome, ended_at=now, answered_at=now,
            bridged_at=None if waited_s is None else now + timedelta(seconds=waited_s), abandoned=outcome == "abandoned",
        )  # fmt: skip
        await finish(house.pool, [end])
    shown = await leader.get(f"/projects/{project.id}/abandonment")
    assert shown["calls"] == {"connected": 1, "late": 1, "abandoned": 1, "hung_up_early": 1, "machines": 0}
    assert (shown["answered"], shown["abandoned"], shown["allowed"], shown["left"]) == (4, 2, 1, -1)
    assert (shown["share"], shown["standing"], shown["at_limit"]) == ("0.5000", "free", "one_to_one")
    assert shown["since"][11:] == "00:00:00Z"
    assert shown["projected"]["answered"] >= 4


async def test_a_pack_in_force_is_what_the_budget_shows_and_why_names_its_line(house: House) -> None:
    manager = await house.person(Role.PROJECT_MANAGER)
    lax: dict[str, Any] = {
        "abandonment_cap": "1",
        "abandonment_within_ms": 10_000,
        "safe_harbour": "acme",
        "abandonment_at_limit": "stop",
    }
    project = await a_project(house.pool, mode="predictive", **lax)
    lead_id = await a_lead(house.pool, project.id)
    packs = {"packs": [{"pack": "uk-ofcom", "version": "2026.1"}]}
    assert (await manager.ask("PUT", f"/projects/{project.id}/rule-packs", packs)).status == 200
    await house.pool.execute(
        "insert into answered_calls (project_id, quarter, outcome, wait_ds, calls) values ($1, quarter_of($2), 'abandoned', 0, 40)",
        project.id,
        house.clock() - timedelta(minutes=20),
    )
    shown = await manager.get(f"/projects/{project.id}/abandonment")
    assert (shown["cap"], shown["period"], shown["abandoned"], shown["left"], shown["standing"]) == (
        "0.03",
        "hours_24",
        40,
        -39,
        "stopped",
    )
    assert shown["rules"] == ["uk-ofcom@2026.1#abandonment"]
    assert "uk-ofcom@2026.1#abandonment" in shown["definition"]
    assert shown["must_hear"].startswith("Hello. {name} tried to call you.")
    said = await manager.get(f"/leads/{lead_id}/gates")
    line = next(gate for gate in said["gates"] if gate["gate"] == "abandonment")
    assert (line["passed"], line["rule"]) == (False, "uk-ofcom@2026.1#abandonment")
    assert "40 of 40 answered calls were abandoned" in line["reason"]


@pytest.mark.parametrize(
    "wrong",
    [{"abandonment_period": "week"}, {"abandonment_within_ms": 1550}, {"abandonment_within_ms": -100}, {"abandonment_false_machine_rate": 2}, {"abandonment_at_limit": "x"}],
)  # fmt: skip
async def test_a_contract_that_cannot_be_is_refused_by_name(house: House, wrong: dict[str, Any]) -> None:
    admin = await house.person(Role.ADMIN)
    project = await a_project(house.pool)
    answer = await admin.ask("PATCH", f"/projects/{project.id}", wrong)
    assert (answer.status, answer.body["detail"]["problems"][0]["field"]) == (422, next(iter(wrong)))
