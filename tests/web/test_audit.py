"""What changes something leaves a row, in the same transaction; without the row there is no change."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dialer.db import audit_trail
from dialer.domain.roles import Role
from tests.builders import a_node, a_project, a_trunk, a_user, an_agent
from tests.web.conftest import House


async def requests_that_change(house: House) -> list[tuple[str, str, Any, str]]:
    """Method, path, body, and the table that would change."""
    project, user = await a_project(house.pool), await a_user(house.pool)
    agent, trunk = await an_agent(house.pool), await a_trunk(house.pool)
    await a_node(house.pool)
    return [
        ("POST", "/users", {"login": "new", "display_name": "New", "role": "qa"}, "users"),
        ("PATCH", f"/users/{user}", {"display_name": "Other"}, "users"),
        ("POST", f"/users/{user}/password", {}, "users"),
        ("POST", "/tokens", {"name": "t"}, "api_tokens"),
        ("POST", "/projects", {"name": "new project"}, "projects"),
        ("PATCH", f"/projects/{project.id}", {"mask_numbers": False}, "projects"),
        ("PUT", f"/projects/{project.id}/agents", {"agent_ids": [str(agent)]}, "project_agents"),
        ("PUT", f"/projects/{project.id}/caller-numbers", {"caller_number_ids": []}, "project_caller_numbers"),
        ("PUT", f"/projects/{project.id}/dispositions", {"dispositions": []}, "dispositions"),
        ("PUT", f"/projects/{project.id}/retry-rules", {"rules": []}, "retry_rules"),
        ("POST", "/trunks", {"name": "t", "node": "node-1", "endpoint": "e", "max_channels": 1, "max_cps": 1}, "trunks"),
        ("PATCH", f"/trunks/{trunk.id}", {"enabled": False}, "trunks"),
        ("POST", "/caller-numbers", {"number": "+862112345678", "trunk_id": str(trunk.id)}, "caller_numbers"),
        ("POST", "/agents", {"user_id": str(user), "number": "8001", "display_name": "A"}, "agents"),
        ("PATCH", f"/agents/{agent}", {"display_name": "B"}, "agents"),
        ("POST", f"/agents/{agent}/devices", {"node": "node-1"}, "devices"),
        ("POST", f"/projects/{project.id}/leads", {"number": "13812345678"}, "leads"),
        ("POST", "/do-not-call", {"numbers": ["13812345679"], "reason": "asked"}, "do_not_call"),
    ]  # fmt: skip


async def contents(house: House, table: str) -> list[str]:
    rows = await house.pool.fetch(f"select t::text as row from {table} t order by 1")
    return [row["row"] for row in rows]


async def test_every_change_leaves_one_row_that_says_who_and_from_where(house: House) -> None:
    admin = await house.person(Role.ADMIN)
    for method, path, body, table in await requests_that_change(house):
        before, rows = await contents(house, table), await house.pool.fetchval("select count(*) from audit_log")
        await admin.do(method, path, body)
        assert await contents(house, table) != before, f"{method} {path} changed nothing"
        written = await house.pool.fetch("select * from audit_log where id > $1 order by id", rows)
        assert len(written) == 1, f"{method} {path}"
        assert written[0]["user_id"] == admin.user_id
        assert str(written[0]["address"]) in {"127.0.0.1", "127.0.0.1/32"}


async def test_without_its_row_a_change_does_not_happen(house: House) -> None:
    admin = await house.person(Role.ADMIN)
    requests = await requests_that_change(house)
    await house.pool.execute(
        "create trigger full_disk before insert on audit_log for each row execute function refuse_change()"
    )
    for method, path, body, table in requests:
        before = await contents(house, table)
        answer = await admin.ask(method, path, body)
        assert answer.status >= 400, f"{method} {path}"
        assert await contents(house, table) == before, f"{method} {path} changed {table} without an audit row"


async def test_the_log_is_read_newest_first_and_cannot_be_changed(house: House) -> None:
    admin = await house.person(Role.ADMIN)
    for name in ("one", "two", "three"):
        await admin.do("POST", "/projects", {"name": name})
    read = await admin.get("/audit", action="project_created")
    assert [entry["detail"]["name"] for entry in read["items"]] == ["three", "two", "one"]
    for statement in ("update audit_log set actor = 'x'", "delete from audit_log"):
        with pytest.raises(Exception, match="append-only"):
            await house.pool.execute(statement)


async def test_no_secret_and_no_full_number_is_in_the_log(house: House) -> None:
    admin = await house.person(Role.ADMIN)
    secrets = []
    for method, path, body, _ in await requests_that_change(house):
        answer = await admin.do(method, path, body)
        if isinstance(answer, dict):
            secrets += [answer[name] for name in ("password", "secret") if answer.get(name)]
    log = "".join(row["row"] for row in await house.pool.fetch("select a::text as row from audit_log a"))
    assert len(secrets) == 4
    for secret in [*secrets, "13812345678", "13812345679"]:
        assert secret not in log


async def test_a_look_into_a_long_audit_log_reads_only_what_it_shows(house: House) -> None:
    """The plan, not the clock: rare and common subjects, persons and actions are all read by their index, newest first."""
    person, rare = await a_user(house.pool), await a_user(house.pool, login="rare")
    await house.pool.execute(
        "insert into audit_log (at, user_id, actor, action, subject_type, subject_id) "
        "select now(), $1, 'x', 'recording_listened', 'recording', (i % 50)::text from generate_series(1, 20000) i", person,
    )  # fmt: skip
    await house.pool.execute("analyze audit_log")
    nothing = {"before": None, "subject_type": None, "subject_id": None, "user_id": None, "action": None, "limit": 51}
    for asked in (
        {}, {"before": 9000}, {"action": "login"}, {"action": "recording_listened"}, {"user_id": person}, {"user_id": rare, "before": 9000},
        {"subject_type": "recording", "subject_id": "7"}, {"subject_type": "recording", "subject_id": "none"},
    ):  # fmt: skip
        sql, arguments = audit_trail.statement(**{**nothing, **asked})  # type: ignore[arg-type]
        plan = "\n".join(row[0] for row in await house.pool.fetch("explain (analyze, timing off) " + sql, *arguments))
        assert "Seq Scan" not in plan, f"{asked}\n{plan}"
        assert "Sort" not in plan, f"{asked}\n{plan}"
        removed = [int(found) for found in re.findall(r"Rows Removed by Filter: (\d+)", plan)]
        assert sum(removed) < 5_000, f"{asked}\n{plan}"
