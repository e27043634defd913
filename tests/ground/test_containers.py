"""Containers of the lab: started, killed, started again, and gone with the process that wanted them."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lab import reaper
from lab.containers import Container, ensure_image
from lab.errors import ServiceFailed
from lab.waiting import wait_until

pytestmark = pytest.mark.system


@pytest.fixture
async def container(tmp_path: Path) -> AsyncIterator[Container]:
    shared = tmp_path / "shared"
    shared.mkdir()
    command = ["sh", "-c", "echo begun; trap 'echo bye; exit 0' TERM; while :; do sleep 0.1; done"]
    box = Container(
        "waihu-test", ensure_image(), command, {shared: "/shared"}, tmp_path / "box.log", env={"COLOUR": "blue"}
    )
    await box.start()
    yield box
    await box.stop()


async def test_the_image_holds_asterisk_22_8_or_newer(container: Container) -> None:
    answer = await container.exec(["asterisk", "-V"])
    found = re.search(r"Asterisk (\d+)\.(\d+)", answer.stdout)
    assert found
    assert (int(found[1]), int(found[2])) >= (22, 8)


@pytest.mark.parametrize("program", ["baresip", "sipp", "with-hosts"])
async def test_the_image_holds_what_the_lab_plays_with(container: Container, program: str) -> None:
    assert (await container.exec(["which", program])).returncode == 0


async def test_the_names_asterisk_asks_for_are_answered_without_a_name_server(container: Container) -> None:
    own = (await container.exec(["cat", "/proc/sys/kernel/hostname"])).stdout.strip()
    for name in (own, "a.root-servers.net"):
        hosts = (await container.exec(["cat", "/etc/hosts"])).stdout
        assert re.search(rf"^[^#\n]+\s{re.escape(name)}(\s|$)", hosts, re.MULTILINE), hosts


async def test_mounts_environment_and_output_reach_the_host(container: Container, tmp_path: Path) -> None:
    await container.exec(["sh", "-c", 'echo "$COLOUR" >/shared/colour'])
    assert (tmp_path / "shared" / "colour").read_text() == "blue\n"
    await wait_until(lambda: "begun" in container.log_tail(), timeout_s=10, what="the first line of output")


async def test_a_stop_lets_the_program_say_goodbye(container: Container) -> None:
    await container.stop()
    assert not container.running
    assert "bye" in container.log_tail()


async def test_a_killed_container_starts_again_at_once(container: Container) -> None:
    first = container.pid
    container.kill()
    await container.wait_ended(10)
    await container.start()
    assert container.pid != first
    assert (await container.exec(["true"])).returncode == 0
    assert "bye" not in container.log_tail()


async def test_a_container_whose_command_fails_says_why(tmp_path: Path) -> None:
    box = Container("waihu-test", ensure_image(), ["no-such-program"], {}, tmp_path / "box.log")
    with pytest.raises(ServiceFailed, match="no-such-program"):
        await _start_and_wait_for_the_end(box)


async def test_a_container_ends_when_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import asyncio, os, pathlib
        from lab.containers import Container, ensure_image
        async def main():
            box = Container("waihu-test", ensure_image(), ["sleep", "60"], {{}}, pathlib.Path({str(tmp_path)!r}) / "box.log")
            await box.start()
            print(box.pid, flush=True)
            os.kill(os.getpid(), {int(signal.SIGKILL)})
        asyncio.run(main())
    """)
    starter = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=subprocess.PIPE)
    printed, _ = await starter.communicate()
    pid = int(printed)
    assert starter.returncode == -signal.SIGKILL
    await wait_until(lambda: reaper.born(pid) is None, timeout_s=20, what="end of the orphaned container")


async def _start_and_wait_for_the_end(box: Container) -> None:
    await box.start()
    await box.wait_ended(10)
    box.raise_if_ended()
