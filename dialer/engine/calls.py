"""The live calls: every event goes through the table, and everybody who must know is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog

from campaigns.release import EndedAttempt
from dialer.db.attempts import Progress
from dialer.domain.call_table import CALL_TABLE, CallEvent
from dialer.domain.machine import Kind
from dialer.domain.outcomes import Ending, Outcome, outcome_of
from dialer.domain.pacing import Mode
from dialer.domain.states import AgentState, CallState
from dialer.engine.clock import Clock
from dialer.engine.detection import Heard
from dialer.engine.floor import Call, Floor
from dialer.engine.journal import Journal
from dialer.engine.metrics import Metrics
from dialer.engine.publishing import Publishing

_log = structlog.get_logger(__name__)


class Calls:
    """Applies events to calls. `on_answered`, `on_heard`, `on_bridged` and `on_ended` are told after the state has changed."""

    def __init__(self, floor: Floor, journal: Journal, publishing: Publishing, metrics: Metrics, clock: Clock) -> None:
        self._floor = floor
        self._journal = journal
        self._publishing = publishing
        self._metrics = metrics
        self._clock = clock
        self.on_answered: list[Callable[[Call], None]] = []
        self.on_heard: list[Callable[[Call], None]] = []
        self.on_bridged: list[Callable[[Call], None]] = []
        self.on_ended: list[Callable[[Call], None]] = []

    def add(self, call: Call) -> None:
        """A call whose attempt row is committed (or that was found alive)."""
        self._floor.add(call)
        self._metrics.live_calls.set(len(self._floor.calls))
        self._publishing.call(call)

    def apply(self, call: Call, event: CallEvent, *, at: datetime | None = None) -> bool:
        """What the table says; True when the call moved. Times are noted once, the first news counts."""
        step = CALL_TABLE.step(call.state, event)
        if step.kind is not Kind.MOVE:
            self._not_a_move(call, event, step.kind)
            return False
        at = at or self._clock.now()
        before, call.state = call.state, step.state
        call.changed_s = self._clock.monotonic()
        self._note_times(call, step.state, at)
        if step.state is CallState.ENDED:
            self._end(call, event, at)
            return True
        if event is not CallEvent.SENT:
            call.fate_unknown = False
        self._journal.progress(progress_of(call))
        if event is CallEvent.BRIDGED:
            if call.agent_id is not None:
                call.talked = call.agent_id, call.device_id
            if before is not CallState.HELD and call.answered_s:
                self._measure_bridge(call, call.answered_s)
            self._floor.waiting.pop(call.attempt_id, None)
            for tell in self.on_bridged:
                tell(call)
        self._publishing.call(call)
        return True

    def _measure_bridge(self, call: Call, answered_s: float) -> None:
        now_s = self._clock.monotonic()
        self._metrics.answer_to_bridge.observe(now_s - answered_s)
        agent = self._floor.agents.get(call.agent_id) if call.agent_id is not None else None
        if agent is not None and agent.state is AgentState.RESERVED:
            self._metrics.agent_to_bridge.observe(now_s - max(answered_s, agent.since_s))

    def heard(self, call: Call, what: Heard) -> None:
        """Detection said who is there; the first time counts. A person's wait for an agent begins with the end of the greeting."""
        if call.state is not CallState.ANSWERED or call.machine or call.greeted_at is not None:
            return
        call.machine = what.machine
        for tell in self.on_heard:
            tell(call)
        if call.answered_at is None or what.machine:
            return
        call.greeted_at = max(call.answered_at, self._clock.now() - what.ago)
        call.answered_s = max(call.answered_s, self._clock.monotonic() - what.ago.total_seconds())
        self._journal.progress(progress_of(call))

    def agent_changed(self, call: Call) -> None:
        """The call was promised to an agent, or given to another."""
        call.changed_s = self._clock.monotonic()
        self._journal.progress(progress_of(call))
        self._publishing.call(call)

    def _note_times(self, call: Call, state: CallState, at: datetime) -> None:
        match state:
            case CallState.ORIGINATING:
                call.sent_at = call.sent_at or at
                self._metrics.attempts.labels(mode=call.mode.value).inc()
            case CallState.RINGING:
                call.ringing_at = call.ringing_at or max(at, call.sent_at or call.created_at)
                call.ringing_s = call.ringing_s or self._clock.monotonic()
            case CallState.ANSWERED | CallState.HELD:
                self._answered(call, at)
            case CallState.BRIDGED:
                self._answered(call, at)
                call.bridged_at = call.bridged_at or max(at, call.answered_at or at)
            case CallState.COMMITTED | CallState.ENDED:
                pass

    def _answered(self, call: Call, at: datetime) -> None:
        if call.answered_at is None:
            call.answered_at = max(at, call.ringing_at or call.sent_at or call.created_at)
            call.answered_s = self._clock.monotonic() - max(0.0, (self._clock.now() - at).total_seconds())
            for tell in self.on_answered:
                tell(call)

    def _end(self, call: Call, event: CallEvent, at: datetime) -> None:
        call.outcome = (
            Outcome.NOT_SENT
            if event is CallEvent.NOT_SENT
            else outcome_of(
                Ending(
                    answered=call.answered_at is not None,
                    bridged=call.bridged_at is not None,
                    waited_out=call.waited_out,
                    machine=call.machine,
                    played=call.played if call.mode is Mode.AGENTLESS else None,
                    canceled=call.canceled,
                    rang=call.ringing_at is not None,
                    rang_out=call.ring_timed_out,
                    cause=call.hangup_cause,
                    sip_status=call.sip_status,
                )
            )
        )
        if call.talked is not None:
            call.agent_id, call.device_id = call.talked  # whoever was promised the customer since has not heard them
        self._floor.drop(call, self._clock.monotonic())
        if call.waiter is not None and not call.waiter.done():
            call.waiter.cancel()
        latest = max(
            moment for moment in (call.created_at, call.answered_at, call.bridged_at, at) if moment is not None
        )
        call.ended_at = latest
        self._journal.ended(
            EndedAttempt(
                attempt_id=call.attempt_id,
                outcome=call.outcome.value,
                ended_at=latest,
                sent_at=call.sent_at,
                ringing_at=call.ringing_at,
                answered_at=call.answered_at,
                bridged_at=call.bridged_at,
                greeted_at=call.greeted_at,
                hangup_cause=call.hangup_cause,
                abandoned=call.outcome is Outcome.ABANDONED,
                agent_id=call.agent_id,
                device_id=call.device_id,
            )
        )
        self._metrics.outcomes.labels(outcome=call.outcome.value).inc()
        self._metrics.live_calls.set(len(self._floor.calls))
        self._publishing.call_ended(call)
        for tell in self.on_ended:
            tell(call)

    def _not_a_move(self, call: Call, event: CallEvent, kind: Kind) -> None:
        if kind is Kind.STRAGGLER:
            self._metrics.stragglers.labels(of="call").inc()
            return
        self._metrics.illegal.labels(of="call").inc()
        _log.error(
            "Illegal event for a call", attempt_id=str(call.attempt_id), state=call.state.value, call_event=event.value
        )


def progress_of(call: Call) -> Progress:
    """All that is known of a live call, for its row."""
    return Progress(
        attempt_id=call.attempt_id,
        state=call.state,
        sent_at=call.sent_at,
        ringing_at=call.ringing_at,
        answered_at=call.answered_at,
        bridged_at=call.bridged_at,
        greeted_at=call.greeted_at,
        agent_id=call.agent_id,
        device_id=call.device_id,
    )
