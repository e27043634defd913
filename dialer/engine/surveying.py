"""Agentless calls: which step a customer hears next. Where a call is stands on its channel, so an engine that was restarted goes on with it.

Answers go the journal's way: written within its pause (a twentieth of a second), kept while PostgreSQL is away. An opt-out is written before the
customer hears that it is done; only when that cannot be, it goes the same way.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from uuid import UUID

import asyncpg
import structlog

from campaigns import surveys
from campaigns.errors import CampaignError
from campaigns.survey import Place, StepKind, Survey, after, answer_at, begin, survey_of
from campaigns.surveys import AGENT, OPT_OUT, SurveyNews
from dialer.db.pool import LOST
from dialer.engine.clock import Clock
from dialer.engine.floor import Call
from dialer.engine.journal import Journal
from dialer.engine.projects import Projects

_log = structlog.get_logger(__name__)

_KEPT = 200  # versions
_PATIENCE_S = 1.0
_UNHEARD = {"FAILED", "ERROR"}
_UNWRITTEN: tuple[type[Exception], ...] = (*LOST, asyncpg.PostgresError)


class Over(Enum):
    """A survey that does not go on."""

    PLAYED = auto()  # it came to its end
    NOT_HEARD = auto()  # it cannot be played or understood: the customer hears the safe-harbour message


@dataclass(frozen=True, slots=True)
class Spoken:
    """A step that is to be played, or at which the customer asked for an agent."""

    survey: Survey
    place: Place

    @property
    def wants_agent(self) -> bool:
        """The customer asked for an agent."""
        return self.survey.steps[self.place.step].kind is StepKind.AGENT

    def variables(self) -> dict[str, str]:
        """For the dialplan. A prompt that is none is not played; 0 seconds: no key is waited for."""
        step = self.survey.steps[self.place.step]
        return {
            "WAIHU_SURVEY": str(self.survey.version),
            "WAIHU_STEP": self.place.step,
            "WAIHU_ASKED": str(self.place.asked),
            "WAIHU_PROMPT": step.prompt or "-",
            "WAIHU_KEYS_S": str(step.wait_s) if step.kind is StepKind.ASK else "0",
        }


class Surveying:
    """Leads calls through their project's survey. Never waits for PostgreSQL, but for a version that is not known any more."""

    def __init__(self, pool: asyncpg.Pool, projects: Projects, journal: Journal, clock: Clock) -> None:
        self._pool = pool
        self._projects = projects
        self._journal = journal
        self._clock = clock
        self._versions: OrderedDict[tuple[UUID, int], Survey] = OrderedDict()

    async def begin(self, call: Call) -> Spoken | Over:
        """The first step of the version of this moment."""
        project = self._projects.find(call.project_id)
        survey = project.survey if project is not None else None
        if survey is None:
            return Over.NOT_HEARD
        self._keep(call.project_id, survey)
        self._journal.survey(self._news(call, survey))
        return await self._enter(call, survey, begin(survey))

    async def go_on(self, call: Call, said: Sequence[str]) -> Spoken | Over:
        """After a step: version, name, how often it was asked before, how the prompt went, and the key if there was one."""
        version, name, asked, heard, key = (*said, "", "", "", "", "")[:5]
        survey = await self._version(call.project_id, version)
        if survey is None or name not in survey.steps or not asked.isascii() or not asked.isdigit():
            _log.error("A survey cannot go on", attempt_id=str(call.attempt_id), version=version, step=name[:40])
            return Over.NOT_HEARD
        if heard in _UNHEARD:
            _log.error("A prompt could not be played", attempt_id=str(call.attempt_id), version=version, step=name)
            return Over.NOT_HEARD
        place = Place(name, int(asked))
        if (answer := answer_at(survey, place, key)) is not None:
            self._journal.survey(self._news(call, survey, name, answer))
        return await self._enter(call, survey, after(survey, place, key))

    async def without_agent(self, call: Call, asked: Spoken) -> Spoken | Over:
        """Nobody is ready: what the survey says in place of an agent."""
        place = after(asked.survey, asked.place, "")
        return Over.NOT_HEARD if place is None else await self._enter(call, asked.survey, place)

    async def _enter(self, call: Call, survey: Survey, place: Place | None) -> Spoken | Over:
        if place is None:
            return Over.PLAYED
        match survey.steps[place.step].kind:
            case StepKind.OPT_OUT:
                await self._opt_out(self._news(call, survey, place.step, OPT_OUT))
            case StepKind.AGENT:
                self._journal.survey(self._news(call, survey, place.step, AGENT))
            case StepKind.PLAY | StepKind.ASK:
                pass
        return Spoken(survey, place)

    async def _opt_out(self, news: SurveyNews) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_S), self._pool.acquire() as conn:
                await surveys.save_news(conn, [news])
        except _UNWRITTEN as error:
            _log.warning("An opt-out is written later", attempt_id=str(news.attempt_id), reason=type(error).__name__)
            self._journal.survey(news)

    def _news(self, call: Call, survey: Survey, step: str | None = None, answer: str = "") -> SurveyNews:
        return SurveyNews(
            attempt_id=call.attempt_id,
            project_id=call.project_id,
            version=survey.version,
            number=call.number,
            at=self._clock.now(),
            step=step,
            answer=answer,
        )

    def _keep(self, project_id: UUID, survey: Survey) -> None:
        self._versions[project_id, survey.version] = survey
        self._versions.move_to_end((project_id, survey.version))
        if len(self._versions) > _KEPT:
            self._versions.popitem(last=False)

    async def _version(self, project_id: UUID, text: str) -> Survey | None:
        if not text.isascii() or not text.isdigit() or len(text) > 9:
            return None
        version = int(text)
        if (known := self._versions.get((project_id, version))) is not None:
            return known
        try:
            async with self._pool.acquire(timeout=_PATIENCE_S) as conn:
                kept = await surveys.load(conn, project_id, version)
            survey = survey_of(kept.document, kept.version)
        except LOST:
            return None
        except CampaignError as error:
            _log.error("A survey cannot be read", project_id=str(project_id), version=version, error_id=error.error_id)
            return None
        self._keep(project_id, survey)
        return survey
