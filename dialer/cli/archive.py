"""archive: volumes of recordings, their discs, and what comes back from them. docs/discs.md is the operator's guide."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from campaigns.masking import mask
from dialer.cli import archive_back
from dialer.cli import archive_handover as handing
from dialer.cli.archive_work import (
    From,
    Label,
    Name,
    at_hand,
    bar,
    keys_of,
    ledger_of,
    place_of,
    settings_of,
    source_of,
)
from dialer.cli.office import Office, in_office, now, shown, uuid_of
from dialer.cli.output import Output, files_stay
from dialer.domain.errors import BadRequest
from dialer.web.archive import routes
from recorder.archive.building import Builder, alone
from recorder.archive.copying import Copier
from recorder.archive.drive import Drive
from recorder.archive.labels import print_sheets
from recorder.archive.media import Medium
from recorder.archive.rotation import Report, Targets, rotate, wait_for_disc
from recorder.archive.volume import DiscCopy

app = typer.Typer(no_args_is_help=True, help="Recordings on discs: docs/discs.md.")
Because = Annotated[str, typer.Option("--why", help="The reason; it is kept.")]
_VOLUMES = (
    "label",
    "state",
    "medium",
    "expiry_year",
    "recordings",
    "bytes",
    "copies_wanted",
    "created_at",
    "sealed_at",
)
_COPIES = ("name", "state", "kind", "place", "custodian", "lent_to", "written_at", "verified_at")
_LOOK_S = 2.0


@app.command()
def plan(
    context: typer.Context,
    medium: Annotated[Medium, typer.Option(help="What it would be burned to.")] = Medium.BD,
    wait_days: Annotated[
        int, typer.Option(help="Age at which a recording is burned though its volume is not full.")
    ] = 30,
) -> None:
    """What a run would build now. Changes nothing."""
    query = {"medium": medium.value, "wait_days": wait_days}
    found = in_office(lambda office: office.do(routes.plan, query=query))
    context.obj.output.rows([shown(one) for one in found], empty="Nothing would be built now.")


@app.command()
def run(
    context: typer.Context,
    medium: Annotated[Medium, typer.Option(help="What volumes are made for.")] = Medium.BD,
    drive: Annotated[str | None, typer.Option(help="The burner; default: WAIHU_ARCHIVE_DRIVE.")] = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            help="Folders or buckets with Object Lock (s3://bucket/prefix), one for each copy, instead of discs."
        ),
    ] = None,
    wait_days: Annotated[
        int, typer.Option(help="Age at which a recording is burned though its volume is not full; -1: at once.")
    ] = 30,
    patience_s: Annotated[int, typer.Option(help="How long to wait for a disc to be put in.", min=0)] = 0,
    release_days: Annotated[
        int | None, typer.Option(help="Then let go of store files older than this that discs have.", min=0)
    ] = None,
) -> int:
    """Go on with what was begun, plan, build, burn, read again, seal, release. Safe to kill; run it daily. Exit code 1 when something has a problem."""
    output: Output = context.obj.output

    async def work(office: Office) -> tuple[Report, _Gone]:
        settings, ledger = settings_of(office), ledger_of(office)
        targets = Targets(
            places=tuple(place_of(one) for one in to or ()),
            drive=drive if drive is not None else office.settings.archive_drive,
        )

        async def ask(copy: DiscCopy, burner: Drive, blank: bool) -> bool:
            found = await wait_for_disc(burner, blank=blank, patience_s=0, look_every_s=_LOOK_S)
            if not found and patience_s:
                wanted = f"a blank {medium} for" if blank else "the disc"
                print(f"Put {wanted} {copy.name} into {burner.address} ...", file=sys.stderr)
                found = await wait_for_disc(burner, blank=blank, patience_s=patience_s, look_every_s=_LOOK_S)
            return found

        released = _Gone(0, 0)
        with alone(settings.archive_dir), bar(shown=not output.as_json) as advance:
            report = await rotate(
                Builder(
                    ledger=ledger, settings=settings, mask=mask, archive_keys=office.deps.archive_keys, keys=await keys_of(office), progress=advance,
                ),
                Copier(ledger=ledger, settings=settings, progress=advance),
                targets, ask=ask, medium=medium, today=now().date(), wait=timedelta(days=wait_days),
            )  # fmt: skip
        if release_days is not None:
            released = await _release(office, release_days, None)
        return report, released

    report, released = in_office(work)
    output.thing(
        {"planned": report.planned, "built": report.built, "sealed": report.sealed, "waiting for a disc": report.waiting,
         "problems": report.problems, "released": released.recordings, "files that stay": released.stuck}
    )  # fmt: skip
    return 1 if report.problems or released.stuck else 0


@app.command("list")
def list_volumes(context: typer.Context) -> None:
    """Volumes, newest first."""
    found = in_office(lambda office: office.do(routes.list_volumes))
    context.obj.output.rows([shown(one, *_VOLUMES) for one in found], empty="There is no volume.")


@app.command()
def show(context: typer.Context, label: Label) -> None:
    """A volume with its copies."""
    output: Output = context.obj.output
    volume = in_office(lambda office: office.do(routes.get_volume, label=label))
    output.thing(shown(volume))


@app.command()
def copies(context: typer.Context) -> None:
    """The ledger of discs."""
    found = in_office(lambda office: office.do(routes.list_copies))
    context.obj.output.rows([shown(one, *_COPIES) for one in found], empty="There is no copy.")


@app.command()
def history(context: typer.Context, name: Name) -> None:
    """The life of a copy."""
    found = in_office(lambda office: office.do(routes.get_copy, name=name))
    context.obj.output.rows([shown(one) for one in found.events], empty="Nothing has happened to it yet.")


@app.command()
def verify(
    context: typer.Context,
    name: Name,
    source: From = None,
    name_seen: Annotated[
        bool,
        typer.Option(
            "--name-seen",
            help="You have read the name on the disc, which itself does not say it: written by an earlier version, or its end cannot be read.",
        ),
    ] = False,
) -> int:
    """Read a copy from its medium, every byte, and note what was found. Exit code 1 when it is damaged."""
    output: Output = context.obj.output

    async def work(office: Office) -> tuple[str, list[dict[str, str]]]:
        ledger = ledger_of(office)
        copy = await ledger.copy(name)
        place = source_of(source) or at_hand(copy)
        if place is None:
            raise BadRequest(
                "archive_source_missing", f"{name} is a disc: put it into a drive and name the drive with --from."
            )
        with bar(shown=not output.as_json) as advance:
            copier = Copier(ledger=ledger, settings=settings_of(office), progress=advance)
            after, faults = await copier.verify(copy, place, name_seen=name_seen)
        return after.state, [{"path": fault.path, "problem": fault.problem} for fault in faults]

    state, faults = in_office(work)
    output.rows(faults, empty=f"{name} is as it was written ({state})")
    return 1 if faults else 0


@app.command()
def due(context: typer.Context) -> None:
    """Copies to read again now: they came back or were damaged, a year is over, or a sample of their batch wants them."""
    found = in_office(lambda office: office.do(routes.due))
    context.obj.output.rows([shown(one, *_COPIES) for one in found], empty="No copy has to be read again now.")


@app.command()
def place(
    context: typer.Context,
    name: Name,
    where: Annotated[str, typer.Argument(help="Where it lies.")],
    custodian: Annotated[str, typer.Option(help="Who looks after it.")],
) -> None:
    """Say where a copy lies and who keeps it."""
    _on_copy(context, name, routes.keep_at, {"place": where, "custodian": custodian})


@app.command()
def lend(context: typer.Context, name: Name, to: Annotated[str, typer.Argument(help="Who has it now.")]) -> None:
    """Lend a copy: it does not count until it is back and re-read."""
    _on_copy(context, name, routes.lend, {"to": to})


@app.command("return")
def take_back(context: typer.Context, name: Name) -> None:
    """Take a copy back; verify it then."""
    _on_copy(context, name, routes.take_back, None)


@app.command()
def lost(context: typer.Context, name: Name, why: Because) -> None:
    """Report a copy lost."""
    _on_copy(context, name, routes.lost, {"reason": why})


@app.command()
def destroyed(context: typer.Context, name: Name, why: Because) -> None:
    """Report a copy destroyed; one in a bucket is deleted there, when its day is over."""

    async def work(office: Office) -> Any:
        copy = await ledger_of(office).find_copy(name)
        if copy is not None and copy.kind == "s3":
            await Copier(ledger=ledger_of(office), settings=settings_of(office)).remove(copy, why)
            return (await office.do(routes.get_copy, name=name)).disc
        return await office.do(routes.destroyed, name=name, body={"reason": why})

    context.obj.output.thing(shown(in_office(work), *_COPIES))


@app.command()
def recopy(context: typer.Context, label: Label) -> None:
    """Want one more copy of a volume; the next run makes it."""
    made = in_office(lambda office: office.do(routes.want_copy, label=label))
    context.obj.output.thing(shown(made, *_COPIES))


@app.command("give-up")
def give_up(context: typer.Context, label: Label, why: Because) -> None:
    """Give a volume up before it is sealed; its recordings are free for another."""
    context.obj.output.thing(
        shown(in_office(lambda office: office.do(routes.give_up, label=label, body={"reason": why})), *_VOLUMES)
    )


@app.command()
def release(
    context: typer.Context,
    days: Annotated[int, typer.Option(help="Only calls older than so many days.", min=0)] = 30,
    free_bytes: Annotated[int | None, typer.Option(help="Stop when so much is free.", min=1)] = None,
) -> int:
    """Let go of store files that enough verified copies have, oldest first; never under hold. Exit code 1 when files could not be removed."""
    gone = in_office(lambda office: _release(office, days, free_bytes))
    context.obj.output.done(
        f"{gone.recordings} recordings are on discs only now{files_stay(gone.stuck)}", recordings=gone.recordings, stuck=gone.stuck,
    )  # fmt: skip
    return 1 if gone.stuck else 0


@app.command()
def space(context: typer.Context) -> None:
    """How full the store is, how long it lasts, and what may leave it."""
    context.obj.output.thing(shown(in_office(lambda office: office.do(routes.space))))


app.command()(archive_back.fetch)
app.command()(archive_back.restore)
app.command()(archive_back.restore_volume)
app.command("rebuild")(archive_back.rebuild_ledger)
app.command()(archive_back.erase_again)


@app.command("handover")
def hand_over(
    context: typer.Context,
    export: Annotated[
        str, typer.Argument(help="Id of an export with the client's key, asked for and agreed to by two persons.")
    ],
    into: Annotated[
        Path | None, typer.Option(help="Folder for the image.", file_okay=False, exists=True, writable=True)
    ] = None,
    drive: Annotated[str | None, typer.Option(help="Or the burner with a blank disc, /dev/sr0.")] = None,
) -> None:
    """Make the volume of an export that only the client's key opens, and burn it or put it into a folder. Every recording on it is an audit row."""
    export_id = uuid_of(export, "an export")
    if (into is None) == (drive is None):
        raise BadRequest("handover_target_missing", "Say where the volume goes: --into FOLDER, or --drive /dev/sr0.")
    context.obj.output.thing(in_office(lambda office: handing.hand_over(office, export_id, into, drive)))


@app.command()
def labels(
    context: typer.Context,
    label: Label,
    into: Annotated[Path, typer.Option(help="Folder for the page.", file_okay=False)] = Path(),
) -> None:
    """Write the page with the labels of a volume's discs and the handover sheet, to be printed."""

    async def work(office: Office) -> Path:
        ledger = ledger_of(office)
        volume = await ledger.volume(label)
        target = into / f"{label}.html"
        await asyncio.to_thread(into.mkdir, parents=True, exist_ok=True)
        project = await office.pool.fetchval("select name from projects where id = $1", volume.project_id)
        await asyncio.to_thread(print_sheets, target, volume, await ledger.copies(volume.id), project)
        return target

    context.obj.output.done(str(in_office(work)))


def _on_copy(context: typer.Context, name: str, operation: Any, body: dict[str, Any] | None) -> None:
    copy = in_office(lambda office: office.do(operation, name=name, body=body))
    context.obj.output.thing(shown(copy, *_COPIES))


class _Gone(NamedTuple):
    recordings: int
    stuck: int


async def _release(office: Office, days: int, free_bytes: int | None) -> _Gone:
    gone, free = 0, 0
    while True:
        wanted = None if free_bytes is None else free_bytes - free
        done = await office.do(routes.release, body={"older_than_days": days, "free_bytes": wanted})
        gone += int(done.recordings)
        free += int(done.bytes)
        if not done.more or (free_bytes is not None and free >= free_bytes):
            return _Gone(gone, int(done.stuck))
