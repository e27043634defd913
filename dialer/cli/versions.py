"""version."""

from __future__ import annotations

import platform
from importlib import metadata

import typer

from dialer.cli.output import Output


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Look")(version)


def version(context: typer.Context) -> None:
    """Which Waihu this is."""
    output: Output = context.obj.output
    try:
        waihu = metadata.version("waihu")
    except metadata.PackageNotFoundError:
        waihu = "not installed, runs from its source"
    output.thing({"waihu": waihu, "python": platform.python_version(), "system": platform.platform()})
