"""recordings bundle: a day's recordings as a folder or a zip, named as the project wants them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from dialer.cli.office import Office, actor, in_office, now
from dialer.cli.output import Output
from dialer.db import audit_trail, recording_marks
from dialer.domain.errors import BadRequest
from dialer.web.recordings import bundling
from dialer.web.recordings.bundling import Bundle, GrowingZip
from recorder.bundle import DEFAULT_PATTERN


def bundle(
    context: typer.Context,
    project: Annotated[str, typer.Argument(help="Name or id of the project.")],
    day: Annotated[str, typer.Argument(help="The day, in the project's zone: 2026-03-10.")],
    into: Annotated[Path, typer.Option(help="A folder that is not there yet, or a file that ends in .zip.")],
    disposition: Annotated[
        list[str] | None,
        typer.Option(
            help="Only calls with this result, for example of closed deals (成交); may be given several times."
        ),
    ] = None,
    pattern: Annotated[str, typer.Option(help="Names of the files: a path of fields in braces.")] = DEFAULT_PATTERN,
    why: Annotated[str, typer.Option(help="For the audit log.")] = "daily bundle",
) -> None:
    """A day's recordings with an index (index.html opens by double click, index.xlsx). Every recording in it is an audit row."""
    output: Output = context.obj.output
    try:
        wanted = date.fromisoformat(day)
    except ValueError:
        raise BadRequest("day_invalid", f"{day!r} is no day: 2026-03-10.") from None
    if into.exists():
        raise BadRequest(
            "bundle_there_already", f"{into} is there already: name another place, nothing is overwritten."
        )

    async def work(office: Office) -> Bundle:
        async with office.pool.acquire() as conn, conn.transaction():
            made = await bundling.gather(
                conn, project_id=await office.id_of("project", project), first_day=wanted, last_day=wanted, dispositions=disposition or [], pattern=pattern,
            )  # fmt: skip
            mark = await recording_marks.make(
                conn, at=now(), user_id=None, actor=actor(), export_id=None, project_id=await office.id_of("project", project), reason=why,
            )  # fmt: skip
            await audit_trail.write_all(conn, [
                audit_trail.Entry(
                    at=now(), user_id=None, actor=actor(), address=None, action="recording_exported", subject_type="recording", subject_id=str(row.id),
                    detail={"call_id": row.attempt_id, "project_id": row.project_id, "why": why},
                )
                for _, _, row in made.files
            ])  # fmt: skip
        put, end = _zipped(into) if into.suffix.lower() == ".zip" else _foldered(into)
        async for path, content in bundling.contents(
            office.deps, made, tags={"comment": f"Bundled by {actor()} on {now():%Y-%m-%d %H:%M} UTC"}, mark=mark, clock=now,
        ):  # fmt: skip
            put(path, content)
        end()
        return made

    made = in_office(work)
    output.done(f"{len(made.files)} recordings are in {into}", recordings=len(made.files), into=str(into))


Put = Callable[[str, bytes], None]


def _foldered(into: Path) -> tuple[Put, Callable[[], None]]:
    """The folder has its name only when all is in it."""
    part = into.with_name(into.name + ".part")
    if part.exists():  # of a run that was broken off
        shutil.rmtree(part)

    def put(path: str, content: bytes) -> None:
        file = part / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def end() -> None:
        part.rename(into)

    return put, end


def _zipped(into: Path) -> tuple[Put, Callable[[], None]]:
    part, archive = into.with_name(into.name + ".part"), GrowingZip()
    into.parent.mkdir(parents=True, exist_ok=True)
    part.unlink(missing_ok=True)

    def put(path: str, content: bytes) -> None:
        with part.open("ab") as file:
            file.write(archive.add(path, content))

    def end() -> None:
        with part.open("ab") as file:
            file.write(archive.end())
        part.rename(into)

    return put, end
