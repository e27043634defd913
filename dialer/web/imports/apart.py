"""Has an import done by a process of its own, and hears how it goes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from campaigns import errors as campaign_errors
from dialer.domain.errors import Unavailable, WaihuError
from dialer.web.imports.job import ConsentJob, Job

LIMIT_S = 3600.0
LINE_BYTES = 16 * 1024 * 1024  # a preview of rows as wide as they may be


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What came of it."""

    id: UUID
    accepted: int
    rejected: int


async def import_apart(job: Job, begun: Callable[[UUID], None]) -> Imported:
    """Do it; `begun` is called once with the import's id. Cancelled, the process is ended and nothing is taken.

    Errors: those of `campaigns.importing.run.import_file`; Unavailable `database_away`, `import_interrupted` (the process was killed, or took an hour).
    """
    said = await _done_apart(job, "result", begun)
    return Imported(id=UUID(said["id"]), accepted=said["accepted"], rejected=said["rejected"])


async def preview_apart(job: Job) -> dict[str, Any]:
    """Look at a file: what `worker` says of it. Errors: those of `campaigns.importing.preview.preview_list`; as `import_apart`."""
    return await _done_apart(job, "seen", lambda _: None)


async def export_apart(job: Job) -> int:
    """Write a project's leads to the job's path and say how many. Errors: Missing `project_unknown`; Unavailable as `import_apart`."""
    written: int = (await _done_apart(job, "written", lambda _: None))["rows"]
    return written


async def know_apart(job: Job) -> None:
    """Find out where the job's block of numbers is at home: the numbering plan's books are a hundred megabytes. Errors: Unavailable as `import_apart`."""
    await _done_apart(job, "known", lambda _: None)


async def consents_apart(job: ConsentJob) -> dict[str, Any]:
    """Load a file of consents: what `worker` says of it. Errors: those of `campaigns.importing.consents.load_consents`; Unavailable as `import_apart`."""
    return await _done_apart(job, "consents", lambda _: None)


async def _done_apart(job: Job | ConsentJob, wanted: str, begun: Callable[[UUID], None]) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "dialer.web.imports.worker", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LINE_BYTES
    )  # fmt: skip
    assert process.stdin is not None  # noqa: S101  # both are pipes
    assert process.stdout is not None  # noqa: S101
    try:
        async with asyncio.timeout(LIMIT_S):
            process.stdin.write(job.model_dump_json().encode())
            process.stdin.close()
            return await _heard(process.stdout, wanted, begun)
    except (TimeoutError, BrokenPipeError, ConnectionResetError):
        raise _interrupted() from None
    finally:
        # Its last word comes when all is committed and closed; before that nothing is taken.
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _heard(stream: asyncio.StreamReader, wanted: str, begun: Callable[[UUID], None]) -> dict[str, Any]:
    first = True
    while line := await stream.readline():
        said: dict[str, Any] = orjson.loads(line)
        match said["what"]:
            case "progress" if first:
                first = False
                begun(UUID(said["id"]))
            case "error":
                raise _error(said)
            case what if what == wanted:
                return said
    raise _interrupted()


def _error(said: dict[str, Any]) -> Exception:
    if said["kind"] == "Unavailable":
        return Unavailable("database_away", "The database cannot be reached: try again in a moment.")
    kind: type[campaign_errors.CampaignError] = getattr(campaign_errors, said["kind"])
    return kind(said["error_id"], said["message"], **said["detail"])


def _interrupted() -> WaihuError:
    return Unavailable("import_interrupted", "The import was broken off and nothing was taken: send the file again.")
