"""Children of the lab: each in a process group of its own, its output in a file, and never left over."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from lab import reaper
from lab.errors import ProgramMissing, ServiceFailed
from lab.waiting import wait_until

_LOG_TAIL_BYTES = 2_000


class Watch:
    """The line to this process's reaper (lab/reaper.py), started with the first child."""

    _reapers: ClassVar[dict[int, subprocess.Popen[bytes]]] = {}

    @classmethod
    def over_process(cls, pid: int, stop_signal: signal.Signals) -> None:
        cls._tell({"watch": pid, "born": reaper.born(pid) or 0, "signal": int(stop_signal)})

    @classmethod
    def over_command(cls, key: str, argv: Sequence[str], env: Mapping[str, str]) -> None:
        """Run `argv` with `env` added when this process is gone, unless `key` was forgotten before."""
        cls._tell({"undo": key, "argv": list(argv), "env": dict(env)})

    @classmethod
    def forget(cls, key: int | str) -> None:
        cls._tell({"forget": key})

    @classmethod
    def _tell(cls, entry: Mapping[str, object]) -> None:
        own_reaper = cls._reapers.get(os.getpid())
        if own_reaper is None or own_reaper.poll() is not None:
            cls._reapers.clear()  # after a fork the parent's reaper is not ours
            own_reaper = subprocess.Popen(
                [sys.executable, "-I", "-S", reaper.__file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
            )
            cls._reapers[os.getpid()] = own_reaper
            atexit.register(cls._close, own_reaper)
        assert own_reaper.stdin is not None  # noqa: S101  # it was opened with a pipe
        own_reaper.stdin.write(json.dumps(entry).encode() + b"\n")
        own_reaper.stdin.flush()

    @classmethod
    def _close(cls, own_reaper: subprocess.Popen[bytes]) -> None:
        if cls._reapers.get(os.getpid()) is own_reaper and own_reaper.stdin is not None:
            with contextlib.suppress(OSError):
                own_reaper.stdin.close()
            own_reaper.wait(timeout=60)


class ChildProcess:
    """A program with its own process group and log; it can be started again after it was stopped or killed.

    Bound to no event loop: started in one (a session fixture), it can be stopped in another.
    """

    def __init__(
        self,
        argv: Sequence[str | os.PathLike[str]],
        log_path: Path,
        env: Mapping[str, str] | None = None,
        *,
        cwd: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        """`env` is added to the environment of this process. `stop_signal` is what an orderly stop sends."""
        self.argv = [os.fspath(word) for word in argv]
        self.log_path = log_path
        self._env = dict(env or {})
        self._cwd = cwd
        self._stop_signal = stop_signal
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        return self.log_path.stem

    @property
    def pid(self) -> int:
        """Process id of the running child, or of the last one."""
        if self._popen is None:
            raise ServiceFailed(f"{self.name} was not started")
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen is not None and self.returncode is None

    @property
    def returncode(self) -> int | None:
        """Exit code (negative: signal) once it has ended; None before."""
        if self._popen is None:
            return None
        code = self._popen.poll()
        if code is not None:
            self._ended(self._popen.pid)
        return code

    async def start(self) -> None:
        """Begin to run. Raises ProgramMissing when the program is not there; readiness is the owner's to find out."""
        if self.running:
            return
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            try:
                self._popen = subprocess.Popen(  # noqa: ASYNC220  # asyncio's would belong to this loop
                    self.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **self._env},
                    cwd=self._cwd,
                    start_new_session=True,
                )
            except FileNotFoundError:
                raise ProgramMissing(f"{self.argv[0]} is not installed: run `make setup`") from None
        Watch.over_process(self._popen.pid, self._stop_signal)
        self._pid_path.write_text(f"{self._popen.pid} {reaper.born(self._popen.pid) or 0}\n", encoding="ascii")

    async def stop(self, timeout_s: float = 10.0) -> None:
        """Ask it to end; kill it when it has not within timeout_s. Harmless when it does not run."""
        if self._popen is None or not self.running:
            return
        members = reaper.family(self._popen.pid)
        self._popen.send_signal(self._stop_signal)
        try:
            await self.wait_ended(timeout_s)
        except Exception:
            self.kill()
            raise
        finally:
            reaper.end_family(members)

    def kill(self) -> None:
        """SIGKILL to the whole process group and to children that left it; back when the child is dead."""
        if self._popen is None or not self.running:
            return
        reaper.kill_tree(self._popen.pid)
        self._popen.wait(timeout=10)
        self._ended(self._popen.pid)

    def send_signal(self, number: signal.Signals) -> None:
        """To the process alone: SIGSTOP and SIGCONT for a stall, SIGHUP for a reload."""
        if self._popen is not None and self.running:
            self._popen.send_signal(number)

    async def wait_ended(self, timeout_s: float) -> int:
        """Exit code, once it has ended by itself or been told to. Raises NotReady."""
        await wait_until(
            lambda: not self.running, timeout_s=timeout_s, what=f"end of {self.name} (log: {self.log_path})"
        )
        return self.returncode or 0

    def raise_if_ended(self) -> None:
        """For loops that wait for readiness: a child that is gone will not become ready."""
        if self._popen is not None and not self.running:
            raise ServiceFailed(
                f"{self.name} ended with code {self.returncode}; the end of {self.log_path}:\n{self.log_tail()}"
            )

    def log_tail(self) -> str:
        """The last lines of what it wrote."""
        if not self.log_path.exists():
            return ""
        return self.log_path.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")

    @property
    def _pid_path(self) -> Path:
        return self.log_path.with_suffix(".pid")

    def _ended(self, pid: int) -> None:
        if self._pid_path.exists():
            self._pid_path.unlink(missing_ok=True)
            Watch.forget(pid)
