"""The script of a project: which version it uses, which is on trial, what came of them."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from aiohttp import web

from campaigns.life.intervals import Difference, Share
from campaigns.scripts import assignments, quotas, results, versions
from campaigns.sql import Connection
from dialer.domain.errors import NotFound
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.projects import types as project_types
from dialer.web.projects.routes import there
from dialer.web.roles import LEAD_READERS, PLANNERS, REPORT_READERS, SCRIPT_READERS
from dialer.web.scripts.export import write_answers
from dialer.web.scripts.types import (
    AnswersOfQuery,
    NewAssignment,
    ProjectScripts,
    ResultsQuery,
    ScriptArm,
    ScriptAssignment,
    ScriptResults,
    ShareDifference,
    UsedVersion,
)
from dialer.web.sending import send_made

EXPORT_S = 120


@operation("GET", "/projects/{project_id}/script", roles=SCRIPT_READERS, summary="Which script a project uses")
async def get_assignment(call: Call, project_id: UUID) -> ProjectScripts:
    """Now and before."""
    async with call.connection() as conn:
        await there(conn, project_id)
        found = [ScriptAssignment.model_validate(one) for one in await assignments.assignments_of(conn, project_id)]
        current = found[0] if found and found[0].ended_at is None else None
        taken = {} if current is None else await quotas.taken_of(conn, project_id, current.used.script_id)
    return ProjectScripts(current=current, assignments=found, quotas=taken)


@operation("PUT", "/projects/{project_id}/script", roles=PLANNERS, summary="Use a script in a project")
async def assign(call: Call, project_id: UUID, body: NewAssignment) -> ScriptAssignment:
    """From the next call on; a call keeps the version of the moment it was placed. A trial's calls are drawn by their ids."""
    trial = None if body.trial is None else (body.trial.script_id, body.trial.version)
    percent = 0 if body.trial is None else body.trial.percent
    async with call.transaction() as conn:
        made = await assignments.assign(
            conn, project_id, (body.script_id, body.version), trial=trial, trial_percent=percent, now=call.now
        )
        said = None if made.trial is None else f"{made.trial.name} {made.trial.version}"
        await call.audit(conn, "script_assigned", "project", project_id, script=made.used.name, version=made.used.version, trial=said, percent=percent)  # fmt: skip
    return ScriptAssignment.model_validate(made)


@operation("DELETE", "/projects/{project_id}/script", roles=PLANNERS, summary="Use no script in a project")
async def unassign(call: Call, project_id: UUID) -> None:
    """From the next call on."""
    async with call.transaction() as conn:
        await there(conn, project_id)
        if not await assignments.unassign(conn, project_id, call.now):
            raise NotFound("script_none", "The project uses no script.")
        await call.audit(conn, "script_unassigned", "project", project_id)


@operation("GET", "/projects/{project_id}/script/results", roles=REPORT_READERS, summary="What came of a script")
async def get_results(call: Call, project_id: UUID, query: ResultsQuery) -> ScriptResults:
    """Of the version in use and the one on trial, each share with its 95 % interval (Wilson), their differences with theirs (Newcombe)."""
    async with call.connection() as conn:
        await there(conn, project_id)
        found = await results.results(conn, project_id, assignment_id=query.assignment)
    return ScriptResults(
        assignment=ScriptAssignment.model_validate(found.assignment),
        used=_arm(found.used),
        trial=None if found.trial is None else _arm(found.trial),
        differences={name: _difference(one) for name, one in found.differences.items()},
    )


@operation(
    "GET",
    "/projects/{project_id}/script/answers",
    roles=LEAD_READERS,
    summary="The answers to a script, call by call, as a file",
    media="application/octet-stream",
    timeout_s=EXPORT_S,
)
async def export_answers(call: Call, project_id: UUID, query: AnswersOfQuery) -> web.StreamResponse:
    """A row for each call that something was answered or read on. Numbers are masked where the project masks them, nothing in it is a formula. Each export is audited."""
    async with call.transaction() as conn:
        project = await there(conn, project_id)
        script_id, version = await version_wanted(conn, project_id, query.script_id, query.version)
        script = await versions.ready(conn, script_id, version)
        await call.audit(conn, "script_answers_exported", "project", project_id, script=str(script_id), version=version, format=query.format.value)  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="export-", dir=call.deps.upload_dir) as folder:
        path = Path(folder) / "answers"
        await write_answers(call.deps.pool, project, (script_id, version), script, path, kind=query.format, codes=query.codes)  # fmt: skip
        named = f"answers-{project_id}-{version}.{query.format.suffix}"
        return await send_made(call, path, media=query.format.media, file_name=named)


async def version_wanted(
    conn: Connection, project_id: UUID, script_id: UUID | None, version: int | None
) -> tuple[UUID, int]:
    """The version that was named, or the one in use (of the script that was named: its last published one). Errors: NotFound `script_none`."""
    if script_id is not None and version is not None:
        return script_id, version
    if script_id is not None:
        last = (await versions.get_script(conn, script_id)).published
        if last is None:
            raise NotFound("script_version_unknown", "No version of this script is published.")
        return script_id, last
    current = await assignments.script_of_project(conn, project_id)
    if current is None:
        raise NotFound("script_none", "The project uses no script: name one.")
    return current.used.script_id, version or current.used.version


def _arm(arm: results.Arm) -> ScriptArm:
    return ScriptArm(
        used=UsedVersion.model_validate(arm.used),
        attempts=arm.attempts,
        answered=_share(arm.answered),
        connected=_share(arm.connected),
        complete=_share(arm.complete),
        converted=_share(arm.converted),
        dispositions={code: _share(share) for code, share in arm.dispositions.items()},
    )


def _share(share: Share) -> project_types.Share:
    return project_types.Share(count=share.count, total=share.total, low=_decimal(share.low), high=_decimal(share.high))


def _difference(one: Difference) -> ShareDifference:
    value = None if one.value is None else _decimal(one.value)
    return ShareDifference(value=value, low=_decimal(one.low), high=_decimal(one.high), certain=one.certain)


def _decimal(share: float) -> Decimal:
    return Decimal(str(share)).quantize(Decimal("0.0001"))
