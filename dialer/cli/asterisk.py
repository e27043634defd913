"""asterisk: the part of Asterisk's configuration that differs from place to place."""

from __future__ import annotations

import os
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from dialer.asterisk.conf_dir import asterisk_conf
from dialer.asterisk.site import SiteSettings, TrunkSettings, render_site
from dialer.cli.output import Output
from dialer.domain.errors import BadRequest
from dialer.settings import Settings, load_settings

app = typer.Typer(no_args_is_help=True, help="Asterisk's configuration.")
EXAMPLE = """\
# Input of `waihu asterisk configure`: what differs from place to place. Keep it readable by root only, it holds secrets.
# AMI user, secret and port, and the AGI port, come from Waihu's own settings.
sip_port = 5060
http_port = 8088          # browsers' SIP over WebSocket
rtp_ports = [10000, 20001]
# external_address = "203.0.113.7"
# local_networks = ["10.0.0.0/8"]

[[trunks]]
name = "carrier"
host = "sip.carrier.example"
port = 5060
username = "account"
password = "..."
# register = true
"""
_FROM_SETTINGS = {"ami_port", "ami_secret", "ami_user", "agi_port", "agi_host"}


@app.command()
def configure(
    context: typer.Context,
    site: Annotated[
        Path,
        typer.Argument(
            help="TOML file that says what is special here; --example shows one.", exists=True, dir_okay=False
        ),
    ],
    into: Annotated[Path, typer.Option(help="Directory of the site files: <asterisk-conf>/site.")],
    check: Annotated[bool, typer.Option("--check", help="Only say what would change.")] = False,
) -> int:
    """Render the site files (ports, secrets, trunks). Then: asterisk -rx 'core reload', or restart it when ports changed."""
    output: Output = context.obj.output
    settings = site_settings(site, load_settings())
    try:
        files = render_site(settings)
    except TypeError as error:
        raise BadRequest(
            "site_file_invalid",
            f"{site}: a value is of another kind than it should be ({error}). See: waihu asterisk example",
        ) from error
    if not into.is_dir():
        raise BadRequest(
            "site_directory_missing",
            f"{into} is not there. Copy what lies in {asterisk_conf()} to Asterisk's configuration directory first.",
        )
    changed = [
        name
        for name, text in files.items()
        if not (into / name).exists() or (into / name).read_text(encoding="utf-8") != text
    ]
    if check:
        output.done(f"would change: {', '.join(changed)}" if changed else "up to date", changed=changed)
        return 1 if changed else 0
    for name in changed:
        _write(into / name, files[name])
    output.done(f"written: {', '.join(changed)}" if changed else "nothing to change", changed=changed)
    return 0


@app.command()
def example() -> None:
    """An example of the input of `configure`."""
    print(EXAMPLE, end="")


def site_settings(path: Path, settings: Settings) -> SiteSettings:
    """The file and our settings, put together. BadRequest `site_file_invalid` names what is wrong."""
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadRequest("site_file_invalid", f"{path} is no TOML: {error}") from error
    known = {field.name for field in fields(SiteSettings)} - _FROM_SETTINGS
    if strange := set(given) - known:
        raise BadRequest(
            "site_file_invalid", f"{path}: unknown {', '.join(sorted(strange))}. Known: {', '.join(sorted(known))}."
        )
    trunks = tuple(_trunk(path, trunk) for trunk in given.pop("trunks", ()))
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    try:
        return SiteSettings(
            ami_port=settings.ami_port,
            ami_user=settings.ami_user,
            ami_secret=settings.ami_secret.get_secret_value(),
            agi_port=settings.agi_port,
            agi_host=_reached_at(settings.agi_host),
            trunks=trunks,
            **values,
        )
    except TypeError as error:
        raise BadRequest("site_file_invalid", f"{path}: {str(error).partition('() ')[2] or error}") from error


def _trunk(path: Path, given: dict[str, Any]) -> TrunkSettings:
    known = {field.name for field in fields(TrunkSettings)}
    if strange := set(given) - known:
        raise BadRequest(
            "site_file_invalid",
            f"{path}: trunk has unknown {', '.join(sorted(strange))}. Known: {', '.join(sorted(known))}.",
        )
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    try:
        return TrunkSettings(**values)
    except TypeError as error:
        raise BadRequest("site_file_invalid", f"{path}: trunk: {str(error).partition('() ')[2] or error}") from error


def _reached_at(agi_host: str) -> str:
    """Where Asterisk finds an engine that listens everywhere: on its own machine, unless told otherwise by WAIHU_AGI_HOST."""
    return "127.0.0.1" if agi_host in {"0.0.0.0", "::"} else agi_host


def _write(path: Path, text: str) -> None:
    # Secrets are inside: never readable by others, not even for a moment; and never half a file.
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    if path.exists():
        status = path.stat()
        os.chown(partial, status.st_uid, status.st_gid)
    else:
        status = path.parent.stat()
        os.chown(partial, status.st_uid, status.st_gid)
    partial.replace(path)
