"""Prepares the volumes of docker/compose.yml: `python -m lab.compose <directory>`.

Makes every secret once and writes what each service reads: the stores' passwords, Waihu's settings, the site files of the node and of
the fake carrier, the carrier's voices. Called again it keeps the secrets and writes the rest anew. Ports come from the environment.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from dialer.asterisk.site import SiteSettings, TrunkSettings, render_site
from dialer.cli.asterisk import site_settings
from dialer.settings import CONFIG_VARIABLE, load_settings
from lab.carrier.site import CarrierSite, render_carrier_site
from lab.voices import SOUNDS_IN_IMAGE, make_voices, voices_are_made

_NODE_RTP_PORTS = 1_200
_CARRIER_RTP_PORTS = 800
_GIVEN_SITE = Path("/given/site.toml")
_RECORDS = "/var/log/asterisk/cdr-custom/calls.csv"


def main(words: list[str]) -> int:
    prepare(Path(words[0]), os.environ)
    return 0


def prepare(directory: Path, environment: Mapping[str, str], given_site: Path = _GIVEN_SITE) -> None:
    """Fill `directory`: stores/, app/, node/, carrier/, voices/. `given_site`, when it is there, replaces the fake carrier as trunk."""
    keys = {name: _secret(directory / "stores" / name) for name in ("postgres.password", "redis.password")}
    keys |= {name: _secret(directory / "app" / f"{name}.key") for name in ("ami", "control", "trunk-in", "trunk-out")}
    rtp = _port(environment, "WAIHU_RTP_FIRST", 10_000)
    trunk = TrunkSettings(
        name="carrier",
        host="127.0.0.1",
        port=_port(environment, "WAIHU_CARRIER_SIP_PORT", 5_170),
        username="dialer",
        password=keys["trunk-out"],
        inbound_password=keys["trunk-in"],
        qualify_s=5,
    )
    config = directory / "app" / "waihu.toml"
    _write(config, _settings(environment, keys))
    node = _node(environment, keys, trunk, rtp)
    if given_site.exists():
        os.environ[CONFIG_VARIABLE] = str(config)
        node = site_settings(given_site, load_settings())
    for name, text in render_site(node).items():
        _write(directory / "node" / name, text)
    carrier = CarrierSite(
        sip_host="127.0.0.1",
        sip_port=trunk.port,
        rtp_ports=(rtp + _NODE_RTP_PORTS, rtp + _NODE_RTP_PORTS + _CARRIER_RTP_PORTS - 1),
        trunk=trunk,
        node_sip_port=node.sip_port,
    )
    for name, text in render_carrier_site(carrier).items():
        _write(directory / "carrier" / name, text)
    if not voices_are_made(directory / "voices"):
        make_voices(Path(SOUNDS_IN_IMAGE), directory / "voices")


def _node(environment: Mapping[str, str], keys: Mapping[str, str], trunk: TrunkSettings, rtp: int) -> SiteSettings:
    return SiteSettings(
        ami_port=_port(environment, "WAIHU_AMI_PORT", 5_048),
        ami_secret=keys["ami"],
        agi_port=_port(environment, "WAIHU_AGI_PORT", 4_583),
        sip_port=_port(environment, "WAIHU_SIP_PORT", 5_070),
        http_port=_port(environment, "WAIHU_WS_PORT", 8_098),
        rtp_ports=(rtp, rtp + _NODE_RTP_PORTS - 1),
        trunks=(trunk,),
    )


def _settings(environment: Mapping[str, str], keys: Mapping[str, str]) -> str:
    postgres_port = _port(environment, "WAIHU_POSTGRES_PORT", 5_442)
    redis_port = _port(environment, "WAIHU_REDIS_PORT", 6_389)
    return "\n".join(
        (
            "# Written by lab/compose.py.",
            f'database_url = "postgresql://waihu:{keys["postgres.password"]}@127.0.0.1:{postgres_port}/waihu"',
            f'redis_url = "redis://:{keys["redis.password"]}@127.0.0.1:{redis_port}/0"',
            f"ami_port = {_port(environment, 'WAIHU_AMI_PORT', 5_048)}",
            f'ami_secret = "{keys["ami"]}"',
            f"agi_port = {_port(environment, 'WAIHU_AGI_PORT', 4_583)}",
            f"web_port = {_port(environment, 'WAIHU_WEB_PORT', 8_080)}",
            f"control_port = {_port(environment, 'WAIHU_CONTROL_PORT', 8_091)}",
            f'control_token = "{keys["control"]}"',
            f'cdr_file = "{_RECORDS}"',
            "",
        )
    )


def _port(environment: Mapping[str, str], name: str, usual: int) -> int:
    return int(environment.get(name) or usual)


def _secret(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or not path.read_text(encoding="ascii").strip():
        _write(path, secrets.token_urlsafe(24))
    return path.read_text(encoding="ascii").strip()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    partial.replace(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
