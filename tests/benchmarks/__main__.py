"""Runs the benchmarks one after another, each in a process of its own, and sums up what they measured.

    python -m tests.benchmarks [name, or the beginning of one ...]

A benchmark is a module bench_*.py with `main()`, which prints for each figure a line of five columns, with two spaces or more, or a bar, between them:

    name  figure  bound  ratio  ok or MISSED

Other lines are shown as they come. The exit code is 1 when a figure missed its bound or a benchmark failed.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

_HERE = Path(__file__).parent
_TIMEOUT_S = 1_200
_BETWEEN = r"(?:\s*\|\s*|\s{2,})"
_LINE = re.compile(rf"^\s*(\S.*?){_BETWEEN}(\S.*?){_BETWEEN}(\S.*?){_BETWEEN}(\S.*?){_BETWEEN}(ok|MISSED)\s*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    name: str
    figure: str
    bound: str
    ratio: str
    verdict: str


def read_figure(line: str) -> Figure | None:
    """The figure that a line of a benchmark states, or None for other text."""
    found = _LINE.match(line)
    if not found:
        return None
    name, figure, bound, ratio, verdict = found.groups()
    return Figure(name=name, figure=figure, bound=bound, ratio=ratio, verdict=verdict)


def run(module: str) -> list[Figure]:
    """Run one benchmark to its end, showing what it prints."""
    figures = []
    script = f"import importlib; importlib.import_module({module!r}).main()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL
    ) as child:
        for line in child.stdout or ():
            figure = read_figure(line)
            if figure:
                figures.append(figure)
            print(line, end="", flush=True)
        code = child.wait(timeout=_TIMEOUT_S)
    if code or not figures:
        why = f"ended with code {code}" if code else "printed no figure"
        figures.append(Figure(name=module.rpartition(".")[2], figure=why, bound="-", ratio="-", verdict="MISSED"))
    return figures


def main(words: list[str]) -> int:
    modules = [
        path.stem
        for path in sorted(_HERE.glob("bench_*.py"))
        if not words or any(path.stem.startswith(f"bench_{word}") for word in words)
    ]
    if not modules:
        print(f"no benchmark is called like {' or '.join(words)}")
        return 2
    figures = []
    for module in modules:
        print(f"--- {module}", flush=True)
        figures += run(f"tests.benchmarks.{module}")
    table = Table(title="Benchmarks")
    for column in ("name", "figure", "bound", "ratio", "verdict"):
        table.add_column(column, overflow="fold")
    for figure in figures:
        style = "bold red" if figure.verdict == "MISSED" else None
        table.add_row(figure.name, figure.figure, figure.bound, figure.ratio, figure.verdict, style=style)
    Console(width=None if sys.stdout.isatty() else 140).print(table)
    return int(any(figure.verdict == "MISSED" for figure in figures))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
