"""Caller numbers are watched while the engine runs: what calls came to is counted, the worst rest with the reason and come back, labels are asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from campaigns.projects import Project
from campaigns.release import EndedAttempt, WrapUp, finish, wrap_up
from dialer.engine.clock import SystemClock
from lab.waiting import wait_until
from tests.builders import NOON, a_project, an_attempt
from tests.integration.engine.conftest import Stage

pytestmark = pytest.mark.services


async def did(pool: asyncpg.Pool, project: Project, place: int, calls: int, answered: int, short: int = 0) -> str:
    """So many calls of the project's number at `place`, an hour ago."""
    number = project.caller_numbers[place].number
    await pool.execute(
        "insert into caller_number_hours values ($1, date_trunc('hour', now() - interval '1 hour'), $2, $3, $4, $5)",
        number, project.id, calls, answered, short,
    )  # fmt: skip
    return number


async def row_of(pool: asyncpg.Pool, number: str) -> asyncpg.Record:
    row = await pool.fetchrow("select * from caller_numbers where number = $1", number)
    assert row is not None
    return row


async def test_calls_are_counted_for_the_number_they_showed_by_what_they_came_to(pool: asyncpg.Pool) -> None:
    project = await a_project(pool, daily_cap_per_number=100)
    ends: list[tuple[str, float | None, bool]] = [("connected", 60, False), ("connected", 5.9, False), ("connected", 6, False), ("abandoned", 2, True), ("busy", None, False), ("not_sent", None, False)]  # fmt: skip
    for outcome, talk_s, abandoned in ends:
        claimed = await an_attempt(pool, project)
        answered_at = NOON if talk_s is not None else None
        ended_at = NOON + timedelta(seconds=talk_s or 0)
        await finish(pool, [EndedAttempt(attempt_id=claimed.attempt_id, outcome=outcome, ended_at=ended_at, answered_at=answered_at, abandoned=abandoned)])  # fmt: skip
    [row] = await pool.fetch("select * from caller_number_hours")
    assert (row["caller_number"], row["hour"], row["project_id"]) == (project.caller_numbers[0].number, NOON, project.id)  # fmt: skip
    assert (row["calls"], row["answered"], row["short"]) == (5, 4, 1)


async def test_result_that_means_a_complaint_counts_once_for_the_number_that_was_shown(pool: asyncpg.Pool) -> None:
    project = await a_project(pool)
    claimed = await an_attempt(pool, project)
    await finish(pool, [EndedAttempt(attempt_id=claimed.attempt_id, outcome="connected", ended_at=NOON, answered_at=NOON)])  # fmt: skip
    for _ in range(2):
        await wrap_up(pool, WrapUp(attempt_id=claimed.attempt_id, disposition="complaint", now=NOON))
    [row] = await pool.fetch("select * from caller_number_complaints")
    assert (row["caller_number_id"], row["attempt_id"], row["source"]) == (project.caller_numbers[0].id, claimed.attempt_id, "result")  # fmt: skip


async def test_number_that_is_answered_much_less_rests_with_the_reason_and_wakes_when_its_rest_is_over(
    stage: Stage,
) -> None:
    engine = await stage.start(caller_watch_every_s=60.0)
    project = await stage.project(caller_number_count=4)
    bad = await did(stage.pool, project, 0, 500, 40)
    for place in (1, 2, 3):
        await did(stage.pool, project, place, 500, 150 + place)
    watch = engine.parts.caller_watch
    await watch.look()
    row = await row_of(stage.pool, bad)
    assert (row["state"], row["alarm"]) == ("resting", row["why"])
    assert row["why"].startswith("8.0% of its 500 calls were answered, of the others' 30.")
    assert timedelta(hours=23) < row["rests_until"] - SystemClock().now() <= timedelta(hours=24)
    value = engine.parts.feed.snapshot()["state"]["caller_number"][str(row["id"])]
    assert (value["state"], value["alarm"], value["number"]) == ("resting", row["why"], bad)
    registry = engine.parts.metrics.registry
    assert registry.get_sample_value("waihu_caller_number_alarms") == 1
    assert registry.get_sample_value("waihu_caller_numbers", {"state": "resting"}) == 1
    assert await stage.pool.fetchval("select count(*) from caller_numbers where state = 'active'") == 3

    await watch.look()
    await stage.pool.execute("update caller_numbers set rests_until = now() where id = $1", row["id"])
    await watch.look()
    row = await row_of(stage.pool, bad)
    assert (row["state"], row["alarm"], row["rests_until"]) == ("active", None, None)
    assert str(row["id"]) not in engine.parts.feed.snapshot()["state"]["caller_number"]  # fmt: skip
    actions = await stage.pool.fetch("select action, actor from audit_log where subject_id = $1 order by id", str(row["id"]))  # fmt: skip
    assert [tuple(one) for one in actions] == [("caller_number_rested", "engine node-1"), ("caller_number_woke", "engine node-1")]  # fmt: skip


async def test_half_of_the_numbers_of_a_trunk_stay_in_use_and_an_installation_may_want_alarms_only(
    stage: Stage,
) -> None:
    engine = await stage.start(caller_watch_every_s=60.0)
    project = await stage.project(caller_number_count=4)
    for place, answered in enumerate((10, 12, 14, 400)):
        await did(stage.pool, project, place, 500, answered)
    await engine.parts.caller_watch.look()
    rows = await stage.pool.fetch("select state, alarm is not null as alarm from caller_numbers order by number")
    assert sum(row["state"] == "resting" for row in rows) == 2
    assert sum(row["alarm"] for row in rows) == 3
    await stage.pool.execute("update caller_numbers set state = 'active', why = null, rests_until = null, alarm = null")
    await engine.stop()
    stage.engines.remove(engine)
    engine = await stage.start(caller_watch_every_s=60.0, caller_rest_h=0.0)
    await engine.parts.caller_watch.look()
    assert await stage.pool.fetchval("select count(*) from caller_numbers where state = 'active' and alarm is not null") == 3  # fmt: skip
    await stage.pool.execute("update caller_number_hours set answered = 100")
    await engine.parts.caller_watch.look()
    assert await stage.pool.fetchval("select count(*) from caller_numbers where alarm is not null") == 0


class LabelService:
    """A label service's adapter, as the documents describe it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.labels: dict[str, Any] = {}
        self.status = 200
        self.body: bytes | None = None

    async def answer(self, request: web.Request) -> web.Response:
        number = request.query["number"]
        self.asked.append((number, request.headers.get("Authorization", "")))
        if self.body is not None:
            return web.Response(body=self.body, content_type="application/json")
        return web.json_response(self.labels.get(number, {"label": ""}), status=self.status)


@asynccontextmanager
async def a_label_service() -> AsyncIterator[tuple[LabelService, str]]:
    service, app = LabelService(), web.Application()
    app.router.add_get("/label", service.answer)
    async with TestServer(app) as server:
        yield service, str(server.make_url("/label"))


async def test_labelled_number_rests_and_each_number_is_asked_about_once_a_day(stage: Stage) -> None:
    async with a_label_service() as (service, url):
        engine = await stage.start(caller_watch_every_s=60.0, label_url=url, label_token="secret")
        project = await stage.project(caller_number_count=3)
        marked = project.caller_numbers[1].number
        service.labels[marked] = {"label": "广告推销", "marks": 31}
        for _ in range(2):
            await engine.parts.caller_watch.ask_labels()
        assert sorted(service.asked) == sorted((one.number, "Bearer secret") for one in project.caller_numbers)
        await engine.parts.caller_watch.look()
        row = await row_of(stage.pool, marked)
        assert (row["state"], row["why"], row["label_marks"]) == (
            "resting",
            "it is labelled '广告推销' by 31 people",
            31,
        )
        assert await stage.pool.fetchval("select count(*) from caller_numbers where state = 'active'") == 2


@pytest.mark.parametrize("body", [b"", b"[]", b'{"label": 5}', b'{"label": "x", "marks": -1}', b"\xff" * 100_000, b'{"label": "x", "marks": true}'])  # fmt: skip
async def test_label_service_that_answers_nonsense_says_nothing_about_a_number(stage: Stage, body: bytes) -> None:
    async with a_label_service() as (service, url):
        engine = await stage.start(caller_watch_every_s=60.0, label_url=url)
        await stage.project()
        service.body = body
        await engine.parts.caller_watch.ask_labels()
        row = await stage.pool.fetchrow("select label, labelled_at from caller_numbers")
        assert row is not None
        assert tuple(row) == ("", None)
        service.body, service.status = None, 503
        await engine.parts.caller_watch.ask_labels()
        assert await stage.pool.fetchval("select labelled_at from caller_numbers") is None
        service.status = 200
        await engine.parts.caller_watch.ask_labels()
        assert await stage.pool.fetchval("select labelled_at from caller_numbers") is not None


async def test_running_engine_looks_by_itself(stage: Stage) -> None:
    await stage.start(caller_watch_every_s=0.05)
    project = await stage.project(caller_number_count=3)
    await stage.pool.execute("update caller_numbers set state = 'resting', why = 'x', rests_until = now() where number = $1", project.caller_numbers[0].number)  # fmt: skip

    async def woken() -> bool:
        row = await row_of(stage.pool, project.caller_numbers[0].number)
        return bool(row["state"] == "active")

    await wait_until(woken, timeout_s=5, what="the number to wake")
