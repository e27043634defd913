"""The stop rules at work: each call that ends is judged once, from memory; what says stop is stopped in PostgreSQL at once, and a person has to lift it.

The step is the database's: from its commit on no claim of any node takes a lead of the project. While PostgreSQL is away nothing is claimed anyway; the
stop is tried again until it is written. After a start, or a change of rules, a watch looks back at the newest calls, so a restart forgets no evidence.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg
import structlog

from campaigns.errors import CampaignError
from campaigns.life.steps import By, take
from campaigns.life.stop_rules import RuleKind, Watch
from campaigns.life.table import Step
from campaigns.life.watching import AlarmKind, SeenCall, Watched, last_calls, raise_alarm, rules_in_force
from campaigns.states import Meaning
from dialer.db import audit_trail
from dialer.db.pool import LOST
from dialer.domain.outcomes import Outcome
from dialer.engine.alarms import Alarms
from dialer.engine.clock import Clock
from dialer.engine.floor import Call
from dialer.engine.metrics import Metrics
from dialer.engine.projects import Projects

_log = structlog.get_logger(__name__)
_REMEMBERED: Final = 1000
_NOT_DIALLED: Final = frozenset({Outcome.NOT_SENT, Outcome.CANCELED})


@dataclass(slots=True, kw_only=True)
class _Rule:
    """A rule with its watch. The calls before it was complete are seen when they have been read; once `spent` it has stopped its project, and another begins when that is lifted."""

    watched: Watched
    watch: Watch
    complete: bool = False
    spent: bool = False


class StopWatch:
    """`ended` and `wrapped` are told of calls and results; `run` stops; `refresh` reads the rules again. `on_stopped` is told of projects it has stopped."""

    def __init__(
        self, pool: asyncpg.Pool, projects: Projects, alarms: Alarms, metrics: Metrics, clock: Clock, *, again_s: float
    ) -> None:
        self._pool = pool
        self._projects = projects
        self._alarms = alarms
        self._metrics = metrics
        self._clock = clock
        self._again_s = again_s
        self._rules: dict[UUID, dict[RuleKind, _Rule]] = {}
        self._recent: OrderedDict[UUID, tuple[UUID, SeenCall]] = OrderedDict()
        self._to_stop: dict[UUID, Watch] = {}
        self._wake = asyncio.Event()
        self.on_stopped: list[Callable[[UUID], None]] = []

    def ended(self, call: Call) -> None:
        """A call is over."""
        if call.outcome is None or call.ended_at is None or call.outcome in _NOT_DIALLED:
            return
        seen = SeenCall(
            attempt_id=call.attempt_id,
            ended_at=call.ended_at,
            answered=call.answered_at is not None,
            abandoned=call.outcome is Outcome.ABANDONED,
            complaint=False,
        )
        self._recent[call.attempt_id] = (call.project_id, seen)
        if len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)
        for one in self._rules.get(call.project_id, {}).values():
            if one.complete and call.ended_at >= one.watched.since:
                _see(one.watch, seen)
        self._look(call.project_id)

    def wrapped(self, project_id: UUID, attempt_id: UUID, disposition: str) -> None:
        """An agent has said what a call came to."""
        project = self._projects.find(project_id)
        meant = {one.code: one.meaning for one in project.dispositions} if project is not None else {}
        if meant.get(disposition) is not Meaning.COMPLAINT or attempt_id not in self._recent:
            return
        of_project, seen = self._recent[attempt_id]
        if seen.complaint:
            return
        self._recent[attempt_id] = (of_project, _complained(seen))
        rule = self._rules.get(project_id, {}).get(RuleKind.COMPLAINTS)
        if rule is not None and rule.complete and seen.ended_at >= rule.watched.since:
            rule.watch.turn()
        self._look(project_id)

    async def refresh(self, project_ids: Iterable[UUID] | None = None) -> None:
        """Read the rules (of these projects) again; one that is new, or counts from another moment, looks back. Errors: those of a lost PostgreSQL."""
        wanted = None if project_ids is None else list(project_ids)
        async with self._pool.acquire(timeout=5) as conn:
            found = await rules_in_force(conn, wanted)
            for project_id in set(self._rules if wanted is None else wanted) - {one.project_id for one in found}:
                self._forget(project_id, set())
            for project_id in {one.project_id for one in found}:
                of_project = [one for one in found if one.project_id == project_id]
                self._forget(project_id, {one.rule.kind for one in of_project})
                known = self._rules.setdefault(project_id, {})
                new = [
                    one
                    for one in of_project
                    if self._begins_anew(known.get(one.rule.kind), one, told=wanted is not None)
                ]
                for one in new:
                    known[one.rule.kind] = _Rule(watched=one, watch=Watch(rule=one.rule))
                for one in new:
                    calls = await last_calls(conn, project_id, one.since)
                    self._look_back(known[one.rule.kind], project_id, calls)
                self._look(project_id)

    @staticmethod
    def _begins_anew(known: _Rule | None, found: Watched, *, told: bool) -> bool:
        """A rule that is new or counts from another moment; when we were told of the project, complaints too: one may have come long after its call."""
        if known is None or known.watched != found:
            return True
        return told and found.rule.kind is RuleKind.COMPLAINTS and not known.spent

    def evidence(self, project_id: UUID) -> dict[str, float]:
        """How far each rule of a project is from stopping it: 1 stops."""
        return {kind.value: one.watch.evidence for kind, one in self._rules.get(project_id, {}).items()}

    async def run(self) -> None:
        """Stop what is to be stopped, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            for project_id in list(self._to_stop):
                try:
                    await self._stop(project_id, self._to_stop[project_id])
                    self._to_stop.pop(project_id, None)
                except LOST:
                    self._wake.set()
            if self._wake.is_set():
                await asyncio.sleep(self._again_s)

    def _look_back(self, rule: _Rule, project_id: UUID, calls: list[SeenCall]) -> None:
        """The calls that are written, and after them those that ended here and are not written yet. In one breath."""
        written = {one.attempt_id for one in calls}
        since = rule.watched.since
        unwritten = [
            seen
            for of_project, seen in self._recent.values()
            if of_project == project_id and seen.attempt_id not in written and seen.ended_at >= since
        ]
        for seen in calls:
            mine = self._recent.get(seen.attempt_id)
            if seen.complaint and mine is not None:
                self._recent[seen.attempt_id] = (project_id, _complained(mine[1]))
            _see(rule.watch, _complained(seen) if mine is not None and mine[1].complaint else seen)
        for seen in unwritten:
            _see(rule.watch, seen)
        rule.complete = True

    def _look(self, project_id: UUID) -> None:
        for one in self._rules.get(project_id, {}).values():
            if not one.watch.stops or one.spent:
                continue
            project = self._projects.find(project_id)
            if project is not None and self._projects.runs_here(project):
                self._to_stop.setdefault(project_id, one.watch)
                self._wake.set()

    def _forget(self, project_id: UUID, kept: set[RuleKind]) -> None:
        known = self._rules.get(project_id, {})
        for kind in set(known) - kept:
            del known[kind]
        if not known:
            self._rules.pop(project_id, None)

    async def _stop(self, project_id: UUID, watch: Watch) -> None:
        """The step, its audit row and the alarm, all or nothing. A project that was halted meanwhile stays as it is."""
        rule, now = watch.rule, self._clock.now()
        detail = {
            "rule": rule.kind.value, "hits": watch.hits, "calls": watch.calls, "tolerated": rule.tolerated, "alarming": rule.alarming,
            "false_stop_calls": rule.false_stop_calls,
        }  # fmt: skip
        why = f"Stop rule {rule.kind.value}: {watch.hits} of {watch.calls} calls; tolerated {rule.tolerated:.2%}, alarming {rule.alarming:.2%}."
        by = By(actor=f"stop rule {rule.kind.value}", role=None)
        try:
            async with self._pool.acquire(timeout=5) as conn, conn.transaction():
                taken = await take(conn, project_id, Step.STOP, by=by, now=now, why=why)
                if not taken.moved:
                    return
                alarm = await raise_alarm(conn, project_id, AlarmKind(rule.kind.value), now, {**detail, "why": why})
                await audit_trail.write(
                    conn,
                    audit_trail.Entry(
                        at=now, user_id=None, actor=by.actor, address=None, action="project_step", subject_type="project", subject_id=str(project_id),
                        detail={"step": Step.STOP.value, "life": taken.life.value, "moved": True, **detail},
                    ),
                )  # fmt: skip
        except CampaignError as error:
            _log.warning(
                "A stop rule found its project in another life", project_id=str(project_id), error_id=error.error_id
            )
            return
        for one in self._rules.get(project_id, {}).values():
            one.spent = True
        _log.warning("A stop rule has stopped a project", project_id=str(project_id), **detail)
        self._metrics.stops.labels(rule=rule.kind.value).inc()
        if alarm is not None:
            self._alarms.show(alarm)
        for tell in self.on_stopped:
            tell(project_id)


def _see(watch: Watch, seen: SeenCall) -> None:
    match watch.rule.kind:
        case RuleKind.ANSWERS:
            watch.see(hit=seen.answered)
        case RuleKind.ABANDONMENT if seen.answered:
            watch.see(hit=seen.abandoned)
        case RuleKind.COMPLAINTS if seen.answered:
            watch.see(hit=seen.complaint)
        case _:
            pass


def _complained(seen: SeenCall) -> SeenCall:
    return SeenCall(
        attempt_id=seen.attempt_id,
        ended_at=seen.ended_at,
        answered=seen.answered,
        abandoned=seen.abandoned,
        complaint=True,
    )
