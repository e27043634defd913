"""The survey of an agentless project: written as a whole, with versions; looked at before anybody hears it; its answers."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from uuid import UUID

from aiohttp import web

from campaigns import surveys
from campaigns.survey import problems_of, survey_of
from dialer.domain.errors import BadRequest
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.commands import reload_project
from dialer.web.projects.routes import only_own, there
from dialer.web.roles import LEAD_READERS, PLANNERS, PROJECT_READERS, REPORT_READERS
from dialer.web.sending import send_made
from dialer.web.surveys.export import write_answers
from dialer.web.surveys.types import (
    AnswersQuery,
    Checked,
    Problem,
    Results,
    Survey,
    SurveyDocument,
    SurveySaved,
    VersionQuery,
)

SOUNDS = frozenset({".wav", ".alaw", ".ulaw", ".gsm", ".sln"})
EXPORT_S = 120


@operation("GET", "/projects/{project_id}/survey", roles=PROJECT_READERS, summary="What an agentless project says")
async def get_survey(call: Call, project_id: UUID, query: VersionQuery) -> Survey:
    """A version, or the last."""
    async with call.connection() as conn:
        await there(conn, project_id, only_own(call))
        kept = await surveys.load(conn, project_id, query.version)
    return Survey(version=kept.version, created_at=kept.created_at, survey=SurveyDocument.model_validate(kept.document))


@operation("PUT", "/projects/{project_id}/survey", roles=PLANNERS, summary="Say what an agentless project says")
async def put_survey(call: Call, project_id: UUID, body: SurveyDocument) -> SurveySaved:
    """A new version, from the next answered call on; calls that are under way go on with theirs. Refused while anything is wrong with it."""
    checked = await _checked(call, body)
    if checked.problems:
        said = [problem.model_dump() for problem in checked.problems]
        raise BadRequest(
            "survey_invalid", f"Nothing was changed: {checked.problems[0].sentence} See the problems.", problems=said
        )
    async with call.transaction() as conn:
        await there(conn, project_id)
        kept = await surveys.save(conn, project_id, _document(body), call.now)
        await call.audit(conn, "survey_saved", "project", project_id, version=kept.version, steps=len(body.steps))
    await reload_project(call, project_id)
    return SurveySaved(version=kept.version, prompts_checked=checked.prompts_checked)


@operation("POST", "/projects/{project_id}/survey/check", roles=PLANNERS, summary="Look at a survey, change nothing")
async def check_survey(call: Call, project_id: UUID, body: SurveyDocument) -> Checked:
    """Steps that lead nowhere, round in a circle, or that no way leads to; prompts that are not on the node."""
    async with call.connection() as conn:
        await there(conn, project_id)
    return await _checked(call, body)


@operation("GET", "/projects/{project_id}/survey/results", roles=REPORT_READERS, summary="What came of a survey")
async def get_results(call: Call, project_id: UUID, query: VersionQuery) -> Results:
    """Of a version, or the last."""
    async with call.connection() as conn:
        await there(conn, project_id)
        kept = await surveys.load(conn, project_id, query.version)
        found = await surveys.results(conn, project_id, kept.version)
    return Results.model_validate(found)


@operation(
    "GET",
    "/projects/{project_id}/survey/answers",
    roles=LEAD_READERS,
    summary="The answers of a survey, call by call, as a file",
    media="application/octet-stream",
    timeout_s=EXPORT_S,
)
async def export_answers(call: Call, project_id: UUID, query: AnswersQuery) -> web.StreamResponse:
    """A row for each answered call of a version. Numbers are masked where the project masks them, nothing in it is a formula. Each export is audited."""
    async with call.transaction() as conn:
        project = await there(conn, project_id)
        kept = await surveys.load(conn, project_id, query.version)
        await call.audit(
            conn, "survey_answers_exported", "project", project_id, version=kept.version, format=query.format.value
        )
    with tempfile.TemporaryDirectory(prefix="export-", dir=call.deps.upload_dir) as folder:
        path = Path(folder) / "answers"
        await write_answers(call.deps.pool, project, kept, path, kind=query.format)
        named = f"answers-{project_id}-{kept.version}.{query.format.suffix}"
        return await send_made(call, path, media=query.format.media, file_name=named)


async def _checked(call: Call, body: SurveyDocument) -> Checked:
    folder = call.deps.settings.prompts_dir
    prompts = None if folder is None else await asyncio.to_thread(_prompts_in, folder)
    found = problems_of(survey_of(_document(body), 1), prompts)
    return Checked(problems=[Problem.model_validate(one) for one in found], prompts_checked=prompts is not None)


def _document(body: SurveyDocument) -> dict[str, object]:
    return body.model_dump(mode="json", exclude_defaults=True)


def _prompts_in(folder: Path) -> set[str] | None:
    """The names of the sound files; None when the directory cannot be read, as on a machine that is not the node."""
    try:
        return {path.stem for path in folder.iterdir() if path.suffix in SOUNDS}
    except OSError:
        return None
