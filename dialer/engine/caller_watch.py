"""Watches the caller numbers of the node: rests end when they are over, numbers that do worse than the others raise an alarm and rest.

What is wrong with a number is in its row, in the live feed, in the measures and, when it rests for it, in the audit log.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import structlog

from campaigns.caller_numbers import pool as caller_numbers
from campaigns.caller_numbers import watching
from campaigns.caller_numbers.health import judged
from campaigns.caller_numbers.number import CallerNumber
from campaigns.sql import OneConnection
from campaigns.states import CallerNumberState
from dialer.db import audit_trail
from dialer.engine.clock import Clock
from dialer.engine.config import EngineConfig
from dialer.engine.metrics import Metrics
from dialer.engine.number_labels import LabelsAway, NumberLabels
from dialer.engine.publishing import Publishing

_log = structlog.get_logger(__name__)
_LABELS_AT_ONCE = 20
_LABELS_LAST = timedelta(hours=24)


class CallerWatch:
    """`labels` None: no label service is asked."""

    def __init__(
        self,
        config: EngineConfig,
        pool: asyncpg.Pool,
        publishing: Publishing,
        metrics: Metrics,
        clock: Clock,
        labels: NumberLabels | None,
    ) -> None:
        self._config = config
        self._pool = pool
        self._publishing = publishing
        self._metrics = metrics
        self._clock = clock
        self._labels = labels
        self._labels_away = False
        self._shown: set[str] = set()

    async def look(self) -> None:
        """One look at all pools of the node. Errors: those of a lost PostgreSQL."""
        now = self._clock.now()
        seen: list[CallerNumber] = []
        async with self._pool.acquire(timeout=5) as conn:
            await self._wake(conn, now)
            for pool in await watching.pools(conn, now, node=self._config.node):
                seen += await self._judge(conn, pool, now)
        self._show(seen)

    async def ask_labels(self) -> None:
        """Ask the label service about the numbers it was not asked about for a day, some at a time. Errors: those of a lost PostgreSQL."""
        if self._labels is None:
            return
        now = self._clock.now()
        async with self._pool.acquire(timeout=5) as conn:
            wanted = await watching.to_label(conn, self._config.node, now - _LABELS_LAST, _LABELS_AT_ONCE)
        for caller_number_id, number in wanted:
            try:
                label = await self._labels.ask(number)
            except LabelsAway as error:
                if not self._labels_away:
                    _log.warning("The label service does not answer", reason=error.reason)
                self._labels_away = True
                return
            if self._labels_away:
                _log.info("The label service answers again")
            self._labels_away = False
            async with self._pool.acquire(timeout=5) as conn:
                await watching.set_label(conn, caller_number_id, label.text, label.marks, now)

    async def _wake(self, conn: OneConnection, now: datetime) -> None:
        async with conn.transaction():
            woken = await caller_numbers.wake(conn, now)
            await audit_trail.write_all(
                conn, [self._entry(one, "caller_number_woke", now, rested_for=one.why) for one in woken]
            )
        for one in woken:
            _log.info("A caller number is used again", caller_number_id=str(one.id))

    async def _judge(self, conn: OneConnection, pool: watching.Pool, now: datetime) -> list[CallerNumber]:
        drifts = await asyncio.to_thread(judged, pool.records)
        seen = []
        for one in sorted(pool.numbers, key=lambda one: -sum(drift.alarm for drift in drifts[one.number])):
            alarm = watching.words(drifts[one.number], one.label, one.label_marks)
            # A number that rests makes no calls: what it rests for stays until it is used again.
            seen.append(one if one.state is CallerNumberState.RESTING else await self._alarmed(conn, one, alarm, now))
        return seen

    async def _alarmed(self, conn: OneConnection, one: CallerNumber, alarm: str | None, now: datetime) -> CallerNumber:
        if alarm is None:
            return one if one.alarm is None else await watching.set_alarm(conn, one.id, None)
        if self._config.caller_rest_h > 0:
            until = now + timedelta(hours=self._config.caller_rest_h)
            async with conn.transaction():
                rested = await watching.rest(conn, one.id, alarm, until)
                if rested is not None:
                    entry = self._entry(rested, "caller_number_rested", now, why=alarm, rests_until=until)
                    await audit_trail.write(conn, entry)
            if rested is not None:
                _log.warning("A caller number rests", caller_number_id=str(one.id), why=alarm)
                return rested
        if one.alarm is None:
            _log.warning("A caller number does worse than the others", caller_number_id=str(one.id), why=alarm)
        return await watching.set_alarm(conn, one.id, alarm)

    def _show(self, seen: list[CallerNumber]) -> None:
        states = Counter(one.state for one in seen)
        for state in (CallerNumberState.ACTIVE, CallerNumberState.RESTING):
            self._metrics.caller_numbers.labels(state=state.value).set(states[state])
        self._metrics.caller_number_alarms.set(sum(one.alarm is not None for one in seen))
        shown = {str(one.id): _value(one) for one in seen if one.alarm is not None or one.state is CallerNumberState.RESTING}  # fmt: skip
        for key, value in shown.items():
            self._publishing.value("caller_number", key, value)
        for key in self._shown - shown.keys():
            self._publishing.value("caller_number", key, None)
        self._shown = set(shown)

    def _entry(self, one: CallerNumber, action: str, now: datetime, **detail: Any) -> audit_trail.Entry:
        return audit_trail.Entry(
            at=now, user_id=None, actor=f"engine {self._config.node}", address=None, action=action, subject_type="caller_number",
            subject_id=str(one.id), detail=detail,
        )  # fmt: skip


def _value(one: CallerNumber) -> dict[str, Any]:
    return {
        "caller_number_id": str(one.id),
        "number": one.number,
        "state": one.state.value,
        "alarm": one.alarm,
        "why": one.why,
        "rests_until": one.rests_until.isoformat() if one.rests_until else None,
    }
