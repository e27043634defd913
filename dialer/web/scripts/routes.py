"""Scripts: written as a draft, looked at, published for good, compared, used in projects."""

from __future__ import annotations

import asyncio
from typing import Annotated
from uuid import UUID

import orjson
from aiohttp import web
from pydantic import Field

from campaigns.scripts import versions
from campaigns.scripts.checking import problems_of, refusal
from campaigns.scripts.differences import differences
from campaigns.scripts.document import ScriptDocument
from dialer.web.api import JSON, operation
from dialer.web.call import Call
from dialer.web.fields import Page, PageQuery, after_cursor, page_of, plain_text
from dialer.web.roles import PLANNERS, SCRIPT_READERS, SCRIPT_WRITERS
from dialer.web.scripts.types import (
    Checked,
    CompareQuery,
    Comparison,
    DraftSaved,
    Finding,
    NewScript,
    Script,
    ScriptDifference,
    ScriptVersion,
    ScriptWithVersions,
    WrittenVersion,
)

DOCUMENT_LIMIT = 1 << 20
ScriptId = Annotated[UUID, Field(description="A script's id.")]


@operation("GET", "/scripts", roles=SCRIPT_READERS, summary="List scripts")
async def list_scripts(call: Call, query: PageQuery) -> Page[Script]:
    """By name."""
    after = after_cursor(query.cursor, plain_text)
    async with call.connection() as conn:
        rows = await versions.list_scripts(conn, after=after[0] if after else None, limit=query.limit + 1)
    return page_of(rows, query.limit, Script.model_validate, lambda row: [row.name])


@operation("POST", "/scripts", roles=SCRIPT_WRITERS, summary="Begin a script", status=201)
async def create_script(call: Call, body: NewScript) -> Script:
    """Without any version: write a draft next."""
    async with call.transaction() as conn:
        script_id = await versions.create(conn, body.name, call.now)
        await call.audit(conn, "script_created", "script", script_id, name=body.name)
        return Script.model_validate(await versions.get_script(conn, script_id))


@operation("POST", "/scripts/check", roles=SCRIPT_WRITERS, summary="Look at a script, change nothing", body_limit=DOCUMENT_LIMIT)  # fmt: skip
async def check_script(call: Call, body: ScriptDocument) -> Checked:  # noqa: ARG001 -- nothing is read but the body
    """Questions nobody can come to, ways round in a circle, branches and quotas that cannot be, names that nothing has."""
    return Checked(findings=await _findings(body))


@operation("GET", "/scripts/{script_id}", roles=SCRIPT_READERS, summary="A script and its versions")
async def get_script(call: Call, script_id: ScriptId) -> ScriptWithVersions:
    """The last version first."""
    async with call.connection() as conn:
        found = await versions.versions_of(conn, script_id)
        script = Script.model_validate(await versions.get_script(conn, script_id))
    listed = [ScriptVersion(version=one.version, changed_at=one.changed_at, published_at=one.published_at) for one in found]  # fmt: skip
    return ScriptWithVersions(**script.model_dump(), versions=listed)


@operation("PUT", "/scripts/{script_id}/draft", roles=SCRIPT_WRITERS, summary="Write a script's draft", body_limit=DOCUMENT_LIMIT)  # fmt: skip
async def put_draft(call: Call, script_id: ScriptId, body: ScriptDocument) -> DraftSaved:
    """The next version, or a change of it. It may still have faults; they are in the answer, and keep it from being published."""
    found = await _findings(body)
    async with call.transaction() as conn:
        version = await versions.save_draft(conn, script_id, body, call.now)
        await call.audit(conn, "script_draft_saved", "script", script_id, version=version, findings=len(found))
    return DraftSaved(version=version, findings=found)


@operation("DELETE", "/scripts/{script_id}/draft", roles=SCRIPT_WRITERS, summary="Throw a script's draft away")
async def drop_draft(call: Call, script_id: ScriptId) -> None:
    """Published versions stay for good."""
    async with call.transaction() as conn:
        version = await versions.drop_draft(conn, script_id)
        await call.audit(conn, "script_draft_dropped", "script", script_id, version=version)


@operation("POST", "/scripts/{script_id}/publish", roles=PLANNERS, summary="Publish a script's draft for good")
async def publish(call: Call, script_id: ScriptId) -> DraftSaved:
    """It never changes again; refused while anything is wrong with it. The findings left are remarks."""
    async with call.connection() as conn:
        version, draft = await versions.draft_of(conn, script_id)
    found = await asyncio.to_thread(problems_of, draft)
    if any(not one.remark for one in found):
        raise refusal(found)
    async with call.transaction() as conn:
        await versions.publish(conn, script_id, version, draft, call.now)
        await call.audit(conn, "script_published", "script", script_id, version=version)
    return DraftSaved(version=version, findings=[Finding.model_validate(one) for one in found])


VersionInPath = Annotated[int, Field(ge=1, le=2**31 - 1)]


@operation("GET", "/scripts/{script_id}/versions/{version}", roles=SCRIPT_READERS, summary="A version of a script")
async def get_version(call: Call, script_id: ScriptId, version: VersionInPath) -> WrittenVersion:
    """As it was written."""
    async with call.connection() as conn:
        document = await versions.document_of(conn, script_id, version)
    return WrittenVersion(version=version, document=document)


@operation("GET", "/scripts/{script_id}/versions/{version}/file", roles=SCRIPT_READERS, summary="A version of a script as a file", media=JSON)  # fmt: skip
async def get_file(call: Call, script_id: ScriptId, version: VersionInPath) -> web.Response:
    """JSON, as the draft takes it and `waihu scripts load` reads it."""
    async with call.connection() as conn:
        document = await versions.document_of(conn, script_id, version)
    headers = {"Content-Disposition": f'attachment; filename="script-{script_id}-{version}.json"'}
    body = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    return web.Response(body=body, content_type=JSON, headers=headers)


@operation(
    "GET", "/scripts/{script_id}/compare", roles=SCRIPT_READERS, summary="What is different between two versions"
)
async def compare(call: Call, script_id: ScriptId, query: CompareQuery) -> Comparison:
    """Part by part; a part that was only moved says so."""
    async with call.connection() as conn:
        both = [await versions.document_of(conn, script_id, version) for version in (query.before, query.after)]
    before, after = (ScriptDocument.model_validate(one) for one in both)
    found = await asyncio.to_thread(differences, before, after)
    return Comparison(differences=[ScriptDifference.model_validate(one) for one in found])


async def _findings(document: ScriptDocument) -> list[Finding]:
    return [Finding.model_validate(one) for one in await asyncio.to_thread(problems_of, document)]
