"""What is there, against what we believe: after a start, an AMI reconnect, lost events, an unknown Originate, and now and then.

Three sources, in this order of trust: the channels that Asterisk lists (what lives), its call records (what ended, and how), our
rows (what was committed). Nothing is ever sent again. An attempt that is in none of them was never received: `not_sent`, and its
lead goes back; but when Asterisk was restarted since, or the records cannot be read as far back, it counts as made (`failed`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import structlog

from dialer.asterisk.ami import actions
from dialer.asterisk.ami.client import AmiClient
from dialer.asterisk.ami.errors import ActionFailed, AmiError
from dialer.asterisk.ami.events import ChannelRow
from dialer.db import attempts as attempts_db
from dialer.db import pauses as pauses_db
from dialer.db.attempts import LiveAttempt
from dialer.db.pauses import PauseNews
from dialer.db.pool import LOST
from dialer.domain.call_table import CallEvent
from dialer.domain.pacing import Mode
from dialer.domain.states import AgentState, CallState
from dialer.engine.agents import Agents
from dialer.engine.budgets import Budgets
from dialer.engine.calls import Calls
from dialer.engine.clock import Clock
from dialer.engine.config import EngineConfig
from dialer.engine.desk.pausing import Pausing
from dialer.engine.floor import Agent, Call, Floor
from dialer.engine.journal import Journal
from dialer.engine.listing import YOUNG_S, Listing, asterisk_start, list_channels, list_pauses
from dialer.engine.metrics import Metrics
from dialer.engine.pause_forms import paused
from dialer.engine.records import Records, read_records
from dialer.engine.seat_check import SeatCheck
from dialer.engine.seats import Seats
from dialer.engine.wrapping import Wrapping

_log = structlog.get_logger(__name__)

_STARTED_WITHIN = timedelta(seconds=1)  # Asterisk tells its start in whole seconds
_LOST_CLAIMS = 1_000  # what is forgotten beyond these is found after the grace
_RECORD_LOOKS, _RECORD_PAUSE_S = 10, 0.1
_CLAIM_GRACE = timedelta(seconds=15)  # a claim that is under way commits within this or never


class Reconcile:
    """`now` runs one round; rounds never overlap."""

    def __init__(
        self,
        config: EngineConfig,
        pool: asyncpg.Pool,
        ami: AmiClient,
        floor: Floor,
        calls: Calls,
        agents: Agents,
        seats: Seats,
        wrapping: Wrapping,
        pausing: Pausing,
        budgets: Budgets,
        journal: Journal,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._config = config
        self._pool = pool
        self._ami = ami
        self._floor = floor
        self._calls = calls
        self._agents = agents
        self._wrapping = wrapping
        self._seat_check = SeatCheck(floor, agents, seats, wrapping, metrics)
        self._pausing = pausing
        self._budgets = budgets
        self._journal = journal
        self._metrics = metrics
        self._clock = clock
        self._one_round = asyncio.Lock()
        self._suspects: dict[UUID, int] = {}
        self._lost_claims: deque[UUID] = deque(maxlen=_LOST_CLAIMS)
        self.asterisk_started_at: datetime | None = None

    async def now(self, *, adopt: bool) -> bool:
        """One round. `adopt`: also compare with our rows (after a start, a lost claim). False: Asterisk or PostgreSQL is away."""
        async with self._one_round:
            try:
                self.asterisk_started_at = await asterisk_start(self._ami)
                listing = await list_channels(self._ami, self._clock.monotonic())
                self._follow_known(listing)  # at once: later it would be older than what is heard meanwhile
                unknown = [
                    attempt_id
                    for attempt_id in listing.calls
                    if attempt_id not in self._floor.calls and not self._has_ended(attempt_id)
                ]
                marks = await list_pauses(self._ami) if unknown else {}
            except AmiError as error:
                _log.info("Asterisk cannot be asked what is there", error_id=error.error_id)
                return False
            rows: dict[UUID, LiveAttempt] = {}
            pauses: dict[UUID, PauseNews] = {}
            complete = True
            if adopt or unknown:
                try:
                    async with self._pool.acquire(timeout=5) as conn:
                        rows = {row.id: row for row in await attempts_db.live_of_node(conn, self._config.node)}
                        pauses = await pauses_db.open_of(conn, rows)
                except LOST:
                    complete = False
            for attempt_id in unknown:
                if (row := rows.get(attempt_id)) is not None:
                    answered_at = await self._answered_at(row, listing.calls[attempt_id])
                    call = self._adopt(row, listing, answered_at)
                    self._pausing.adopt(call, marks.get(attempt_id), pauses.get(attempt_id))
                elif complete:
                    await self._orphan(attempt_id, listing.calls[attempt_id])
            await self._close_unseen(listing, rows if adopt else {}, pauses)
            self._seat_check.compare(listing)
            return complete

    def _follow_known(self, listing: Listing) -> None:
        """News that was lost: of the calls we know, and of calls whose bridge we did not hear of."""
        for attempt_id, row in listing.calls.items():
            call = self._floor.calls.get(attempt_id)
            if call is not None and call.changed_s <= listing.asked_s:
                call.channel = row.channel
                self._catch_up(call, row, listing)

    def _catch_up(self, call: Call, row: ChannelRow, listing: Listing, *, bridged_at: datetime | None = None) -> None:
        """`bridged_at`: when the bridge was made, if it is found; otherwise now."""
        partner = listing.partner(row)
        if partner is not None:
            if call.state is not CallState.BRIDGED:
                agent = self._floor.seats.get(partner)
                if agent is not None and agent.seat is not None:
                    self._agents.take(agent, call)
                    agent.seat.up = True
                self._metrics.reconciled.labels(what="bridge").inc()
                self._calls.apply(call, CallEvent.BRIDGED, at=bridged_at)
            elif (agent := self._floor.seats.get(partner)) is not None:
                self._give_back(call, agent, listing)
            return
        if row.context == "waihu-hold":
            if call.state is not CallState.HELD:
                self._calls.apply(call, CallEvent.HELD)
            elif call.fate_unknown and (agent := self._floor.talked_with(call)) is not None:
                self._give_back(call, agent, listing)
                return
        elif row.context == "waihu-safe-harbour":
            call.waited_out = True
            self._calls.apply(call, CallEvent.ANSWERED)
        elif row.state_name == "Up" and call.state in (CallState.COMMITTED, CallState.ORIGINATING, CallState.RINGING):
            self._calls.apply(call, CallEvent.ANSWERED)
        elif row.state_name in ("Ringing", "Ring") and call.state in (CallState.COMMITTED, CallState.ORIGINATING):
            self._calls.apply(call, CallEvent.RINGING)
        elif call.state is CallState.COMMITTED:
            self._calls.apply(call, CallEvent.SENT)
        call.fate_unknown = False

    def _give_back(self, call: Call, agent: Agent, listing: Listing) -> None:
        """The customer is with this agent, whatever we believed: of an answer or a transfer we did not hear what became."""
        if agent.attempt_id == call.attempt_id and not call.fate_unknown:
            return
        promised = self._floor.agents.get(call.agent_id) if call.agent_id else None
        if any(listing.asked_s - one.since_s <= YOUNG_S for one in (agent, promised) if one is not None):
            return
        self._metrics.reconciled.labels(what="bridge").inc()
        call.wanted_agent, call.fate_unknown = None, False
        self._wrapping.found(agent, call)
        if promised is not None and promised is not agent:
            self._agents.release(promised, call.attempt_id)

    async def _answered_at(self, row: LiveAttempt, channel: ChannelRow) -> datetime | None:
        """When a call was answered whose answer nobody of us saw; None when it was seen, or is still to come."""
        if row.answered_at is not None or channel.state_name != "Up":
            return None
        try:
            answer = await self._ami.send(actions.get_variable(channel.channel, "CDR(answer,u)"))
            return datetime.fromtimestamp(float(answer.get("Value")), UTC) if float(answer.get("Value")) > 0 else None
        except ActionFailed:
            return await self._recorded_answer(row)
        except (AmiError, ValueError):
            return None

    async def _recorded_answer(self, row: LiveAttempt) -> datetime | None:
        """The same of a call that has ended since it was listed: by its record, which is written moments after the end."""
        for _ in range(_RECORD_LOOKS):
            not_before = row.created_at - timedelta(minutes=1)
            records = await asyncio.to_thread(read_records, self._config.cdr_file, [row.id], not_before=not_before)
            if (record := records.get(row.id)) is not None and record.answered_at is not None:
                return record.answered_at
            await asyncio.sleep(_RECORD_PAUSE_S)
        return None

    def _adopt(self, row: LiveAttempt, listing: Listing, answered_at: datetime | None) -> Call:
        """A live call that another run of ours began."""
        channel = listing.calls[row.id]
        call = self._call_from(row)
        call.channel = channel.channel
        self._found(call)
        self._metrics.reconciled.labels(what="call_adopted").inc()
        _log.info("Call adopted", attempt_id=str(row.id), state=row.state.value, context=channel.context)
        agent = self._floor.agents.get(row.agent_id) if row.agent_id else None
        if agent is not None and agent.attempt_id is None and agent.state is AgentState.TALKING:
            agent.attempt_id, agent.project_id, agent.lead_id = row.id, row.project_id, row.lead_id
        if answered_at is not None:
            self._calls.apply(call, CallEvent.ANSWERED, at=answered_at)
        # Bridged unseen means at the answer, or shortly after it: without an engine the dialplan bridges nobody.
        self._catch_up(call, channel, listing, bridged_at=call.answered_at)
        return call

    def _found(self, call: Call) -> None:
        self._calls.add(call)
        self._budgets.found(call.caller_number)

    def _call_from(self, row: LiveAttempt) -> Call:
        at_s = self._clock.monotonic()
        call = Call(
            attempt_id=row.id,
            project_id=row.project_id,
            lead_id=row.lead_id,
            number=row.number,
            mode=Mode(str(row.mode)),
            trunk_id=row.trunk_id,
            caller_number=row.caller_number,
            created_at=row.created_at,
            placed_s=at_s - max(0.0, (self._clock.now() - row.created_at).total_seconds()),
            state=row.state,
            agent_id=row.agent_id,
            device_id=row.device_id,
            talked=(row.agent_id, row.device_id) if row.bridged_at and row.agent_id else None,
            sent_at=row.sent_at,
            ringing_at=row.ringing_at,
            answered_at=row.answered_at,
            bridged_at=row.bridged_at,
            greeted_at=row.greeted_at,
        )
        if row.ringing_at is not None:
            call.ringing_s = at_s - max(0.0, (self._clock.now() - row.ringing_at).total_seconds())
        if (since := row.greeted_at or row.answered_at) is not None:
            call.answered_s = at_s - max(0.0, (self._clock.now() - since).total_seconds())
        return call

    async def _orphan(self, attempt_id: UUID, row: ChannelRow) -> None:
        """A channel with our name and without a live row: left alone while it talks, ended when it does not."""
        seen = self._suspects.get(attempt_id, 0) + 1
        self._suspects[attempt_id] = seen
        if row.bridge_id or seen < 2:
            return
        _log.warning("A call without a live attempt is hung up", attempt_id=str(attempt_id))
        self._metrics.reconciled.labels(what="orphan").inc()
        try:
            await self._ami.send(actions.hangup(row.channel_id))
        except AmiError as error:
            _log.info("It could not be hung up", error_id=error.error_id)
        self._suspects.pop(attempt_id, None)

    async def _close_unseen(
        self, listing: Listing, rows: dict[UUID, LiveAttempt], pauses: dict[UUID, PauseNews]
    ) -> None:
        """What we (or our rows) believe alive and Asterisk does not list has ended, or was never sent."""
        gone = [
            call
            for call in self._floor.calls.values()
            if call.attempt_id not in listing.calls
            and call.state is not CallState.COMMITTED
            and self._old(call, listing)
        ]
        now = self._clock.now()
        lost = [
            row
            for row in rows.values()
            if row.id not in listing.calls
            and row.id not in self._floor.calls
            and not self._has_ended(row.id)
            and (row.id in self._lost_claims or row.created_at < now - _CLAIM_GRACE or row.created_at < self._began_at)
        ]
        if not gone and not lost:
            return
        oldest = min([call.created_at for call in gone] + [row.created_at for row in lost])
        records = await asyncio.to_thread(
            read_records,
            self._config.cdr_file,
            [call.attempt_id for call in gone] + [row.id for row in lost],
            not_before=oldest - timedelta(minutes=1),
        )
        for row in lost:
            if row.id not in self._floor.calls:
                call = self._call_from(row)
                if (kept := pauses.get(row.id)) is not None:
                    call.pause = paused(kept, until=self._clock.now())
                self._found(call)
                gone.append(call)
        for call in gone:
            if call.state is not CallState.ENDED:
                self._close(call, records)

    async def close_refused(self, call: Call) -> None:
        """Asterisk said that a call came to nothing, and nobody heard its hang-up: the records say why, if there was a channel at all."""
        records = await asyncio.to_thread(
            read_records,
            self._config.cdr_file,
            [call.attempt_id],
            not_before=call.created_at - timedelta(minutes=1),
        )
        if call.state is CallState.ENDED:
            return
        if records.get(call.attempt_id) is not None:
            self._close(call, records)
        else:
            self._calls.apply(call, CallEvent.REFUSED)

    def _has_ended(self, attempt_id: UUID) -> bool:
        """We know it, though what was read a moment ago may not."""
        return self._journal.holds_end_of(attempt_id) or self._floor.ended_lately(attempt_id, self._clock.monotonic())

    def _old(self, call: Call, listing: Listing) -> bool:
        return listing.asked_s - call.placed_s > YOUNG_S

    def _close(self, call: Call, records: Records) -> None:
        """It has ended unseen: with the truth of its record, or with what can be known without."""
        record = records.get(call.attempt_id)
        self._metrics.reconciled.labels(what="call_closed").inc()
        _log.info(
            "Call closed unseen", attempt_id=str(call.attempt_id), state=call.state.value, recorded=record is not None
        )
        if record is None:
            never_received = (
                call.answered_at is None
                and call.ringing_at is None
                and call.state in (CallState.COMMITTED, CallState.ORIGINATING)
                and self.asterisk_started_at is not None
                and self.asterisk_started_at + _STARTED_WITHIN <= call.created_at
                and records.reach_back_to(call.created_at)
            )
            self._calls.apply(call, CallEvent.NOT_SENT if never_received else CallEvent.HUNG_UP)
            return
        # What was noticed late, at an adoption in the moment of the end, is not later than its record says.
        if record.started_at is not None:
            call.sent_at = min(call.sent_at or record.started_at, record.started_at)
        if record.answered_at is not None:
            self._calls.apply(call, CallEvent.ANSWERED, at=record.answered_at)
            if call.answered_at is not None and call.bridged_at is None:
                call.answered_at = min(call.answered_at, record.answered_at)
                call.ringing_at = min(call.ringing_at, call.answered_at) if call.ringing_at else None
        if record.bridged:
            call.agent_id = call.agent_id or record.agent_id or self._agent_at(record.device)
            self._calls.apply(call, CallEvent.BRIDGED, at=record.answered_at)
        call.waited_out = call.waited_out or record.safe_harbour
        call.played = call.played or record.survey_played
        call.machine = call.machine or record.machine
        call.hangup_cause, call.sip_status = record.cause, record.sip_status
        self._calls.apply(call, CallEvent.HUNG_UP, at=record.ended_at)

    def _agent_at(self, device: str | None) -> UUID | None:
        """Who sits at a device, as far as they are logged in."""
        if device is None:
            return None
        return next((one.agent_id for one in self._floor.agents.values() if one.device_username == device), None)

    def claim_lost(self, attempt_ids: Iterable[UUID]) -> None:
        """Claims whose answer never came: nobody sends them any more, so a row of theirs need not be waited for."""
        self._lost_claims.extend(attempt_ids)

    def begin_at(self, moment: datetime) -> None:
        """Rows older than this run of the engine are nobody else's claim under way."""
        self._began_at = moment

    _began_at: datetime = datetime.min.replace(tzinfo=UTC)
