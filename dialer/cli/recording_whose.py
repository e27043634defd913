"""recordings whose: from which export a file comes that turned up elsewhere."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dialer.cli.office import Office, in_office
from dialer.cli.output import Output
from dialer.db import recording_marks
from dialer.db.recording_marks import Mark
from recorder import leaks
from recorder.leaks import Leak
from recorder.watermark import Evidence

_PAGE = 100


def whose(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The file, of any kind that holds sound.")],
    project: Annotated[
        str | None, typer.Option(help="Only exports of this project: faster, and more certain on a short piece.")
    ] = None,
) -> int:
    """By the file's hash, else by the mark in its sound (30 s are enough). Exit code 1 when neither tells. What its tags say is shown, and proves nothing."""
    output: Output = context.obj.output

    async def work(office: Office) -> dict[str, Any]:
        leak = await asyncio.to_thread(leaks.examine, file)
        async with office.pool.acquire() as conn:
            copy = await recording_marks.copy_of(conn, leak.sha256)
        if copy is not None:
            return {"found_by": "file", **_facts(copy.mark), "recording_id": str(copy.recording_id), "name": copy.name}
        project_id = await office.id_of("project", project) if project else None
        mark, evidence, tried = await _most_alike(office, leak, project_id, quiet=output.as_json)
        chance = min(1.0, evidence.chance * tried)
        seen = {"sigma": round(evidence.sigma, 1), "chance": chance, "exports_tried": tried}
        says = {"tags_say": leak.says, "seconds": round(leak.seconds, 1)}
        if mark is None or chance > leaks.CERTAIN:
            return {"found_by": None, **seen, **says}
        return {"found_by": "sound", **_facts(mark), **seen, **says}

    found = in_office(work)
    output.thing(found)
    return 0 if found["found_by"] else 1


async def _most_alike(
    office: Office, leak: Leak, project_id: UUID | None, *, quiet: bool
) -> tuple[Mark | None, Evidence, int]:
    """The mark that most speaks for, what does, and how many were asked."""
    best: Mark | None = None
    evidence, tried, last = Evidence(sigma=0.0, chance=1.0), 0, None
    columns = (TextColumn("listening"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as bar:
        async with office.pool.acquire() as conn:
            task = bar.add_task("listen", total=await recording_marks.count(conn, project_id=project_id))
            while page := await recording_marks.page(conn, before=last, project_id=project_id, limit=_PAGE):
                for mark in page:
                    one = await asyncio.to_thread(leak.traces.of, mark.secret)
                    tried += 1
                    if one.sigma > evidence.sigma:
                        best, evidence = mark, one
                    bar.advance(task)
                last = page[-1]
    return best, evidence, tried


def _facts(mark: Mark) -> dict[str, Any]:
    return {
        "actor": mark.actor, "made_at": mark.made_at.isoformat(), "reason": mark.reason, "export_id": mark.export_id and str(mark.export_id),
        "project_id": str(mark.project_id), "mark_id": str(mark.id),
    }  # fmt: skip
