"""How a project is paced, now or at a moment of the last days: the seconds from the engine, the minutes from the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from dialer.db import pace_samples
from dialer.db.pace_samples import PaceSample
from dialer.domain.errors import NotFound, Unavailable
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.masking import without_numbers
from dialer.web.pace.types import Pace, PaceDecision, PaceFigure, PaceMinute, PaceQuery
from dialer.web.projects.routes import there
from dialer.web.roles import EXPLAIN_READERS

ENGINE_AWAY = Unavailable("engine_away", "The engine cannot be asked: try again when it is back.")
_AROUND: Final = timedelta(minutes=15)
_MOST_MINUTES: Final = 200


@operation("GET", "/projects/{project_id}/pace", roles=EXPLAIN_READERS, summary="How a project is paced, and why")
async def explain_pace(call: Call, project_id: UUID, query: PaceQuery) -> Pace:
    """What limited it, and decisions with what they were made of: the newest, or those around a moment. Minutes are there without the engine too."""
    async with call.connection() as conn:
        project = await there(conn, project_id)
        minutes: list[PaceSample] = []
        if query.at is not None:
            since, until = query.at - _AROUND, query.at + _AROUND
            minutes = await pace_samples.between(conn, project_id, since, until, _MOST_MINUTES)
    known = await _known(call, project_id, query.at)
    pace = Pace(
        why=str(known.get("why", "")),
        sentence=str(known.get("sentence", "")),
        limits=known.get("limits", {}) if query.at is None else _limits(minutes),
        recent=[_decision(one) for one in known.get("recent", [])],
        minutes=[_minute(one) for one in minutes],
    )
    return Pace.model_validate(without_numbers(pace.model_dump())) if project.mask_numbers else pace


async def _known(call: Call, project_id: UUID, at: datetime | None) -> Mapping[str, Any]:
    """What the engine says; of the past nothing, when it is away or dials the project no more."""
    if call.deps.explain is None:
        raise ENGINE_AWAY
    try:
        answer = call.deps.explain.explain_pace(project_id, at)
        return await answer if isinstance(answer, Awaitable) else answer
    except (NotFound, Unavailable):
        if at is None:
            raise
        return {}


def _decision(one: Mapping[str, Any]) -> PaceDecision:
    named = {key: value for key, value in one.items() if key in PaceDecision.model_fields}
    return PaceDecision(**named, because={key: value for key, value in one.items() if key not in named})


def _minute(one: PaceSample) -> PaceMinute:
    values = asdict(one) | {
        "figures": {
            name: PaceFigure(least=least, mean=mean, most=most) for name, (least, mean, most) in one.figures.items()
        }
    }
    return PaceMinute(**{name: values[name] for name in PaceMinute.model_fields})


def _limits(minutes: list[PaceSample]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for minute in minutes:
        found.update(minute.limits)
    return dict(found.most_common())
