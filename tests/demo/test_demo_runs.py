"""The demo itself, small: it dials its list to the end, the books agree, and it leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.containers import ensure_image
from lab.floor import run_directory
from lab.waiting import wait_until

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture
def name() -> Iterator[str]:
    """A demo of this test's own, beside any other."""
    ensure_image()
    chosen = f"demo-test-{os.getpid()}"
    yield chosen
    shutil.rmtree(run_directory(chosen), ignore_errors=True)
    (run_directory(chosen).parent / f"{chosen}.json").unlink(missing_ok=True)
    run_directory(chosen).rmdir()


def begin(name: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "lab.demo", "--name", name, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def left_over(name: str) -> list[str]:
    """Command lines of processes that speak of the demo's directory."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if name in line:
                found.append(line)
    return found


@pytest.mark.parametrize("mode", ["progressive", "predictive"])
def test_list_is_dialled_to_its_end_and_every_book_agrees(name: str, mode: str) -> None:
    demo = begin(name, "--once", "--mode", mode, "--people", "60", "--agents", "5", "--seed", "3", "--talk", "2")
    said, _ = demo.communicate(timeout=380)
    result = json.loads((run_directory(name).parent / f"{name}.json").read_text(encoding="utf-8"))
    assert demo.returncode == 0, said
    assert result["mismatches"] == []
    assert result["gates"]["do_not_call"] > 0
    assert result["gates"]["blind_region"] > 0
    assert len(result["caller_numbers"]) > 3
    assert result["script"]["complete"] + result["script"].get("screened_out", 0) >= result["dispositions"].get(
        "agreed", 0
    )
    assert result["shown_at_home"]["shown"] == result["shown_at_home"]["possible"] > 0
    assert result["attempts"] >= 60
    assert result["answered"] == result["carrier_answered"] == result["recordings"] + result["gone_before_a_sound"] > 0
    assert 0 < result["archive"]["recordings"] <= result["recordings"]
    assert result["archive"]["copies"] == 2 * result["archive"]["volumes"] == 2
    assert result["pauses"]["count"] == sum(result["pauses"]["ended_by"].values()) >= result["pauses"]["asked"]
    assert 0 < result["utilisation"] < 1
    assert 0.9 * result["bridged"] < sum(result["dispositions"].values()) <= result["bridged"]
    assert result["forecast"].keys() >= {"utilisation_percent", "abandoned_percent"}
    assert set(result) >= {
        "attempts", "answered", "bridged", "abandoned", "recordings", "agents", "outcomes", "carrier_cdr", "mismatches", "answer_to_bridge_ms", "agent_to_bridge_ms", "seconds",
    }  # fmt: skip
    assert result["answer_to_bridge_ms"].keys() == result["agent_to_bridge_ms"].keys() == {"p50", "p99"}
    assert result["agent_to_bridge_ms"]["p99"] <= result["answer_to_bridge_ms"]["p99"]
    assert left_over(name) == []


def test_a_run_of_minutes_leaves_the_rest_of_the_list_and_is_compared_with_its_forecast(name: str) -> None:
    demo = begin(name, "--minutes", "0.4", "--mode", "predictive", "--people", "400", "--agents", "5", "--talk", "2")
    said, _ = demo.communicate(timeout=380)
    result = json.loads((run_directory(name).parent / f"{name}.json").read_text(encoding="utf-8"))
    assert demo.returncode == 0, said
    assert result["mismatches"] == []
    assert 0 < result["attempts"] < 400
    assert 0 < result["utilisation"] < 1
    assert result["forecast"].keys() >= {"utilisation_percent", "abandoned_percent"}


async def test_interrupt_stops_everything_and_a_second_demo_is_told_of_the_first(name: str) -> None:
    demo = begin(name, "--people", "200", "--agents", "2")
    lock = run_directory(name) / "lock"
    await wait_until(lambda: lock.exists() and "API docs" in lock.read_text(), timeout_s=60, what="the first demo")
    second = await asyncio.to_thread(begin(name).communicate, timeout=60)
    assert "already runs in this checkout" in second[0]
    log = run_directory(name) / "waihu.log"
    await wait_until(lambda: log.exists() and "Waihu is ready" in log.read_text(), timeout_s=60, what="Waihu at work")
    demo.send_signal(signal.SIGINT)
    said, _ = await asyncio.to_thread(demo.communicate, timeout=90)
    assert demo.returncode == 0, said
    assert "stopped in" in said
    await wait_until(lambda: not left_over(name), timeout_s=20, what="the end of every process")


async def test_interrupt_in_the_middle_of_the_start_leaves_nothing(name: str) -> None:
    demo = begin(name, "--people", "50", "--agents", "2")
    lock = run_directory(name) / "lock"
    await wait_until(lambda: lock.exists() and "API docs" in lock.read_text(), timeout_s=60, what="the demo's start")
    demo.send_signal(signal.SIGINT)
    await asyncio.to_thread(demo.communicate, timeout=90)
    await wait_until(lambda: not left_over(name), timeout_s=20, what="the end of every process")
