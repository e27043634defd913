"""A terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dialer.cli.command import run
from tests.cli.terminal import PASSWORD, Waihu


@pytest.fixture
def waihu(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Waihu:
    """Runs a command line; gives its exit code and its answer (JSON, or standard error when there is none)."""
    monkeypatch.setenv("WAIHU_DATABASE_URL", database_url)
    monkeypatch.setenv("WAIHU_REDIS_URL", "")
    monkeypatch.setenv("WAIHU_WORK_DIR", str(tmp_path / "work"))
    monkeypatch.setenv("WAIHU_RECORDING_KEYS", str(tmp_path / "recording.keys"))
    monkeypatch.setenv("WAIHU_ARCHIVE_KEYS", str(tmp_path / "archive.keys"))
    monkeypatch.setenv("WAIHU_STORE_DIR", str(tmp_path / "store"))
    monkeypatch.setenv("WAIHU_NEW_PASSWORD", PASSWORD)

    def call(*argv: str) -> tuple[int, Any]:
        capfd.readouterr()
        code = run(["--json", *argv], lambda parts: 40 + len(parts))
        out, err = capfd.readouterr()
        return code, json.loads(out) if out.strip() else err

    return call
