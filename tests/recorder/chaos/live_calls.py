"""Asterisk killed (SIGKILL) with a hundred bridged calls that it records: what each leg misses, and when every call has its recording.

All is Waihu's own: the engine dials a list, agents sit on nailed-up seats, the dialplan records, the recorder works beside; customers and agents are a crowd
(lab/crowd). What a leg should hold is known in two ways, of which neither says too little, so the lesser counts: the packets of 20 ms that Asterisk said it had
of this party, and all the time from its word to its death; and the whole age of the file.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from dialer.asterisk.site import TrunkSettings
from dialer.db.pool import create_pool
from dialer.domain.ids import attempt_of_channel
from dialer.domain.states import CallState
from dialer.engine import Engine
from dialer.engine.clock import SystemClock
from lab.asterisk_node import AsteriskNode
from lab.crowd import Crowd
from lab.errors import NotReady
from lab.ports import free_port
from lab.postgres import Postgres
from lab.waiting import wait_until
from recorder.file_keys import FileKeys
from recorder.keyring import KeySource
from recorder.paths import leg_paths
from recorder.service import Recorder
from recorder.settings import RecorderSettings
from recorder.verifying import damaged_files
from tests.benchmarks.bench_concurrent_calls import a_peer, a_seat, dial, seat_agents, seat_name
from tests.benchmarks.bench_originates import a_config
from tests.builders import a_project, a_trunk
from tests.databases import a_database, start_with_template
from tests.recorder.chaos.figures import Figure, Plan, none_of

CALLS = 100
_TALK_S = 20.0
_PER_S = 10
_LEG_BYTES = 32 * 1024
_UNSURE_BYTES = 3 * 320
"""What the measure cannot tell: packets that came before the recording began count as missing, and so do those that were still on their way into it."""
_BYTES_S = 16_000
_PACKET_BYTES = 320
_HEAD_BYTES = 44
_LINKED_S = 60.0
_PATIENCE_S = 180.0
_RTP_PORTS = 1_200


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What Asterisk had of the calls when it was asked, a moment before it died."""

    asked_s: float
    packets: dict[UUID, tuple[int, int]]  # call → from the customer, to the customer


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What was seen."""

    missing: dict[Path, float]
    linked_s: float
    rows: list[Any]
    damaged: list[str]


class Switchyard:
    """Everything that stands around the kill."""

    def __init__(self, plan: Plan, calls: int) -> None:
        self.plan = plan
        self.calls = calls
        self.postgres = Postgres(plan.run_dir, fsync=False)
        self.crowd = Crowd(plan.run_dir, places=2 * calls + 20)
        peers: list[TrunkSettings] = [a_peer(seat_name(n), self.crowd.agents_port) for n in range(calls)]
        self.node = AsteriskNode(
            plan.run_dir,
            agi_port=free_port(),
            trunks=[a_peer("carrier", self.crowd.customers_port), *peers],
            name="chaos-node",
            rtp_ports=max(40, _RTP_PORTS * calls // CALLS),
        )

    async def start(self) -> None:
        """The services."""
        await start_with_template(self.postgres)
        await asyncio.gather(self.node.start(), self.crowd.start())

    async def stop(self) -> None:
        """All of them."""
        await asyncio.gather(self.node.stop(), self.crowd.stop(), return_exceptions=True)
        await self.postgres.stop()

    async def kill(self) -> Outcome:
        """Calls, death, restart, and what came of it."""
        pool = await create_pool(await a_database(self.postgres))
        clock = SystemClock()
        settings = RecorderSettings(
            spool_dir=self.node.spool_dir,
            store_dir=self.plan.run_dir / "store",
            spool_floor_bytes=1,
            store_floor_bytes=1,
        )
        keys = FileKeys(KeySource(path=self.plan.run_dir / "recording.keys"))
        recorder = Recorder(pool, settings, clock=clock.now, keys=keys)
        engine = Engine(a_config(self.node), pool, room=recorder.room, on_ended=recorder.signal)
        try:
            await recorder.start()
            await engine.start()
            await wait_until(lambda: engine.ready, timeout_s=20, what="the engine")
            killed_s, heard = await self._talk(pool, engine)
            calls = [call.attempt_id for call in engine.parts.floor.calls.values() if call.state is CallState.BRIDGED]
            missing = await asyncio.to_thread(self._missing, calls, heard, killed_s)
            self.plan.say(f"Asterisk killed with {len(calls)} bridged calls")
            await pool.execute("update projects set state = 'paused'")
            await self.node.revive()
            linked_s = await self._linked(pool, calls)
            rows = await pool.fetch(_ROWS, calls)
            damaged = [str(one.attempt_id) async for one in damaged_files(pool, settings.store_dir)]
        finally:
            await engine.stop()
            await recorder.stop()
            pool.terminate()
        return Outcome(missing=missing, linked_s=linked_s, rows=rows, damaged=damaged)

    async def _talk(self, pool: asyncpg.Pool[asyncpg.Record], engine: Engine) -> tuple[float, Heard]:
        """Until all are bridged and have talked for a while; then Asterisk dies. When that was, on the clock of the files."""
        trunk = await a_trunk(pool, endpoint="carrier", max_channels=self.calls + 20, max_cps=_PER_S)
        project = await a_project(pool, trunk=trunk, mode="progressive", agent_wait_ms=5000, wrap_up_limit_s=0)
        agents = [await a_seat(pool, n, project.id) for n in range(self.calls)]
        await seat_agents(engine, agents)
        await dial(engine, pool, project.id, self.calls)

        def bridged() -> bool:
            states = [call.state for call in engine.parts.floor.calls.values()]
            return states.count(CallState.BRIDGED) >= self.calls

        await wait_until(bridged, timeout_s=self.calls / _PER_S + 60, what=f"{self.calls} bridged calls")
        await asyncio.sleep(_TALK_S)
        heard = await self._heard()
        killed_s = _clock_s()
        self.node.kill()
        return killed_s, heard

    async def _heard(self) -> Heard:
        listed = await self._console("core show channels concise")
        fields = [line.split("!") for line in listed.splitlines() if "!" in line]
        call_of = {one[0].removeprefix("PJSIP/"): attempt_of_channel(one[-1]) for one in fields}
        asked_s = _clock_s()
        packets = {}
        for name, received, sent in _COUNTS.findall(await self._console("pjsip show channelstats")):
            if (call := call_of.get(name)) is not None:
                packets[call] = (int(received), int(sent))
        return Heard(asked_s=asked_s, packets=packets)

    async def _console(self, command: str) -> str:
        """As `asterisk -rx`, without the tenth of a second that its start takes."""
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_unix_connection(f"/proc/{self.node.pid}/root/run/asterisk/asterisk.ctl")
            writer.write(f"cli quit after {command}\0".encode())
            said = await reader.read()
            writer.close()
        return said.decode(errors="replace")

    def _missing(self, calls: list[UUID], heard: Heard, killed_s: float) -> dict[Path, float]:
        """Bytes that each leg misses, at most. Blocking."""
        since = (killed_s - heard.asked_s) * _BYTES_S
        missing = {}
        for call in calls:
            for leg, packets in zip(leg_paths(self.node.spool_dir, call), heard.packets[call], strict=True):
                there = leg.stat().st_size - _HEAD_BYTES
                missing[leg] = min(packets * _PACKET_BYTES + since, (killed_s - _born_s(leg)) * _BYTES_S) - there
        return missing

    async def _linked(self, pool: asyncpg.Pool[asyncpg.Record], calls: list[UUID]) -> float:
        """Seconds from the restarted Asterisk until every call has its verified recording."""
        began = time.monotonic()

        async def all_of_them() -> bool:
            return bool(len(calls) == await pool.fetchval(_LINKED, calls))

        try:
            await wait_until(all_of_them, timeout_s=_PATIENCE_S, what="all recordings")
        except NotReady:
            return float("inf")
        return time.monotonic() - began


_COUNTS = re.compile(r"^ \S+ (carrier-\S+) +[\d:]+ \S+ +(\d+) +\d+ +\d+ +[\d.]+ +(\d+) ", re.MULTILINE)


def _clock_s() -> float:
    """The clock of files."""
    return time.clock_gettime(time.CLOCK_REALTIME)


def _born_s(leg: Path) -> float:
    """When a file was made. Python does not tell (statx(2) does)."""
    said = subprocess.run(["stat", "--format=%w", str(leg)], capture_output=True, text=True, check=True).stdout
    moment, _, fraction = said.strip().partition(".")
    digits, _, offset = fraction.partition(" ")
    return datetime.strptime(f"{moment} {offset}", "%Y-%m-%d %H:%M:%S %z").timestamp() + float(f"0.{digits}")


_LINKED = "select count(*) from recordings where attempt_id = any($1) and state = 'stored' and verified_at is not null"
_ROWS = """
select a.id, r.state, r.reason, r.duration_ms, r.faults::text as faults, r.lead_id = a.lead_id and r.agent_id = a.agent_id as linked
from attempts a left join recordings r on r.attempt_id = a.id where a.id = any($1)
"""


async def run(plan: Plan) -> list[Figure]:
    """The part, on services of its own."""
    wanted = plan.count(CALLS, least=5)
    yard = Switchyard(plan, wanted)
    try:
        await yard.start()
        outcome = await yard.kill()
    finally:
        await yard.stop()
    calls, worst = len(outcome.rows), max(outcome.missing.values())
    over = [
        f"{leg.name} misses {missing:.0f} bytes" for leg, missing in outcome.missing.items() if missing > _LEG_BYTES
    ]
    without = [f"{row['id']}: {row['state']}, {row['reason']}" for row in outcome.rows if row["state"] != "stored"]
    unlinked = [str(row["id"]) for row in outcome.rows if row["state"] == "stored" and not row["linked"]]
    unsaid = [str(row["id"]) for row in outcome.rows if row["faults"] and "header_repaired" not in row["faults"]]
    return [
        Figure(name="recorded calls that were up when Asterisk was killed", figure=str(calls), demand=f">= {wanted}", kept=calls >= wanted),
        Figure(name="  most that a leg misses", figure=f"{worst:.0f} bytes", demand=f"<= {_LEG_BYTES} + {_UNSURE_BYTES}", kept=plan.told(over)),
        Figure(name="  all repaired and linked after the restart", figure=f"{outcome.linked_s:.1f} s", demand=f"<= {_LINKED_S:.0f} s", kept=outcome.linked_s <= _LINKED_S),
        none_of("  calls without their recording", without, plan),
        none_of("  recordings not linked to lead and agent", unlinked, plan),
        none_of("  recordings that do not say that they were repaired", unsaid, plan),
        none_of("  files that are not what the ledger says", outcome.damaged, plan),
    ]  # fmt: skip
