"""Imports: the good rows are taken, the others come back in a file with reasons, and the whole can be undone."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from aiohttp import web
from pydantic import SecretStr

from campaigns import imports
from campaigns.errors import CampaignError
from campaigns.importing.options import ImportOptions
from dialer.domain.errors import NotFound, Unavailable, WaihuError
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.errors import DATABASE_AWAY
from dialer.web.fields import Page, PageQuery, after_cursor, moment, page_of
from dialer.web.imports.apart import export_apart, import_apart, preview_apart
from dialer.web.imports.job import Job
from dialer.web.imports.types import ExportQuery, Import, ImportQuery, ListPreview, ListQuery, PreviewRow, Undo, Undone
from dialer.web.imports.upload import receive
from dialer.web.masking import scrubbed, scrubbed_fields, shown, without_numbers
from dialer.web.projects.routes import there
from dialer.web.roles import IMPORTERS, LEAD_READERS
from dialer.web.sending import send_made

UNDO_S = imports.STATEMENT_TIMEOUT_S + 10
CSV = "text/csv"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
TABLES = (
    CSV,
    "text/tab-separated-values",
    XLSX,
    "application/vnd.ms-excel",
    "application/vnd.ms-excel.sheet.binary.macroenabled.12",
    "application/vnd.oasis.opendocument.spreadsheet",
    "application/octet-stream",
)
"""What a browser may call a list; what it is, its content says."""


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
    summary="Import leads from a file",
    status=201,
    accepts=TABLES,
    timeout_s=0,
)
async def import_leads(call: Call, project_id: UUID, query: ImportQuery) -> Import:
    """The body is the file. Answered when the import is done, or with `wait=false` when it has begun; it goes on when the client goes away."""
    async with call.connection() as conn:
        await there(conn, project_id)
    path = await received(call)
    begun, done = _awaited(), _awaited()
    call.parts.tasks.start(_import(call, project_id, query, path, begun, done), f"import-{path.stem}")
    import_id = await asyncio.shield(done if query.wait else begun)
    async with call.connection() as conn:
        return _shown(await imports.get_import(conn, import_id))


async def received(call: Call) -> Path:
    """The body as a file, and one of the few places for uploads, which whoever takes the file away gives back."""
    settings, uploads = call.deps.settings, call.parts.uploads
    if uploads.locked():
        raise Unavailable("imports_busy", "Several files are being imported: send this one when they are done.")
    await uploads.acquire()
    try:
        async with asyncio.timeout(settings.upload_timeout_s):
            return await receive(call.request, call.deps.upload_dir, settings.upload_limit_bytes)
    except BaseException:
        uploads.release()
        raise


@operation(
    "POST",
    "/projects/{project_id}/imports/preview",
    roles=IMPORTERS,
    summary="Look at a file before importing it",
    accepts=TABLES,
    timeout_s=0,
)
async def preview_list(call: Call, project_id: UUID, query: ListQuery) -> ListPreview:
    """How it would be read: encoding, columns, the first rows, and what is wrong with them. Nothing is taken."""
    async with call.connection() as conn:
        project = await there(conn, project_id)
    path = await received(call)
    try:
        job = _job(call, project_id, path, query.file_name, query.options(call.deps.settings.region), what="preview")
        seen = await preview_apart(job)
    finally:
        path.unlink(missing_ok=True)  # one system call, also when cancelled
        call.parts.uploads.release()
    rows = [_shown_row(row, masked=project.mask_numbers) for row in seen.pop("rows")]
    return ListPreview(**{name: seen[name] for name in ListPreview.model_fields if name != "rows"}, rows=rows)


def _shown_row(row: dict[str, Any], *, masked: bool) -> PreviewRow:
    numbers, fields, name = row.pop("numbers"), row.pop("fields"), row.pop("name")
    if masked and not numbers:  # whose cells these are is not known, so whatever could be a number is masked
        fields, name = without_numbers(fields), without_numbers(name)
    for number in numbers:
        fields, name = scrubbed_fields(fields, number, masked=masked), scrubbed(name, number, masked=masked)
    return PreviewRow(**row, numbers=[shown(number, masked=masked) for number in numbers], fields=fields, name=name)


def _job(call: Call, project_id: UUID, path: Path, file_name: str, options: ImportOptions, **more: Any) -> Job:
    return Job(
        database_url=SecretStr(call.deps.database_url), project_id=project_id, path=path, reject_dir=call.deps.upload_dir, file_name=file_name,
        options=options, user_id=call.identity.user_id, **more,
    )  # fmt: skip


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
    options = query.options(call.deps.settings.region, among=query.among, within_days=query.within_days, again=query.again, remember=query.remember)  # fmt: skip
    job = _job(call, project_id, path, query.file_name, options)
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
    also={200: "A CSV file or a workbook, as the list was."},
)
async def get_rejects(call: Call, import_id: UUID) -> web.StreamResponse:
    """For whoever may import; it shows rows as they were sent, numbers too, so each download is audited."""
    async with call.transaction() as conn:
        row = await imports.get_import(conn, import_id)
        path = None if row.reject_path is None else call.deps.upload_dir / Path(row.reject_path).name
        if path is None or not await asyncio.to_thread(path.is_file):
            raise NotFound("rejects_unknown", "This import has no reject file.")
        await call.audit(conn, "rejects_downloaded", "import", import_id, rejected=row.rejected)
    disposition = f'attachment; filename="rejects-{import_id}{path.suffix}"'
    kind = XLSX if path.suffix == ".xlsx" else CSV
    return web.FileResponse(path, headers={"Content-Type": kind, "Content-Disposition": disposition})


@operation(
    "GET",
    "/projects/{project_id}/leads/export",
    roles=IMPORTERS,
    summary="A project's leads as a file",
    media="application/octet-stream",
    timeout_s=0,
)
async def export_leads(call: Call, project_id: UUID, query: ExportQuery) -> web.StreamResponse:
    """xlsx, or CSV in UTF-8 (with its mark) or GB18030; numbers masked where the project masks them, nothing in it a formula. Each export is audited."""
    async with call.transaction() as conn:
        project = await there(conn, project_id)
        await call.audit(conn, "leads_exported", "project", project_id, format=query.format.value, state=query.state and query.state.value, masked=project.mask_numbers)  # fmt: skip
    uploads = call.parts.uploads
    if uploads.locked():
        raise Unavailable("imports_busy", "Several files are being read or written: ask again when they are done.")
    async with uploads:
        with tempfile.TemporaryDirectory(prefix="export-", dir=call.deps.upload_dir) as folder:
            path = Path(folder) / "leads"
            job = _job(call, project_id, path, "", ImportOptions(), what="export", export_format=query.format, export_state=query.state)  # fmt: skip
            await export_apart(job)
            named = f"leads-{project_id}.{query.format.suffix}"
            return await send_made(call, path, media=query.format.media, file_name=named)


@operation("POST", "/imports/{import_id}/undo", roles=IMPORTERS, summary="Take an import back", timeout_s=UNDO_S)
async def undo(call: Call, import_id: UUID, body: Undo) -> Undone:
    """Leads that were dialled stay; then `undialled_only` has to be said."""
    async with call.transaction() as conn:
        leads = await imports.undo_import(conn, import_id, undialled_only=body.undialled_only)
        await call.audit(conn, "import_undone", "import", import_id, undialled_only=body.undialled_only, leads=leads)
    return Undone(leads=leads)


def _shown(row: imports.Import) -> Import:
    values = {name: getattr(row, name) for name in Import.model_fields if name not in {"sha256", "state"}}
    return Import(**values, sha256=row.sha256.hex(), state=row.state.value)
