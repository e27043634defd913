"""The interface of pacing: a snapshot of a project's floor in, a decision out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol, runtime_checkable
from uuid import UUID

from dialer.domain.pacing.contract import Standing
from dialer.domain.pacing.profile import Context
from dialer.domain.states import AgentState


class Mode(StrEnum):
    """How a project dials; the same words as in `projects.mode`."""

    MANUAL = "manual"
    PREVIEW = "preview"
    PROGRESSIVE = "progressive"
    RATIO = "ratio"
    PREDICTIVE = "predictive"
    TRIAL = "trial"
    AGENTLESS = "agentless"


DIALLED_FOR_AGENTS: Final = frozenset({Mode.PROGRESSIVE, Mode.RATIO, Mode.PREDICTIVE, Mode.TRIAL})
"""The modes whose calls are placed by a policy and go to whichever agent is free."""


class Limit(StrEnum):
    """What kept us from placing (more) calls: the answer to "why is this project not dialling?"."""

    NOTHING = "nothing"
    MODE = "mode"  # the agents dial by themselves
    PAUSED = "paused"
    WINDOW = "window"  # outside the hours of the project
    NO_AGENTS = "no_agents"  # nobody of the project is logged in
    AGENTS = "agents"  # everybody is at work or already has a call under way
    ABANDONMENT = "abandonment"
    ABANDONMENT_STOP = "abandonment_stop"  # the contract says to stop at its limit
    TRUNK = "trunk"  # no enabled trunk on this node
    TRUNK_CHANNELS = "trunk_channels"
    TRUNK_FAILING = "trunk_failing"  # one call after the other ended as its fault
    CPS = "cps"
    NODE = "node"  # the node's channels, or its rate
    NODE_LOAD = "node_load"  # its processor is busy, so everything is late
    CALLER_NUMBER = "caller_number"  # none is active on the trunk
    CALLER_NUMBER_LIMIT = "caller_number_limit"  # each of them carries as much as it may
    LEADS = "leads"  # no lead can be called now
    SAMPLE = "sample"  # the sample of the trial is full
    RECORDING = "recording"  # no room for recordings
    DATABASE = "database"
    ASTERISK = "asterisk"
    LEASE = "lease"
    JOURNAL = "journal"
    GATE = "gate"  # a rule refused, or could not be evaluated


class FlightState(StrEnum):
    """Calls that do not have an agent yet."""

    PLACED = "placed"  # committed, sent or ringing
    DETECTING = "detecting"  # answered, and it is not known yet whether by a person; its age counts from the answer
    WAITING = "waiting"  # answered, waits for an agent


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A project's floor at one moment. Ages in seconds; what an agent serves in another project is left out by the caller."""

    project_id: UUID
    at_s: float  # monotonic
    mode: Mode
    ratio: float
    agents: tuple[tuple[AgentState, float], ...]  # of this project, with their time in state
    ready: float  # ready agents for this project; one who serves several projects counts in parts
    in_flight: tuple[tuple[UUID, FlightState, float], ...]  # attempts and their age since they were placed
    abandonment_cap: float
    agent_wait_s: float
    answered: int = 0  # counted for the abandonment budget of the period
    abandoned: int = 0
    counted: bool = True  # False: the two are not known (yet), so the budget counts as used up
    # What the abandonment contract leaves to the policy (`within_contract` sees to it), and how many calls may still be abandoned.
    standing: Standing = Standing.FREE
    may_abandon: int = 0
    budget: int | None = None  # what trunk, rate, caller numbers and list allow now; None: the caller keeps to it
    budget_limit: Limit = Limit.TRUNK_CHANNELS  # which of them is the smallest
    sample_left: int = 0  # in a trial: leads that may still be taken
    cancel_after_s: float | None = None  # the rules allow to give up a call that rang so long; None: never
    # Who is known to go (break, end of shift, another project): place in `agents`, and seconds until no further call is taken. A call
    # that was taken before is finished. One who takes no further call already may as well be shown as on a break.
    leaving: tuple[tuple[int, float], ...] = ()
    ring_timeout_s: float = 30.0  # a call rings so long at most
    context: Context = ()  # what is dialled now: the hour, the list, the trunk

    def ready_after(self, seconds: float) -> float:
        """How many of the ready agents will still take a call so much later."""
        going = sum(left_s <= seconds and self.agents[n][0] is AgentState.READY for n, left_s in self.leaving)
        return max(0.0, self.ready - going)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """How many calls to place now, what keeps it from being more, and which ringing calls to give up. `because`: what was weighed, by name."""

    place: int
    limited_by: Limit
    cancel: tuple[UUID, ...] = ()
    because: tuple[tuple[str, float], ...] = ()


class Policy(Protocol):
    """Decides for one project; may keep what it has learned between calls. No I/O, no clock."""

    def decide(self, snapshot: Snapshot) -> Decision:
        """How many calls to place at this moment."""
        ...


class Seen(StrEnum):
    """What a policy can learn from."""

    ANSWERED = "answered"  # age: since placed
    FAILED = "failed"  # ended without an answer; age: since placed
    CANCELED = "canceled"  # we gave up ourselves; age: since placed
    HUMAN = "human"  # detection heard a person; age: since the answer
    MACHINE = "machine"  # detection heard a machine, or nothing; age: since the answer
    TALK_ENDED = "talk_ended"  # age: since the bridge
    WRAP_UP_ENDED = "wrap_up_ended"  # age: since the hang-up


@dataclass(frozen=True, slots=True)
class Observation:
    """Something ended, or was decided, at this age in seconds."""

    seen: Seen
    age_s: float


@runtime_checkable
class Learning(Policy, Protocol):
    """A policy that gets better by being told what happened."""

    def observe(self, observation: Observation) -> None:
        """One call or agent moved."""
        ...

    def to_state(self) -> dict[str, Any]:
        """All that must survive a restart, as plain data for JSON."""
        ...
