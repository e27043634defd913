"""doctor: what is wrong with this installation, and what to do."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Annotated

import typer
from rich.markup import escape

from dialer.cli.output import Output
from dialer.doctor import CHECKS, Finding, Level, examine
from dialer.domain.errors import BadRequest
from dialer.settings import config_file, load_settings

_STYLE = {Level.OK: "green", Level.WARNING: "yellow", Level.FAULT: "bold red"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Look")(doctor)


def doctor(
    context: typer.Context,
    only: Annotated[list[str] | None, typer.Option("--only", help="Make only these checks; may be repeated.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show only what is wrong.")] = False,
) -> int:
    """Check every dependency and say what to do about each finding. Exit code 1 when there is a fault."""
    output: Output = context.obj.output
    wanted = frozenset(only or ())
    if wanted - CHECKS.keys():
        raise BadRequest(
            "check_unknown",
            f"There is no check {', '.join(sorted(wanted - CHECKS.keys()))}. There are: {', '.join(CHECKS)}.",
        )
    settings = load_settings()

    async def look() -> list[Finding]:
        findings = []
        async for finding in examine(settings, only=wanted):
            findings.append(finding)
            if not output.as_json and not (quiet and finding.level is Level.OK):
                _show(output, finding)
        return findings

    if not output.as_json and not quiet:
        output.console.print(
            f"settings from the environment and {config_file() or 'no file'}", style="dim", highlight=False
        )
    findings = asyncio.run(look())
    counts = Counter(finding.level for finding in findings)
    if output.as_json:
        output.rows(
            [{"subject": one.subject, "level": one.level, "seen": one.seen, "do": one.do} for one in findings], empty=""
        )
    else:
        output.console.print(
            f"{counts[Level.OK]} ok, {counts[Level.WARNING]} warnings, {counts[Level.FAULT]} faults", highlight=False
        )
    return 1 if counts[Level.FAULT] else 0


def _show(output: Output, finding: Finding) -> None:
    style = _STYLE[finding.level]
    output.console.print(
        f"[{style}]{finding.level:<8}[/] [bold]{escape(finding.subject):<18}[/] {escape(finding.seen)}",
        highlight=False,
        soft_wrap=True,
    )
    if finding.do:
        output.console.print(f"{'':<27} → {escape(finding.do)}", highlight=False, soft_wrap=True)
