"""Does one import in a process of its own: reading a large file takes the processor, and nothing of that may hold up an answered call.

Started by `apart.py` with a `Job` on standard input. Says on standard output, a JSON object in a line each: `progress` as it goes, then `result` or `error`.
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
from campaigns.leads_import import ImportProgress, import_csv
from dialer.db.pool import LOST, close_pool, create_pool
from dialer.web.imports.job import Job

BEHIND = 10  # of `nice`: whoever talks to a customer goes first


def main() -> int:
    """Read the job, do it."""
    os.nice(BEHIND)
    return asyncio.run(_do(Job.model_validate_json(sys.stdin.buffer.read())))


async def _do(job: Job) -> int:
    try:
        pool = await create_pool(job.database_url.get_secret_value(), application_name="waihu import", max_size=2)
        try:
            result = await import_csv(
                pool,
                project_id=job.project_id,
                path=job.path,
                reject_dir=job.reject_dir,
                file_name=job.file_name,
                mapping=job.mapping,
                region=job.region,
                user_id=job.user_id,
                progress=_tell_progress,
            )
        finally:
            await close_pool(pool)
    except CampaignError as error:
        _tell("error", kind=type(error).__name__, error_id=error.error_id, message=error.message, detail=error.detail)
        return 1
    except LOST:
        _tell("error", kind="Unavailable", error_id="database_away", message="", detail={})
        return 1
    _tell("result", id=result.id, accepted=result.accepted, rejected=result.rejected)
    return 0


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
