"""What the engine knows at this moment: agents, seats, calls. Plain data in memory; PostgreSQL and Asterisk can rebuild it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from campaigns.preview import PreviewLead
from campaigns.states import AtPreviewLimit
from dialer.db.departures import Departure
from dialer.domain.ids import attempt_of_channel, call_channel
from dialer.domain.matching import Need, best
from dialer.domain.outcomes import Outcome
from dialer.domain.pacing import Mode
from dialer.domain.pause_table import PauseState
from dialer.domain.pauses import PauseEnd, PauseReason
from dialer.domain.states import AgentState, CallState

_REMEMBER_ENDED_S = 60.0


@dataclass(slots=True, kw_only=True, eq=False)
class Pause:
    """A pause of a call's recording: who asked for it, why, and until when it may last. `over` is set when both legs are written again."""

    id: UUID
    agent_id: UUID
    reason: PauseReason
    note: str = ""
    started_at: datetime
    until: datetime
    state: PauseState
    ended_by: PauseEnd | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """A live attempt. `wanted_agent`: only this agent may take it now (manual, preview, callback, transfer, resume)."""

    attempt_id: UUID
    project_id: UUID
    lead_id: int | None
    number: str
    name: str = ""
    fields: dict[str, object] = field(default_factory=dict)
    mode: Mode
    trunk_id: UUID
    caller_number: str
    created_at: datetime
    placed_s: float  # monotonic
    state: CallState = CallState.COMMITTED
    changed_s: float = 0.0  # monotonic, when its state or its agent was last changed by news
    agent_id: UUID | None = None
    device_id: UUID | None = None
    talked: tuple[UUID, UUID | None] | None = None  # agent and device of the last bridge
    wanted_agent: UUID | None = None
    channel: str = ""
    bridge_id: str = ""
    sent_at: datetime | None = None
    ringing_at: datetime | None = None
    ringing_s: float = 0.0  # monotonic
    answered_at: datetime | None = None
    answered_s: float = 0.0
    greeted_at: datetime | None = None  # the greeting was over, as detection heard it
    bridged_at: datetime | None = None
    ended_at: datetime | None = None
    hangup_cause: int | None = None
    sip_status: int | None = None
    waited_out: bool = False
    played: bool = False  # agentless: the message or survey came to its end
    detects: bool = False  # the dialplan listens for a machine before it asks for an agent
    machine: bool = False  # and has heard one
    canceled: bool = False  # we gave it up while it rang
    giving_up: asyncio.Future[None] | None = None  # done when Asterisk was asked
    ring_timed_out: bool = False
    fate_unknown: bool = False  # the answer to the Originate is missing, or to the Redirect of a transfer
    end_by_agent: bool = False
    outcome: Outcome | None = None
    questions: int = 0  # how often the dialplan has asked for an agent
    waiter: asyncio.Future[UUID] | None = None
    pause: Pause | None = None  # of its recording
    pause_ended_by: PauseEnd | None = None  # how the last one ended

    @property
    def channel_id(self) -> str:
        """Our name for the customer's channel."""
        return call_channel(self.attempt_id)

    @property
    def listened_to(self) -> bool:
        """Answered, and it is not known yet whether by a person."""
        unheard = self.greeted_at is None and not self.machine and not self.waited_out
        return self.detects and unheard and self.state is CallState.ANSWERED


@dataclass(slots=True, kw_only=True, eq=False)
class Seat:
    """An agent's nailed-up channel. `up`: answered, can be bridged."""

    channel_id: str
    channel: str = ""
    up: bool = False
    asked_s: float = 0.0  # monotonic, when Asterisk was asked for it; 0: not yet


@dataclass(slots=True, kw_only=True, eq=False)
class ShownLead:
    """The lead an agent looks at in preview: what gives it back to the list, what happens at the limit, how many leads may still be skipped."""

    held: PreviewLead
    at_limit: AtPreviewLimit
    skips_left: int


@dataclass(slots=True, kw_only=True, eq=False)
class Agent:
    """An agent who is logged in."""

    agent_id: UUID
    device_id: UUID
    device_username: str
    device_removed: bool = False
    project_ids: frozenset[UUID]
    priorities: Mapping[UUID, int] = field(default_factory=dict)  # of its projects, for this agent
    skills: frozenset[str]
    logged_in_at: datetime
    since: datetime
    since_s: float
    waits_since: datetime  # as `since`, but a promise that came to nothing does not begin it anew
    state: AgentState = AgentState.LOGGED_OUT
    wanted: str = "break"
    reason: str | None = None
    seat: Seat | None = None
    seat_failures: int = 0
    seat_vanished: bool = False  # the last seat did not say goodbye
    attempt_id: UUID | None = None  # promised, talking, or being wrapped up
    project_id: UUID | None = None
    lead_id: int | None = None
    shown: ShownLead | None = None
    departures: tuple[Departure, ...] = ()  # said ahead, the next first
    timer: asyncio.TimerHandle | None = None
    timer_until: datetime | None = None

    @property
    def seated(self) -> bool:
        """Can be bridged."""
        return self.seat is not None and self.seat.up


class Floor:
    """All agents and calls of the node, with the indexes that events need."""

    def __init__(self) -> None:
        self.agents: dict[UUID, Agent] = {}
        self.calls: dict[UUID, Call] = {}
        self.seats: dict[str, Agent] = {}
        self.waiting: dict[UUID, Call] = {}  # answered, in the order they wait
        self.needing: set[UUID] = set()  # projects whose calls under way will need an agent, when it was last looked
        self._on_trunk: Counter[UUID] = Counter()
        self._ended: dict[UUID, float] = {}  # monotonic, the oldest first

    def call_of(self, channel_id: str) -> Call | None:
        """The live call whose customer has this channel."""
        attempt_id = attempt_of_channel(channel_id)
        return self.calls.get(attempt_id) if attempt_id else None

    def add(self, call: Call) -> None:
        """A call lives."""
        if call.attempt_id not in self.calls:
            self._on_trunk[call.trunk_id] += 1
        self.calls[call.attempt_id] = call

    def ready_for(self, need: Need) -> Agent | None:
        """The agent for a call, of those who are ready and seated."""
        ready = (agent for agent in self.agents.values() if agent.state is AgentState.READY and agent.seated)
        return best(ready, need, self.needing)

    def call_of_agent(self, agent: Agent) -> Call | None:
        """The live call an agent is promised to or talks on."""
        return self.calls.get(agent.attempt_id) if agent.attempt_id else None

    def talked_with(self, call: Call) -> Agent | None:
        """The agent of a call's last bridge, unless they have another call by now."""
        agent = self.agents.get(call.talked[0]) if call.talked is not None else None
        return agent if agent is not None and agent.attempt_id == call.attempt_id else None

    def drop(self, call: Call, now_s: float) -> None:
        """The call is over."""
        while self._ended and not self.ended_lately(oldest := next(iter(self._ended)), now_s):
            del self._ended[oldest]
        self._ended[call.attempt_id] = now_s
        if self.calls.pop(call.attempt_id, None) is not None:
            self._on_trunk[call.trunk_id] -= 1
        self.waiting.pop(call.attempt_id, None)

    def ended_lately(self, attempt_id: UUID, now_s: float) -> bool:
        """It has ended in the last minute: a listing of channels, or a row, that was read just before may still show it alive."""
        return now_s - self._ended.get(attempt_id, float("-inf")) < _REMEMBER_ENDED_S

    def on_trunk(self, trunk_id: UUID) -> int:
        """Channels in use on a trunk."""
        return self._on_trunk[trunk_id]
