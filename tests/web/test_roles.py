"""Who may do what: every operation with every role, and with nobody."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import pytest

from dialer.domain.roles import Role
from dialer.web.api import Operation
from dialer.web.app import all_operations
from tests.web.client import Person
from tests.web.conftest import House

R = Role
FLOOR = {R.TEAM_LEADER, R.SUPERVISOR, R.ADMIN}

# Promises made by hand, so that a slip in a declaration shows: what these roles may change, besides their own session and tokens.
MAY_CHANGE: dict[Role, set[str]] = {
    R.AGENT: {"desk"},
    R.QA: {"do_not_call", "consents", "recordings", "qa", "scripts", "life"},
    R.PAYROLL: set(),
    R.GENERAL_MANAGER: {"life"},
    R.NETWORK: {"trunks", "caller_numbers", "devices", "projects", "scripts"},
    R.TEAM_LEADER: {
        "desk",
        "agents",
        "callbacks",
        "caller_numbers",
        "projects",
        "do_not_call",
        "consents",
        "recordings",
        "qa",
        "life",
        "teams",
    },
}
OWN = {"session", "tokens"}


def target(one: Operation) -> str:
    """A path with ids of nothing."""
    made = one.path
    for name in re.findall(r"{(\w+)}", one.path):
        made = made.replace(f"{{{name}}}", "999999999" if name == "lead_id" else str(uuid4()))
    return made


async def try_it(person: Person, one: Operation) -> Any:
    """Ask for it with nothing sensible."""
    body: Any = {} if one.body is not None else None
    if one.accepts:
        return await person.ask(one.method, target(one), data=b"number\n", headers={"Content-Type": one.accepts[0]})
    return await person.ask(one.method, target(one), body)


@pytest.mark.parametrize("role", list(Role))
async def test_each_role_gets_what_the_document_says_and_nothing_else(house: House, role: Role) -> None:
    for one in all_operations():
        if one.roles is None:
            continue
        person = await house.person(role)
        answer = await try_it(person, one)
        refused = answer.status == 403 and answer.body and answer.error_id == "role_not_allowed"
        if one.method == "HEAD":
            refused = answer.status == 403
        assert refused == (role not in one.roles), f"{role} {one.method} {one.path}: {answer.status} {answer.body}"
        assert answer.status != 401
        assert answer.status < 500, f"{one.method} {one.path}: {answer.body}"


async def test_nobody_gets_anything_but_the_way_in(house: House) -> None:
    for one in all_operations():
        answer = await try_it(house.nobody(), one)
        if one.roles is None:
            assert one.path in {"/session", "/recordings/by-link/{token}"}
            assert 400 <= answer.status < 500, (
                f"{one.method} {one.path}: {answer.status}"
            )  # a link is a secret, and this is none
        else:
            assert answer.status == 401, f"{one.method} {one.path}"


@pytest.mark.parametrize("role", list(MAY_CHANGE))
def test_a_role_changes_nothing_beyond_its_work(role: Role) -> None:
    may = {one.tag for one in all_operations() if one.roles and role in one.roles and one.method not in {"GET", "HEAD"}}
    looking_up = {"why"} | (
        {"do_not_call"} if role == R.QA else set()
    )  # a number is asked about in a body, so that it is in no log
    assert may - OWN - looking_up == MAY_CHANGE[role] - looking_up


def test_only_administrators_touch_users() -> None:
    for one in all_operations():
        if one.path.startswith("/users"):
            assert one.roles == frozenset({R.ADMIN})


def test_agents_hear_no_recordings_and_read_no_lists_of_people_or_leads() -> None:
    may = {(one.method, one.path) for one in all_operations() if one.roles and R.AGENT in one.roles}
    forbidden = {
        "/recordings",
        "/recordings/{recording_id}/audio",
        "/agents",
        "/users",
        "/projects/{project_id}/leads",
        "/audit",
        "/do-not-call",
    }
    assert not {path for _, path in may} & forbidden
