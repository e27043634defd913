"""However a run ends, and whatever still runs when a checkout is cleaned: nothing is left over."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import clean, reaper
from lab.waiting import wait_until

_CHECKOUT = Path(__file__).resolve().parents[2]
_RUN = """
import asyncio, pathlib, sys
from lab.process import ChildProcess
from lab.runner import enrol

async def main() -> None:
    directory = pathlib.Path(sys.argv[1])
    enrol(directory)
    child = ChildProcess(["sh", "-c", "trap '' INT; sleep 300 & wait"], directory / "service.log")
    await child.start()
    (directory / "pids").write_text(f"{child.pid}")
    await asyncio.sleep(300)

asyncio.run(main())
"""


@contextmanager
def _made(directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`make` in a checkout of its own, which runs a program that holds a service."""
    (directory / "run.py").write_text(_RUN, encoding="utf-8")
    settings = "\n".join(
        line
        for line in (_CHECKOUT / "Makefile").read_text(encoding="utf-8").splitlines()
        if "SHELL" in line.partition("=")[0]
    )
    makefile = f"{settings}\nrun:\n\t@{sys.executable} run.py $(if $(X),--once) {directory}\n"
    (directory / "Makefile").write_text(makefile, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(_CHECKOUT)}
    # A suite that was started in the background of a shell has Ctrl-C ignored, and so would its children.
    heeding = ["env", "--default-signal=INT", "make", "run"]
    made = subprocess.Popen(heeding, cwd=directory, env=environment, start_new_session=True)
    try:
        yield made
    finally:
        for pid in reaper.descendants(made.pid):
            reaper.kill_tree(pid)
        made.wait(timeout=10)


def _recorded(directory: Path) -> int:
    (record,) = directory.glob("runner-*.pid")
    return int(record.read_text().split()[0])


async def _family(directory: Path, made: subprocess.Popen[bytes]) -> list[int]:
    """The program that `make` runs, its service, and that one's child."""
    pids = directory / "pids"
    await wait_until(lambda: pids.exists() and pids.read_text(), timeout_s=20, what="the service")
    runner, service = _recorded(directory), int(pids.read_text())
    assert runner in reaper.descendants(made.pid)
    await wait_until(lambda: len(reaper.descendants(service)) == 2, timeout_s=10, what="the service's child")
    return [runner, *reaper.descendants(service)]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_a_make_that_is_ended_takes_everything_along(tmp_path: Path, number: signal.Signals) -> None:
    with _made(tmp_path) as made:
        family = await _family(tmp_path, made)
        if number is signal.SIGINT:
            os.killpg(made.pid, number)  # as a terminal sends it
        else:
            made.send_signal(number)
        await asyncio.to_thread(made.wait, 20)
        await wait_until(lambda: all(reaper.born(pid) is None for pid in family), timeout_s=20, what="end of all")


async def test_clean_ends_the_run_and_its_services_and_no_stranger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / ".run"
    demo = run / "demo"
    demo.mkdir(parents=True)
    stranger = subprocess.Popen(["sleep", "60"])  # noqa: ASYNC220  # started at once
    (run / "old.pid").write_text(f"{stranger.pid} 1\n", encoding="ascii")  # its number was another's before
    monkeypatch.setattr(clean, "_RUNNER_GRACE_S", 10.0)
    try:
        with _made(demo) as made:
            family = await _family(demo, made)
            await asyncio.to_thread(clean.stop_processes, run)
            await wait_until(lambda: all(reaper.born(pid) is None for pid in family), timeout_s=20, what="end of all")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait(timeout=10)


def test_a_test_run_that_is_told_to_end_stops_its_services(tmp_path: Path) -> None:
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "__init__.py").touch()
    for name in ("conftest.py", "databases.py"):
        (tests / name).write_text((_CHECKOUT / "tests" / name).read_text(encoding="utf-8"), "utf-8")
    source = """
        import os, pathlib, signal, time

        def test_it(redis):
            pathlib.Path("redis").write_text(f"{redis.pid}")
            runner, = pathlib.Path(".run/test").glob("runner-*.pid")
            os.kill(int(runner.read_text().split()[0]), signal.SIGTERM)
            time.sleep(60)
    """
    (tests / "test_it.py").write_text(textwrap.dedent(source), encoding="utf-8")
    words = ["-c", str(_CHECKOUT / "pyproject.toml"), "--rootdir", str(tmp_path), "-q", str(tests)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "KeyboardInterrupt" in done.stdout
    assert reaper.born(int((tmp_path / "redis").read_text())) is None
    assert not list(tmp_path.glob(".run/test/runner-*.pid"))
