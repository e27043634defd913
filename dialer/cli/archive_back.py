"""archive fetch, restore, restore-volume, rebuild, erase-again: what comes back from discs, and after a loss."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from dialer.cli.archive_work import From, Label, all_of, bar, day_of, ledger_of, settings_of, source_of
from dialer.cli.office import Office, in_office, uuid_of
from dialer.cli.output import Output
from recorder.archive.building import alone
from recorder.archive.copying import Copier
from recorder.archive.rebuilding import rebuild
from recorder.archive.restoring import Restorer
from recorder.archive.signing import own


def fetch(
    context: typer.Context,
    label: Label,
    source: Annotated[str, typer.Option("--from", help="A drive with one of its discs (/dev/sr0), or an image.")],
) -> None:
    """Take a volume's image back from a disc, repaired where it is damaged, so that the next run can make another copy."""
    output: Output = context.obj.output

    async def work(office: Office) -> Path:
        settings, ledger = settings_of(office), ledger_of(office)
        with alone(settings.archive_dir), bar(shown=not output.as_json) as advance:
            copier = Copier(ledger=ledger, settings=settings, progress=advance)
            return await copier.image(await ledger.volume(label), source_of(source))

    output.done(str(in_office(work)))


def restore(
    context: typer.Context, call: Annotated[str, typer.Argument(help="Id of the call.")], source: From = None
) -> None:
    """Bring a call's recording back into the store, bit for bit."""
    attempt_id = uuid_of(call, "a call")

    async def work(office: Office) -> Any:
        return await _restorer(office, source).call(attempt_id)

    done = in_office(work)
    context.obj.output.done(
        "it is in the store again" if done.restored else "it is in the store", restored=done.restored
    )


def restore_volume(
    context: typer.Context,
    label: Label,
    source: From = None,
    day: Annotated[str | None, typer.Option(help="Only calls of this day (in the business zone), 2026-03-10.")] = None,
) -> int:
    """Bring all of a volume back, or a day of it. Exit code 1 when a recording could not be given back."""
    output: Output = context.obj.output

    async def work(office: Office) -> Any:
        since, until = day_of(office, day)
        with bar(shown=not output.as_json) as advance:
            return await _restorer(office, source, lambda done, total: advance("restoring", done, total)).volume(
                label, since=since, until=until
            )

    done = in_office(work)
    failed = [{"call": str(call), "problem": problem} for call, problem in done.failed.items()]
    output.rows(failed, empty=f"{done.restored} came back, {done.there} were there")
    return 1 if failed else 0


def rebuild_ledger(
    context: typer.Context,
    sources: Annotated[
        list[str], typer.Argument(help="Drives or images of volumes; s3://bucket/folder: all images that lie there.")
    ],
    without_archive_keys: Annotated[
        bool,
        typer.Option(
            "--without-archive-keys",
            help="The archive's key file is lost for good: rows come back, sealed recordings stay closed, and what was deleted must be deleted again.",
        ),
    ] = False,
    signed_by: Annotated[
        list[str] | None,
        typer.Option(
            help="Public key (hexadecimal) whose volumes are believed too: of another installation, or our own when its signing.key is lost.",
        ),
    ] = None,
) -> None:
    """Write into the ledger what volumes say and it does not know: after the database was lost. What was deleted stays deleted.

    Volumes know no legal holds: a project that got recordings back is held (`check holds`) until its holds are placed again and that one is lifted.
    """

    async def work(office: Office) -> Any:
        places = [place for one in sources for place in await asyncio.to_thread(all_of, one)]
        archive_keys = None if without_archive_keys else office.deps.archive_keys
        return await rebuild(
            ledger_of(office),
            places,
            work=settings_of(office).archive_dir / "work",
            signers={
                *await asyncio.to_thread(own, settings_of(office).key_file),
                *(one.lower() for one in signed_by or ()),
            },
            keys=office.deps.file_keys,
            archive_keys=archive_keys,
        )

    found = in_office(work)
    context.obj.output.rows(
        [
            {
                "label": one.label,
                "copy": one.copy,
                "recordings": one.recordings,
                "new": one.new,
                "erased": one.erased,
                "check holds": one.on_hold,
            }
            for one in found
        ],
        empty="",
    )


def erase_again(context: typer.Context) -> None:
    """After an older copy of the archive's key file was put back: take out of it again what was deleted since."""

    async def work(office: Office) -> int:
        async with office.pool.acquire() as conn:
            return await office.deps.archive_keys.erase_again(conn)

    count = in_office(work)
    context.obj.output.done(f"{count} deleted recordings were taken out again", recordings=count)


def _restorer(office: Office, source: str | None, progress: Any = lambda _done, _total: None) -> Restorer:
    return Restorer(ledger=ledger_of(office), settings=settings_of(office), source=source_of(source), progress=progress)
