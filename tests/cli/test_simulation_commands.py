"""Simulations from the command line: modes and crews compared, drawn, said in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from dialer.cli.command import run
from dialer.cli.exits import Exit
from tests.cli.terminal import Waihu


def test_simulation_compares_the_modes_and_says_how_long_the_data_lasts(waihu: Waihu) -> None:
    code, rows = waihu("simulate", "--agents", "5", "--hours", "0.5", "--days", "2", "--leads", "400")
    assert code == Exit.OK
    by_mode = {row["mode"]: row for row in rows}
    assert by_mode.keys() == {"progressive", "ratio", "predictive"}
    assert by_mode["progressive"]["abandoned_percent"]["mean"] == 0
    assert by_mode["ratio"]["utilisation_percent"]["mean"] > by_mode["progressive"]["utilisation_percent"]["mean"]
    assert by_mode["ratio"]["data_lasts_h"]["mean"] < by_mode["progressive"]["data_lasts_h"]["mean"]


def test_simulation_compares_crews(waihu: Waihu) -> None:
    crews = ["--agents", "4", "--agents", "8", "--mode", "progressive"]
    code, rows = waihu("simulate", *crews, "--hours", "0.5", "--days", "2", "--leads", "400")
    assert code == Exit.OK
    assert [(row["mode"], row["agents"]) for row in rows] == [("progressive", 4), ("progressive", 8)]
    assert rows[1]["data_lasts_h"]["mean"] < 0.7 * rows[0]["data_lasts_h"]["mean"]


def test_simulation_is_drawn_and_said_in_a_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    picture, curve = tmp_path / "modes.svg", tmp_path / "day.svg"
    short = ["simulate", "--agents", "5", "--hours", "0.5", "--days", "2", "--mode", "ratio"]
    assert run([*short, "--picture", str(picture), "--curve", str(curve)], lambda _parts: 0) == Exit.OK
    said = capfd.readouterr().out
    assert "With 5 agents: talk " in said
    assert "busy, 0 to 100 %" in said
    assert "ratio" in picture.read_text(encoding="utf-8")
    assert "a mean day" in curve.read_text(encoding="utf-8")
    dots = tmp_path / "modes.png"
    assert run([*short, "--picture", str(dots)], lambda _parts: 0) == Exit.OK
    assert dots.read_bytes().startswith(b"\x89PNG")
    assert run([*short, "--picture", str(tmp_path / "modes.bmp")], lambda _parts: 0) == Exit.USAGE
    assert "picture_invalid" in capfd.readouterr().err


def test_simulation_of_a_project_without_history_says_what_to_do(waihu: Waihu) -> None:
    assert waihu("project", "create", "Autumn")[0] == Exit.OK
    code, said = waihu("simulate", "--project", "Autumn")
    assert code == Exit.REFUSED
    assert said.startswith("too_little_history:")
    assert "--history-days" in said
