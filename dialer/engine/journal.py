"""What has happened, on its way into PostgreSQL: written behind, in batches, never waited for by a call.

News of one attempt or agent replaces older news that is not yet written, so what is pending is bounded by the number of live
calls and agents, and an absent PostgreSQL costs memory for those only. Order is kept: all progress of an attempt before its end,
all stays of an agent one after the other. Above `bound` the placing of new calls stops (`overfull`); nothing is ever thrown away.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from campaigns import release
from campaigns.release import EndedAttempt
from campaigns.sql import OneConnection
from campaigns.surveys import SurveyNews, save_news
from dialer.db import agents as agents_db
from dialer.db import attempts as attempts_db
from dialer.db import pauses as pauses_db
from dialer.db.agents import AgentChange
from dialer.db.attempts import Progress
from dialer.db.pauses import PauseNews
from dialer.db.pool import LOST
from dialer.engine.metrics import Metrics

_log = structlog.get_logger(__name__)

_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """What is written at once, in this order."""

    surveys: list[SurveyNews]
    pauses: list[PauseNews]
    progress: list[Progress]
    ended: list[EndedAttempt]
    agents: list[AgentChange]

    def __bool__(self) -> bool:
        return bool(self.surveys or self.pauses or self.progress or self.ended or self.agents)


class Journal:
    """Take news with `progress`, `ended`, `agent`, `survey`, `pause`; `run` writes them; `flushed` waits until all that was taken is written."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        metrics: Metrics,
        *,
        every_s: float,
        bound: int,
        on_ended: Callable[[Sequence[UUID]], None],
    ) -> None:
        self._pool = pool
        self._metrics = metrics
        self._every_s = every_s
        self._bound = bound
        self._on_ended = on_ended
        self._progress: dict[UUID, Progress] = {}
        self._ended: dict[UUID, EndedAttempt] = {}
        self._agents: list[AgentChange] = []
        self._surveys: list[SurveyNews] = []
        self._pauses: dict[UUID, PauseNews] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._writing = asyncio.Lock()
        self._being_written: frozenset[UUID] = frozenset()  # attempts whose ends are on their way
        self.database_up = True

    def __len__(self) -> int:
        return len(self._progress) + len(self._ended) + len(self._agents) + len(self._surveys) + len(self._pauses)

    @property
    def overfull(self) -> bool:
        """Too much is unwritten: place no new calls."""
        return len(self) >= self._bound

    def holds_end_of(self, attempt_id: UUID) -> bool:
        """The end of this attempt is known and not yet written."""
        return attempt_id in self._ended or attempt_id in self._being_written

    def progress(self, news: Progress) -> None:
        """A live attempt has come so far (all its times; later news replaces it)."""
        self._progress[news.attempt_id] = news
        self._taken()

    def ended(self, news: EndedAttempt) -> None:
        """An attempt is over."""
        self._progress.pop(news.attempt_id, None)
        self._ended[news.attempt_id] = news
        self._taken()

    def agent(self, news: AgentChange) -> None:
        """An agent has changed; while PostgreSQL is away only the latest of many changes of one agent is kept beyond the bound."""
        if len(self._agents) >= self._bound:
            self._agents = list({change.agent_id: change for change in self._agents}.values())
        self._agents.append(news)
        self._taken()

    def survey(self, news: SurveyNews) -> None:
        """A survey was begun, or something was said in it."""
        self._surveys.append(news)
        self._taken()

    def pause(self, news: PauseNews) -> None:
        """A recording was paused, or is recorded again."""
        self._pauses[news.id] = news
        self._taken()

    async def run(self) -> None:
        """Write for ever."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(self._every_s)
            if await self.flush():
                continue
            await asyncio.sleep(0.5)

    @asynccontextmanager
    async def settled(self) -> AsyncIterator[None]:
        """While this is held nothing is being written: what was taken is either written or held, not under way. Hold it for a query, no longer."""
        async with self._writing:
            yield

    async def flush(self) -> bool:
        """Write one batch of everything. False when PostgreSQL is away (everything is kept)."""
        async with self._writing:
            try:
                return await self._flush()
            finally:
                self._being_written = frozenset()

    async def _flush(self) -> bool:
        batch = self._take()
        if not batch:
            self._wake.clear()
            self._idle.set()
            return True
        try:
            async with self._pool.acquire(timeout=5) as conn:
                if batch.surveys:  # before the ends: a lead whose person opted out must not come back by them
                    await save_news(conn, batch.surveys)
                await pauses_db.save(
                    conn, batch.pauses
                )  # before the ends too: the recorder looks at them when a call is over
                await _write_calls(conn, batch.progress, batch.ended)
                if batch.agents:
                    await agents_db.save_changes(conn, batch.agents)
        except LOST as error:
            self._give_back(batch)
            self._metrics.journal_failures.inc()
            if self.database_up:
                _log.warning("PostgreSQL is away, the journal keeps what happens", reason=type(error).__name__)
            self.database_up = False
            return False
        except asyncpg.PostgresError as error:
            _log.error("PostgreSQL refused a batch, each item is tried alone", reason=str(error))
            await self._one_by_one(batch)
        if not self.database_up:
            _log.info("PostgreSQL is back, the journal is being written")
        self.database_up = True
        self._metrics.journal_flushes.inc()
        if batch.ended:
            self._on_ended([news.attempt_id for news in batch.ended])
        if not len(self):
            self._wake.clear()
            self._idle.set()
        return True

    async def flushed(self, timeout_s: float) -> bool:
        """Wait until nothing is pending. False when that takes too long."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def _taken(self) -> None:
        self._idle.clear()
        self._wake.set()

    def _take(self) -> _Batch:
        surveys, self._surveys = self._surveys[:_BATCH], self._surveys[_BATCH:]
        pauses, self._pauses = list(self._pauses.values()), {}
        progress = [self._progress.pop(key) for key in list(self._progress)[:_BATCH]]
        ended = [self._ended[key] for key in list(self._ended)[:_BATCH]]
        for news in ended:
            del self._ended[news.attempt_id]
        self._being_written = frozenset(news.attempt_id for news in ended)
        agents, self._agents = self._agents[:_BATCH], self._agents[_BATCH:]
        return _Batch(surveys=surveys, pauses=pauses, progress=progress, ended=ended, agents=agents)

    def _give_back(self, batch: _Batch) -> None:
        self._surveys = batch.surveys + self._surveys
        self._pauses = {news.id: news for news in batch.pauses} | self._pauses
        for news in batch.progress:
            if news.attempt_id not in self._ended:
                self._progress.setdefault(news.attempt_id, news)
        self._ended = {news.attempt_id: news for news in batch.ended} | self._ended
        self._agents = batch.agents + self._agents

    async def _one_by_one(self, batch: _Batch) -> None:
        """A poisoned item is set aside (logged), it does not block the line."""
        jobs: list[tuple[Any, Any]] = [
            *((save_news, news) for news in batch.surveys),
            *((pauses_db.save, news) for news in batch.pauses),
            *((attempts_db.save_progress, news) for news in batch.progress),
            *((release.finish, news) for news in batch.ended),
            *((agents_db.save_changes, news) for news in batch.agents),
        ]
        for write, news in jobs:
            try:
                async with self._pool.acquire(timeout=5) as conn:
                    await write(conn, [news])
            except asyncpg.PostgresError:
                _log.exception("An item of the journal cannot be written and is set aside", item=type(news).__name__)
            except LOST:
                _log.warning("PostgreSQL went away during the repair of a batch", item=type(news).__name__)
                match news:
                    case EndedAttempt():
                        self._ended.setdefault(news.attempt_id, news)
                    case Progress():
                        self._progress.setdefault(news.attempt_id, news)
                    case SurveyNews():
                        self._surveys.insert(0, news)
                    case PauseNews():
                        self._pauses.setdefault(news.id, news)
                    case _:
                        self._agents.insert(0, news)
                self._taken()


async def _write_calls(conn: OneConnection, progress: list[Progress], ended: list[EndedAttempt]) -> None:
    if not (progress or ended):
        return
    async with conn.transaction():
        if progress:
            await attempts_db.save_progress(conn, progress)
        if ended:
            await release.finish(conn, ended)
