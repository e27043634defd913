"""From a customer's answer to both sides bridged, at 20 answers a second with 50 seats: the dialplan alone, and the way over the engine.

Both by Asterisk's own clock (the `Timestamp` of its events), in one run on one Asterisk: first the bridge is told to Asterisk with the
Originate, then the dialplan asks the engine, which matches an agent. Prints `name | figure | bound | ratio | ok/MISSED`.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg

from dialer.asterisk.ami.actions import Action
from dialer.asterisk.ami.client import AmiConfig, ami_session
from dialer.asterisk.ami.message import Event
from dialer.asterisk.site import TrunkSettings
from dialer.db.pool import create_pool
from dialer.domain.commands import AgentBreak, AgentLogin, AgentReady
from dialer.engine import Engine
from dialer.main import memory
from lab.asterisk_node import AsteriskNode
from lab.ports import free_port
from lab.postgres import Postgres
from lab.waiting import wait_until
from tests.benchmarks.bench_originates import Figure, Lab, a_config, run
from tests.benchmarks.priority import put_ahead
from tests.benchmarks.sip_answerers import answerers
from tests.builders import NODE, a_project, a_trunk, an_agent

SEATS = 50
PER_S = 20
SECONDS = int(os.environ.get("WAIHU_BENCH_SECONDS", "30"))
ADDED_MS_BOUND = 15.0


class Stopwatch:
    """Times answer and bridge of each customer's channel by the time Asterisk puts on its events."""

    def __init__(self) -> None:
        self.answered: dict[str, float] = {}
        self.bridged: dict[str, float] = {}

    def see(self, event: Event) -> None:
        channel_id = event.get("Uniqueid")
        if not channel_id.startswith("call-"):
            return
        if event.name == "Newstate" and event.get("ChannelState") == "6":
            self.answered.setdefault(channel_id, float(event.get("Timestamp")))
        elif event.name == "BridgeEnter":
            self.bridged.setdefault(channel_id, float(event.get("Timestamp")))

    def milliseconds(self) -> list[float]:
        return sorted((self.bridged[key] - self.answered[key]) * 1000 for key in self.bridged if key in self.answered)


def a_lab(run_dir: Path) -> Lab:
    customers_port, seats_port = free_port(), free_port()
    phones = [
        TrunkSettings(name=f"bench-{n:02d}", host="127.0.0.1", port=seats_port, qualify_s=0) for n in range(SEATS)
    ]
    node = AsteriskNode(
        run_dir,
        agi_port=free_port(),
        trunks=[TrunkSettings(name="carrier", host="127.0.0.1", port=customers_port, qualify_s=0), *phones],
        name="bench-node",
        rtp_ports=1200,
        seat_rtp_timeout_s=3600,
    )
    return Lab(
        Postgres(run_dir),
        node,
        answerers(run_dir / "sipp", "bench-customers", customers_port, talk_ms=500),
        (answerers(run_dir / "sipp", "bench-seats", seats_port, talk_ms=None),),
    )


async def measure(lab: Lab) -> list[Figure]:
    in_time = [put_ahead(pid) for pid in (lab.node.pid, os.getpid())]
    print("Asterisk and the engine run " + ("in real time" if all(in_time) else "without real-time priority"))
    pool = await create_pool(lab.postgres.url_of("bench"))
    trunk = await a_trunk(pool, endpoint="carrier", max_channels=500, max_cps=PER_S)
    project = await a_project(
        pool, trunk=trunk, mode="progressive", record_calls=False, agent_wait_ms=2000, wrap_up_limit_s=0
    )
    agents = [await _seat(pool, n, project.id) for n in range(SEATS)]
    engine = Engine(a_config(lab.node), pool)
    await engine.start()
    await wait_until(lambda: engine.ready, timeout_s=10, what="engine")
    for agent_id, device_id in agents:
        await engine.execute(AgentLogin(agent_id=agent_id, device_id=device_id))
    await wait_until(lambda: all(one.seated for one in engine.parts.floor.agents.values()), timeout_s=30, what="seats")
    memory.settle()  # as in production, when all parts have started
    seats = [one.seat.channel for one in engine.parts.floor.agents.values() if one.seat]
    node = lab.node
    config = AmiConfig(host=node.ami_host, port=node.ami_port, user=node.ami_user, secret=node.ami_secret)
    alone, over_engine = Stopwatch(), Stopwatch()
    async with ami_session(config, on_event=alone.see) as ami:
        for n in range(PER_S * SECONDS):
            await ami.send(_bridge_at_once(n, seats[n % SEATS]))
            await asyncio.sleep(1 / PER_S)
        await wait_until(lambda: len(alone.bridged) >= PER_S * SECONDS * 0.99, timeout_s=10, what="dialplan's bridges")
    await pool.execute(
        "insert into leads (project_id, number) select $1, '+86139' || lpad(n::text, 8, '0') from generate_series(1, $2) n",
        project.id,
        PER_S * SECONDS,
    )
    async with ami_session(config, on_event=over_engine.see):
        for agent_id, _ in agents:
            await engine.execute(AgentReady(agent_id=agent_id))
        engine.parts.placing.new_list(project.id)

        async def is_over() -> bool:
            await asyncio.sleep(0.5)
            ended: int = await pool.fetchval("select count(*) from attempts where state = 'ended'")
            return ended >= PER_S * SECONDS

        await wait_until(is_over, timeout_s=SECONDS * 3 + 30, what="the end of the list")
    for agent_id, _ in agents:
        await engine.execute(AgentBreak(agent_id=agent_id, reason="over"))
    bridged: int = await pool.fetchval("select count(*) from attempts where outcome = 'connected'")
    await engine.stop()
    pool.terminate()
    base, path = alone.milliseconds(), over_engine.milliseconds()
    added = _p(path, 0.99) - _p(base, 0.99)
    print(f"dialplan alone p50 {_p(base, 0.5):.1f} ms, p99 {_p(base, 0.99):.1f} ms ({len(base)} calls)")
    print(
        "slowest over the engine, ms",
        [round(one, 1) for one in path[-8:]],
        "dialplan",
        [round(one, 1) for one in base[-4:]],
    )
    print(f"over the engine p50 {_p(path, 0.5):.1f} ms, p99 {_p(path, 0.99):.1f} ms ({len(path)} calls)")
    return [
        (
            "answer to bridged, p99 over the engine",
            f"{_p(path, 0.99):.1f} ms",
            f"<= dialplan's {_p(base, 0.99):.1f} ms + {ADDED_MS_BOUND:.0f} ms",
            f"{added:+.1f} ms",
            added <= ADDED_MS_BOUND,
        ),
        ("answered calls bridged", str(bridged), str(PER_S * SECONDS), "-", bridged == PER_S * SECONDS),
    ]


async def _seat(pool: asyncpg.Pool, n: int, project_id: UUID) -> tuple[UUID, UUID]:
    agent_id = await an_agent(pool, projects=[project_id])
    device_id: UUID = await pool.fetchval(
        "insert into devices (agent_id, node, kind, username, digest) values ($1, $2, 'softphone', $3, $4) returning id",
        agent_id,
        NODE,
        f"bench-{n:02d}",
        "0" * 32,
    )
    return agent_id, device_id


def _bridge_at_once(n: int, seat: str) -> Action:
    """Originate with the bridge as its application: nobody is asked."""
    return Action(
        name="Originate",
        headers=(
            ("Channel", f"PJSIP/137{n:08d}@carrier"),
            ("ChannelId", f"call-{uuid4().hex}"),
            ("Application", "Bridge"),
            ("Data", f"{seat},F(waihu-seat,s,idle)"),
            ("Timeout", "30000"),
            ("CallerID", "<02155550100>"),
            ("Async", "true"),
        ),
    )


def _p(values: list[float], part: float) -> float:
    return values[min(len(values) - 1, int(len(values) * part))]


def main() -> None:
    """Measure and print."""
    run(a_lab, measure)


if __name__ == "__main__":
    main()
