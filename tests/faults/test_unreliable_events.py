"""Events lost, doubled and reordered between the engine and the real Asterisk: every attempt ends right, nobody stays stuck, nothing leaks."""

from __future__ import annotations

from collections import Counter

import pytest

from dialer.domain.states import AgentState
from lab.carrier import Behaviour
from lab.demo import compare, evidence
from lab.waiting import wait_until
from tests.faults.event_proxy import EventProxy, Weather
from tests.system.engine.conftest import Floor

pytestmark = [
    pytest.mark.system,
    pytest.mark.faults,
    pytest.mark.services,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(180),
]

CALLS = 50
AGENTS = 5
# Those whose end Asterisk's own records tell fully. (Whether a 480 rang first is told by an event alone.)
CITY = [Behaviour.HUMAN] * 5 + [
    Behaviour.BUSY, Behaviour.VACANT, Behaviour.CONGESTION, Behaviour.REJECTED, Behaviour.ANSWER_HANGUP,
]  # fmt: skip


@pytest.mark.parametrize(
    ("weather", "seed"),
    [
        (Weather(lost=0.3), 1),
        (Weather(doubled=0.6), 2),
        (Weather(reordered=0.6), 3),
        (Weather(lost=0.15, doubled=0.2, reordered=0.3), 4),
    ],
    ids=["lost", "doubled", "reordered", "all"],
)
async def test_fifty_calls_end_right_though_events_are_lost_doubled_or_reordered(
    floor: Floor, weather: Weather, seed: int
) -> None:
    proxy = EventProxy(floor.node.ami_port, weather, seed)
    await proxy.start()
    try:
        await run(floor, proxy)
    finally:
        for engine in floor.engines:
            await engine.stop()
        floor.engines.clear()
        await proxy.stop()


async def run(floor: Floor, proxy: EventProxy) -> None:
    engine = await floor.start(ami_port=proxy.port, audit_every_s=1.0)
    project = await floor.project(abandonment_cap="1")
    known = {record.uniqueid for record in floor.telephony.carrier.cdr()}
    for n in range(CALLS):
        await floor.lead(project, CITY[n % len(CITY)], ring=n % 2, talk=n % 3)
    agents = [await floor.agent(project) for _ in range(AGENTS)]
    rows = await floor.ended(CALLS, timeout_s=90)

    assert proxy.seen["lost"] + proxy.seen["doubled"] + proxy.seen["reordered"] > 50
    assert len(rows) == len({row["number"] for row in rows}) == CALLS
    for agent_id in agents:
        await floor.becomes(agent_id, AgentState.READY, 15)
        assert floor.on_floor(agent_id).attempt_id is None
    assert not engine.parts.floor.calls
    assert not engine.parts.floor.waiting
    assert len(engine.parts.floor.seats) == AGENTS
    assert not any(engine.parts.budgets._uses.values())
    assert await floor.pool.fetchval("select count(*) from live_attempts") == 0

    async def only_seats() -> bool:
        return len(await floor.node.channels()) == AGENTS

    await floor.until(only_seats, "only the seats left in Asterisk", 15)

    def of_this_run() -> list[compare.CarrierFact]:
        return [
            call
            for call in evidence.carrier_facts(floor.telephony.carrier.cdr())
            if call.uniqueid not in known and call.number in floor.numbers
        ]

    carrier = await wait_until(
        lambda: found if len(found := of_this_run()) >= CALLS else None, timeout_s=10, what="the carrier's records"
    )
    async with floor.pool.acquire() as conn:
        attempts = await evidence.attempts(conn)  # type: ignore[arg-type]  # a connection of the pool
    found = [one for one in compare.compare(attempts, [], carrier or []) if "recording" not in one.what]
    assert found == []

    outcomes = Counter(row["outcome"] for row in rows)
    snapshot = engine.feed.snapshot()["state"]["counters"][str(project.id)]
    assert snapshot["outcomes"] == dict(outcomes)
    assert snapshot["attempts"] == CALLS
    assert snapshot["abandoned"] == sum(row["abandoned"] for row in rows)
