"""scripts: what agents say and ask."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from dialer.cli.office import in_office, shown
from dialer.cli.output import Output
from dialer.domain.errors import BadRequest
from dialer.web.scripts import routes

app = typer.Typer(no_args_is_help=True, help="What agents say and ask, in versions.")
File = Annotated[Path, typer.Argument(help="A JSON file (docs/scripts.md).", exists=True, dir_okay=False)]


@app.command()
def check(context: typer.Context, file: File) -> int:
    """Look at a script and change nothing."""
    output: Output = context.obj.output
    body = _read(file)
    found = [shown(one) for one in in_office(lambda office: office.do(routes.check_script, body=body)).findings]
    output.rows(found, empty="Nothing is wrong with it.")
    return 1 if any(not one["remark"] for one in found) else 0


def _read(file: Path) -> dict[str, Any]:
    try:
        document = orjson.loads(file.read_bytes())
    except orjson.JSONDecodeError as error:
        raise BadRequest("script_no_json", f"{file} is no JSON: {error}.") from error
    if not isinstance(document, dict):
        raise BadRequest("script_no_json", f"{file} holds no script: begin with title.")
    return document
