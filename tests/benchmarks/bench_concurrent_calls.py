"""200 calls at a time, bridged, recorded on both legs, with sound in both directions: is there a gap anywhere, and where is this machine's limit?

Everything is Waihu's own: the engine dials a list, agents sit on nailed-up seats, the dialplan records. Customers and agents are a crowd
(lab/crowd) whose sound is known, so each packet that a far end does not hear and each sample that a leg does not hold is seen. After 200
calls have talked for a while, more are added until a gap appears or the cores are nearly full: that is the limit, and the line that names
it says what was used up. Not in it: turning legs into Opus files, which happens after the hang-up.
Prints `name | figure | bound | ratio | ok/MISSED`.
"""

from __future__ import annotations

import asyncio
import os
import time
import wave
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import asyncpg
import numpy as np

from dialer.asterisk.ami.client import AmiConfig, ami_session
from dialer.asterisk.ami.message import Event
from dialer.asterisk.site import TrunkSettings
from dialer.db.pool import create_pool
from dialer.domain.commands import AgentLogin, AgentReady, PauseProject
from dialer.domain.states import CallState
from dialer.engine import Engine
from lab.asterisk_node import AsteriskNode
from lab.crowd import Continuity, Crowd, Heard, follow, sound_of
from lab.errors import NotReady
from lab.ports import free_port
from lab.postgres import Postgres
from lab.waiting import wait_until
from tests.benchmarks.bench_originates import Figure, Lab, a_config, cpu_s, run
from tests.benchmarks.priority import put_ahead
from tests.builders import NODE, a_project, a_trunk, an_agent

CALLS = int(os.environ.get("WAIHU_BENCH_CALLS", "200"))
HOLD_S = int(os.environ.get("WAIHU_BENCH_SECONDS", "30"))
MOST = int(os.environ.get("WAIHU_BENCH_MOST", "400"))
FULLEST = 0.85
"""Calls are not added beyond this part of all cores: what is in real time would leave nothing for anybody else."""
STEP = 50
STEP_HOLD_S = 10
PER_S = 20
SEATED_AT_ONCE = 20
RATE_HZ = 8000
OPENING_S = 0.25
"""While a recording is being opened Asterisk now and then loses a packet of 20 ms; told apart, and counted like any gap while all talk."""
RTP_PORTS = range(61_000, 65_536)
"""Above those Linux gives to outgoing connections: four for each call are more than the lab has in a row. Asterisk passes over one that is taken."""
LENGTH_TOLERANCE_S = 0.25
"""How much shorter than the conversation a leg may be: the first and the last packets, and the time events take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """So many calls at a time, for a while. CPU in cores."""

    calls: int
    began_s: float
    ended_s: float
    heard: Heard
    asterisk: float
    crowd: float
    engine: float
    others: float
    idle: float
    written_mb_s: float

    def full_at(self) -> float:
        """How many such calls would take all cores, by proportion."""
        return self.calls * (os.cpu_count() or 1) / (self.asterisk + self.crowd + self.engine)

    @property
    def words(self) -> str:
        return (
            f"{self.calls} calls: Asterisk {self.asterisk:.2f} cores ({self.asterisk / self.calls * 100:.2f} % of one a call), crowd "
            f"{self.crowd:.2f}, engine {self.engine:.2f}, all others {self.others:.2f}, idle {self.idle:.2f}; {self.written_mb_s:.1f} MB/s "
            f"written; far ends heard {self.heard.packets} packets, {self.heard.gaps} gaps, longest silence {self.heard.longest_silence_ms:.0f} ms"
            f" (crowd late by {self.heard.own_lateness_ms:.0f} ms)"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One recorded leg beside the conversation it is of."""

    path: Path
    began_s: float
    ended_s: float
    length: int
    sound: Continuity

    @property
    def short_s(self) -> float:
        """How much of the conversation is not in the leg."""
        return self.ended_s - self.began_s - (self.sound.stop - self.sound.start) / RATE_HZ

    @property
    def gaps_s(self) -> list[float]:
        """When the gaps were, reckoned from the end, at which both legs stop."""
        return [self.ended_s - (self.length - gap.at) / RATE_HZ for gap in self.sound.gaps]


@dataclass(slots=True)
class Meter:
    """What each process used since the last look."""

    node_pid: int
    crowd_pid: int
    looked_s: float = 0.0
    used: dict[str, float] = field(default_factory=dict)

    def look(self) -> dict[str, float]:
        """Cores by process, idle cores of the machine, and bytes Asterisk wrote, a second each."""
        now_s = time.monotonic()
        total, idle = _machine_s()
        used = {
            "asterisk": cpu_s(self.node_pid),
            "crowd": cpu_s(self.crowd_pid),
            "engine": time.process_time(),
            "total": total,
            "idle": idle,
            "written": _written(self.node_pid),
        }
        passed_s = now_s - self.looked_s
        rates = {key: (value - self.used.get(key, 0)) / passed_s for key, value in used.items()}
        self.used, self.looked_s = used, now_s
        return rates


class Conversations:
    """When each customer was in a bridge, by the time Asterisk puts on its events."""

    def __init__(self) -> None:
        self.began: dict[str, float] = {}
        self.ended: dict[str, float] = {}

    def see(self, event: Event) -> None:
        channel_id = event.get("Uniqueid")
        if channel_id.startswith("call-"):
            if event.name == "BridgeEnter":
                self.began.setdefault(channel_id, float(event.get("Timestamp")))
            elif event.name == "BridgeLeave":
                self.ended[channel_id] = float(event.get("Timestamp"))


@dataclass(frozen=True, slots=True)
class CrowdedLab(Lab):
    """`customers` is the crowd."""

    crowd: Crowd | None = None


def a_lab(run_dir: Path) -> Lab:
    crowd = Crowd(run_dir, places=2 * MOST)
    phones = [a_peer(seat_name(n), crowd.agents_port) for n in range(MOST)]
    node = AsteriskNode(
        run_dir,
        agi_port=free_port(),
        trunks=[a_peer("carrier", crowd.customers_port), *phones],
        name="bench-node",
        rtp_ports=RTP_PORTS,
    )
    return CrowdedLab(Postgres(run_dir), node, crowd, (), crowd)  # type: ignore[arg-type]


async def measure(lab: Lab) -> list[Figure]:
    assert isinstance(lab, CrowdedLab)
    assert lab.crowd is not None
    crowd, node = lab.crowd, lab.node
    in_time = [put_ahead(crowd.process.pid, 11), put_ahead(node.pid)]
    print(
        "Asterisk and the crowd run "
        + ("in real time, as with asterisk -p" if all(in_time) else "without real-time priority")
    )
    pool = await create_pool(lab.postgres.url_of("bench"))
    trunk = await a_trunk(pool, endpoint="carrier", max_channels=MOST, max_cps=PER_S)
    project = await a_project(pool, trunk=trunk, mode="progressive", agent_wait_ms=5000, wrap_up_limit_s=0)
    agents = [await a_seat(pool, n, project.id) for n in range(MOST)]
    engine = Engine(a_config(node), pool)
    await engine.start()
    await wait_until(lambda: engine.ready, timeout_s=10, what="engine")
    config = AmiConfig(host=node.ami_host, port=node.ami_port, user=node.ami_user, secret=node.ami_secret)
    talks, levels = Conversations(), list[Level]()
    meter = Meter(node.pid, crowd.process.pid)
    async with ami_session(config, on_event=talks.see):
        seated = 0
        for calls in range(CALLS, MOST + 1, STEP):
            try:
                await seat_agents(engine, agents[seated:calls])
                await dial(engine, pool, project.id, calls - seated)
                seated = calls
                levels.append(await _hold(crowd, engine, meter, calls, HOLD_S if calls == CALLS else STEP_HOLD_S))
            except NotReady as error:
                print(f"{calls} calls could not be reached: {error}")
                break
            print(levels[-1].words, flush=True)
            if _breaks(levels[-1]) or levels[-1].full_at() * FULLEST < calls + STEP:
                break
        await engine.execute(PauseProject(project_id=project.id))
        await crowd.leave(per_s=50)
        await wait_until(lambda: not engine.parts.floor.calls, timeout_s=60, what="the end of all calls")
    await engine.stop()
    pool.terminate()
    legs = await asyncio.to_thread(_read_legs, node.spool_dir, talks)
    return _figures(levels, legs)


async def seat_agents(engine: Engine, agents: Sequence[tuple[UUID, UUID]]) -> None:
    for start in range(0, len(agents), SEATED_AT_ONCE):
        group = agents[start : start + SEATED_AT_ONCE]
        for agent_id, device_id in group:
            await engine.execute(AgentLogin(agent_id=agent_id, device_id=device_id))
        floor = engine.parts.floor.agents
        await wait_until(lambda: all(floor[one].seated for one, _ in group), timeout_s=20, what="seats")  # noqa: B023
        for agent_id, _ in group:
            await engine.execute(AgentReady(agent_id=agent_id))


async def dial(engine: Engine, pool: asyncpg.Pool, project_id: UUID, count: int) -> None:
    await pool.execute(
        "insert into leads (project_id, number) select $1, '+86139' || lpad(((select count(*) from leads) + n)::text, 8, '0')"
        " from generate_series(1, $2) n",
        project_id,
        2 * count,  # a call that is lost is followed by another one
    )
    engine.parts.placing.new_list(project_id)


async def _hold(crowd: Crowd, engine: Engine, meter: Meter, calls: int, seconds: float) -> Level:
    def bridged() -> bool:
        return sum(call.state is CallState.BRIDGED for call in engine.parts.floor.calls.values()) >= calls

    await wait_until(bridged, timeout_s=calls / PER_S + 30, what=f"{calls} bridged calls")
    await asyncio.sleep(1)
    began_s = _wall_s()
    await crowd.heard(reset=True)
    meter.look()
    await asyncio.sleep(seconds)
    rates = meter.look()
    heard = await crowd.heard()
    mine = rates["asterisk"] + rates["crowd"] + rates["engine"]
    return Level(
        calls=calls,
        began_s=began_s,
        ended_s=_wall_s(),
        heard=heard,
        asterisk=rates["asterisk"],
        crowd=rates["crowd"],
        engine=rates["engine"],
        others=max(rates["total"] - rates["idle"] - mine, 0.0),
        idle=rates["idle"],
        written_mb_s=rates["written"] / 1e6,
    )


def _breaks(level: Level) -> bool:
    """Did anybody hear a gap, or not hear anything?"""
    return level.heard.gaps > 0 or level.heard.hearing < 2 * level.calls


def _read_legs(spool_dir: Path, talks: Conversations) -> list[Leg]:
    sounds = {"r": sound_of(0), "t": sound_of(1)}
    legs = []
    for channel_id, ended_s in talks.ended.items():
        for which, sound in sounds.items():
            path = spool_dir / f"{channel_id.removeprefix('call-')}-{which}.wav"
            samples = np.zeros(0, dtype=np.int16)
            if path.exists():
                with wave.open(str(path), "rb") as file:
                    samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
            legs.append(
                Leg(
                    path=path,
                    began_s=talks.began[channel_id],
                    ended_s=ended_s,
                    length=len(samples),
                    sound=follow(samples, sound),
                )
            )
    return legs


def _figures(levels: list[Level], legs: list[Leg]) -> list[Figure]:
    opening = [leg for leg in legs if any(gap.at < OPENING_S * RATE_HZ for gap in leg.sound.gaps)]
    talking = [leg for leg in legs if any(gap.at >= OPENING_S * RATE_HZ for gap in leg.sound.gaps)]
    print(
        f"of {len(legs)} legs {len(opening)} miss a packet in their first {OPENING_S} s, {len(talking)} have a gap later on"
    )
    for leg in [*talking, *(leg for leg in legs if leg.short_s > LENGTH_TOLERANCE_S)][:10]:
        print(
            f"{leg.path.name}: talked {leg.ended_s - leg.began_s:.2f} s, short by {leg.short_s:+.3f} s, {leg.sound.gaps[:5]}"
        )
    base = levels[0]
    gapped = {
        level.calls: sum(any(level.began_s <= at <= level.ended_s for at in leg.gaps_s) for leg in legs)
        for level in levels
    }
    whole = [level for level in levels if not _breaks(level) and not gapped[level.calls]]
    limit = levels[-1]
    print(_limit_words(limit, whole[-1] if whole else None, gapped[limit.calls]))
    short = [leg for leg in legs if leg.short_s > LENGTH_TOLERANCE_S]
    return [
        (
            "recorded calls at a time without a gap",
            str(max((level.calls for level in whole), default=0)),
            f">= {CALLS}",
            f"{max((level.calls for level in whole), default=0) / CALLS:.2f}",
            bool(whole),
        ),
        (
            f"legs with a gap while {CALLS} talked",
            f"{gapped[base.calls]} of {2 * CALLS}",
            "0",
            "-",
            not gapped[base.calls],
        ),
        (f"gaps heard by the far ends at {CALLS}", str(base.heard.gaps), "0", "-", not _breaks(base)),
        (
            "legs shorter than their conversation",
            f"{len(short)} of {len(legs)}",
            f"0 by more than {LENGTH_TOLERANCE_S} s",
            "-",
            not short and len(legs) >= 2 * CALLS,
        ),
    ]


def _limit_words(last: Level, whole: Level | None, gapped: int) -> str:
    """What this machine carries, and what it runs out of first."""
    cores = os.cpu_count() or 1
    used = {"Asterisk": last.asterisk, "crowd": last.crowd, "engine": last.engine, "other work": last.others}
    shares = ", ".join(f"{name} {value:.2f}" for name, value in sorted(used.items(), key=lambda one: -one[1]))
    of_all = f"at {last.calls} calls {shares}, idle {last.idle:.2f} of {cores} cores; disk {last.written_mb_s:.1f} MB/s"
    if not _breaks(last) and not gapped:
        return f"limit: CPU comes first, full at {last.full_at():.0f} calls by proportion; no gap up to {last.calls}; {of_all}"
    what = "CPU" if last.idle < 0.15 * cores else "not CPU"
    told = f"{last.heard.gaps} gaps heard and {gapped} legs with one at {last.calls}"
    return f"limit: {what} at {whole.calls if whole else 0} calls; {told}; {of_all}"


def seat_name(n: int) -> str:
    return f"bench-{n:03d}"


def a_peer(name: str, port: int) -> TrunkSettings:
    return TrunkSettings(name=name, host="127.0.0.1", port=port, qualify_s=0)


async def a_seat(pool: asyncpg.Pool, n: int, project_id: UUID) -> tuple[UUID, UUID]:
    agent_id = await an_agent(pool, projects=[project_id])
    device_id: UUID = await pool.fetchval(
        "insert into devices (agent_id, node, kind, username, digest) values ($1, $2, 'softphone', $3, $4) returning id",
        agent_id,
        NODE,
        seat_name(n),
        "0" * 32,
    )
    return agent_id, device_id


def _wall_s() -> float:
    """The clock of Asterisk's events."""
    return time.clock_gettime(time.CLOCK_REALTIME)


def _machine_s() -> tuple[float, float]:
    """CPU seconds of all cores, and of those the idle ones."""
    ticks = [int(word) for word in Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0].split()[1:9]]
    second = os.sysconf("SC_CLK_TCK")
    return sum(ticks) / second, (ticks[3] + ticks[4]) / second


def _written(pid: int) -> float:
    lines = Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines()
    return float(dict(line.split(": ") for line in lines)["wchar"])


def main() -> None:
    """Measure and print."""
    run(a_lab, measure)


if __name__ == "__main__":
    main()
