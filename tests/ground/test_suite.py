"""How the suite itself runs."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

_CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_a_serial_test_runs_while_no_other_worker_runs_one(tmp_path: Path) -> None:
    source = textwrap.dedent("""
        import pathlib, time, pytest
        busy = pathlib.Path(__file__).parent / "busy"

        @pytest.mark.parametrize("n", range(8))
        def test_usual(n):
            mark = busy.with_name(f"busy-{n}")
            mark.touch()
            time.sleep(0.05)
            mark.unlink()

        @pytest.mark.serial
        @pytest.mark.parametrize("n", range(2))
        def test_alone(n):
            for _ in range(10):
                assert not list(busy.parent.glob("busy-*"))
                time.sleep(0.01)
    """)
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "__init__.py").touch()
    (tests / "test_it.py").write_text(source, encoding="utf-8")
    for name in ("conftest.py", "databases.py"):  # and what that one imports
        (tests / name).write_text((_CHECKOUT / "tests" / name).read_text(encoding="utf-8"), encoding="utf-8")
    words = [
        "-c",
        str(_CHECKOUT / "pyproject.toml"),
        "--rootdir",
        str(tmp_path),
        "-n",
        "3",
        "--dist",
        "load",
        str(tests),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *words],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=tmp_path,
    )
    assert "10 passed" in done.stdout, done.stdout


@pytest.mark.slow
def test_what_needs_services_is_marked_by_what_it_asks_for(request: pytest.FixtureRequest) -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "not services and not system", "tests/ground"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=_CHECKOUT,
    ).stdout
    assert "test_this_one_asks_for_postgres" not in listed
    assert "test_what_needs_services_is_marked" in listed


def test_this_one_asks_for_postgres(database_url: str) -> None:
    assert database_url.startswith("postgresql://")
