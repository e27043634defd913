"""What the floor looks like, for the live feed. Shapes are in `docs/api.md`; numbers are masked where the project masks them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from campaigns.masking import mask
from dialer.domain.states import AgentState
from dialer.engine.floor import Agent, Call, Floor
from dialer.live.feed import Feed


class Publishing:
    """Turns calls and agents into feed values."""

    def __init__(self, feed: Feed, floor: Floor, shows_numbers: Callable[[UUID], bool]) -> None:
        self._feed = feed
        self._floor = floor
        self._shows_numbers = shows_numbers

    def call(self, call: Call) -> None:
        """A live call, as it is now."""
        self._feed.publish("call", str(call.attempt_id), self.call_value(call))
        if call.agent_id and (agent := self._floor.agents.get(call.agent_id)):
            self.agent(agent)

    def call_ended(self, call: Call) -> None:
        """A call is over."""
        self._feed.publish("call", str(call.attempt_id), None)

    def agent(self, agent: Agent) -> None:
        """An agent, as they are now; gone when logged out."""
        if agent.state is AgentState.LOGGED_OUT:
            self._feed.publish("agent", str(agent.agent_id), None)
            return
        call = self._floor.call_of_agent(agent)
        in_wrap_up = agent.state is AgentState.WRAP_UP
        self._feed.publish(
            "agent",
            str(agent.agent_id),
            {
                "agent_id": str(agent.agent_id),
                "state": agent.state.value,
                "wanted": agent.wanted,
                "reason": agent.reason,
                "since": _iso(agent.since),
                "seated": agent.seated,
                "project_id": _text(agent.project_id),
                "attempt_id": _text(agent.attempt_id),
                "lead_id": agent.lead_id,
                "call_state": call.state.value if call else None,
                "wrap_up_until": _iso(agent.timer_until) if in_wrap_up else None,
                "preview_until": _iso(agent.timer_until) if agent.state is AgentState.PREVIEW else None,
                "preview_at_limit": agent.shown.at_limit.value if agent.shown else None,
                "preview_skips_left": agent.shown.skips_left if agent.shown else None,
                "logged_in_at": _iso(agent.logged_in_at),
                "leaves_at": _iso(agent.departures[0].at) if agent.departures else None,
                "leaves_to": agent.departures[0].wanted if agent.departures else None,
                "leaves_for": agent.departures[0].reason if agent.departures else None,
            },
        )

    def value(self, kind: str, key: str, value: Mapping[str, Any] | None) -> None:
        """Anything else: project, pacing, node."""
        self._feed.publish(kind, key, value)

    def call_value(self, call: Call) -> dict[str, Any]:
        """The feed's shape of a call."""
        return {
            "attempt_id": str(call.attempt_id),
            "project_id": str(call.project_id),
            "lead_id": call.lead_id,
            "number": call.number if self._shows_numbers(call.project_id) else mask(call.number),
            "mode": call.mode.value,
            "state": call.state.value,
            "agent_id": _text(call.agent_id),
            "created_at": _iso(call.created_at),
            "ringing_at": _iso(call.ringing_at),
            "answered_at": _iso(call.answered_at),
            "bridged_at": _iso(call.bridged_at),
            "recording_pause": None
            if (pause := call.pause) is None
            else {
                "state": pause.state.value,
                "reason": pause.reason.value,
                "since": _iso(pause.started_at),
                "until": _iso(pause.until),
            },
            "recording_resumed_by": call.pause_ended_by.value if call.pause_ended_by else None,
        }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else None


def _text(value: UUID | None) -> str | None:
    return str(value) if value else None
