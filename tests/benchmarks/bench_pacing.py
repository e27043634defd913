"""How long a predictive decision takes with 500 agents and 1,500 calls in flight, and a simulated day of 50 agents.

Processor time of this process, so that other work on the machine is not counted. Prints `name | figure | bound | ratio | ok/MISSED`.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from dataclasses import replace
from random import Random
from uuid import UUID

from dialer.domain.pacing import FlightState, Mode, Observation, Seen, Snapshot
from dialer.domain.pacing.predictive import Predictive
from dialer.domain.states import AgentState
from dialer.simulation import Floor, World, always

TICK_MS_BOUND = 3.0
DAY_S_BOUND = 6.0
MEMORY_KIB_BOUND = 64.0
TICKS = 3_000


def a_large_floor(random: Random) -> Snapshot:
    """500 agents at work, 1,500 calls ringing."""
    states = [AgentState.TALKING] * 420 + [AgentState.WRAP_UP] * 60 + [AgentState.READY] * 20
    return Snapshot(
        project_id=UUID(int=0),
        at_s=0.0,
        mode=Mode.PREDICTIVE,
        ratio=1.0,
        agents=tuple((state, random.uniform(0, 200 if state is AgentState.TALKING else 20)) for state in states),
        ready=20,
        in_flight=tuple((UUID(int=n), FlightState.PLACED, random.uniform(0, 40)) for n in range(1_500)),
        abandonment_cap=0.03,
        agent_wait_s=2.0,
        answered=5_000,
        abandoned=130,
    )


def tick_p99_ms() -> float:
    """Ticks a second apart, making the tables anew when they are due."""
    policy = Predictive()
    Floor(World(agents=100, answer=always(0.2), hours=0.5), policy, Random(1)).run()
    snapshot, spent = a_large_floor(Random(2)), []
    for second in range(TICKS):
        now = replace(snapshot, at_s=10_000.0 + second)
        for _ in range(14):  # what 1,500 calls come to in a second, or the list would seem dead
            policy.observe(Observation(Seen.ANSWERED, 12.0))
        for _ in range(46):
            policy.observe(Observation(Seen.FAILED, 25.0))
        begun = time.process_time_ns()
        policy.decide(now)
        spent.append(time.process_time_ns() - begun)
    return sorted(spent)[int(0.99 * TICKS)] / 1e6


def day_s() -> float:
    """8 h, 50 agents, predictive."""
    begun = time.process_time()
    Floor(World(agents=50, answer=always(0.2)), Predictive(), Random(1)).run()
    return time.process_time() - begun


def growth_kib() -> float:
    """What the policy holds more after a week of short days than after its first; each is a new period of the budget."""
    policy = Predictive()
    held = []
    tracemalloc.start()
    for _ in range(7):
        Floor(World(agents=10, answer=always(0.2), hours=0.5), policy, Random(1)).run()
        gc.collect()  # the floor's circles are its own, and gone
        held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    return (held[-1] - held[0]) / 1024


def main() -> None:
    figures = [
        ("predictive tick, 500 agents, 1,500 calls, p99", tick_p99_ms(), TICK_MS_BOUND, "ms"),
        ("simulated day of 50 agents, predictive", day_s(), DAY_S_BOUND, "s"),
        ("memory that a simulated week leaves behind", growth_kib(), MEMORY_KIB_BOUND, "KiB"),
    ]
    for name, figure, bound, unit in figures:
        verdict = "ok" if figure <= bound else "MISSED"
        print(f"{name} | {figure:.2f} {unit} | ≤ {bound:g} {unit} | {figure / bound:.2f} | {verdict}")


if __name__ == "__main__":
    main()
