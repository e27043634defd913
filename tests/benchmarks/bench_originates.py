"""100 originates a second for a minute on the real Asterisk, SIP loopback without media: is any attempt lost, and what does the engine cost?

The whole path is taken: claim, commit, Originate, ringing, answer, the dialplan's question, hang-up, the attempt's end in PostgreSQL.
The far end (SIPp) answers at once and hangs up after 300 ms, while the customer waits for an agent. CPU is that of the two processes.
Prints `name | figure | bound | ratio | ok/MISSED`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import structlog
import uvloop

from dialer.asterisk.site import TrunkSettings
from dialer.db.migrate import migrate
from dialer.db.pool import create_pool
from dialer.domain.pacing import Decision, Limit, Snapshot
from dialer.engine import Engine, EngineConfig
from lab.asterisk_node import AsteriskNode
from lab.containers import Container
from lab.ports import free_port
from lab.postgres import Postgres
from lab.waiting import wait_until
from tests.benchmarks.priority import put_ahead
from tests.benchmarks.sip_answerers import answerers
from tests.builders import NODE, a_project, a_trunk

PER_S = 100
SECONDS = int(os.environ.get("WAIHU_BENCH_SECONDS", "60"))
CPU_RATIO_BOUND = 0.7
ALLOWED = Decimal("1.05")
"""What the trunk may take beyond the rate to be held: a budget never gives back the time in which it was not used."""

Figure = tuple[str, str, str, str, bool]


class AsManyAsTheTrunkTakes:
    """A policy that places all it may."""

    def __init__(self) -> None:
        self.left = PER_S * SECONDS

    def decide(self, snapshot: Snapshot) -> Decision:
        del snapshot
        return Decision(place=self.left, limited_by=Limit.NOTHING)


def cpu_s(pid: int) -> float:
    """User and system time of a process and its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Lab:
    """What stands around the engine."""

    postgres: Postgres
    node: AsteriskNode
    customers: Container
    others: tuple[Container, ...] = ()

    async def start(self) -> None:
        await self.postgres.start()
        await asyncio.gather(self.node.start(), self.customers.start(), *(one.start() for one in self.others))
        await asyncio.to_thread(migrate_new, self.postgres)

    async def stop(self) -> None:
        stops = [self.node.stop(), self.customers.stop(), *(one.stop() for one in self.others)]
        await asyncio.gather(*stops, return_exceptions=True)
        await self.postgres.stop()


def a_lab(run_dir: Path) -> Lab:
    sip_port = free_port()
    node = AsteriskNode(
        run_dir,
        agi_port=free_port(),
        trunks=[TrunkSettings(name="carrier", host="127.0.0.1", port=sip_port, qualify_s=0)],
        name="bench-node",
        rtp_ports=1200,
    )
    return Lab(Postgres(run_dir), node, answerers(run_dir / "sipp", "bench-customers", sip_port, talk_ms=300))


async def measure(lab: Lab) -> list[Figure]:
    node = lab.node
    in_time = [put_ahead(pid) for pid in (lab.postgres.pid, lab.customers.pid, node.pid, os.getpid())]
    print("all run " + ("in real time" if all(in_time) else "without real-time priority"))
    pool = await create_pool(lab.postgres.url_of("bench"))
    trunk = await a_trunk(pool, endpoint="carrier", max_channels=500, max_cps=PER_S * ALLOWED)
    project = await a_project(
        pool, trunk=trunk, mode="ratio", record_calls=False, agent_wait_ms=5000, ring_timeout_s=30
    )
    await pool.execute(
        "insert into leads (project_id, number) select $1, '+86139' || lpad(n::text, 8, '0') from generate_series(1, $2) n",
        project.id,
        PER_S * SECONDS,
    )
    engine = Engine(a_config(node), pool)
    policy = AsManyAsTheTrunkTakes()
    engine.parts.policies.of = lambda _project_id, _mode: policy  # type: ignore[assignment,method-assign]
    before_engine, before_asterisk, began = time.process_time(), cpu_s(node.pid), time.monotonic()
    await engine.start()

    async def is_over() -> bool:
        sent: int = await pool.fetchval("select count(*) from attempts where state = 'ended'")
        policy.left = PER_S * SECONDS - sent
        await asyncio.sleep(0.5)  # asking costs the engine's process time too
        return sent >= PER_S * SECONDS

    await wait_until(is_over, timeout_s=SECONDS * 2 + 30, what="the end of the list")
    took = time.monotonic() - began
    engine_s, asterisk_s = time.process_time() - before_engine, cpu_s(node.pid) - before_asterisk
    rows = await pool.fetch("select outcome, count(*) from attempts group by outcome")
    sending_s = await pool.fetchval("select extract(epoch from max(sent_at) - min(sent_at))::float from attempts")
    outcomes = {row["outcome"]: row["count"] for row in rows}
    await engine.stop()
    pool.terminate()
    total = sum(outcomes.values())
    rate = (total - 1) / sending_s
    early = outcomes.get("hung_up_early", 0)
    print(f"outcomes {outcomes}, {took:.1f} s, blocked loop {engine.parts.metrics.loop_blocked._value.get():.0f} times")
    ratio = engine_s / asterisk_s
    return [
        (
            "originates per second held",
            f"{rate:.1f}",
            f">= {PER_S}",
            f"{rate / PER_S:.2f}",
            rate >= PER_S,
        ),
        ("failed or lost attempts", str(total - early), "0", "-", total == early == PER_S * SECONDS),
        (
            "engine CPU per call",
            f"{engine_s / total * 1000:.2f} ms",
            f"<= {CPU_RATIO_BOUND} of Asterisk's {asterisk_s / total * 1000:.2f} ms",
            f"{ratio:.2f}",
            ratio <= CPU_RATIO_BOUND,
        ),
    ]


def migrate_new(postgres: Postgres) -> None:
    """A new, migrated database."""
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute("create database bench")
    migrate(postgres.url_of("bench"))


def a_config(node: AsteriskNode, **changes: Any) -> EngineConfig:
    """An engine for a node of the bench."""
    given: dict[str, Any] = {
        "node": NODE,
        "ami_host": node.ami_host,
        "ami_port": node.ami_port,
        "ami_user": node.ami_user,
        "ami_secret": node.ami_secret,
        "agi_host": "127.0.0.1",
        "agi_port": node.agi_port,
        "cdr_file": node.cdr_file,
    }
    return EngineConfig(**given | changes)


def show(figures: list[Figure]) -> None:
    """The lines that `make bench` reads."""
    for name, figure, bound, ratio, is_met in figures:
        print(f"{name} | {figure} | {bound} | {ratio} | {'ok' if is_met else 'MISSED'}")


def run(furnish: Callable[[Path], Lab], measuring: Callable[[Lab], Awaitable[list[Figure]]]) -> None:
    """Run a bench on a directory of its own; the engine on uvloop as in production, the lab on the loop it is made for."""
    root = Path(__file__).resolve().parents[2] / ".run" / "test"
    root.mkdir(parents=True, exist_ok=True)
    run_dir = Path(tempfile.mkdtemp(prefix="bench-", dir=root))
    lab = furnish(run_dir)
    try:
        asyncio.run(lab.start())
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            show(runner.run(measuring(lab)))  # type: ignore[arg-type]
    finally:
        asyncio.run(lab.stop())
        if not os.environ.get("WAIHU_KEEP"):
            shutil.rmtree(run_dir, ignore_errors=True)


def main() -> None:
    """Measure and print."""
    run(a_lab, measure)


if __name__ == "__main__":
    main()
