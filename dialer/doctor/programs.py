"""Python and the packages it runs with."""

from __future__ import annotations

import importlib
import re
import sys
import warnings
from importlib import metadata

from dialer.doctor.finding import Finding, fault, ok, warning
from dialer.settings import Settings

LEAST_PYTHON = (3, 11)
# Distributions whose module has another name; the others are imported by their own.
_MODULES = {
    "argon2-cffi": "argon2",
    "audioop-lts": "audioop",
    "charset-normalizer": "charset_normalizer",
    "pillow": "PIL",
    "prometheus-client": "prometheus_client",
    "psycopg": "psycopg",
    "pydantic-settings": "pydantic_settings",
    "swagger-ui-bundle": "swagger_ui_bundle",
    "webrtcvad-wheels": "webrtcvad",
    "yoyo-migrations": "yoyo",
}


async def python_version(settings: Settings, *, version: tuple[int, int, int] = sys.version_info[:3]) -> list[Finding]:
    """Python is new enough."""
    del settings
    text = ".".join(map(str, version))
    if version[:2] < LEAST_PYTHON:
        return [
            fault("python", f"Python {text}", "Install Python 3.11 or newer and make the virtual environment anew.")
        ]
    return [ok("python", f"Python {text}")]


async def packages(settings: Settings, *, distribution: str = "waihu") -> list[Finding]:
    """Every package Waihu names is installed and can be imported (a wheel built for another machine cannot)."""
    del settings
    try:
        wanted = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        return [
            warning(
                "packages",
                f"{distribution} runs from its source, it is not installed",
                "Install it: pip install --require-hashes -r requirements.lock, then pip install .",
            )
        ]
    findings, found = [], []
    for requirement in wanted:
        name = re.split(r"[\s\[<>=!~;(]", requirement, maxsplit=1)[0]
        if re.search(r"python_version\s*>=\s*.3\.13", requirement) and sys.version_info < (3, 13):
            continue
        try:
            version = metadata.version(name)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of other people's modules, about other people's modules
                importlib.import_module(_MODULES.get(name, name.replace("-", "_")))
        except metadata.PackageNotFoundError:
            findings.append(
                fault(
                    "packages",
                    f"{name} is not installed",
                    "Install the locked set: pip install --require-hashes -r requirements.lock",
                )
            )
        except ImportError as error:
            findings.append(
                fault(
                    "packages",
                    f"{name} cannot be imported: {error}",
                    f"Install it again for this machine: pip install --force-reinstall {name}",
                )
            )
        else:
            found.append(f"{name} {version}")
    return findings or [
        ok(
            "packages",
            f"{len(found)} packages, among them {', '.join(item for item in found if item.split()[0] in {'aiohttp', 'asyncpg', 'av'})}",
        )
    ]
