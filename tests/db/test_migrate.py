"""Promises of the migrations: once, in order, by one at a time, and with an error that says what to do."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import psycopg
import pytest

from campaigns.sql import Pool
from dialer.db import migrate as runner
from dialer.db.attempts import ensure_partitions
from dialer.domain.errors import BadRequest, Unavailable
from lab.postgres import Postgres
from tests.builders import a_project, an_attempt

pytestmark = pytest.mark.services


@pytest.fixture
async def empty_url(postgres: Postgres) -> str:
    """A database with nothing in it."""
    connection = await asyncpg.connect(postgres.url_of("postgres"))
    await connection.execute("drop database if exists empty with (force)")
    await connection.execute("create database empty")
    await connection.close()
    return postgres.url_of("empty")


def test_each_migration_has_a_number_of_its_own_and_none_is_left_out() -> None:
    files = sorted(path.stem for path in (Path(runner.__file__).parent / "migrations").glob("*.sql"))
    assert [int(name[:4]) for name in files] == list(range(1, len(files) + 1)), files


async def test_migrating_twice_changes_nothing_the_second_time(empty_url: str) -> None:
    files = sorted(path.stem for path in (Path(runner.__file__).parent / "migrations").glob("*.sql"))
    assert await asyncio.to_thread(runner.pending, empty_url) == files
    assert await asyncio.to_thread(runner.migrate, empty_url) == files
    assert await asyncio.to_thread(runner.migrate, empty_url) == []
    assert await asyncio.to_thread(runner.pending, empty_url) == []


async def test_processes_that_start_together_migrate_once(empty_url: str) -> None:
    applied = await asyncio.gather(*(asyncio.to_thread(runner.migrate, empty_url) for _ in range(4)))
    assert sorted(map(len, applied))[:3] == [0, 0, 0]
    assert max(map(len, applied)) > 0


async def test_a_migration_that_fails_leaves_nothing_and_names_itself(empty_url: str) -> None:
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute(
            "create table recordings (mine integer)"
        )  # in the way of the last table of the first migration
    with pytest.raises(runner.MigrationFailed) as failed:
        await asyncio.to_thread(runner.migrate, empty_url)
    assert failed.value.error_id == "migration_failed"
    assert failed.value.detail == {"migration": "0001_initial"}
    with psycopg.connect(empty_url, autocommit=True) as connection:
        row = connection.execute("select to_regclass('leads'), to_regclass('users')").fetchone()
        assert row == (None, None)
        connection.execute("drop table recordings")
    assert await asyncio.to_thread(runner.migrate, empty_url) != []


@pytest.mark.parametrize("url", ["mysql://root@127.0.0.1/x", "nonsense", ""])
def test_a_url_that_is_no_postgresql_is_refused(url: str) -> None:
    with pytest.raises(BadRequest) as refused:
        runner.migrate(url)
    assert refused.value.error_id == "database_url_invalid"


def test_a_server_that_does_not_answer_is_an_error_one_can_act_on() -> None:
    with pytest.raises(Unavailable) as away:
        runner.migrate("postgresql://nobody@127.0.0.1:1/nothing")
    assert away.value.error_id == "database_unreachable"


async def test_a_migration_that_runs_elsewhere_is_waited_for_and_then_given_up(empty_url: str) -> None:
    with psycopg.connect(empty_url, autocommit=True) as other:
        other.execute("select pg_advisory_lock(%s)", (runner.LOCK_KEY,))
        with pytest.raises(Unavailable) as locked:
            await asyncio.to_thread(runner.migrate, empty_url, lock_timeout_s=0.2)
    assert locked.value.error_id == "migration_locked"


async def test_a_call_at_any_time_finds_its_partition_or_the_one_for_the_rest(pool: Pool) -> None:
    project = await a_project(pool)
    for moment in (datetime(2019, 5, 5, tzinfo=UTC), datetime(2031, 12, 31, 23, 59, 59, tzinfo=UTC)):
        await an_attempt(pool, project, now=moment)
    assert await pool.fetchval("select count(*) from attempts_elsewhere") == 2


async def test_partitions_are_made_ahead_and_again_without_harm(pool: Pool) -> None:
    for _ in range(2):
        await ensure_partitions(pool, datetime(2030, 11, 30, 23, 0, tzinfo=UTC))
    names = {
        row["relname"]
        for row in await pool.fetch("select relname from pg_class where relname ~ '^attempts_20(30|31)[0-9]{2}$'")
    }
    assert names == {"attempts_203011", "attempts_203012", "attempts_203101", "attempts_203102"}
    project = await a_project(pool)
    first = await an_attempt(pool, project, now=datetime(2030, 12, 1, tzinfo=UTC))
    last = await an_attempt(pool, project, now=datetime(2030, 12, 31, 23, 59, 59, 999000, tzinfo=UTC))
    assert {row["id"] for row in await pool.fetch("select id from attempts_203012")} == {
        first.attempt_id,
        last.attempt_id,
    }


async def test_a_month_whose_calls_lie_elsewhere_does_not_stop_the_others(pool: Pool) -> None:
    project = await a_project(pool)
    await an_attempt(pool, project, now=datetime(2033, 2, 3, tzinfo=UTC))
    await ensure_partitions(pool, datetime(2033, 1, 15, tzinfo=UTC))
    names = {
        row["relname"]
        for row in await pool.fetch("select relname from pg_class where relname ~ '^attempts_2033[0-9]{2}$'")
    }
    assert names == {"attempts_203301", "attempts_203303", "attempts_203304"}
