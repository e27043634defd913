"""Containers of the lab on the machine's own network: started, killed and started again like any other child process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab import reaper
from lab.container_runtime import CHECKOUT_LABEL, Runtime, find_runtime
from lab.errors import ServiceFailed
from lab.image import ensure_image
from lab.process import ChildProcess, Watch
from lab.waiting import wait_until

__all__ = ["Container", "ensure_image"]

_START_TIMEOUT_S = 60.0


class Container:
    """One command in one image. `name` is only the beginning of the container's name: every start gets a new one.

    Output goes to log_path. The container ends with the process that started it, even when that is killed.
    """

    def __init__(
        self,
        name: str,
        image: str,
        command: Sequence[str],
        mounts: Mapping[Path, str],
        log_path: Path,
        *,
        env: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
    ) -> None:
        """`mounts`: path on the host → path in the container, ":ro" behind it for reading only. `options`: further words for `run`."""
        self.base_name = name
        self.image = image
        self.command = list(command)
        self.mounts = dict(mounts)
        self.log_path = log_path
        self._env = dict(env or {})
        self._options = list(options)
        self._runtime: Runtime = find_runtime()
        self._name = ""
        self._pid = 0
        self._born = 0
        self._follower: ChildProcess | None = None

    @property
    def name(self) -> str:
        """Name of the running container, or of the last one; empty before the first start."""
        return self._name

    @property
    def pid(self) -> int:
        """Process id, on the host, of the container's main process."""
        if not self._pid:
            raise ServiceFailed(f"{self.base_name} was not started")
        return self._pid

    @property
    def running(self) -> bool:
        return self._pid != 0 and reaper.born(self._pid) == self._born

    async def start(self) -> None:
        """Start; back when the main process runs. What it serves may not be ready: that is the owner's to find out."""
        if self.running:
            return
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        self._name = f"{self.base_name}-{secrets.token_hex(4)}"
        key = f"container {self._name}"
        Watch.over_command(key, self._runtime.command("rm", "--force", self._name), self._runtime.env)
        done = await self._call(*self._run_words(), timeout_s=_START_TIMEOUT_S)
        if done.returncode:
            Watch.forget(key)
            raise ServiceFailed(f"the container {self._name} did not start: {done.stderr.strip()}")
        inspected = await self._call("inspect", "--format", "{{.State.Pid}}", self._name)
        self._pid = int(inspected.stdout.strip() or 0) if inspected.returncode == 0 else 0
        born = reaper.born(self._pid) if self._pid else None
        if born is None:
            raise ServiceFailed(f"{self._name} ended at once; the end of {self.log_path}:\n{self.log_tail()}")
        self._born = born
        await self._follow()

    async def stop(self, timeout_s: float = 10.0) -> None:
        """SIGTERM to the main process, SIGKILL after timeout_s; the container is removed. Harmless when it does not run."""
        if self.running:
            self._send(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self.wait_ended(timeout_s + 1)
        await self.remove()

    def kill(self) -> None:
        """SIGKILL to the main process; with it everything in the container dies. Back at once: `wait_ended` waits for the end."""
        if self.running:
            self._send(signal.SIGKILL)

    async def remove(self) -> None:
        """Make sure nothing is left of the container, running or not."""
        if not self._name:
            return
        await self._call("rm", "--force", self._name)
        Watch.forget(f"container {self._name}")
        if self._follower:
            await self._follower.stop()

    async def wait_ended(self, timeout_s: float) -> None:
        await wait_until(lambda: not self.running, timeout_s=timeout_s, what=f"end of the container {self._name}")

    async def exec(self, argv: Sequence[str], timeout_s: float = 30.0) -> subprocess.CompletedProcess[str]:
        """Run a command inside to its end; its exit code is for the caller to look at."""
        return await self._call("exec", self._name, *argv, timeout_s=timeout_s)

    def send_signal(self, number: signal.Signals) -> None:
        """To the main process alone: SIGSTOP and SIGCONT for a stall."""
        if self.running:
            self._send(number)

    def raise_if_ended(self) -> None:
        """For loops that wait for readiness: a container that is gone will not become ready."""
        if self._name and not self.running:
            raise ServiceFailed(f"{self._name} has ended; the end of {self.log_path}:\n{self.log_tail()}")

    def log_tail(self) -> str:
        if not self.log_path.exists():
            return ""
        return self.log_path.read_bytes()[-2_000:].decode(errors="replace")

    def _run_words(self) -> list[str]:
        words = ["run", "--detach", "--rm", "--pull", "never", "--name", self._name, "--label", CHECKOUT_LABEL]
        words += ["--network", "host", "--stop-timeout", "1"]
        if self._runtime.kind == "podman":
            words += ["--log-driver", "k8s-file", "--log-opt", f"path={self.log_path}"]
        for host_path, inside in self.mounts.items():
            words += ["--volume", f"{host_path}:{inside}"]
        for key, value in self._env.items():
            words += ["--env", f"{key}={value}"]
        return [*words, *self._options, self.image, *self.command]

    async def _follow(self) -> None:
        # Docker keeps the output to itself; a second process copies it to where podman writes it by itself.
        if self._runtime.kind == "docker":
            self._follower = ChildProcess(self._runtime.command("logs", "--follow", self._name), self.log_path)
            await self._follower.start()

    def _send(self, number: signal.Signals) -> None:
        try:
            os.kill(self._pid, number)
        except ProcessLookupError:
            return
        except PermissionError:  # a daemon's container belongs to another user
            self._runtime.run("kill", "--signal", number.name, self._name)

    async def _call(self, *words: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        argv = self._runtime.command(*words)
        child = await asyncio.create_subprocess_exec(
            *argv,
            env=self._runtime.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(timeout_s):
                printed, complaints = await child.communicate()
        except BaseException:
            child.kill()
            await child.wait()
            raise
        code = child.returncode if child.returncode is not None else -1
        return subprocess.CompletedProcess(
            argv, code, printed.decode(errors="replace"), complaints.decode(errors="replace")
        )
