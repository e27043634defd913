"""Logging in, staying in, and being kept out."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from http.cookies import SimpleCookie
from typing import Any

import pytest
from redis.asyncio import Redis

from dialer.domain.commands import AgentLogout
from dialer.domain.roles import Role
from dialer.web.access import hash_of
from dialer.web.login_limit import PER_ADDRESS, PER_NAME_AND_ADDRESS, LoginLimit
from dialer.web.parts import PARTS
from dialer.web.users.create import create_user
from tests.web.client import Answer, Person
from tests.web.conftest import HandClock, House

PASSWORD = "correct horse battery"


async def an_admin(house: House, login: str = "chen") -> Any:
    return await create_user(
        house.pool, login=login, display_name="陈", role=Role.ADMIN, password=PASSWORD, now=house.clock()
    )


async def log_in(person: Person, login: str = "chen", password: str = PASSWORD, **headers: str) -> Answer:
    answer = await person.ask("POST", "/session", {"login": login, "password": password}, headers=headers)
    if answer.status == 201:
        person.cookie = cookies_of(answer)["waihu_session"].value
        person.csrf = answer.body["csrf_token"]
    return answer


def cookies_of(answer: Answer) -> SimpleCookie:
    made: SimpleCookie = SimpleCookie()
    for line in answer.headers.getall("Set-Cookie", []):
        made.load(line)
    return made


async def test_logging_in_gives_a_session_and_logging_out_ends_it(house: House) -> None:
    await an_admin(house)
    person = house.nobody()
    answer = await log_in(person, "Chen")
    assert answer.status == 201
    assert (await person.get("/session"))["login"] == "chen"
    await person.do("DELETE", "/session")
    assert (await person.ask("GET", "/session")).status == 401
    assert [len(await house.audited(action)) for action in ("login", "logout")] == [1, 1]


async def test_the_session_cookie_is_hidden_from_scripts_and_other_sites(house: House) -> None:
    await an_admin(house)
    cookies = cookies_of(await log_in(house.nobody()))
    assert cookies["waihu_session"]["httponly"]
    assert cookies["waihu_session"]["samesite"] == "Strict"
    assert not cookies["waihu_csrf"]["httponly"]


async def test_only_hashes_of_secrets_are_kept(house: House) -> None:
    await an_admin(house)
    person = house.nobody()
    await log_in(person)
    kept = await house.pool.fetchrow("select token_hash, csrf_hash from sessions")
    assert kept is not None
    assert person.cookie
    assert person.csrf
    assert kept["token_hash"] == hash_of(person.cookie)
    assert kept["csrf_hash"] == hash_of(person.csrf)
    assert (await house.pool.fetchval("select password_hash from users where login = 'chen'")).startswith("$argon2id$")


async def test_a_wrong_password_and_an_unknown_user_are_told_the_same(house: House) -> None:
    await an_admin(house)
    wrong = await log_in(house.nobody(), password="not this one")
    unknown = await log_in(house.nobody(), login="nobody")
    assert wrong.status == unknown.status == 401
    assert wrong.body == unknown.body
    assert len(await house.audited("login_refused")) == 2


async def test_an_unknown_user_costs_a_hash_like_a_known_one(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await an_admin(house)
    passwords = house.server.app[PARTS].passwords
    checked: list[str] = []
    check = passwords._check

    def watched(kept: str, given: str) -> bool:
        checked.append(kept)
        return check(kept, given)

    monkeypatch.setattr(passwords, "_check", watched)
    await log_in(house.nobody(), login="nobody")
    await log_in(house.nobody(), password="not this one")
    assert len(checked) == 2
    assert {kept.split("$")[3] for kept in checked} == {"m=65536,t=3,p=1"}


async def test_a_session_brought_along_is_never_adopted_and_the_old_one_ends(house: House) -> None:
    await an_admin(house)
    person = house.nobody()
    person.cookie = "planted-by-somebody-else"
    assert (await log_in(person)).status == 201
    first = person.cookie
    assert first != "planted-by-somebody-else"
    await log_in(person)
    assert person.cookie != first
    other = house.nobody()
    other.cookie = first
    assert (await other.ask("GET", "/session")).error_id == "session_expired"


async def test_a_session_ends_when_it_is_not_used(house: House) -> None:
    person = await house.person(Role.QA)
    house.clock.ahead = timedelta(seconds=house.deps.settings.session_idle_s - 60)
    assert (await person.ask("GET", "/session")).status == 200
    house.clock.ahead *= 2  # used in between, so it goes on
    assert (await person.ask("GET", "/session")).status == 200
    house.clock.ahead += timedelta(seconds=house.deps.settings.session_idle_s)
    assert (await person.ask("GET", "/session")).status == 401


async def test_a_session_ends_however_much_it_is_used(house: House) -> None:
    person = await house.person(Role.QA)
    end, step = timedelta(seconds=house.deps.settings.session_max_s), timedelta(hours=1)
    while house.clock.ahead + step < end:
        house.clock.ahead += step
        assert (await person.ask("GET", "/session")).status == 200
    house.clock.ahead = end
    assert (await person.ask("GET", "/session")).status == 401


async def test_a_disabled_user_is_out_at_once_and_cannot_come_back(house: House) -> None:
    admin = await house.person(Role.ADMIN)
    user_id = await an_admin(house, "wang")
    person = house.nobody()
    await log_in(person, "wang")
    await admin.do("PATCH", f"/users/{user_id}", {"disabled": True})
    assert (await person.ask("GET", "/session")).status == 401
    assert (await log_in(house.nobody(), "wang")).status == 401


async def test_a_new_role_ends_the_sessions_of_the_old_one(house: House) -> None:
    admin, person = await house.person(Role.ADMIN), await house.person(Role.TEAM_LEADER)
    await admin.do("PATCH", f"/users/{person.user_id}", {"role": "agent"})
    assert (await person.ask("GET", "/session")).status == 401


async def test_the_last_administrator_stays_one(house: House) -> None:
    admin = await house.person(Role.ADMIN)
    for change in ({"role": "qa"}, {"disabled": True}):
        assert (await admin.ask("PATCH", f"/users/{admin.user_id}", change)).error_id == "last_administrator"


@pytest.mark.parametrize("csrf", [None, "", "wrong", "é"])
async def test_a_change_without_the_csrf_token_is_refused(house: House, csrf: str | None) -> None:
    admin = await house.person(Role.ADMIN)
    right, admin.csrf = admin.csrf, csrf
    assert (await admin.ask("POST", "/projects", {"name": "p"})).error_id == "csrf_token_wrong"
    assert (await admin.ask("GET", "/projects")).status == 200
    admin.csrf = right
    assert (await admin.ask("POST", "/projects", {"name": "p"})).status == 201


async def test_the_csrf_token_of_another_session_is_refused(house: House) -> None:
    admin, other = await house.person(Role.ADMIN), await house.person(Role.ADMIN)
    admin.csrf = other.csrf
    assert (await admin.ask("POST", "/projects", {"name": "p"})).error_id == "csrf_token_wrong"


@pytest.mark.parametrize("headers", [
    {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1.evil.example"}, {"Sec-Fetch-Site": "cross-site"},
])  # fmt: skip
async def test_another_sites_page_changes_nothing(house: House, headers: dict[str, str]) -> None:
    admin = await house.person(Role.ADMIN)
    assert (await admin.ask("POST", "/projects", {"name": "p"}, headers=headers)).error_id == "origin_refused"
    await an_admin(house)
    assert (await log_in(house.nobody(), **headers)).error_id == "origin_refused"


async def test_our_own_page_is_let_in(house: House) -> None:
    admin = await house.person(Role.ADMIN)
    answer = await admin.ask(
        "POST", "/projects", {"name": "p"}, headers={"Origin": house.base, "Sec-Fetch-Site": "same-origin"}
    )
    assert answer.status == 201


async def test_guessing_is_stopped_and_says_for_how_long(house: House) -> None:
    await an_admin(house)
    for _ in range(PER_NAME_AND_ADDRESS):
        assert (await log_in(house.nobody(), password="guess guess")).status == 401
    answer = await log_in(house.nobody())
    assert answer.error_id == "too_many_logins"
    assert 0 < int(answer.headers["Retry-After"]) <= 300
    assert (await log_in(house.nobody(), login="somebody else")).status == 401, "others are not locked out"
    house.clock.ahead = timedelta(seconds=301)
    assert (await log_in(house.nobody())).status == 201


async def test_right_passwords_are_not_counted(house: House) -> None:
    await an_admin(house)
    for _ in range(PER_NAME_AND_ADDRESS + 2):
        assert (await log_in(house.nobody())).status == 201


async def test_guessing_is_stopped_while_redis_is_away(house: House) -> None:
    await an_admin(house)
    gone = Redis.from_url("redis://127.0.0.1:1/0", socket_timeout=0.2, socket_connect_timeout=0.2)
    house.server.app[PARTS].logins = LoginLimit(gone)
    for _ in range(PER_NAME_AND_ADDRESS):
        assert (await log_in(house.nobody(), password="guess guess")).status == 401
    assert (await log_in(house.nobody())).error_id == "too_many_logins"
    await gone.aclose()


async def test_two_processes_count_together_through_redis(redis_url: str) -> None:
    now = HandClock()()
    async with Redis.from_url(redis_url) as client:
        one, other = LoginLimit(client), LoginLimit(client)
        for _ in range(PER_NAME_AND_ADDRESS):
            await one.count("chen", "10.0.0.1", now)
        with pytest.raises(Exception, match="Too many tries"):
            await other.count("CHEN", "10.0.0.1", now)
        await other.count("chen", "10.0.0.2", now)


async def test_one_address_cannot_try_many_names(redis_url: str) -> None:
    now = HandClock()()
    async with Redis.from_url(redis_url) as client:
        limit = LoginLimit(client)
        for name in range(PER_ADDRESS):
            await limit.count(f"user-{name}", "10.0.0.1", now)
        with pytest.raises(Exception, match="Too many tries"):
            await limit.count("one-more", "10.0.0.1", now)


async def test_changing_the_password_needs_the_present_one_and_ends_other_sessions(house: House) -> None:
    await an_admin(house)
    here, there = house.nobody(), house.nobody()
    await log_in(here)
    await log_in(there)
    wrong = await here.ask("POST", "/session/password", {"present": "not this one", "new": "a much better one"})
    assert wrong.error_id == "password_wrong"
    await here.do("POST", "/session/password", {"present": PASSWORD, "new": "a much better one"})
    assert (await here.ask("GET", "/session")).status == 200
    assert (await there.ask("GET", "/session")).status == 401
    assert (await log_in(house.nobody())).status == 401
    assert (await log_in(house.nobody(), password="a much better one")).status == 201


async def test_every_answer_carries_the_headers_that_keep_browsers_out_of_trouble(house: House) -> None:
    for path in ("/api/v1/session", "/nothing/here", "/api/openapi.json", "/healthz"):
        async with house.http.get(house.base + path) as response:
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
            assert response.headers["Referrer-Policy"] == "no-referrer"
            assert response.headers["Cache-Control"] == "no-store"
            assert "aiohttp" not in response.headers["Server"].lower()


async def test_whoever_is_disabled_leaves_the_floor(house: House) -> None:
    admin, agent = await house.person(Role.ADMIN), await house.person(Role.AGENT)
    await admin.do("PATCH", f"/users/{agent.user_id}", {"display_name": "王"})
    assert house.engine.commands == []
    await admin.do("PATCH", f"/users/{agent.user_id}", {"disabled": True})
    assert house.engine.commands == [AgentLogout(agent_id=agent.agent_id)]


async def test_a_browser_with_a_strange_name_logs_in(house: House) -> None:
    await an_admin(house)
    body = json.dumps({"login": "chen", "password": PASSWORD}).encode()
    reader, writer = await asyncio.open_connection(house.server.host, house.server.port)
    writer.write(
        b"POST /api/v1/session HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nUser-Agent: \xff\xfe\r\n"
        + f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 201"), answer
