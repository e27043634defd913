"""Pauses of a recording on the real Asterisk: what is said in one is in neither leg, all else is, and in its place.

Customer and agent are parties of the crowd, whose sound is known sample by sample: a pause is a gap in each leg of exactly as many samples as the
sound went on meanwhile.
"""

from __future__ import annotations

import asyncio
import sys
import wave
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from uuid import UUID

import asyncpg
import numpy as np
import pytest
import pytest_asyncio

from dialer.domain.commands import HangUp, Hold, PauseRecording, Resume, ResumeRecording, Transfer
from dialer.domain.states import AgentState, CallState
from dialer.engine.clock import SystemClock
from dialer.engine.floor import Call
from lab.crowd import Gap, follow, sound_of
from recorder.faults import Fault
from recorder.master import make_master
from tests.builders import NODE, a_trunk, an_agent
from tests.system.engine.conftest import CROWD_SEATS, Floor

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

RATE_HZ = 8000
AXIS_MS = 40
BEGINNING_MS = 60  # so exactly, on a busy machine, is it known when the first sample of a leg was said
TAIL_MS = 100  # of the 200 that Waihu waits before it lets Asterisk write again
OPENING = RATE_HZ // 4  # while a recording is opened Asterisk now and then loses a packet
SIDES = {"r": 0, "t": 1}  # what the customer says and what the agent does, by the number of their voice


@pytest_asyncio.fixture(loop_scope="session")
async def crowded(floor: Floor) -> AsyncIterator[Floor]:
    """The floor with customers and two agents who say what is known."""
    await floor.telephony.crowd.start()
    trunk = await a_trunk(floor.pool, endpoint="crowd", name="crowd")
    floor.trunk_id = trunk.id
    owner = await an_agent(floor.pool)
    floor.devices[:0] = [
        await floor.pool.fetchval(
            "insert into devices (agent_id, node, kind, username, digest) values ($1, $2, 'softphone', $3, $4) returning id",
            owner, NODE, seat, "0" * 32,
        )
        for seat in CROWD_SEATS
    ]  # fmt: skip
    yield floor
    await floor.clean_up()
    await floor.telephony.crowd.stop()


async def a_conversation(floor: Floor, **settings: int) -> tuple[Call, UUID]:
    project = await floor.project(wrap_up_limit_s=60, **settings)
    agent_id = await floor.agent(project)
    await floor.lead(project)
    call = await floor.talking(agent_id)
    await floor.telephony.crowd.heard(reset=True)
    await asyncio.sleep(1.2)  # they talk
    return call, agent_id


def leg(floor: Floor, call: Call, side: str) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    with wave.open(str(leg_path(floor, call, side)), "rb") as file:
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")


def leg_path(floor: Floor, call: Call, side: str) -> Path:
    return floor.node.spool_dir / f"{call.attempt_id.hex}-{side}.wav"


def gaps(floor: Floor, call: Call, side: str) -> list[Gap]:
    """Where a leg is not what its side said, without the loss of packets by a busy machine."""
    found = follow(leg(floor, call, side), sound_of(SIDES[side]))
    assert found.stop > OPENING, "the side is not in its leg at all"
    return [gap for gap in found.gaps if gap.at > OPENING and gap.foreign > RATE_HZ // 10]


async def pauses(floor: Floor) -> list[asyncpg.Record]:
    await floor.engine.parts.journal.flushed(5)
    return list(await floor.pool.fetch("select * from recording_pauses order by started_at"))


async def over(floor: Floor, call: Call, agent_id: UUID) -> None:
    await asyncio.sleep(1.0)  # they talk on
    await floor.engine.execute(HangUp(agent_id=agent_id))
    await floor.ended(1)


def ms(samples: int) -> float:
    return samples * 1000 / RATE_HZ


def place_ms(call: Call, at: datetime) -> float:
    assert call.answered_at is not None
    return (at - call.answered_at).total_seconds() * 1000


async def test_what_is_said_in_a_pause_is_in_neither_leg_and_the_time_axis_is_kept(
    crowded: Floor, tmp_path: Path
) -> None:
    await crowded.start()
    call, agent_id = await a_conversation(crowded)
    clock = SystemClock()
    await crowded.engine.execute(PauseRecording(agent_id=agent_id, reason="card_number"))
    told = clock.now()
    await asyncio.sleep(2.0)  # the number is said
    word = clock.now()
    await crowded.engine.execute(ResumeRecording(agent_id=agent_id))
    await over(crowded, call, agent_id)
    heard = await crowded.telephony.crowd.heard()
    assert heard.missing <= 2, "neither side hears anything of it"
    [row] = await pauses(crowded)
    for side in SIDES:
        [gap] = gaps(crowded, call, side)
        assert not leg(crowded, call, side)[gap.at : gap.at + gap.foreign].any(), "silence, not other sound"
        assert abs(ms(gap.foreign - gap.missing)) <= AXIS_MS
        late_ms = ms(gap.at) - place_ms(call, told)
        early_ms = place_ms(call, word) - ms(gap.at + gap.foreign)
        sys.stdout.write(
            f"leg {side}: sound until {late_ms:+.0f} ms after 'paused' was said, and from {-early_ms:+.0f} ms after the word to resume; "
            f"time axis off by {gap.foreign - gap.missing} samples\n"
        )
        silent_ms, said_ms = ms(gap.foreign), place_ms(call, word) - place_ms(call, told)
        assert silent_ms >= said_ms + TAIL_MS, "all of it, and what was on its way"
        assert late_ms <= BEGINNING_MS, "not even for a moment"
        assert early_ms <= BEGINNING_MS - TAIL_MS
        assert row["from_ms"] == pytest.approx(ms(gap.at), abs=200)
        assert row["to_ms"] == pytest.approx(ms(gap.at + gap.foreign), abs=200)
    legs = (leg_path(crowded, call, "r"), leg_path(crowded, call, "t"))
    stretch = (row["from_ms"], row["to_ms"])
    made = make_master(*legs, tmp_path / "m", expected_ms=None, pauses=[stretch])
    assert Fault.HEARD_IN_PAUSE not in {fault["fault"] for fault in made.faults}
    wrong = make_master(*legs, tmp_path / "m", expected_ms=None, pauses=[(stretch[1] + 300, stretch[1] + 1000)])
    assert Fault.HEARD_IN_PAUSE in {fault["fault"] for fault in wrong.faults}


async def test_a_pause_lasts_over_hold_and_ends_with_a_transfer(crowded: Floor) -> None:
    await crowded.start()
    call, first = await a_conversation(crowded)
    second = await crowded.agent(await crowded.engine.parts.projects.get(call.project_id))
    await crowded.engine.execute(PauseRecording(agent_id=first, reason="identity_number"))
    await crowded.engine.execute(Hold(agent_id=first))
    await asyncio.sleep(0.3)
    await crowded.engine.execute(Resume(agent_id=first))
    await crowded.until(lambda: call.state is CallState.BRIDGED, "the conversation after hold")
    await asyncio.sleep(0.5)
    assert call.pause is not None
    await crowded.engine.execute(Transfer(agent_id=first, to_agent_id=second))
    await crowded.becomes(second, AgentState.TALKING)
    await crowded.until(lambda: call.pause is None, "the end of the pause")
    await over(crowded, call, second)
    [row] = await pauses(crowded)
    assert (row["ended_by"], row["agent_id"]) == ("handed_over", first)
    [gap] = gaps(crowded, call, "r")
    assert abs(ms(gap.foreign - gap.missing)) <= AXIS_MS
    assert ms(gap.foreign) == pytest.approx(row["to_ms"] - row["from_ms"], abs=200)


async def test_an_engine_that_dies_in_a_pause_is_replaced_by_one_that_ends_it(crowded: Floor) -> None:
    await crowded.start()
    call, agent_id = await a_conversation(crowded, recording_pause_limit_s=3)
    await crowded.engine.execute(PauseRecording(agent_id=agent_id, reason="card_number"))
    await pauses(crowded)
    await crowded.die()
    await crowded.start()
    adopted = crowded.engine.parts.floor.calls[call.attempt_id]
    assert adopted.pause is not None
    await crowded.until(lambda: adopted.pause is None, "the limit", 6)
    await over(crowded, call, agent_id)
    [row] = await pauses(crowded)
    assert row["ended_by"] == "limit"
    for side in SIDES:
        [gap] = gaps(crowded, call, side)
        assert ms(gap.foreign) == pytest.approx(3000, abs=500)
        assert abs(ms(gap.foreign - gap.missing)) <= AXIS_MS
