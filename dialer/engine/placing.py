"""The pacing loop: snapshot → decision → gates and budgets → claim → commit → on the wire.

It runs each second, and at once when an agent gets ready or a call ends. For each project it keeps what limited it last, which is
the answer to "why is this project not dialling?".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import asyncpg
import structlog

from campaigns import gates
from campaigns.caller_numbers.number import Offer
from campaigns.claim import Claimed, ClaimRequest, claim
from campaigns.errors import CampaignError
from campaigns.openings import Openings
from campaigns.projects import Project
from campaigns.states import DialMode
from campaigns.trunks import Trunk
from dialer.db.pool import LOST
from dialer.domain.call_table import CallEvent
from dialer.domain.ids import uuid7
from dialer.domain.pacing import Decision, FlightState, Limit, Mode, Snapshot
from dialer.domain.pacing.at_limit import within_contract
from dialer.engine.abandonment import Abandonment
from dialer.engine.allotting import Allotting, Wish
from dialer.engine.budgets import Budgets
from dialer.engine.calls import Calls
from dialer.engine.clock import Clock
from dialer.engine.config import EngineConfig
from dialer.engine.counts import Counts
from dialer.engine.floor import Floor
from dialer.engine.giving_up import GivingUp
from dialer.engine.metrics import Metrics
from dialer.engine.pace_log import Pace, PaceLog
from dialer.engine.policies import Policies
from dialer.engine.projects import Projects
from dialer.engine.publishing import Publishing
from dialer.engine.sending import Sending
from dialer.engine.snapshots import Snapshots
from dialer.engine.tasks import TaskSet

_log = structlog.get_logger(__name__)

_LIMIT_OF = {
    gates.Gate.OUTSIDE_WINDOW: Limit.WINDOW,
    gates.Gate.NO_CALLER_NUMBER: Limit.CALLER_NUMBER,
    gates.Gate.NO_TRUNK: Limit.TRUNK,
    gates.Gate.TRUNK_DISABLED: Limit.TRUNK,
    gates.Gate.PROJECT_NOT_RUNNING: Limit.PAUSED,
}
_BEFORE_ALL = {Limit.MODE, Limit.NO_AGENTS, Limit.SAMPLE}  # said whatever else forbids a call
_LEAST_PAUSE_S = 0.02
_LOOKS = 3
_CLAIM_WAIT_S = 10.0


@dataclass(slots=True)
class _Wish(Wish):
    """With what it was decided on."""

    snapshot: Snapshot
    decision: Decision


class Placing:
    """Places calls for all projects that are dialled on this node. `obstacle` tells what forbids any call now (Limit), or None."""

    def __init__(
        self,
        config: EngineConfig,
        run_id: UUID,
        pool: asyncpg.Pool,
        floor: Floor,
        projects: Projects,
        policies: Policies,
        snapshots: Snapshots,
        calls: Calls,
        sending: Sending,
        budgets: Budgets,
        giving_up: GivingUp,
        publishing: Publishing,
        metrics: Metrics,
        counts: Counts,
        abandonment: Abandonment,
        tasks: TaskSet,
        clock: Clock,
        randomness: Callable[[int], bytes],
        obstacle: Callable[[], tuple[Limit, str] | None],
    ) -> None:
        self._config = config
        self._run_id = run_id
        self._pool = pool
        self._floor = floor
        self._projects = projects
        self._policies = policies
        self._snapshots = snapshots
        self._calls = calls
        self._sending = sending
        self._budgets = budgets
        self._giving_up = giving_up
        self._publishing = publishing
        self._metrics = metrics
        self._counts = counts
        self._abandonment = abandonment
        self._tasks = tasks
        self._clock = clock
        self._randomness = randomness
        self._obstacle = obstacle
        self._allotting = Allotting(budgets)
        self._wake = asyncio.Event()
        self._nothing_before: dict[UUID, tuple[float, Limit, str]] = {}
        self._zones: dict[UUID, frozenset[str]] = {}
        self.paces = PaceLog()
        self.on_decided: list[Callable[[UUID, Pace], None]] = []
        self.on_claim_lost: list[Callable[[Sequence[UUID]], None]] = []

    def wake(self) -> None:
        """Something changed that may allow a call now."""
        self._wake.set()

    def new_list(self, project_id: UUID) -> None:
        """There may be leads again."""
        self._nothing_before.pop(project_id, None)
        self.wake()

    async def run(self) -> None:
        """Place for ever."""
        pause_s = self._config.tick_s
        while True:
            try:
                async with asyncio.timeout(pause_s):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            pause_s = max(_LEAST_PAUSE_S, min(self._config.tick_s, await self.tick()))

    async def tick(self) -> float:
        """One round: look at all projects at one moment, divide what is short, then claim and send for one after the other.

        What a project whose list came up short did not use, the others get in the same round. Returns after how many seconds a
        rate allows more.
        """
        began_s = self._clock.monotonic()
        projects = self._projects.dialled_here()
        again_s = self._config.tick_s
        for _ in range(_LOOKS):
            out_of_leads = dict(self._nothing_before)
            for wish in self._wishes(projects):
                again_s = min(again_s, await self._place(wish))
            if self._nothing_before == out_of_leads:
                break
        running = {project.id for project in projects}
        for project_id in [known for known in self.paces if known not in running]:
            self.paces.forget(project_id)
            self._zones.pop(project_id, None)
            self._publishing.value("pacing", str(project_id), None)
        self._allotting.keep_only(running)
        self._snapshots.contexts.keep_only(running)
        self._counts.show()
        self._abandonment.show()
        self._metrics.tick.observe(self._clock.monotonic() - began_s)
        return again_s

    def _wishes(self, projects: Sequence[Project]) -> list[_Wish]:
        """What each project would place, cut to what they can have together. In one breath: nothing changes meanwhile."""
        began_s = self._clock.monotonic()
        blocked = {project.id: why for project in projects if (why := self._blocked(project)) is not None}
        view = self._snapshots.take(projects, blocked)
        wishes = []
        for project in projects:
            snapshot = view.snapshots[project.id]
            decision = within_contract(snapshot, self._policies.of(project.id, snapshot.mode).decide(snapshot))
            self._give_up(snapshot, decision)
            if (why := blocked.get(project.id)) is not None and decision.limited_by not in _BEFORE_ALL:
                self._note(project, snapshot, decision, *why)
            elif decision.place <= 0 or project.trunk is None:
                self._note(project, snapshot, decision, decision.limited_by)
            else:
                wish = _Wish(project, project.trunk, decision.place, decision.limited_by, snapshot, decision)
                for limit, count in view.rooms[project.id].bounds:
                    wish.cut(count, limit)
                wish.decision = replace(decision, because=decision.because + view.rooms[project.id].because)
                wishes.append(wish)
        self._allotting.divide(wishes, view.in_use, self._clock.monotonic())
        self._metrics.decision.observe(self._clock.monotonic() - began_s)
        return wishes

    async def _place(self, wish: _Wish) -> float:
        """Claim and send; returns after how many seconds to come again."""
        project, trunk = wish.project, wish.trunk
        placed, why = 0, ""
        wanted, limit = wish.count, wish.limit
        # Agents may have dialled by hand since.
        wish.cut(*self._budgets.room(project, trunk, self._clock.monotonic(), self._clock.now()).smallest)
        if wish.count > 0:
            with self._budgets.reserved(trunk, wish.count):
                placed, limit_of_claim, why = await self._claim_and_send(project, trunk, wish.count)
            limit = limit_of_claim or wish.limit
        self._note(project, wish.snapshot, wish.decision, limit, why, place=placed)
        waits_for_rate = limit in (Limit.CPS, Limit.NODE, Limit.NODE_LOAD) and placed == min(wanted, wish.count)
        return self._budgets.wait_s(trunk, self._clock.monotonic()) if waits_for_rate else self._config.tick_s

    def _give_up(self, snapshot: Snapshot, decision: Decision) -> None:
        """The policy knows ages since a call was placed; the rule speaks of ringing, so we look again."""
        if snapshot.cancel_after_s is None:
            return
        for attempt_id in decision.cancel:
            call = self._floor.calls.get(attempt_id)
            if call is not None and self._giving_up.rang_for(call) >= snapshot.cancel_after_s:
                self._giving_up.begin(call)

    def _blocked(self, project: Project) -> tuple[Limit, str] | None:
        """What forbids calls of this project now, before anything is claimed."""
        if (everywhere := self._obstacle()) is not None:
            return everywhere
        now = self._clock.now()
        verdict = gates.decide(project, now)
        if not verdict.allowed:
            return _LIMIT_OF.get(verdict.gate, Limit.GATE), verdict.reason
        until_s, limit, reason = self._nothing_before.get(project.id, (0.0, Limit.LEADS, ""))
        return (limit, reason) if until_s > self._clock.monotonic() else None

    def _paused(self, project: Project) -> tuple[Limit, str] | None:
        now = self._projects.find(project.id)
        return None if now is not None and self._projects.runs_here(now) else (Limit.PAUSED, "")

    def _request(
        self, project: Project, trunk: Trunk, offers: tuple[Offer, ...], count: int, now: datetime
    ) -> ClaimRequest:
        openings = gates.openings(project, now)
        for zone in self._zones.get(project.id, ()):
            openings.ask(zone)
        return ClaimRequest(
            project_id=project.id,
            node=self._config.node,
            trunk_id=trunk.id,
            mode=project.mode,
            now=now,
            attempt_ids=tuple(uuid7(now, self._randomness(10)) for _ in range(count)),
            offers=offers,
            holder=self._run_id,
            openings=openings,
        )

    async def _claim_and_send(self, project: Project, trunk: Trunk, count: int) -> tuple[int, Limit | None, str]:
        claimed = Claimed()
        attempt_ids: tuple[UUID, ...] = ()
        try:
            async with asyncio.timeout(_CLAIM_WAIT_S), self._budgets.claiming, self._pool.acquire(timeout=2) as conn:
                now, at_s = self._clock.now(), self._clock.monotonic()
                offers = self._budgets.offers(project, trunk, at_s, now)
                asked = min(count, sum(offer.room for offer in offers))
                if asked < 1:
                    return 0, Limit.CALLER_NUMBER_LIMIT, ""
                request = self._request(project, trunk, offers, asked, now)
                attempt_ids = request.attempt_ids
                claimed = await claim(conn, request)
                for lead in claimed:
                    self._budgets.take(project, lead.caller_number, at_s)
        except LOST as error:
            # The attempts may be committed: their ids are ours, reconciliation looks for them and gives the leads back.
            for tell in self.on_claim_lost:
                tell(attempt_ids)
            return 0, Limit.DATABASE, type(error).__name__
        except CampaignError as error:
            if error.error_id != "caller_number_refused":
                return 0, Limit.GATE, error.message
            until_s = self._clock.monotonic() + self._config.tick_s
            self._nothing_before[project.id] = until_s, Limit.CALLER_NUMBER, error.message
            return 0, Limit.CALLER_NUMBER, error.message
        self._zones[project.id] = frozenset(
            request.openings.known
        )  # a list has few: the next claim asks about them at once
        short = len(claimed) < asked
        why = _out_of_leads(request.openings)
        if short:
            self._rest(project, claimed, *why)
        mode = Mode(project.mode.value)
        self._snapshots.contexts.claimed(project.id, claimed)
        begun = [self._sending.begin(project, lead, mode) for lead in claimed]
        if (obstacle := self._obstacle() or self._paused(project)) is not None:
            # Asterisk or the lease went away during the claim, or the project was paused: nothing was sent, the leads go back.
            for call in begun:
                self._calls.apply(call, CallEvent.NOT_SENT)
            return 0, *obstacle
        self._budgets.spend(trunk, len(begun), self._clock.monotonic())
        if begun:
            self._tasks.spawn(f"originate {begun[0].attempt_id}", self._sending.send(begun, project, trunk))
        if not short:
            return len(begun), None, ""
        full = project.mode is DialMode.TRIAL and await self._sample_is_full(project)
        return len(begun), *((Limit.SAMPLE, "") if full else why)

    def _rest(self, project: Project, claimed: Claimed, limit: Limit, reason: str) -> None:
        """Nothing more can be had before the next tick, unless it is only that leads at the front may not be dialled: those behind do not wait for them."""
        if claimed.more:
            self.wake()
        else:
            self._nothing_before[project.id] = self._clock.monotonic() + self._config.tick_s, limit, reason

    async def _sample_is_full(self, project: Project) -> bool:
        """A claim for a trial got less than it asked for: its row says whether any place is left."""
        try:
            known = await self._projects.reload(project.id)
        except LOST:
            return False  # the next claim counts again
        return known.trial_taken >= known.trial_size

    def _note(
        self,
        project: Project,
        snapshot: Snapshot,
        decision: Decision,
        limited_by: Limit,
        reason: str = "",
        *,
        place: int = 0,
    ) -> None:
        waiting = sum(state is FlightState.WAITING for _, state, _ in snapshot.in_flight)
        pace = Pace(
            at=self._clock.now(),
            place=place,
            limited_by=limited_by,
            reason=reason,
            ready=snapshot.ready,
            agents=len(snapshot.agents),
            in_flight=len(snapshot.in_flight) + place,
            waiting=waiting,
            because=decision.because,
        )
        self.paces.note(project.id, pace)
        for tell in self.on_decided:
            tell(project.id, pace)
        self._publishing.value("pacing", str(project.id), {"project_id": str(project.id), **pace.as_dict()})


def _out_of_leads(openings: Openings) -> tuple[Limit, str]:
    """Are there no leads, or do all their zones sleep?"""
    if not openings.known or openings.open_zones():
        return Limit.LEADS, ""
    soonest = min(at for at in openings.known.values() if at is not None)
    return (
        Limit.WINDOW,
        f"all zones of the list are outside the rules' hours; the first opens at {soonest:%Y-%m-%d %H:%M} UTC",
    )
