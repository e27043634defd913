"""The benchmark runner reads figures and does not let a miss pass."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.benchmarks import __main__ as runner


@pytest.mark.parametrize(
    "line",
    [
        "AMI core, events/s  123,456  >= 100,000  1.23  ok\n",
        "AMI core, events/s | 123,456 | >= 100,000 | 1.23 | ok\n",
        "  AMI core, events/s   123,456   >= 100,000   1.23   ok",
    ],
)
def test_a_figure_is_read_from_either_kind_of_line(line: str) -> None:
    figure = runner.read_figure(line)
    assert figure == runner.Figure(
        name="AMI core, events/s", figure="123,456", bound=">= 100,000", ratio="1.23", verdict="ok"
    )


@pytest.mark.parametrize("line", ["round 1 of 5", "name | figure | bound | ratio | ok/MISSED", "all is ok", ""])
def test_other_text_is_no_figure(line: str) -> None:
    assert runner.read_figure(line) is None


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("def main(): print('speed  3  >= 2  1.5  ok')", 0),
        ("def main(): print('speed  1  >= 2  0.5  MISSED')", 1),
        ("def main(): print('nothing measured')", 1),
        ("def main(): print('speed  3  >= 2  1.5  ok'); raise SystemExit(3)", 1),
    ],
)
def test_a_miss_a_failure_and_silence_end_with_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], body: str, code: int
) -> None:
    package = tmp_path / "tests" / "benchmarks"
    package.mkdir(parents=True)
    for directory in (package, package.parent):
        (directory / "__init__.py").touch()
    (package / "bench_it.py").write_text(body, encoding="utf-8")
    monkeypatch.setattr(runner, "_HERE", package)
    monkeypatch.chdir(tmp_path)
    assert runner.main([]) == code
    assert "bench_it" in capsys.readouterr().out


@pytest.mark.parametrize("path", sorted(Path(runner.__file__).parent.glob("bench_*.py")), ids=lambda path: path.stem)
def test_every_benchmark_has_what_the_runner_calls(path: Path) -> None:
    functions = {node.name for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.FunctionDef)}
    assert "main" in functions


def test_a_name_takes_what_begins_so_and_not_what_has_it_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("bench_ami.py", "bench_ami_more.py", "bench_streaming.py"):
        (tmp_path / name).touch()
    ran: list[str] = []
    monkeypatch.setattr(runner, "_HERE", tmp_path)

    def run(module: str) -> list[runner.Figure]:
        ran.append(module.rpartition(".")[2])
        return []

    monkeypatch.setattr(runner, "run", run)
    assert runner.main(["ami"]) == 0
    assert ran == ["bench_ami", "bench_ami_more"]


def test_a_name_that_fits_no_benchmark_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main(["no such thing"]) == 2
    assert "no such thing" in capsys.readouterr().out
