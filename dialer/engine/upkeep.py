"""What is done now and then: settings read again, promises kept, the state of the node shown."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import asyncpg

from campaigns import callees
from campaigns.life import watching
from campaigns.supply import sifting
from campaigns.supply.lasting import shortage
from campaigns.supply.next_numbers import next_numbers
from dialer.db import agents as agents_db
from dialer.db import attempts as attempts_db
from dialer.db import nodes as nodes_db
from dialer.db import pace_samples, pacing_states
from dialer.db.pool import LOST
from dialer.domain.states import AgentState
from dialer.engine.clock import Clock
from dialer.engine.config import EngineConfig
from dialer.engine.lease import NodeLease
from dialer.engine.parts import Parts
from dialer.engine.rounds import Rounds

_PARTITIONS_EVERY_S = 6 * 3600.0
_LEARNED_EVERY_S = 15.0
_SUPPLY_EVERY_S = 1.0
_RESIFT_AFTER_S = 600.0
_SAMPLES_KEPT = timedelta(days=14)
_CALLEES_EVERY_S = 5.0  # a thousand numbers each time: ten million in fourteen hours


class Upkeep:
    """Its loops go on for ever; an absent PostgreSQL makes them wait."""

    def __init__(
        self, config: EngineConfig, pool: asyncpg.Pool, parts: Parts, rounds: Rounds, lease: NodeLease, clock: Clock
    ) -> None:
        self._config = config
        self._pool = pool
        self._parts = parts
        self._rounds = rounds
        self._lease = lease
        self._clock = clock

    async def begin(self) -> None:
        """What must be known before the first call. Errors: those of a lost PostgreSQL."""
        await self._make_partitions()
        await self._parts.projects.refresh()
        await self.refresh_limits()
        await self._parts.counts.complete()
        await self._parts.abandonment.complete()
        await self.refresh_watches()
        async with self._pool.acquire(timeout=5) as conn:
            self._parts.policies.remember(await pacing_states.load(conn))

    async def keep_learned(self) -> None:
        """What the pacing policies have learned is kept, so that the next engine begins where this one ends."""
        while True:
            await asyncio.sleep(_LEARNED_EVERY_S)
            try:
                await self.save_learned()
            except LOST:
                continue

    async def save_learned(self) -> None:
        """Now. Errors: those of a lost PostgreSQL."""
        if states := self._parts.policies.states():
            async with self._pool.acquire(timeout=5) as conn:
                await pacing_states.save(conn, states, self._clock.now())

    async def keep_supply(self) -> None:
        """Leads get their next number, and are judged by their project's filter after a change or an import, one project at a time; where calls change what it says, again and again."""
        while True:
            await asyncio.sleep(_SUPPLY_EVERY_S)
            try:
                await next_numbers(self._pool, self._clock.now())
                async with self._pool.acquire(timeout=5) as conn:
                    for project_id in await sifting.waiting(conn, resift_after_s=_RESIFT_AFTER_S):
                        await sifting.sift(conn, project_id)
            except LOST:
                continue
            except (
                asyncpg.UniqueViolationError
            ):  # a list that was being taken has that next number now: the next look sees it
                continue

    async def keep_callees(self) -> None:
        """Numbers that no cap counts any more are forgotten, a few at a time, round and round."""
        after = ""
        while True:
            await asyncio.sleep(_CALLEES_EVERY_S)
            try:
                async with self._pool.acquire(timeout=5) as conn:
                    after, _ = await callees.forget_idle(conn, self._clock.now(), after=after)
            except LOST:
                continue

    async def refresh_watches(self, project_id: UUID | None = None) -> None:
        """Stop rules (of one project, or all) and alarms may have changed. Errors: those of a lost PostgreSQL."""
        await self._parts.stops.refresh(None if project_id is None else [project_id])
        async with self._pool.acquire(timeout=5) as conn:
            found = await watching.alarms(conn, open_only=True)
        self._parts.alarms.are([one for one in found if self._parts.projects.belongs_here(one.project_id)])

    async def keep_warning(self) -> None:
        """Say once that a project's data, or its rules, are about to come to an end, and once that they are not."""
        while True:
            await asyncio.sleep(self._config.warnings_every_s)
            for project in self._parts.projects.dialled_here():
                try:
                    await self._look_at_supply(project.id)
                    await self._parts.rule_watch.look(project)
                except LOST:
                    break

    async def _look_at_supply(self, project_id: UUID) -> None:
        now, kind = self._clock.now(), watching.AlarmKind.SUPPLY
        async with self._pool.acquire(timeout=5) as conn:
            raised = self._parts.alarms.raised(project_id, kind)
            found = await shortage(conn, project_id, now, raised=raised)
            if found.short and not raised:
                detail = {"fresh": found.fresh, "per_hour": round(found.per_hour, 1), "alarm_hours": found.alarm_hours}
                alarm = await watching.raise_alarm(conn, project_id, kind, now, detail)
                if alarm is not None:
                    self._parts.alarms.show(alarm)
            elif raised and not found.short:
                for alarm in await watching.clear_alarms(conn, project_id, [kind], now):
                    self._parts.alarms.show(alarm)

    async def keep_samples(self) -> None:
        """The pacer's minutes are written when they are over; those of former weeks go, some at a time."""
        while True:
            await asyncio.sleep(_LEARNED_EVERY_S)
            try:
                await self.save_samples(begun=False)
                async with self._pool.acquire(timeout=5) as conn:
                    await pace_samples.forget_before(conn, self._clock.now() - _SAMPLES_KEPT)
            except LOST:
                continue

    async def save_samples(self, *, begun: bool) -> None:
        """Now; `begun`: the minute that is not over as well. Errors: those of a lost PostgreSQL."""
        taken = self._parts.samples.take(None if begun else self._clock.now())
        try:
            async with self._pool.acquire(timeout=5) as conn:
                await pace_samples.save(conn, taken)
        except BaseException:
            self._parts.samples.give_back(taken)
            raise

    async def refresh(self) -> None:
        """Read projects and assignments again."""
        while True:
            await asyncio.sleep(self._config.projects_every_s)
            try:
                await self._parts.projects.refresh()
                known = {project.id for project in self._parts.projects}
                self._parts.policies.keep_only(known)
                self._parts.measures.keep_only(known)
                await self.refresh_agents()
                await self.refresh_limits()
                await self.refresh_watches()
                await self._parts.departures.refresh()
            except LOST:
                continue
            self.publish_projects()

    async def refresh_limits(self) -> None:
        """What the node may carry, and what caller numbers with an hourly limit carried before. Errors: those of a lost PostgreSQL."""
        budgets = self._parts.budgets
        listed = [number for project in self._parts.projects for number in project.caller_numbers]
        unknown = budgets.hours_unknown(listed)
        async with self._pool.acquire(timeout=5) as conn:
            budgets.node = await nodes_db.limits(conn, self._config.node)
            now = self._clock.now()
            ages = await attempts_db.ages_by_caller_number(conn, unknown, now) if unknown else {}
        for number in unknown:
            budgets.hour_was(number, ages.get(number, ()), self._clock.monotonic())

    async def complete_counts(self) -> None:
        """Read today's counters, and the calls of the abandonment budget, of projects that came later, moved to another zone, or have another contract."""
        while True:
            await asyncio.sleep(self._config.tick_s)
            try:
                await self._parts.counts.complete()
                await self._parts.abandonment.complete()
            except LOST:
                continue

    async def refresh_agents(self) -> None:
        """Assignments and skills may have changed; it holds from each agent's next call on."""
        floor = self._parts.floor
        if not floor.agents:
            return
        async with self._pool.acquire(timeout=5) as conn:
            people = await agents_db.list_agents(conn)
        for person in people:
            if (agent := floor.agents.get(person.id)) is None:
                continue
            moved = agent.priorities != person.priorities
            agent.project_ids, agent.skills = frozenset(person.project_ids), frozenset(person.skills)
            agent.priorities = person.priorities
            if moved and agent.state is AgentState.READY:
                self._parts.answering.offer(agent)  # somebody may wait in a project that is theirs now

    def publish_projects(self) -> None:
        """Show all projects that are known."""
        for project in self._parts.projects:
            self._parts.publishing.value(
                "project",
                str(project.id),
                {
                    "project_id": str(project.id),
                    "name": project.name,
                    "state": project.state.value,
                    "mode": project.mode.value,
                },
            )

    async def keep_callbacks(self) -> None:
        """Dial what was promised, when it is due."""
        while True:
            await asyncio.sleep(self._config.tick_s)
            try:
                await self._parts.dialling.keep_promises()
            except LOST:
                continue

    async def keep_caller_numbers(self) -> None:
        """Rests end, numbers that do worse than the others rest, and the label service is asked."""
        while True:
            await asyncio.sleep(self._config.caller_watch_every_s)
            try:
                await self._parts.caller_watch.look()
                await self._parts.caller_watch.ask_labels()
            except LOST:
                continue

    async def keep_departures(self) -> None:
        """Agents who said ahead when they leave do."""
        while True:
            await asyncio.sleep(self._config.tick_s)
            await self._parts.departures.go()

    async def keep_partitions(self) -> None:
        """The months ahead have their partitions."""
        while True:
            await asyncio.sleep(_PARTITIONS_EVERY_S)
            try:
                await self._make_partitions()
            except LOST:
                continue

    async def show_status(self) -> None:
        """Say how the node is, once a tick."""
        parts, rounds = self._parts, self._rounds
        while True:
            self.publish_projects()
            parts.metrics.journal_pending.set(len(parts.journal))
            for project in parts.projects.dialled_here():
                parts.measures.evidence(project.id, parts.stops.evidence(project.id))
            for what, is_up in (("asterisk", rounds.asterisk_up), ("database", parts.journal.database_up)):
                parts.metrics.up.labels(what=what).set(is_up)
            parts.publishing.value(
                "node",
                self._config.node,
                {
                    "node": self._config.node,
                    "asterisk": rounds.asterisk_up,
                    "database": parts.journal.database_up,
                    "lease": self._lease.held,
                    "adopted": parts.answering.adopted.is_set(),
                    "live_calls": len(parts.floor.calls),
                    "agents": len(parts.floor.agents),
                    "journal_pending": len(parts.journal),
                },
            )
            await asyncio.sleep(self._config.tick_s)

    async def _make_partitions(self) -> None:
        async with self._pool.acquire(timeout=5) as conn:
            await attempts_db.ensure_partitions(conn, self._clock.now())
