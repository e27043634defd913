"""After a conversation: wrap-up with its limit, and the agent's result."""

from __future__ import annotations

from dialer.domain.agent_table import AgentEvent
from dialer.domain.states import AgentState
from dialer.engine.agents import Agents
from dialer.engine.calls import Calls
from dialer.engine.floor import Agent, Call, Floor
from dialer.engine.projects import Projects


class Wrapping:
    """Follows calls to their agents: talking when bridged, wrap-up when ended, free again when the limit is over."""

    def __init__(self, floor: Floor, calls: Calls, agents: Agents, projects: Projects) -> None:
        self._floor = floor
        self._calls = calls
        self._agents = agents
        self._projects = projects
        calls.on_bridged.append(self.bridged)
        calls.on_ended.append(self.ended)

    def bridged(self, call: Call) -> None:
        """The agent talks."""
        agent = self._floor.agents.get(call.agent_id) if call.agent_id else None
        if agent is not None and agent.attempt_id == call.attempt_id:
            self._agents.apply(agent, AgentEvent.BRIDGED)

    def found(self, agent: Agent, call: Call) -> None:
        """The conversation is this agent's, as Asterisk says, whatever we believed."""
        self._agents.take(agent, call)
        call.talked = agent.agent_id, agent.device_id
        if agent.state is not AgentState.TALKING:
            self._agents.apply(agent, AgentEvent.BRIDGED)
        self._calls.agent_changed(call)

    def ended(self, call: Call) -> None:
        """The call is over: wrap-up after a conversation, free at once when there was none."""
        for agent in list(self._floor.agents.values()):
            if agent.attempt_id != call.attempt_id:
                continue
            if agent.state is AgentState.TALKING:
                self.begin(agent)
            elif agent.state is AgentState.RESERVED:
                if call.agent_id == agent.agent_id and call.bridged_at is not None and call.wanted_agent is None:
                    self.begin(agent)
                else:
                    self._agents.settle(agent)

    def begin(self, agent: Agent) -> None:
        """Wrap-up, with the limit of the project."""
        if self._agents.apply(agent, AgentEvent.CALL_ENDED):
            self.limit(agent)

    def limit(self, agent: Agent, spent_s: float = 0.0) -> None:
        """Start the clock of the wrap-up."""
        limit_s = self._projects.wrap_up_limit_s(agent.project_id) if agent.project_id else 0.0
        if limit_s <= spent_s:
            self._agents.settle(agent)
        else:
            self._agents.start_timer(agent, limit_s - spent_s, self._agents.settle)
