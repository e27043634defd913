"""docs/operations.md says what is true: exit codes, checks, commands and error ids."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer

from dialer.cli.command import app
from dialer.cli.exits import Exit
from dialer.doctor import CHECKS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def commands() -> dict[str, Any]:
    """Every command with its full name."""

    def walk(command: Any, name: str) -> dict[str, Any]:
        found = {name: command}
        for child, sub in getattr(command, "commands", {}).items():
            found |= walk(sub, f"{name} {child}")
        return found

    return walk(typer.main.get_command(app), "waihu")


def test_every_exit_code_is_documented() -> None:
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, flags=re.MULTILINE)} == {int(code) for code in Exit}


def test_every_check_of_the_doctor_is_documented_and_nothing_else_is() -> None:
    table = PAGE.split("## Doctor")[1].split("## Logs")[0]
    rows = re.findall(r"^\| ((?:`[^`]+`(?:, )?)+) \|", table, flags=re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`([^`]+)`", row)} == set(CHECKS)


def test_every_command_on_the_page_exists() -> None:
    known = commands()
    named = set(re.findall(r"\bwaihu ((?:[a-z]+(?:-[a-z]+)*)(?: [a-z]+(?:-[a-z]+)*)?)", PAGE))
    unknown = {words for words in named if f"waihu {words}" not in known and f"waihu {words.split()[0]}" not in known}
    assert unknown - {"web"} == set()


def test_error_ids_of_the_command_line_are_documented() -> None:
    sources = [
        *(ROOT / "dialer" / "cli").glob("*.py"),
        *(ROOT / "dialer" / "main").glob("*.py"),
        ROOT / "dialer" / "settings.py",
    ]
    raised = {
        found
        for source in sources
        for found in re.findall(
            r"(?:BadRequest|Conflict|NotFound|NotAllowed|Unavailable)\(\s*\"([a-z_]+)\"",
            source.read_text(encoding="utf-8"),
        )
    }
    assert raised
    assert {one for one in raised if f"`{one}`" not in PAGE} == set()
