"""API tokens: as much as their user, shown once, gone when revoked."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dialer.domain.roles import Role
from tests.web.conftest import House


async def test_a_token_may_what_its_users_role_may(house: House) -> None:
    person = await house.person(Role.QA)
    made = await person.do("POST", "/tokens", {"name": "robot"})
    program = house.nobody()
    program.token = made["secret"]
    assert (await program.get("/session"))["role"] == "qa"
    assert (await program.ask("GET", "/users")).error_id == "role_not_allowed"


async def test_a_revoked_token_is_worth_nothing_from_then_on(house: House) -> None:
    person = await house.person(Role.QA)
    made = await person.do("POST", "/tokens", {"name": "robot"})
    program = house.nobody()
    program.token = made["secret"]
    assert (await program.ask("GET", "/session")).status == 200
    await person.do("DELETE", f"/tokens/{made['token']['id']}")
    assert (await program.ask("GET", "/session")).error_id == "token_invalid"


async def test_an_administrator_revokes_anybodys_token_and_others_only_their_own(house: House) -> None:
    person, other, admin = await house.person(Role.QA), await house.person(Role.QA), await house.person(Role.ADMIN)
    made = await person.do("POST", "/tokens", {"name": "robot"})
    token_id = made["token"]["id"]
    assert (await other.ask("DELETE", f"/tokens/{token_id}")).error_id == "token_unknown"
    await admin.do("DELETE", f"/users/{person.user_id}/tokens/{token_id}")
    listed = await person.get("/tokens")
    assert [one["revoked_at"] is not None for one in listed["items"]] == [True]


async def test_a_token_expires(house: House) -> None:
    person = await house.person(Role.QA)
    made = await person.do("POST", "/tokens", {"name": "robot", "expires_in_days": 1})
    program = house.nobody()
    program.token = made["secret"]
    house.clock.ahead = timedelta(days=1, seconds=1)
    assert (await program.ask("GET", "/session")).status == 401


async def test_a_token_makes_no_tokens_and_no_passwords(house: House) -> None:
    program = await house.person(Role.ADMIN, token=True)
    assert (await program.ask("POST", "/tokens", {"name": "more"})).error_id == "session_required"
    answer = await program.ask("POST", "/session/password", {"present": "x", "new": "0123456789"})
    assert answer.error_id == "session_required"


async def test_a_secret_is_shown_once_and_kept_nowhere(house: House) -> None:
    person = await house.person(Role.ADMIN)
    secret = (await person.do("POST", "/tokens", {"name": "robot"}))["secret"]
    assert secret not in str(await person.get("/tokens"))
    assert secret not in str(await person.get("/audit"))
    for row in await house.pool.fetch(
        "select t::text as text from api_tokens t union all select a::text from audit_log a"
    ):
        assert secret not in row["text"]


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Bearer nonsense", "Basic YTpi", "Bearer wht_" + "x" * 5000, "bearer wht_ä"]
)
async def test_a_malformed_token_is_refused_plainly(house: House, header: str) -> None:
    answer = await house.nobody().ask("GET", "/session", headers={"Authorization": header})
    assert answer.error_id == "token_invalid"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_bad_token_is_not_made_good_by_a_good_cookie(house: House) -> None:
    person = await house.person(Role.ADMIN)
    answer = await person.ask("GET", "/session", headers={"Authorization": "Bearer wht_wrong"})
    assert answer.status == 401


async def test_a_token_makes_no_users_and_changes_none(house: House) -> None:
    program, person = await house.person(Role.ADMIN, token=True), await house.person(Role.QA)
    made = await program.ask("POST", "/users", {"login": "second", "display_name": "x", "role": "admin"})
    changed = await program.ask("PATCH", f"/users/{person.user_id}", {"role": "admin"})
    assert [made.error_id, changed.error_id] == ["session_required"] * 2


async def test_a_new_password_from_the_administrator_ends_the_tokens_too(house: House) -> None:
    admin, person = await house.person(Role.ADMIN), await house.person(Role.QA)
    program = await house.token_of(person.user_id)
    assert (await program.ask("GET", "/tokens")).status == 200
    await admin.do("POST", f"/users/{person.user_id}/password", {})
    assert (await program.ask("GET", "/tokens")).status == 401
