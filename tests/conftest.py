"""Services every test may ask for: a real PostgreSQL and a real Redis per worker, a fresh database per test."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import redis.asyncio as redis_client
import structlog
from hypothesis import settings

from dialer.db.pool import close_pool, create_pool
from lab.postgres import Postgres
from lab.redis import Redis
from lab.runner import enrol
from lab.s3 import S3
from recorder.archive import bucket as buckets
from recorder.archive.bucket import Place
from tests.databases import a_database, execute, start_with_template

# A slow machine is no fault of what is tested.
settings.register_profile("waihu", deadline=None)
settings.load_profile("waihu")

_CHECKOUT = Path(__file__).resolve().parents[1]
_BUCKET = "archive-of-tests"
# Files that take minutes begin, and short ones fill up what is left at the end: the workers finish together.
_LONG_FIRST = (
    "tests/demo",
    "tests/faults",
    "tests/system",
    "tests/ground",
    "tests/integration",
    "tests/cli",
    "tests/recorder",
)


def pytest_configure(config: pytest.Config) -> None:
    """SIGTERM, also from the end of `make`, ends the run like Ctrl-C: services are stopped, not left to the reaper."""
    if not hasattr(config, "workerinput"):
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        enrol(_CHECKOUT / ".run" / "test")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test is marked by what it asks for and where it lies, so that `make check` can leave out what needs services."""
    for item in items:
        wanted = set(getattr(item, "fixturenames", ()))
        if wanted & {"postgres", "redis", "s3_server"}:
            item.add_marker(pytest.mark.services)
        if item.path.is_relative_to(_CHECKOUT / "tests" / "system"):
            item.add_marker(pytest.mark.system)
    items.sort(key=_place)  # stable: inside a room the order stays what it was, random or not


def _place(item: pytest.Item) -> int:
    places = (n for n, folder in enumerate(_LONG_FIRST) if item.path.is_relative_to(_CHECKOUT / folder))
    return next(places, len(_LONG_FIRST))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A test marked `serial` runs while no other worker of this checkout runs one; all others run side by side."""
    locks = _CHECKOUT / ".run" / "test"
    locks.mkdir(parents=True, exist_ok=True)
    alone = item.get_closest_marker("serial") is not None
    with (locks / "turnstile.lock").open("w") as turnstile, (locks / "floor.lock").open("w") as floor:
        # Who wants the floor alone keeps the turnstile shut, or the others would take turns on the floor for ever.
        fcntl.flock(turnstile, fcntl.LOCK_EX)
        fcntl.flock(floor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(turnstile, fcntl.LOCK_UN)
        return (yield)


@pytest.fixture(autouse=True)
def logging_of_its_own() -> Iterator[None]:
    """What a test sets up for its log lines (a program's main does) ends with it."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def run_dir() -> Iterator[Path]:
    """A private directory of this worker under .run/test; kept when WAIHU_KEEP is set, to read the logs."""
    parent = _CHECKOUT / ".run" / "test"
    parent.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix=f"{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-", dir=parent))
    yield path
    if not os.environ.get("WAIHU_KEEP"):
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(run_dir: Path) -> Iterator[Postgres]:
    """One PostgreSQL per worker, with the migrated template database. A test that kills it must start it again."""
    service = Postgres(run_dir, fsync=False)
    asyncio.run(start_with_template(service))
    yield service
    asyncio.run(service.stop())


@pytest.fixture(scope="session")
def redis(run_dir: Path) -> Iterator[Redis]:
    """One Redis per worker. A test that kills it must start it again."""
    service = Redis(run_dir)
    asyncio.run(service.start())
    yield service
    asyncio.run(service.stop())


@pytest.fixture
async def database_url(postgres: Postgres) -> AsyncIterator[str]:
    """A migrated, empty database of this test alone."""
    url = await a_database(postgres)
    yield url
    await execute(postgres, f'DROP DATABASE IF EXISTS "{url.rpartition("/")[2]}" WITH (FORCE)')


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool[asyncpg.Record]]:
    """Connections to the test's own database."""
    connections = await create_pool(database_url)
    yield connections
    await close_pool(connections)


@pytest.fixture(scope="session")
def s3_server(run_dir: Path) -> Iterator[S3]:
    """One S3 with Object Lock per worker, for those who ask for it."""
    service = S3(run_dir)
    asyncio.run(service.start())
    yield service
    asyncio.run(service.stop())


@pytest.fixture
def s3(s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of it; the environment is what our own code finds it by."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    buckets.client.cache_clear()
    return buckets.client()


@pytest.fixture
def locked(s3: Any, tmp_path: Path) -> Place:
    """Somewhere of its own in a bucket with Object Lock. One bucket: this server makes files for each."""
    if _BUCKET not in [one["Name"] for one in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=_BUCKET, ObjectLockEnabledForBucket=True)
    return Place(bucket=_BUCKET, prefix=tmp_path.name)


@pytest.fixture
async def redis_url(redis: Redis) -> str:
    """Redis with nothing in it."""
    async with redis_client.Redis.from_url(redis.url) as client:
        await client.flushall()
    return redis.url
