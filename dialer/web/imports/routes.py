"""Imports: the good rows are taken, the others come back in a file with reasons, and the whole can be undone."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from aiohttp import web
from pydantic import SecretStr

from campaigns import imports
from campaigns.errors import CampaignError
from dialer.domain.errors import NotFound, Unavailable, WaihuError
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.errors import DATABASE_AWAY
from dialer.web.fields import Page, PageQuery, after_cursor, moment, page_of
from dialer.web.imports.apart import import_apart
from dialer.web.imports.job import Job
from dialer.web.imports.types import Import, ImportQuery, Undo, Undone
from dialer.web.imports.upload import receive
from dialer.web.projects.routes import there
from dialer.web.roles import IMPORTERS, LEAD_READERS

CSV = "text/csv"


@operation("GET", "/projects/{project_id}/imports", roles=LEAD_READERS, summary="List a project's imports")
async def list_imports(call: Call, project_id: UUID, query: PageQuery) -> Page[Import]:
    """Newest first."""
    after = after_cursor(query.cursor, moment, UUID)
    async with call.connection() as conn:
        await there(conn, project_id)
        rows = await imports.list_imports(conn, project_id, after=after, limit=query.limit + 1)  # type: ignore[arg-type]
    return page_of(rows, query.limit, _shown, lambda row: [row.created_at, row.id])


@operation(
    "POST",
    "/projects/{project_id}/imports",
    roles=IMPORTERS,
    summary="Import leads from a CSV file",
    status=201,
    accepts=CSV,
    timeout_s=0,
)
async def import_leads(call: Call, project_id: UUID, query: ImportQuery) -> Import:
    """The body is the file. Answered when the import is done, or with `wait=false` when it has begun; it goes on when the client goes away."""
    async with call.connection() as conn:
        await there(conn, project_id)
    settings, uploads = call.deps.settings, call.parts.uploads
    if uploads.locked():
        raise Unavailable("imports_busy", "Several files are being imported: send this one when they are done.")
    await uploads.acquire()
    try:
        async with asyncio.timeout(settings.upload_timeout_s):
            path = await receive(call.request, call.deps.upload_dir, settings.upload_limit_bytes)
    except BaseException:
        uploads.release()
        raise
    begun, done = _awaited(), _awaited()
    call.parts.tasks.start(_import(call, project_id, query, path, begun, done), f"import-{path.stem}")
    import_id = await asyncio.shield(done if query.wait else begun)
    async with call.connection() as conn:
        return _shown(await imports.get_import(conn, import_id))


def _awaited() -> asyncio.Future[UUID]:
    """For an import's id; nobody has to be there to hear it."""
    future: asyncio.Future[UUID] = asyncio.get_running_loop().create_future()
    future.add_done_callback(lambda heard: heard.cancelled() or heard.exception())
    return future


async def _import(
    call: Call,
    project_id: UUID,
    query: ImportQuery,
    path: Path,
    begun: asyncio.Future[UUID],
    done: asyncio.Future[UUID],
) -> None:
    """Runs to its end, whoever still waits for it."""
    settings = call.deps.settings
    mapping = {ours: theirs for ours in ("number", "name", "priority") if (theirs := getattr(query, ours)) is not None}
    job = Job(
        database_url=SecretStr(call.deps.database_url), project_id=project_id, path=path, reject_dir=call.deps.upload_dir, file_name=query.file_name,
        mapping=mapping, region=settings.region, user_id=call.identity.user_id,
    )  # fmt: skip
    try:
        async with call.transaction() as conn:
            size = path.stat().st_size  # noqa: ASYNC240  # one system call
            await call.audit(conn, "import_begun", "project", project_id, file_name=query.file_name, bytes=size)
        result = await import_apart(job, begun.set_result)
        async with call.transaction() as conn:
            detail = {"accepted": result.accepted, "rejected": result.rejected}
            await call.audit(conn, "import_done", "import", result.id, **detail)
        done.set_result(result.id)
    except BaseException as error:
        if begun.done():
            await _say_broken_off(call, begun.result(), error)
        for future in (begun, done):
            if not future.done():
                future.set_exception(_for_who_waits(error))
        if not isinstance(error, (WaihuError, CampaignError)):
            raise
    finally:
        path.unlink(missing_ok=True)  # noqa: ASYNC240  # one system call, also when cancelled
        call.parts.uploads.release()


def _for_who_waits(error: BaseException) -> Exception:
    if isinstance(error, Exception):
        return error
    return Unavailable("import_interrupted", "The import was broken off and nothing was taken: send the file again.")


async def _say_broken_off(call: Call, import_id: UUID, error: BaseException) -> None:
    """The process that was killed could not; else the project's next import would."""
    if isinstance(error, CampaignError):
        return
    with suppress(*DATABASE_AWAY):
        async with call.connection() as conn:
            await imports.fail(conn, import_id, getattr(error, "error_id", "import_interrupted"))


@operation("GET", "/imports/{import_id}", roles=LEAD_READERS, summary="An import")
async def get_import(call: Call, import_id: UUID) -> Import:
    """As it stands; while it runs, `accepted` and `rejected` say how far it is."""
    async with call.connection() as conn:
        return _shown(await imports.get_import(conn, import_id))


@operation(
    "GET",
    "/imports/{import_id}/rejects",
    roles=IMPORTERS,
    summary="The rows that were not taken, with reasons",
    media=CSV,
)
async def get_rejects(call: Call, import_id: UUID) -> web.StreamResponse:
    """For whoever may import; it shows rows as they were sent, numbers too, so each download is audited."""
    async with call.transaction() as conn:
        row = await imports.get_import(conn, import_id)
        path = None if row.reject_path is None else call.deps.upload_dir / Path(row.reject_path).name
        if path is None or not await asyncio.to_thread(path.is_file):
            raise NotFound("rejects_unknown", "This import has no reject file.")
        await call.audit(conn, "rejects_downloaded", "import", import_id, rejected=row.rejected)
    disposition = f'attachment; filename="rejects-{import_id}.csv"'
    return web.FileResponse(path, headers={"Content-Type": CSV, "Content-Disposition": disposition})


@operation("POST", "/imports/{import_id}/undo", roles=IMPORTERS, summary="Take an import back")
async def undo(call: Call, import_id: UUID, body: Undo) -> Undone:
    """Leads that were dialled stay; then `undialled_only` has to be said."""
    async with call.transaction() as conn:
        leads = await imports.undo_import(conn, import_id, undialled_only=body.undialled_only)
        await call.audit(conn, "import_undone", "import", import_id, undialled_only=body.undialled_only, leads=leads)
    return Undone(leads=leads)


def _shown(row: imports.Import) -> Import:
    values = {name: getattr(row, name) for name in Import.model_fields if name not in {"sha256", "state"}}
    return Import(**values, sha256=row.sha256.hex(), state=row.state.value)
