"""A whole call centre on one machine: PostgreSQL, Redis, a carrier, our Asterisk, Waihu as a process of its own, softphones.

The demo shows it, chaos kills it. Everything is under one directory and on free ports; every part can be stopped, killed and started again.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import asyncpg

from dialer.db.migrate import migrate
from dialer.domain.roles import Role
from dialer.web.users.create import create_user
from lab.asterisk_node import AsteriskNode
from lab.carrier import Carrier
from lab.errors import LabError
from lab.ports import free_port
from lab.postgres import Postgres
from lab.process import ChildProcess
from lab.redis import Redis
from lab.softphone import Account
from lab.softphone_bank import SoftphoneBank
from lab.waiting import wait_until

NODE = "lab-1"
ADMIN = "admin"
_STOP_S = 75.0  # each part of Waihu has its own deadline
_HEALTH_TIMEOUT = aiohttp.ClientTimeout(total=2)


class FloorNotStopped(LabError):
    """Something did not end when it was told to."""

    error_id = "lab.floor_not_stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where Waihu listens; fixed over restarts."""

    web: int
    control: int
    agi: int


class Floor:
    """`await start(...)`, then it stands; `await stop()` leaves nothing but the files in `run_dir`."""

    def __init__(
        self, run_dir: Path, *, time_scale: float, fsync: bool = True, name: str = "demo", rtp_ports: int = 200
    ) -> None:
        """`time_scale`: how much shorter people ring and talk than in life."""
        self.run_dir = run_dir
        self.name = name
        self.ports = Ports(web=free_port(), control=free_port(), agi=free_port())
        self.postgres = Postgres(run_dir, fsync=fsync)
        self.redis = Redis(run_dir)
        self.carrier = Carrier(run_dir, time_scale=time_scale, name=f"{name}-carrier", rtp_ports=rtp_ports)
        self.node = AsteriskNode(
            run_dir, agi_port=self.ports.agi, trunks=[self.carrier.trunk], name=f"{name}-node", rtp_ports=rtp_ports * 2
        )
        self.carrier.node_sip_port = self.node.sip_port
        self.phones: SoftphoneBank | None = None
        self.admin_password = secrets.token_urlsafe(12)
        self.control_token = secrets.token_hex(24)
        self.store_dir = run_dir / "store"
        self.recording_keys = run_dir / "recording.keys"
        self.work_dir = run_dir / "work"
        self.config_path = run_dir / "waihu.toml"
        self.waihu = ChildProcess(
            [sys.executable, "-m", "dialer", "serve"],
            run_dir / "waihu.log",
            {"WAIHU_CONFIG": str(self.config_path), "PYTHONFAULTHANDLER": "1"},
        )

    @property
    def url(self) -> str:
        """Where the API is."""
        return f"http://127.0.0.1:{self.ports.web}"

    async def start(self, on_step: Callable[[str], None]) -> None:
        """Everything but the softphones; a fresh database and an empty store."""
        self._clear()
        on_step("PostgreSQL, Redis, Asterisk and the carrier")
        async with asyncio.TaskGroup() as group:
            group.create_task(self._start_database(), name="postgres")
            group.create_task(self.redis.start(), name="redis")
            group.create_task(self.carrier.start(), name="carrier")
            group.create_task(self.node.start(), name="node")
        self._write_config()
        on_step("Waihu")
        await self.start_waihu()

    async def start_waihu(self, timeout_s: float = 30.0) -> None:
        """Start it (again); back when it serves."""
        await self.waihu.start()
        await wait_until(
            self._waihu_serves, timeout_s=timeout_s, what=f"Waihu at {self.url} (log: {self.waihu.log_path})"
        )

    async def start_phones(self, accounts: Sequence[Account]) -> None:
        """The agents' softphones, registered."""
        self.phones = SoftphoneBank(
            self.run_dir, accounts, f"{self.node.sip_host}:{self.node.sip_port}", name=f"{self.name}-phones"
        )
        await self.phones.start()

    async def stop(self) -> None:
        """Everything, in order; what fails to stop is killed, and the rest still stops."""
        stops = [self.waihu.stop(_STOP_S)]
        if self.phones is not None:
            stops.append(self.phones.stop())
        problems: list[BaseException] = []
        for stop in [*stops, self.node.stop(), self.carrier.stop(), self.redis.stop(), self.postgres.stop()]:
            try:
                await stop
            except Exception as error:  # noqa: BLE001  # the rest must stop too; told below
                problems.append(error)
        if problems:
            told = "; ".join(str(problem) for problem in problems)
            raise FloorNotStopped(f"parts had to be killed, see the logs in {self.run_dir}: {told}")

    async def connect(self) -> asyncpg.Connection[asyncpg.Record]:
        """A look into the database, past Waihu."""
        return await asyncpg.connect(self.postgres.url, timeout=5)

    def _clear(self) -> None:
        for path in (
            self.store_dir,
            self.work_dir,
            self.node.spool_dir,
            self.run_dir / "archive",
            self.run_dir / "discs",
        ):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True, exist_ok=True)
        for path in (self.node.cdr_file, self.node.hangups_file, self.carrier.cdr_file, self.waihu.log_path):
            path.unlink(missing_ok=True)

    async def _start_database(self) -> None:
        await self.postgres.start()
        connection = await asyncpg.connect(self.postgres.url_of("postgres"), timeout=10)
        try:
            await connection.execute("drop database if exists waihu with (force)")
            await connection.execute("create database waihu")
        finally:
            await connection.close()
        await asyncio.to_thread(migrate, self.postgres.url)
        async with asyncpg.create_pool(self.postgres.url, min_size=1, max_size=1) as pool:
            await create_user(
                pool,
                login=ADMIN,
                display_name="Admin",
                role=Role.ADMIN,
                password=self.admin_password,
                now=datetime.now(UTC),  # noqa: TID251  # the lab is a rim
            )

    def _write_config(self) -> None:
        values: dict[str, str | int] = {
            "database_url": self.postgres.url,
            "redis_url": self.redis.url,
            "node": NODE,
            "ami_host": self.node.ami_host,
            "ami_port": self.node.ami_port,
            "ami_user": self.node.ami_user,
            "ami_secret": self.node.ami_secret,
            "agi_port": self.ports.agi,
            "cdr_file": str(self.node.cdr_file),
            "spool_dir": str(self.node.spool_dir),
            "store_dir": str(self.store_dir),
            "recording_keys": str(self.recording_keys),
            "archive_keys": str(self.run_dir / "archive.keys"),
            "work_dir": str(self.work_dir),
            "archive_dir": str(self.run_dir / "archive"),
            "web_port": self.ports.web,
            "control_port": self.ports.control,
            "control_token": self.control_token,
            "log_format": "json",
        }
        self.config_path.touch(mode=0o600)
        lines = [
            f"{name} = {value}" if isinstance(value, int) else f'{name} = "{value}"' for name, value in values.items()
        ]
        self.config_path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    async def serves(self) -> bool:
        """Whether the API answers and reaches the database, whichever process gives it."""
        try:
            async with (
                aiohttp.ClientSession(timeout=_HEALTH_TIMEOUT) as session,
                session.get(self.url + "/healthz") as response,
            ):
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _waihu_serves(self) -> bool:
        self.waihu.raise_if_ended()
        return await self.serves()


def run_directory(name: str) -> Path:
    """`.run/<name>` of this checkout."""
    checkout = Path(__file__).resolve().parents[1]
    path = checkout / ".run" / name
    path.mkdir(parents=True, exist_ok=True)
    return path
