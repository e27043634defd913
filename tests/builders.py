"""Rows for everybody's tests: `await a_project(pool)` writes one that works and gives it back; what matters to a test is said in its call.

Names and numbers are new with every call, so builders can be called as often as one likes. A project is made ready to dial: running, open all day, with a
trunk, a caller number, the default dispositions and retry rules.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Any, Final
from uuid import UUID

from campaigns import claim, projects
from campaigns.caller_numbers import pool as caller_numbers
from campaigns.caller_numbers.number import CallerNumber, Offer
from campaigns.openings import Openings
from campaigns.projects import Project
from campaigns.sql import Connection, Pool
from campaigns.states import DialMode, ProjectState, Stage
from campaigns.trunks import Trunk
from campaigns.trunks import trunk as trunk_of
from dialer.domain.ids import uuid7

NODE: Final = "node-1"
NOON: Final = datetime(2026, 6, 1, 4, 0, tzinfo=UTC)
"""Noon in Shanghai, on a Monday."""

_counter = itertools.count(1)


def a_number() -> str:
    """A Chinese mobile number nobody else in the test has."""
    return f"+86138{next(_counter):08d}"


def new_ids(count: int, at: datetime = NOON) -> tuple[UUID, ...]:
    """Attempt ids of a moment."""
    return tuple(uuid7(at, os.urandom(10)) for _ in range(count))


async def a_node(conn: Connection, name: str = NODE) -> str:
    """A node nobody holds."""
    await conn.execute("insert into nodes (name) values ($1) on conflict do nothing", name)
    return name


async def a_user(conn: Connection, *, role: str = "agent", login: str | None = None, password_hash: str = "!") -> UUID:
    """A user who cannot log in unless `password_hash` is a real one."""
    user_id: UUID = await conn.fetchval(
        "insert into users (login, display_name, password_hash, role) values ($1, $1, $2, $3) returning id",
        login or f"user-{next(_counter)}",
        password_hash,
        role,
    )
    return user_id


async def an_agent(
    conn: Connection, *, user_id: UUID | None = None, projects: Sequence[UUID] = (), skills: Sequence[str] = ()
) -> UUID:
    """An agent with a user, assigned to projects."""
    number = f"a{next(_counter)}"
    agent_id: UUID = await conn.fetchval(
        "insert into agents (user_id, number, display_name, skills) values ($1, $2, $2, $3) returning id",
        user_id or await a_user(conn),
        number,
        list(skills),
    )
    await conn.execute(
        "insert into project_agents (project_id, agent_id) select id, $2 from unnest($1::uuid[]) id",
        list(projects),
        agent_id,
    )
    return agent_id


async def a_device(
    conn: Connection, agent_id: UUID, *, kind: str = "softphone", node: str = NODE, digest: str = "0" * 32
) -> UUID:
    """A softphone (or `webrtc`) of an agent."""
    device_id: UUID = await conn.fetchval(
        "insert into devices (agent_id, node, kind, username, digest) values ($1, $2, $3, $4, $5) returning id",
        agent_id,
        await a_node(conn, node),
        kind,
        f"device-{next(_counter)}",
        digest,
    )
    return device_id


async def a_trunk(conn: Connection, **columns: Any) -> Trunk:
    """A trunk of `NODE` with 100 channels and 50 calls a second."""
    serial = next(_counter)
    given: dict[str, Any] = {
        "name": f"trunk-{serial}",
        "node": NODE,
        "endpoint": f"trunk-{serial}",
        "max_channels": 100,
        "max_cps": 50,
    } | columns
    await a_node(conn, given["node"])
    places = ", ".join(f"${place}" for place in range(1, len(given) + 1))
    row = await conn.fetchrow(f"insert into trunks ({', '.join(given)}) values ({places}) returning *", *given.values())
    assert row is not None
    return trunk_of(row)


async def a_caller_number(conn: Connection, trunk_id: UUID, number: str | None = None) -> CallerNumber:
    """An active caller number of a trunk."""
    return await caller_numbers.add(conn, number or a_number(), trunk_id)


async def a_project(
    pool: Pool,
    *,
    state: ProjectState = ProjectState.RUNNING,
    trunk: Trunk | None = None,
    caller_number_count: int = 1,
    **settings: Any,
) -> Project:
    """A project that may dial now, whatever the hour; `settings` are those of `projects.SETTINGS`."""
    trunk = trunk or await a_trunk(pool)
    wanted = {
        "name": f"project-{next(_counter)}",
        "trunk_id": trunk.id,
        "window_start": time(0),
        "window_end": time(23, 59, 59, 999999),
        **settings,
    }
    async with pool.acquire() as conn:
        made = await projects.create_project(conn, **wanted)
    numbers = [await a_caller_number(pool, trunk.id) for _ in range(caller_number_count)]
    await caller_numbers.allow(pool, made.id, [number.id for number in numbers])
    stage = Stage.TRIAL if state is ProjectState.REVIEW else Stage.FORMAL
    await pool.execute("update projects set state = $2, stage = $3 where id = $1", made.id, state.value, stage.value)
    return await projects.load_project(pool, made.id)


async def a_script(conn: Connection, project_id: UUID, *, name: str = "话术") -> None:
    """A published script of one section, given to a project."""
    script_id = await conn.fetchval("insert into scripts (name, created_at) values ($1, $2) returning id", name, NOON)
    document = {"title": name, "sections": [{"name": "opening", "title": "开场", "text": "您好"}]}
    await conn.execute("insert into script_versions values ($1, 1, $3, $2, $2)", script_id, NOON, document)
    await conn.execute(
        "insert into script_assignments (project_id, script_id, version, began_at) values ($1, $2, 1, $3)",
        project_id,
        script_id,
        NOON,
    )


async def a_lead(conn: Connection, project_id: UUID, **columns: Any) -> int:
    """A new lead of a project, with a number of its own; `columns` are those of `leads`."""
    given = {"project_id": project_id, "number": a_number()} | columns
    places = ", ".join(f"${place}" for place in range(1, len(given) + 1))
    lead_id: int = await conn.fetchval(
        f"insert into leads ({', '.join(given)}) values ({places}) returning id", *given.values()
    )
    return lead_id


def a_request(project: Project, count: int = 1, *, now: datetime = NOON, **changes: Any) -> claim.ClaimRequest:
    """A request for `count` leads of a project, which may show its caller numbers as often as they allow."""
    assert project.trunk is not None
    given: dict[str, Any] = {
        "project_id": project.id,
        "node": project.trunk.node,
        "trunk_id": project.trunk.id,
        "mode": DialMode.PROGRESSIVE,
        "now": now,
        "attempt_ids": new_ids(count, now),
        "offers": tuple(Offer(number=one.number, room=count) for one in project.caller_numbers),
        "openings": Openings(opens=lambda _zone: None),
    }
    return claim.ClaimRequest(**given | changes)


async def an_attempt(
    conn: Connection, project: Project, lead_id: int | None = None, *, now: datetime = NOON, **changes: Any
) -> claim.ClaimedLead:
    """A committed attempt, to a lead of its own unless one is named."""
    lead_id = lead_id if lead_id is not None else await a_lead(conn, project.id)
    return await claim.claim_number(conn, a_request(project, now=now, **changes), lead_id=lead_id)
