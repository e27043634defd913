"""Does one import in a process of its own: reading a large file takes the processor, and nothing of that may hold up an answered call.

Started by `apart.py` with a job on standard input. Says on standard output, a JSON object in a line each: `progress` as it goes, then `result` or `error`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import orjson

from campaigns.errors import CampaignError
from campaigns.importing.consents import load_consents
from campaigns.importing.mappings import mappings_of
from campaigns.importing.preview import preview_list
from campaigns.importing.run import ImportProgress, client_of, import_file, imported_before
from campaigns.locality.tables import books, know_blocks
from campaigns.sql import Pool
from dialer.db.pool import LOST, close_pool, create_pool
from dialer.web.imports.job import JOB, ConsentJob, Job
from dialer.web.leads.export import write_leads

BEHIND = 10  # of `nice`: whoever talks to a customer goes first


def main() -> int:
    """Read the job, do it."""
    os.nice(BEHIND)
    return asyncio.run(_do(JOB.validate_json(sys.stdin.buffer.read())))


async def _do(job: Job | ConsentJob) -> int:
    try:
        pool = await create_pool(job.database_url.get_secret_value(), application_name="waihu import", max_size=2)
        try:
            await (_consents(pool, job) if isinstance(job, ConsentJob) else _leads(pool, job))
        finally:
            await close_pool(pool)
    except CampaignError as error:
        _tell("error", kind=type(error).__name__, error_id=error.error_id, message=error.message, detail=error.detail)
        return 1
    except LOST:
        _tell("error", kind="Unavailable", error_id="database_away", message="", detail={})
        return 1
    return 0


async def _leads(pool: Pool, job: Job) -> None:
    match job.what:
        case "import":
            await _take(pool, job)
        case "preview":
            await _look(pool, job)
        case "export":
            rows = await write_leads(pool, job.project_id, job.path, kind=job.export_format, state=job.export_state)
            _tell("written", rows=rows)
        case "place":
            await know_blocks(pool, await books(pool), [job.block])
            _tell("known")


async def _consents(pool: Pool, job: ConsentJob) -> None:
    done = await load_consents(
        pool, job.path, options=job.options, now=job.now, file_name=job.file_name, user_id=job.user_id
    )
    rejects = [{"line": one.line, "column": one.column, "error_id": one.error_id, "reason": one.reason} for one in done.rejects]  # fmt: skip
    _tell("consents", id=done.id, accepted=done.accepted, known=done.known, rejected=done.rejected, rejects=rejects)


async def _look(pool: Pool, job: Job) -> None:
    saved = await mappings_of(pool, await client_of(pool, job.project_id))
    seen = preview_list(job.path, job.options, saved)
    same = await imported_before(pool, job.project_id, seen.facts.sha256)
    facts = asdict(seen.facts) | {"sha256": seen.facts.sha256.hex()}
    _tell(
        "seen",
        header=seen.header,
        mapping=seen.mapping,
        rows=[asdict(row) for row in seen.rows],
        same_file=same,
        **facts,
    )


async def _take(pool: Pool, job: Job) -> None:
    result = await import_file(
        pool,
        project_id=job.project_id,
        path=job.path,
        reject_dir=job.reject_dir,
        file_name=job.file_name,
        options=job.options,
        user_id=job.user_id,
        progress=_tell_progress,
    )
    _tell("result", id=result.id, accepted=result.accepted, rejected=result.rejected)


def _tell_progress(progress: ImportProgress) -> None:
    _tell("progress", **asdict(progress))


def _tell(what: str, **said: object) -> None:
    # Whoever started us may be gone: the import is finished all the same.
    with suppress(BrokenPipeError):
        sys.stdout.buffer.write(orjson.dumps({"what": what, **said}, default=_plain) + b"\n")
        sys.stdout.buffer.flush()


def _plain(value: object) -> str:
    return os.fspath(value) if isinstance(value, Path) else str(value)


if __name__ == "__main__":
    sys.exit(main())
