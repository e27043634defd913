"""PostgreSQL and Redis of the lab: there, private, and the same again after a kill."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio as redis_client
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from lab import reaper
from lab.errors import NotReady, ProgramMissing, ServiceFailed
from lab.postgres import Postgres
from lab.process import ChildProcess
from lab.redis import Redis
from lab.waiting import wait_until

pytestmark = pytest.mark.services


async def test_a_test_gets_a_migrated_and_empty_database(pool: asyncpg.Pool[asyncpg.Record]) -> None:
    assert await pool.fetchval("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'") > 0


async def test_what_one_test_writes_no_other_test_sees(postgres: Postgres, pool: asyncpg.Pool[asyncpg.Record]) -> None:
    await pool.execute("CREATE TABLE only_here (id int)")
    connection = await asyncpg.connect(postgres.url_of("waihu_template"))
    try:
        assert await connection.fetchval("SELECT to_regclass('only_here')") is None
    finally:
        await connection.close()


async def test_postgres_keeps_committed_rows_over_kill_minus_nine(tmp_path: Path) -> None:
    service = Postgres(tmp_path, fsync=False)
    await service.start()
    try:
        url, first = service.url, service.pid
        connection = await asyncpg.connect(url)
        await connection.execute("CREATE TABLE kept (id int)")
        await connection.execute("INSERT INTO kept VALUES (1)")
        service.kill()
        connection.terminate()
        assert reaper.descendants(first) == [first]
        await service.start()
        assert service.url == url
        connection = await asyncpg.connect(url)
        assert await connection.fetchval("SELECT count(*) FROM kept") == 1
        await connection.close()
    finally:
        await service.stop()


async def test_redis_comes_back_on_its_port_after_a_kill(tmp_path: Path) -> None:
    service = Redis(tmp_path)
    await service.start()
    try:
        service.kill()
        await service.start()
        async with redis_client.Redis.from_url(service.url) as client:
            assert await client.ping()
    finally:
        await service.stop()


async def test_services_refuse_a_stranger_without_the_password(
    tmp_path: Path, postgres: Postgres, redis: Redis
) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(f"postgresql://waihu:guess@127.0.0.1:{postgres.port}/postgres")
    async with redis_client.Redis(host="127.0.0.1", port=redis.port, retry=Retry(NoBackoff(), 0)) as client:
        with pytest.raises(redis_client.AuthenticationError):
            await client.ping()


async def test_two_instances_run_side_by_side(tmp_path: Path, postgres: Postgres) -> None:
    other = Postgres(tmp_path, fsync=False)
    await other.start()
    try:
        assert other.port != postgres.port
        for service in (other, postgres):
            connection = await asyncpg.connect(service.url)
            await connection.close()
    finally:
        await other.stop()


async def test_an_initdb_that_was_interrupted_is_done_again(tmp_path: Path) -> None:
    half = tmp_path / "postgres" / "data"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("15\n", encoding="ascii")
    service = Postgres(tmp_path, fsync=False)
    await service.start()
    await service.stop()


async def test_a_lock_file_whose_number_went_to_another_process_does_not_stop_postgres(tmp_path: Path) -> None:
    service = Postgres(tmp_path, fsync=False)
    await service.start()
    service.kill()
    lock = tmp_path / "postgres" / "data" / "postmaster.pid"
    lock.write_text(lock.read_text().replace(str(service.pid), str(os.getpid()), 1))
    await service.start()
    await service.stop()


async def test_services_end_when_the_process_that_started_them_is_killed(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import asyncio, os, pathlib
        from lab.postgres import Postgres
        from lab.redis import Redis
        async def main():
            run_dir = pathlib.Path({str(tmp_path)!r})
            for service in (Postgres(run_dir, fsync=False), Redis(run_dir)):
                await service.start()
                print(service.pid, flush=True)
            os.kill(os.getpid(), {int(signal.SIGKILL)})
        asyncio.run(main())
    """)
    starter = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=subprocess.PIPE)
    printed, _ = await starter.communicate()
    pids = [int(line) for line in printed.split()]
    assert starter.returncode == -signal.SIGKILL
    assert len(pids) == 2
    await wait_until(lambda: all(reaper.born(pid) is None for pid in pids), timeout_s=15, what="end of the orphans")


async def test_a_child_and_its_children_die_by_kill(tmp_path: Path) -> None:
    child = ChildProcess(["sh", "-c", "sleep 60 & setsid sleep 61 & wait"], tmp_path / "child.log")
    await child.start()
    family = await wait_until(lambda: _three(child.pid), timeout_s=10, what="the child's two children")
    child.kill()
    await wait_until(lambda: all(reaper.born(pid) is None for pid in family), timeout_s=10, what="end of the family")
    assert child.returncode == -signal.SIGKILL


async def test_a_child_that_ends_early_shows_the_end_of_its_log(tmp_path: Path) -> None:
    child = ChildProcess(["sh", "-c", "echo no space left; exit 3"], tmp_path / "child.log")
    await child.start()
    await child.wait_ended(10)
    with pytest.raises(ServiceFailed, match=r"code 3[^$]*no space left"):
        child.raise_if_ended()


async def test_a_missing_program_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ProgramMissing, match="make setup"):
        await ChildProcess(["/no/such/program"], tmp_path / "child.log").start()


async def test_waiting_ends_at_its_deadline_even_when_the_condition_hangs() -> None:
    async def hangs() -> bool:
        await asyncio.Event().wait()
        return True

    with pytest.raises(NotReady, match="the moon"):
        await wait_until(hangs, timeout_s=0.05, what="the moon")


def _three(pid: int) -> list[int] | None:
    family = reaper.descendants(pid)
    return family if len(family) == 3 else None
