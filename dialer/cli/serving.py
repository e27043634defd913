"""serve, engine, web, recorder: the long-running programs."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel="Run")(serve)
    app.command(rich_help_panel="Run")(engine)
    app.command(rich_help_panel="Run")(web)
    app.command(rich_help_panel="Run")(recorder)


def serve(context: typer.Context) -> int:
    """Everything in one process: engine, API and recorder."""
    return context.obj.programs(frozenset({"engine", "web", "recorder"}))  # type: ignore[no-any-return]


def engine(context: typer.Context) -> int:
    """The engine of this node alone: dials, matches, bridges."""
    return context.obj.programs(frozenset({"engine"}))  # type: ignore[no-any-return]


def web(context: typer.Context) -> int:
    """The HTTP API alone; reaches engines through their control ports."""
    return context.obj.programs(frozenset({"web"}))  # type: ignore[no-any-return]


def recorder(context: typer.Context) -> int:
    """The recorder of this node alone: takes in what Asterisk recorded."""
    return context.obj.programs(frozenset({"recorder"}))  # type: ignore[no-any-return]
