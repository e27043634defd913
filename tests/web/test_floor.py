"""Projects, agents, devices, trunks, numbers, leads, calls: what one makes one finds again, and the engine is told."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from dialer.domain.commands import PauseProject, ProvisionDevice, ReloadProject, RemoveDevice, StartProject
from dialer.domain.errors import Unavailable
from dialer.domain.roles import Role
from tests.builders import NODE, NOON, a_lead, a_node, a_project, a_trunk, an_agent, an_attempt
from tests.web.conftest import House


async def test_a_project_from_draft_to_dialling(house: House) -> None:
    admin = await house.person(Role.ADMIN)
    trunk, agent = await a_trunk(house.pool), await an_agent(house.pool)
    project = await admin.do(
        "POST",
        "/projects",
        {"name": "spring", "mode": "ratio", "ratio": 1.5, "window_start": "10:00:00", "zone": "Asia/Shanghai"},
    )
    assert (project["state"], project["mode"], project["ratio"], project["window_start"]) == (
        "draft",
        "ratio",
        "1.50",
        "10:00:00",
    )
    path = f"/projects/{project['id']}"
    changed = await admin.do("PATCH", path, {"trunk_id": str(trunk.id), "ring_timeout_s": 20})
    assert (changed["trunk_id"], changed["ring_timeout_s"], changed["name"]) == (str(trunk.id), 20, "spring")
    number = await admin.do("POST", "/caller-numbers", {"number": "+862112345678", "trunk_id": str(trunk.id)})
    await admin.do("PUT", f"{path}/caller-numbers", {"caller_number_ids": [number["id"]]})
    await admin.do("PUT", f"{path}/agents", {"agent_ids": [str(agent)]})
    rules = [{"outcome": "busy", "retry_after_s": 900, "max_times": 2, "counts": False, "growth_percent": 150}]
    assert (await admin.do("PUT", f"{path}/retry-rules", {"rules": rules}))["rules"] == rules
    assert {one["code"] for one in (await admin.get(f"{path}/dispositions"))["dispositions"]} >= {
        "agreed",
        "do_not_call",
    }
    await admin.do("POST", f"{path}/start")
    await admin.do("POST", f"{path}/pause")
    await admin.do("POST", f"{path}/stop")
    kinds = [type(command) for command in house.engine.commands]
    assert kinds == [ReloadProject] * 4 + [StartProject, PauseProject, PauseProject]
    assert [one.hang_up_ringing for one in house.engine.commands if isinstance(one, PauseProject)] == [False, True]
    assert (await admin.get(f"{path}/agents"))["agent_ids"] == [str(agent)]
    assert (await admin.get(f"{path}/caller-numbers"))["caller_number_ids"] == [number["id"]]


@pytest.mark.parametrize("wrong", [
    {"zone": "Mars/Olympus"}, {"zone": "../etc/passwd"}, {"ratio": 0}, {"ratio": 11}, {"abandonment_cap": 1.5}, {"ring_timeout_s": 1}, {"max_attempts": 0},
    {"safe_harbour": "../x"}, {"mode": "magic"}, {"name": ""}, {"unknown": 1}, {"state": "running"}, {"ring_timeout_s": "20"}, {"record_calls": 1},
])  # fmt: skip
async def test_a_setting_that_cannot_be_is_refused_by_name(house: House, wrong: dict[str, Any]) -> None:
    admin = await house.person(Role.ADMIN)
    answer = await admin.ask("POST", "/projects", {"name": "p", **wrong})
    assert (answer.status, answer.error_id) == (422, "invalid_request")
    assert answer.body["detail"]["problems"][0]["field"] == next(iter(wrong))


async def test_calls_may_be_given_up_after_the_least_ring_time_or_never(house: House) -> None:
    admin = await house.person(Role.ADMIN)
    project = await admin.do("POST", "/projects", {"name": "p"})
    assert project["cancel_after_s"] == 0
    path = f"/projects/{project['id']}"
    assert (await admin.do("PATCH", path, {"cancel_after_s": 15}))["cancel_after_s"] == 15
    answer = await admin.ask("PATCH", path, {"cancel_after_s": 14})
    assert (answer.status, answer.error_id) == (422, "project_setting_invalid")
    assert (await admin.do("PATCH", path, {"cancel_after_s": 0}))["cancel_after_s"] == 0


async def test_shares_and_limits_are_set_shown_and_told_to_the_engine(house: House) -> None:
    admin = await house.person(Role.ADMIN)
    trunk = await a_trunk(house.pool)
    project = await a_project(house.pool, trunk=trunk)
    path = f"/projects/{project.id}"
    shares = {"share_weight": 3, "share_priority": 2, "guaranteed_agents": 4}
    assert (await admin.do("PATCH", path, shares)).items() >= shares.items()
    number = project.caller_numbers[0].id
    limits = {"max_channels": 5, "max_cps": "1.50", "max_per_hour": None}
    told = len(house.engine.commands)
    assert (await admin.do("PUT", f"/caller-numbers/{number}/limits", limits)).items() >= limits.items()
    assert house.engine.commands[told:] == [ReloadProject(project_id=project.id)]
    node = {"max_channels": 400, "max_cps": None}
    assert await admin.do("PUT", f"/nodes/{trunk.node}/limits", node) == node | {"name": trunk.node}
    unknown = await admin.ask("PUT", "/nodes/elsewhere/limits", node)
    assert (unknown.status, unknown.error_id) == (404, "node_unknown")


async def test_trunk_says_how_our_number_is_written_and_contradictions_are_refused_by_name(house: House) -> None:
    admin = await house.person(Role.ADMIN)
    await a_node(house.pool)
    new = {"name": "carrier", "node": NODE, "endpoint": "carrier", "max_channels": 10, "max_cps": 5}
    made = await admin.do("POST", "/trunks", {**new, "number_format": "national"})
    assert made.items() >= {"caller_format": "national", "caller_prefix": "", "pai": "from", "privacy": "none", "diversion": None}.items()  # fmt: skip
    path = f"/trunks/{made['id']}"
    number = (await admin.do("POST", "/caller-numbers", {"number": "+862112345678", "trunk_id": made["id"]}))["number"]
    forms = {
        "caller_format": "digits",
        "caller_prefix": "179",
        "pai": "e164",
        "privacy": "id",
        "domain": "carrier.example",
        "diversion": number,
    }
    assert (await admin.do("PATCH", path, forms)).items() >= forms.items()
    assert (await admin.do("PATCH", path, {"max_channels": 11})).items() >= forms.items()
    assert (await admin.do("PATCH", path, {"diversion": ""}))["diversion"] is None
    elsewhere = (await a_project(house.pool)).caller_numbers[0].number
    for change, error_id in (
        ({"pai": "off"}, "privacy_without_pai"),
        ({"caller_format": "e164"}, "prefix_before_e164"),
        ({"diversion": elsewhere}, "diversion_not_of_trunk"),
        ({"diversion": "+8621111111"}, "diversion_not_of_trunk"),
    ):
        answer = await admin.ask("PATCH", path, change)
        assert (answer.status, answer.error_id) == (409, error_id)
    for wrong in (
        {"caller_prefix": "1;x"},
        {"caller_prefix": "123456789"},
        {"pai": "on"},
        {"diversion": "x\r\nTo: y"},
        {"domain": "a>b"},
    ):
        assert (await admin.ask("PATCH", path, wrong)).status == 422


async def test_the_same_name_twice_is_a_conflict(house: House) -> None:
    admin = await house.person(Role.ADMIN)
    await admin.do("POST", "/projects", {"name": "p"})
    answer = await admin.ask("POST", "/projects", {"name": "p"})
    assert (answer.status, answer.error_id) == (409, "project_name_taken")


async def test_an_agent_sees_only_the_projects_they_work_on(house: House) -> None:
    mine, other = await a_project(house.pool), await a_project(house.pool)
    agent = await house.person(Role.AGENT, projects=(mine.id,))
    assert [one["id"] for one in (await agent.get("/projects"))["items"]] == [str(mine.id)]
    assert (await agent.ask("GET", f"/projects/{other.id}")).error_id == "project_unknown"
    assert (await agent.ask("GET", f"/projects/{other.id}/dispositions")).error_id == "project_unknown"


async def test_a_change_is_kept_although_the_engine_is_away(house: House) -> None:
    project, admin = await a_project(house.pool), await house.person(Role.ADMIN)
    house.engine.refuse = Unavailable("engine_away", "The engine does not answer.")
    assert (await admin.do("PATCH", f"/projects/{project.id}", {"ring_timeout_s": 25}))["ring_timeout_s"] == 25
    assert (await admin.ask("POST", f"/projects/{project.id}/start")).error_id == "engine_away"


async def test_a_device_gets_a_secret_of_its_own_that_is_shown_once(house: House) -> None:
    admin, agent = await house.person(Role.ADMIN), await an_agent(house.pool)
    await a_node(house.pool)
    made = [
        await admin.do("POST", f"/agents/{agent}/devices", {"node": "node-1", "kind": kind})
        for kind in ("softphone", "webrtc")
    ]
    assert made[0]["secret"] != made[1]["secret"]
    assert all(one["provisioned"] for one in made)
    for one in made:
        kept = await house.pool.fetchrow("select username, digest from devices where id = $1", one["device"]["id"])
        assert kept is not None
        assert kept["digest"] == hashlib.md5(f"{kept['username']}:{one['realm']}:{one['secret']}".encode()).hexdigest()
        assert one["secret"] not in str(await admin.get(f"/agents/{agent}/devices"))
    assert [type(command) for command in house.engine.commands] == [ProvisionDevice, ProvisionDevice]


async def test_a_rotated_secret_is_another_one_and_a_removed_device_is_gone(house: House) -> None:
    admin, agent = await house.person(Role.ADMIN), await an_agent(house.pool)
    await a_node(house.pool)
    first = await admin.do("POST", f"/agents/{agent}/devices", {"node": "node-1"})
    device = first["device"]["id"]
    second = await admin.do("POST", f"/devices/{device}/rotate")
    assert second["secret"] != first["secret"]
    assert second["device"]["username"] == first["device"]["username"]
    await admin.do("DELETE", f"/devices/{device}")
    assert isinstance(house.engine.commands[-1], RemoveDevice)
    assert (await admin.get(f"/agents/{agent}/devices"))["items"] == []
    assert (await admin.ask("POST", f"/devices/{device}/rotate")).error_id == "device_unknown"


async def test_a_device_waits_for_an_engine_that_is_away(house: House) -> None:
    admin, agent = await house.person(Role.ADMIN), await an_agent(house.pool)
    await a_node(house.pool)
    house.engine.refuse = Unavailable("engine_away", "The engine does not answer.")
    made = await admin.do("POST", f"/agents/{agent}/devices", {"node": "node-1"})
    assert not made["provisioned"]
    assert made["secret"]


async def test_what_is_referred_to_must_be_there(house: House) -> None:
    admin = await house.person(Role.ADMIN)
    agent, project = await an_agent(house.pool), await a_project(house.pool)
    nothing = str(uuid4())
    for method, path, body, error_id in [
        ("POST", "/agents", {"user_id": nothing, "number": "1", "display_name": "x"}, "user_unknown"),
        ("POST", f"/agents/{agent}/devices", {"node": "nowhere"}, "node_unknown"),
        ("POST", f"/agents/{nothing}/devices", {"node": "node-1"}, "agent_unknown"),
        ("POST", "/caller-numbers", {"number": "+862112345678", "trunk_id": nothing}, "trunk_unknown"),
        ("PATCH", f"/projects/{project.id}", {"trunk_id": nothing}, "trunk_unknown"),
        ("PUT", f"/projects/{project.id}/agents", {"agent_ids": [nothing]}, "project_or_agent_unknown"),
        (
            "PUT",
            f"/projects/{project.id}/caller-numbers",
            {"caller_number_ids": [nothing]},
            "project_or_caller_number_unknown",
        ),
        ("PATCH", f"/trunks/{nothing}", {"enabled": False}, "trunk_unknown"),
        ("PATCH", f"/agents/{nothing}", {"display_name": "x"}, "agent_unknown"),
    ]:
        answer = await admin.ask(method, path, body)
        assert (answer.status, answer.error_id) in {(404, error_id), (409, error_id)}, f"{method} {path}: {answer.body}"


async def test_calls_are_found_by_project_time_agent_and_outcome(house: House) -> None:
    admin, agent = await house.person(Role.ADMIN), await an_agent(house.pool)
    one, other = await a_project(house.pool), await a_project(house.pool)
    early = await an_attempt(house.pool, one, now=NOON)
    late = await an_attempt(house.pool, one, now=NOON + timedelta(hours=2), agent_id=agent)
    await an_attempt(house.pool, other, now=NOON)
    await house.pool.execute(
        "update attempts set state = 'ended', ended_at = $2, outcome = 'busy' where id = $1",
        early.attempt_id,
        NOON + timedelta(seconds=30),
    )

    async def found(**query: Any) -> list[str]:
        return [call["id"] for call in (await admin.get("/calls", **query))["items"]]

    assert await found(project_id=one.id) == [str(late.attempt_id), str(early.attempt_id)]
    assert await found(project_id=one.id, since=(NOON + timedelta(hours=1)).isoformat()) == [str(late.attempt_id)]
    assert await found(project_id=one.id, until=(NOON + timedelta(hours=1)).isoformat()) == [str(early.attempt_id)]
    assert await found(agent_id=agent) == [str(late.attempt_id)]
    assert await found(outcome="busy") == [str(early.attempt_id)]
    history = await admin.get(f"/calls/{early.attempt_id}")
    assert [step["what"] for step in history["history"]] == ["created", "ended"]
    assert [call["id"] for call in (await admin.get(f"/leads/{early.lead_id}/calls"))["items"]] == [
        str(early.attempt_id)
    ]


async def test_an_agent_sees_own_calls_and_the_leads_behind_them(house: House) -> None:
    project = await a_project(house.pool)
    agent = await house.person(Role.AGENT, projects=(project.id,))
    mine = await an_attempt(house.pool, project, agent_id=agent.agent_id)
    other = await an_attempt(house.pool, project, agent_id=await an_agent(house.pool))
    assert [call["id"] for call in (await agent.get("/calls"))["items"]] == [str(mine.attempt_id)]
    assert (await agent.ask("GET", f"/calls/{other.attempt_id}")).error_id == "call_unknown"
    assert (await agent.ask("GET", f"/leads/{mine.lead_id}")).status == 200
    assert (await agent.ask("GET", f"/leads/{other.lead_id}")).error_id == "lead_unknown"
    assert (await agent.ask("GET", f"/leads/{other.lead_id}/calls")).error_id == "lead_unknown"


async def test_the_summary_counts_every_attempt_once(house: House) -> None:
    admin, project = await house.person(Role.ADMIN), await a_project(house.pool)
    calls = [await an_attempt(house.pool, project) for _ in range(4)]
    for call, outcome, bridged in zip(calls, ("busy", "answered", "abandoned"), (False, True, False), strict=False):
        answered = NOON if outcome != "busy" else None
        await house.pool.execute(
            "update attempts set state = 'ended', ended_at = $2, outcome = $3, answered_at = $4, bridged_at = $5, abandoned = $6 where id = $1",
            call.attempt_id, NOON + timedelta(seconds=90), outcome, answered, NOON if bridged else None, outcome == "abandoned",
        )  # fmt: skip
    figures = await admin.get(f"/projects/{project.id}/summary")
    assert {name: figures[name] for name in ("attempts", "answered", "bridged", "abandoned", "talk_ms")} == {
        "attempts": 4, "answered": 2, "bridged": 1, "abandoned": 1, "talk_ms": 90_000,
    }  # fmt: skip
    assert {one["outcome"]: one["attempts"] for one in figures["outcomes"]} == {
        "busy": 1,
        "answered": 1,
        "abandoned": 1,
        None: 1,
    }
    assert (await admin.get(f"/projects/{project.id}/summary", since=(NOON + timedelta(days=1)).isoformat()))[
        "attempts"
    ] == 0


async def test_a_number_on_the_do_not_call_list_leaves_the_lists_at_once(house: House) -> None:
    admin, project = await house.person(Role.ADMIN), await a_project(house.pool)
    lead = await a_lead(house.pool, project.id, number="+8613812345678")
    assert (await admin.do("POST", "/do-not-call", {"numbers": ["138 1234 5678", "13812345678"], "reason": "asked"}))[
        "added"
    ] == 1
    assert (await admin.get(f"/leads/{lead}"))["state"] == "do_not_call"
    assert (await admin.do("POST", "/do-not-call/check", {"number": "+8613812345678"}))["listed"]
    await admin.do("POST", "/do-not-call/remove", {"number": "13812345678", "reason": "a mistake"})
    assert not (await admin.do("POST", "/do-not-call/check", {"number": "13812345678"}))["listed"]
    assert (
        await admin.ask("POST", "/do-not-call/remove", {"number": "13812345678", "reason": "x"})
    ).error_id == "do_not_call_unknown"


async def test_why_is_answered_by_the_engine(house: House) -> None:
    admin, project = await house.person(Role.ADMIN), await a_project(house.pool)
    lead = await a_lead(house.pool, project.id)
    for path in (f"/projects/{project.id}/why", f"/leads/{lead}/why", f"/agents/{uuid4()}/why"):
        said = await admin.get(path)
        assert (said["dialling"], said["why"], said["sentence"]) == (False, "window", "Outside the calling window.")


async def test_pace_is_told_with_what_the_policy_weighed(house: House) -> None:
    admin, project = await house.person(Role.ADMIN), await a_project(house.pool)
    said = await admin.get(f"/projects/{project.id}/pace")
    assert (said["why"], said["limits"]) == ("window", {"agents": 10})
    [decision] = said["recent"]
    assert (decision["place"], decision["limited_by"], decision["because"]) == (2, "agents", {"theta": 0.02})


async def test_a_user_is_made_with_a_password_that_is_shown_once(house: House) -> None:
    admin = await house.person(Role.ADMIN)
    made = await admin.do("POST", "/users", {"login": "li", "display_name": "李", "role": "team_leader"})
    answer = await house.nobody().ask("POST", "/session", {"login": "li", "password": made["password"]})
    assert answer.status == 201
    assert (
        await admin.ask("POST", "/users", {"login": "LI", "display_name": "x", "role": "qa"})
    ).error_id == "login_taken"
    reset = await admin.do("POST", f"/users/{made['user']['id']}/password", {})
    assert (await house.nobody().ask("POST", "/session", {"login": "li", "password": reset["password"]})).status == 201
