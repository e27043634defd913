"""A private PostgreSQL cluster: its own port, directory and password, and none of its life outside the run directory.

Works for an ordinary user and for root (which PostgreSQL refuses), see lab/unprivileged.py. Survives kill -9: starts again on the
same data and port.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import asyncpg

from lab import reaper
from lab.errors import ProgramMissing, ServiceFailed
from lab.ports import free_port
from lab.process import ChildProcess
from lab.unprivileged import find_way
from lab.waiting import wait_until

_USER = "waihu"
_DATABASE = "waihu"
_OLDEST = 14
_PROGRAM_DIRS = "/usr/lib/postgresql"
_LAST_BREATH_S = 20.0


class Postgres:
    """`url` is known before start and stays the same over kills and restarts."""

    def __init__(
        self,
        run_dir: Path,
        *,
        fsync: bool = True,
        port: int | None = None,
        settings: Sequence[str] = (),
    ) -> None:
        """`settings` are lines like "log_min_duration_statement=50" on top of ours. fsync=False only where a lost cluster is no loss."""
        self.directory = run_dir / "postgres"
        self.port = port or free_port()
        self._fsync = fsync
        self._settings = list(settings)
        self._password = ""
        self._way = find_way(self.directory)
        self._data = self._way.directory / "data"
        self._child = ChildProcess(
            [*self._way.prefix, str(_programs() / "postgres"), "-D", str(self._data)],
            run_dir / "postgres.log",
            stop_signal=signal.SIGINT,  # "fast": ends sessions, then writes a checkpoint
            cwd=Path("/"),
        )

    @property
    def url(self) -> str:
        return self.url_of(_DATABASE)

    def url_of(self, database: str) -> str:
        self._password = self._password or self._read_or_make_password()
        return f"postgresql://{_USER}:{self._password}@127.0.0.1:{self.port}/{database}"

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def process(self) -> ChildProcess:
        return self._child

    async def start(self) -> None:
        """Make the cluster when there is none yet, start, and wait until it answers and has its database."""
        host_data = self.directory / "data"
        if not (self.directory / "complete").exists():
            shutil.rmtree(host_data, ignore_errors=True)  # left by an initdb that was interrupted
            self._initdb()
        self._write_settings(host_data)
        _remove_stale_lock(host_data)
        deadline_s = time.monotonic() + _LAST_BREATH_S
        while True:
            await self._child.start()
            try:
                await self.wait_ready(60.0)
                return
            except ServiceFailed as error:
                # After kill -9 its children end by themselves, a moment later; until then their memory is "still in use".
                if "shared memory block" not in str(error) or time.monotonic() > deadline_s:
                    raise
                await asyncio.sleep(0.2)

    async def wait_ready(self, timeout_s: float) -> None:
        await wait_until(
            self._answers, timeout_s=timeout_s, what=f"PostgreSQL on port {self.port} (log: {self._child.log_path})"
        )

    async def stop(self) -> None:
        await self._child.stop(timeout_s=60.0)

    def kill(self) -> None:
        self._child.kill()

    async def _answers(self) -> bool:
        self._child.raise_if_ended()
        try:
            connection = await asyncpg.connect(self.url_of("postgres"), timeout=5)
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError):
            return False
        try:
            if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", _DATABASE):
                await connection.execute(f'CREATE DATABASE "{_DATABASE}"')
        finally:
            await connection.close()
        return True

    def _read_or_make_password(self) -> str:
        path = self.directory / "password"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(24), encoding="ascii")
            status = self.directory.stat()
            shutil.chown(path, status.st_uid, status.st_gid)
        return path.read_text(encoding="ascii").strip()

    def _initdb(self) -> None:
        self._read_or_make_password()
        argv = [
            *self._way.prefix,
            str(_programs() / "initdb"),
            *("--pgdata", str(self._data)),
            *("--username", _USER),
            *("--pwfile", str(self._way.directory / "password")),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8"),
            *(() if self._fsync else ("--no-sync",)),
        ]
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=300, check=False, stdin=subprocess.DEVNULL, cwd="/"
        )
        if done.returncode:
            raise ServiceFailed(f"initdb failed in {self.directory} (is the disk full?):\n{done.stderr.strip()}")
        (self.directory / "complete").touch()

    def _write_settings(self, data: Path) -> None:
        lines = [
            f"port = {self.port}",
            "listen_addresses = '127.0.0.1'",
            "unix_socket_directories = ''",  # the path of a checkout can be longer than a socket's may be
            "max_connections = 200",
            "shared_buffers = 64MB",
            "dynamic_shared_memory_type = mmap",  # in the data directory, so that a kill leaves nothing in /dev/shm
            "timezone = 'UTC'",
            "log_timezone = 'UTC'",
            "log_min_messages = warning",
            "jit = off",
            f"fsync = {'on' if self._fsync else 'off'}",
            "synchronous_commit = on",  # without fsync too: a commit must outlive the kill of a process, only not the machine's
            f"full_page_writes = {'on' if self._fsync else 'off'}",
            *self._settings,
        ]
        path = data / "postgresql.auto.conf"
        path.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")


def _programs() -> Path:
    """Directory of the newest installed server's programs."""
    initdb = shutil.which("initdb")
    versions = [
        path
        for path in Path(_PROGRAM_DIRS).glob("*/bin")
        if re.fullmatch(r"\d+", path.parent.name) and (path / "initdb").exists()
    ]
    found = sorted(versions, key=lambda path: int(path.parent.name))
    if found and int(found[-1].parent.name) >= _OLDEST:
        return found[-1]
    if initdb:
        return Path(initdb).resolve().parent
    raise ProgramMissing(f"no PostgreSQL server of version {_OLDEST} or newer found: run `make setup`")


def _remove_stale_lock(data: Path) -> None:
    """After kill -9 the lock file stays; when its number has gone to another process by now, PostgreSQL would refuse to start."""
    lock = data / "postmaster.pid"
    if not lock.exists():
        return
    pid = int(lock.read_text(encoding="ascii", errors="replace").split("\n", 1)[0] or 0)
    if pid and reaper.born(pid) is not None and _stands_in(pid, data):
        raise ServiceFailed(f"a PostgreSQL (process {pid}) still runs on {data}: `make clean`, or end it")
    lock.unlink(missing_ok=True)


def _stands_in(pid: int, data: Path) -> bool:
    # The server's working directory is its data directory, under whatever path it sees it.
    try:
        return data.samefile(f"/proc/{pid}/cwd")
    except OSError:
        return False
