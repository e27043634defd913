"""A private Redis: its own port, a password, nothing on disk (what it holds may be lost)."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

import redis.asyncio as redis_client
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from lab.errors import ProgramMissing
from lab.ports import free_port
from lab.process import ChildProcess
from lab.waiting import wait_until


class Redis:
    """`url` is known before start and stays the same over kills and restarts."""

    def __init__(self, run_dir: Path, *, port: int | None = None) -> None:
        self.directory = run_dir / "redis"
        self.port = port or free_port()
        self._password = secrets.token_urlsafe(24)
        self._config = self.directory / "redis.conf"
        self._child = ChildProcess([*_server(), str(self._config)], self.directory / "redis.log")

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def process(self) -> ChildProcess:
        return self._child

    async def start(self) -> None:
        """Start and wait until it answers."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._config.touch(mode=0o600)
        lines = [
            f"port {self.port}",
            "bind 127.0.0.1",
            f"requirepass {self._password}",
            f'dir "{self.directory}"',
            'save ""',
            "appendonly no",
            "daemonize no",
        ]
        self._config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        await self._child.start()
        await self.wait_ready(20.0)

    async def wait_ready(self, timeout_s: float) -> None:
        await wait_until(
            self._answers, timeout_s=timeout_s, what=f"Redis on port {self.port} (log: {self._child.log_path})"
        )

    async def stop(self) -> None:
        await self._child.stop()

    def kill(self) -> None:
        self._child.kill()

    async def _answers(self) -> bool:
        self._child.raise_if_ended()
        client = redis_client.Redis.from_url(self.url, retry=Retry(NoBackoff(), 0))
        try:
            return bool(await client.ping())
        except (RedisError, OSError):
            return False
        finally:
            await client.aclose()


def _server() -> list[str]:
    server = shutil.which("redis-server")
    if server:
        return [server]
    # Debian and Ubuntu keep the server's program in redis-tools under another name; the package redis-server adds little but a
    # system service, which nobody asked us to start.
    program = shutil.which("redis-check-rdb")
    if program:
        return ["bash", "-c", 'exec -a redis-server "$0" "$@"', program]
    raise ProgramMissing("no redis-server found: run `make setup`")
