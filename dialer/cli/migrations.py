"""migrate: the structure of the database."""

from __future__ import annotations

from typing import Annotated

import typer

from dialer.cli.output import Output
from dialer.db import migrate as runner
from dialer.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Run")(migrate)


def migrate(
    context: typer.Context,
    check: Annotated[bool, typer.Option("--check", help="Only say what would be applied.")] = False,
) -> int:
    """Bring the database to the structure this version expects. Safe to repeat."""
    output: Output = context.obj.output
    url = load_settings().database_url
    if check:
        waiting = runner.pending(url)
        output.done(f"not applied: {', '.join(waiting)}" if waiting else "the database is up to date", pending=waiting)
        return 1 if waiting else 0
    applied = runner.migrate(url)
    output.done(f"applied {', '.join(applied)}" if applied else "the database was up to date", applied=applied)
    return 0
