"""project: its life, step by step, with signatures and frozen figures."""

from __future__ import annotations

import hashlib
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from campaigns.life import daily_log
from campaigns.life.requirements import SignOffKind
from campaigns.life.table import Step
from dialer.cli.office import Office, in_office, now, shown
from dialer.cli.output import Output
from dialer.cli.projects import Named
from dialer.domain.errors import BadRequest, Conflict
from dialer.web.life import daily_logs, routes, watching
from dialer.web.life.types import LogFormat


def register(app: typer.Typer) -> None:
    """Add the commands to those of projects."""
    app.command()(life)
    app.command()(step)
    app.command()(steps)
    app.command()(sign)
    app.command("sign-offs")(sign_offs)
    app.command()(figures)
    app.command("stop-rules")(stop_rules)
    app.command()(alarms)
    app.command()(log)


def life(context: typer.Context, name: Named) -> None:
    """Where it is in its life, which steps lead on, and what each still asks for."""
    output: Output = context.obj.output
    found = in_office(lambda office: _asked(office, routes.get_life, name))
    if output.as_json:
        output.thing(shown(found))
        return
    output.thing(shown(found, "life", "state", "stage", "sign_offs"))
    rows = [
        {
            "step": one.step.value,
            "missing": "; ".join(f"{need.requirement.value}: {need.to_do}" for need in one.required if not need.met)
            or "-",
        }
        for one in found.next
    ]
    output.rows(rows, empty="No step leads on.")


def step(
    context: typer.Context,
    name: Named,
    what: Annotated[Step, typer.Argument(help="The step.")],
    why: Annotated[str, typer.Option(help="Why; a stop and a reopening need it.")] = "",
    changed: Annotated[str, typer.Option(help="What was corrected; lifting a stop needs it.")] = "",
) -> None:
    """Take a step. What is missing is said all at once."""
    output: Output = context.obj.output
    body = {"step": what, "why": why, "changed": changed}
    taken = in_office(lambda office: _asked(office, routes.take_step, name, body=body))
    more = {} if taken.figures_sha256 is None else {"figures_sha256": taken.figures_sha256}
    output.done(
        " ".join([f"{name} is {taken.life.value}.", *(f"The figures are frozen: {one}" for one in more.values())]),
        **more,
    )


def steps(context: typer.Context, name: Named) -> None:
    """The steps it has taken, newest first."""
    output: Output = context.obj.output

    async def work(office: Office) -> list[Any]:
        return await office.all(routes.list_steps, project_id=await office.id_of("project", name))

    columns = ("at", "step", "from_life", "to_life", "actor", "why", "changed")
    output.rows(
        [shown(one, *(() if output.as_json else columns)) for one in in_office(work)], empty="It has taken none yet."
    )


def sign(
    context: typer.Context,
    name: Named,
    kind: Annotated[SignOffKind, typer.Argument(help="What was signed.")],
    signer: Annotated[str, typer.Option(help="Who signed, as written there.")],
    evidence: Annotated[
        Path, typer.Option(help="The file that proves it; its hash is kept.", exists=True, dir_okay=False)
    ],
    at: Annotated[str | None, typer.Option(help="When, ISO 8601 with an offset; now.")] = None,
    covers: Annotated[str | None, typer.Option(help="For formal: the hash of the frozen figures.")] = None,
    note: Annotated[str, typer.Option(help="Anything to remember.")] = "",
) -> None:
    """Record a signature of the client's; it is good for one step."""
    output: Output = context.obj.output
    with evidence.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    body = {
        "kind": kind, "signer": signer, "signed_at": _moment(at), "evidence_name": evidence.name, "evidence_sha256": digest,
        "covers": covers, "note": note,
    }  # fmt: skip
    kept = in_office(lambda office: _asked(office, routes.add_sign_off, name, body=body))
    output.thing(shown(kept, "id", "kind", "signer", "signed_at", "evidence_name", "evidence_sha256", "covers"))


def sign_offs(context: typer.Context, name: Named) -> None:
    """The signatures that were recorded."""
    output: Output = context.obj.output
    found = in_office(lambda office: _asked(office, routes.get_sign_offs, name))
    columns = () if output.as_json else ("kind", "signer", "signed_at", "evidence_name", "used_by", "id")
    output.rows([shown(one, *columns) for one in found.sign_offs], empty="Nothing was signed yet.")


def figures(context: typer.Context, name: Named) -> None:
    """The figures of its trials: those that were frozen, or the present sample's where none are."""
    output: Output = context.obj.output
    found = in_office(lambda office: _asked(office, routes.get_figures, name))
    if output.as_json:
        output.thing(shown(found))
        return
    frozen = found.frozen[-1] if found.frozen else None
    document = found.now if frozen is None else frozen.figures
    rows = [_row(name, one) for name, one in document["shares"].items()]
    talk = document["talk_s"]
    rows.append({
        "figure": "talk_s", "value": f"{talk['mean']} of {talk['conversations']}", "interval": f"{talk['low']} to {talk['high']}",
        "large enough": "yes" if talk["large_enough"] else f"no, {talk['needed']} conversations",
    })  # fmt: skip
    output.rows(rows, empty="")
    if frozen is None:
        output.done("Not frozen yet.")
    else:
        output.done(
            f"Frozen {frozen.frozen_at:%Y-%m-%d %H:%M} UTC, {frozen.sha256}{'' if frozen.holds else ': THE TEXT WAS CHANGED'}"
        )


def stop_rules(
    context: typer.Context,
    name: Named,
    rule: Annotated[
        list[str] | None,
        typer.Option(help="kind:tolerated:alarming, such as complaints:0.002:0.01; may be repeated. None given: show."),
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="Nothing stops it by itself.")] = False,
) -> None:
    """Say (or show) what makes it stop by itself: the whole list."""
    output: Output = context.obj.output

    async def work(office: Office) -> list[dict[str, Any]]:
        project_id = await office.id_of("project", name)
        if rule or none:
            wanted = [_rule(one) for one in rule or ()]
            await office.do(watching.put_stop_rules, body={"rules": wanted}, project_id=project_id)
        return [shown(one) for one in (await office.do(watching.get_stop_rules, project_id=project_id)).rules]

    output.rows(in_office(work), empty="Nothing stops it by itself.")


def alarms(
    context: typer.Context,
    name: Named,
    all_: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
) -> None:
    """Its alarms: data that runs out, stop rules that stopped it."""
    output: Output = context.obj.output
    found = in_office(lambda office: _asked(office, watching.get_project_alarms, name, query={"open": not all_}))
    columns = () if output.as_json else ("kind", "raised_at", "cleared_at", "detail")
    output.rows([shown(one, *columns) for one in found.alarms], empty="There is none.")


def log(
    context: typer.Context,
    name: Named,
    day: Annotated[str, typer.Argument(help="The day in the project's zone: 2026-06-01.")],
    save: Annotated[bool, typer.Option("--save", help="Keep a version with these notes.")] = False,
    sign_it: Annotated[bool, typer.Option("--sign", help="Keep and sign it; when the day is over.")] = False,
    notes: Annotated[str, typer.Option(help="What the facts do not say.")] = "",
    file: Annotated[
        Path | None, typer.Option(help="Write the last version to this .xlsx or .md file.", dir_okay=False)
    ] = None,
) -> None:
    """A day's log: its facts so far, saved and signed, or written to a file."""
    output: Output = context.obj.output
    if file is not None and file.exists():
        raise Conflict("file_exists", f"{file} is there already: name another file.")

    async def work(office: Office) -> Any:
        project_id, of = await office.id_of("project", name), _day(day)
        kept = None
        if save or sign_it:
            body = {"notes": notes, "sign": sign_it}
            kept = await office.do(daily_logs.save_log, body=body, project_id=project_id, day=of)
        if file is not None:
            last = await daily_log.load(office.pool, project_id, of)
            kind = LogFormat.MARKDOWN if file.suffix == ".md" else LogFormat.XLSX
            daily_logs.write_log(last, file, kind)
        return kept or await office.do(daily_logs.draft_log, project_id=project_id, day=of)

    found = in_office(work)
    if output.as_json:
        output.thing(shown(found))
        return
    calls = found.facts["calls"]
    output.thing(
        {key: value for key, value in calls.items() if key not in {"outcomes", "results"}} | found.facts["left"]
    )
    if save or sign_it:
        output.done(f"Version {found.version} is {'signed' if found.signed else 'kept'}.")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadRequest("day_invalid", f"{text!r} is no day: write it as 2026-06-01.") from None


def _rule(text: str) -> dict[str, Any]:
    kind, _, shares = text.partition(":")
    tolerated, _, alarming = shares.partition(":")
    return {"kind": kind, "tolerated": tolerated, "alarming": alarming}


def _row(name: str, one: dict[str, Any]) -> dict[str, Any]:
    return {
        "figure": name,
        "value": f"{one['count']} of {one['total']} {one['of']}",
        "interval": f"{one['low']} to {one['high']}",
        "large enough": "yes" if one["large_enough"] else f"no, {one['needed']} {one['of']}",
    }


async def _asked(office: Office, operation: Any, name: str, **more: Any) -> Any:
    return await office.do(operation, project_id=await office.id_of("project", name), **more)


def _moment(text: str | None) -> datetime:
    if text is None:
        return now()
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise BadRequest("time_invalid", f"{text!r} is no time: write it as 2026-06-01T09:00:00+08:00.") from None
