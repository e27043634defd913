"""Whatever order events come in, lost, doubled and reordered: no agent is promised twice, every answered call ends bridged or in the safe harbour."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.asterisk.ami.message import Event
from dialer.domain.agent_table import AgentEvent
from dialer.domain.call_table import CallEvent
from dialer.domain.outcomes import Outcome
from dialer.domain.pacing import Mode
from dialer.domain.states import AgentState, CallState
from dialer.engine.answering import Action, Answer
from dialer.engine.config import EngineConfig
from dialer.engine.floor import Agent, Call, Seat
from dialer.engine.parts import Parts, assemble
from dialer.live.feed import Feed

PROJECT = UUID(int=7)
NOTHING = Path("/nonexistent")


class Moments:
    """A clock that only goes when it is looked at."""

    def __init__(self) -> None:
        self._ticks = itertools.count()

    def now(self) -> datetime:
        return datetime(2026, 1, 5, tzinfo=UTC) + timedelta(milliseconds=next(self._ticks))

    def monotonic(self) -> float:
        return next(self._ticks) / 1000


async def _nothing(_id: UUID) -> None:
    return


def a_floor(agents: int, calls: int) -> Parts:
    config = EngineConfig(
        node="n",
        ami_host="127.0.0.1",
        ami_port=1,
        ami_user="",
        ami_secret="",
        agi_host="",
        agi_port=0,
        cdr_file=NOTHING,
    )
    no_pool: Any = None  # nothing here reads or writes: the journal only collects
    parts = assemble(
        config,
        no_pool,
        feed=Feed("test"),
        clock=Moments(),
        random=Random(1),
        registry=None,
        obstacle=lambda: None,
        on_ended=lambda _ids: None,
        run_id=UUID(int=9),
        lease_held=lambda: True,
        on_project=_nothing,
    )
    parts.answering.adopted.set()
    parts.projects.agent_wait_s = lambda project_id: 0.0  # type: ignore[method-assign]  # noqa: ARG005
    now = datetime(2026, 1, 5, tzinfo=UTC)
    for n in range(agents):
        agent = Agent(
            agent_id=UUID(int=100 + n),
            device_id=UUID(int=200 + n),
            device_username=f"phone-{n}",
            project_ids=frozenset({PROJECT}),
            skills=frozenset(),
            logged_in_at=now,
            since=now,
            since_s=0,
            waits_since=now,
            wanted="ready",
        )
        parts.floor.agents[agent.agent_id] = agent
        agent.seat = Seat(channel_id=f"seat-{agent.agent_id.hex}-0000000{n}", channel=f"PJSIP/phone-{n}", up=True)
        parts.floor.seats[agent.seat.channel_id] = agent
        agent.state = AgentState.SEATING
        parts.agents.apply(agent, AgentEvent.READY)
    for n in range(calls):
        call = Call(
            attempt_id=UUID(int=1000 + n),
            project_id=PROJECT,
            lead_id=n,
            number="+8613800000000",
            mode=Mode.RATIO,
            trunk_id=UUID(int=1),
            caller_number="+8621",
            created_at=now,
            placed_s=0,
        )
        parts.calls.add(call)
        parts.calls.apply(call, CallEvent.SENT)
    return parts


def an_event(name: str, channel_id: str, **headers: str) -> Event:
    lines = {"Event": name, "Uniqueid": channel_id, "Channel": channel_id} | headers
    return Event("\r\n".join(f"{key}: {value}" for key, value in lines.items()).encode())


NEWS = st.sampled_from(
    ["ring", "up", "ask", "ask again", "bridge", "hang up", "refuse", "seat gone", "seat idle", "free"]
)
a_story = st.lists(st.tuples(NEWS, st.integers(0, 5), st.integers(0, 2)), max_size=50)


def check(parts: Parts, answers: dict[UUID, Answer]) -> None:
    """What must hold after every single event."""
    holders: dict[UUID, list[UUID]] = {}
    for agent in parts.floor.agents.values():
        if agent.state in (AgentState.RESERVED, AgentState.TALKING) and agent.attempt_id in parts.floor.calls:
            call = parts.floor.calls[agent.attempt_id]
            if call.agent_id == agent.agent_id:
                holders.setdefault(agent.attempt_id, []).append(agent.agent_id)
    assert all(len(agents) == 1 for agents in holders.values()), "two agents for one call"
    seats = [answers[attempt_id].seat for attempt_id in parts.floor.calls if attempt_id in answers]
    seats = [seat for seat in seats if seat]
    assert len(seats) == len(set(seats)), "one seat promised to two customers"


async def play(story: list[tuple[str, int, int]]) -> None:  # noqa: C901, PLR0912 - one line for each kind of news
    parts = a_floor(agents=3, calls=6)
    calls = list(parts.floor.calls.values())
    agents = list(parts.floor.agents.values())
    answers: dict[UUID, Answer] = {}
    for what, c, a in story:
        call, agent = calls[c], agents[a]
        seat_id = agent.seat.channel_id if agent.seat else "seat-" + agent.agent_id.hex + "-ffffffff"
        apply = parts.happenings.apply
        match what:
            case "ring":
                apply(an_event("Newstate", call.channel_id, ChannelState="5"))
            case "up":
                apply(an_event("Newstate", call.channel_id, ChannelState="6"))
            case "ask" if call.state not in (CallState.BRIDGED, CallState.HELD):
                answers[call.attempt_id] = await parts.answering.answered(call.channel_id)
            case "ask again" if call.attempt_id in answers:
                answers[call.attempt_id] = await parts.answering.redirected(call.channel_id)
            case "bridge" if call.attempt_id in answers and answers[call.attempt_id].action is Action.BRIDGE:
                apply(an_event("BridgeEnter", call.channel_id, BridgeUniqueid="b", BridgeNumChannels="2"))
            case "hang up":
                apply(an_event("Hangup", call.channel_id, Cause="16"))
            case "refuse":
                apply(
                    an_event(
                        "OriginateResponse", call.channel_id, Response="Failure", Reason="0", ActionID=call.channel_id
                    )
                )
            case "seat gone":
                apply(an_event("Hangup", seat_id, Cause="44"))
            case "seat idle":
                apply(an_event("UserEvent", seat_id, UserEvent="WaihuSeat", State="idle"))
            case "free":
                if agent.state is AgentState.WRAP_UP:
                    parts.agents.settle(agent)
            case _:
                pass
        check(parts, answers)
    for call in calls:
        parts.happenings.apply(an_event("Hangup", call.channel_id, Cause="16"))
        check(parts, answers)
    assert not parts.floor.calls
    assert not parts.floor.waiting
    for call in calls:
        assert call.state is CallState.ENDED
        if (
            call.attempt_id in answers
            and call.bridged_at is None
            and answers[call.attempt_id].action is Action.SAFE_HARBOUR
        ):
            assert call.outcome in (Outcome.ABANDONED, Outcome.HUNG_UP_EARLY) or call.answered_at is None
    for agent in agents:
        assert agent.state not in (AgentState.RESERVED, AgentState.TALKING), "an agent kept for a call that is over"
    await parts.tasks.close()


@given(a_story)
@settings(max_examples=150)
def test_no_order_of_events_breaks_a_promise_or_strands_anybody(story: list[tuple[str, int, int]]) -> None:
    asyncio.run(play(story))
