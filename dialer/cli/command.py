"""Puts the commands together, and turns every error into a sentence and an exit code."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import structlog
import typer

from dialer.cli import (
    agents,
    archive,
    asterisk,
    callbacks,
    caller_numbers,
    calls,
    consents,
    do_not_call,
    do_not_call_areas,
    doctor,
    imports,
    locality,
    migrations,
    project_life,
    projects,
    recordings,
    retention,
    rules,
    scripts,
    serving,
    simulate,
    supply,
    surveys,
    teams,
    trunks,
    users,
    versions,
    why,
    why_pace,
)
from dialer.cli.exits import Exit, told
from dialer.cli.output import Output

app = typer.Typer(
    name="waihu",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Outbound call centre on Asterisk.",
)
for module in (serving, migrations, doctor, versions, why, why_pace, simulate, imports):
    module.register(app)
project_life.register(projects.app)
do_not_call.app.add_typer(do_not_call_areas.app, name="area")
for name, module_app in (
    ("user", users.app),
    ("agent", agents.app),
    ("team", teams.app),
    ("trunk", trunks.app),
    ("caller-number", caller_numbers.app),
    ("project", projects.app),
    ("rules", rules.app),
    ("survey", surveys.app),
    ("scripts", scripts.app),
    ("dnc", do_not_call.app),
    ("consents", consents.app),
    ("locality", locality.app),
    ("supply", supply.app),
    ("callback", callbacks.app),
    ("calls", calls.app),
    ("recordings", recordings.app),
    ("retention", retention.app),
    ("archive", archive.app),
    ("asterisk", asterisk.app),
):
    app.add_typer(module_app, name=name)


# ClickException; of click itself or of the copy inside typer, as the version has it.
_USAGE: type[Any] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


class Programs(Protocol):
    """What `serve` and its parts start; the composition root gives it, because it stands above us."""

    def __call__(self, parts: frozenset[str]) -> int:
        """Run these parts (engine, web, recorder) until told to stop. Gives the exit code."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What every command may ask for."""

    programs: Programs
    output: Output


@app.callback()
def main(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")] = False,
) -> None:
    """Outbound call centre on Asterisk."""
    programs: Programs = context.obj
    context.obj = Context(programs=programs, output=Output(as_json=as_json))


def run(argv: Sequence[str], programs: Programs) -> int:
    """Carry out one command line. Gives the exit code; never raises, but for defects of ours."""
    # Standard output is the answer; what the rooms log besides it is for the services' logs, unless something breaks.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # the one of the moment: who runs us may change it
    )
    return told(lambda: _carried_out(list(argv), programs))


def _carried_out(argv: list[str], programs: Programs) -> int:
    try:
        result = typer.main.get_command(app).main(args=argv, prog_name="waihu", standalone_mode=False, obj=programs)
    except _USAGE as error:
        error.show(file=sys.stderr)
        return Exit.USAGE
    except typer.Abort:
        return Exit.INTERRUPTED
    return result if isinstance(result, int) else Exit.OK
