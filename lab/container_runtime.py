"""Which program runs our containers here: Docker where its daemon answers, else podman with everything it keeps inside the checkout."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab.errors import RuntimeMissing

CHECKOUT = Path(__file__).resolve().parents[1]
# Ours among the containers of a Docker daemon that everyone shares.
CHECKOUT_LABEL = f"waihu.checkout={CHECKOUT}"
RUNTIME_VARIABLE = "WAIHU_CONTAINER_RUNTIME"
_ASK_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """`argv` stands before every sub-command, `env` is added to the environment. `kind` is "docker" or "podman"."""

    kind: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)

    def command(self, *words: str) -> list[str]:
        return [*self.argv, *words]

    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.env}

    def run(self, *words: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a sub-command to its end; its exit code is for the caller to look at."""
        return subprocess.run(
            self.command(*words),
            env=self.environment(),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            stdin=subprocess.DEVNULL,
        )


@functools.cache
def find_runtime() -> Runtime:
    """Raises RuntimeMissing. The variable WAIHU_CONTAINER_RUNTIME (docker or podman) overrules the search."""
    wanted = os.environ.get(RUNTIME_VARIABLE, "")
    if wanted not in {"", "docker", "podman"}:
        raise RuntimeMissing(f"{RUNTIME_VARIABLE} is {wanted!r}: set it to docker or podman, or leave it out")
    if wanted != "podman" and docker_answers():
        return Runtime(kind="docker", argv=("docker",))
    if wanted == "docker":
        raise RuntimeMissing("the Docker daemon does not answer: start it, or add yourself to its group")
    if shutil.which("podman") is None:
        raise RuntimeMissing("no Docker daemon answers and podman is not installed: run `make setup`, or start Docker")
    return _podman(CHECKOUT / ".run" / "containers")


def docker_answers() -> bool:
    """Whether a real daemon is behind the command `docker` (podman's stand-in of that name does not count)."""
    if shutil.which("docker") is None:
        return False
    try:
        answer = Runtime(kind="docker", argv=("docker",)).run(
            "info", "--format", "{{.ServerVersion}}", timeout_s=_ASK_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and answer.stdout.strip() != ""


def _podman(home: Path) -> Runtime:
    """Podman with its storage, state, settings and temporary files under `home`; knows nothing of the user's own containers."""
    home.mkdir(parents=True, exist_ok=True)
    _forget_last_boot(home)
    settings = home / "containers.conf"
    text = "\n".join(_settings())
    if not settings.exists() or settings.read_text(encoding="utf-8") != text:
        _replace(settings, text)
    (home / "tmp").mkdir(exist_ok=True)
    env = {"CONTAINERS_CONF": str(settings), "TMPDIR": str(home / "tmp")}
    return Runtime(kind="podman", argv=("podman", *_places(home), *_driver(home, env)), env=env)


def _places(home: Path) -> tuple[str, ...]:
    return ("--root", str(home / "root"), "--runroot", str(home / "run"), "--tmpdir", str(home / "state"))


def _driver(home: Path, env: Mapping[str, str]) -> tuple[str, ...]:
    """Left to itself, podman takes for an ordinary user a driver that copies the whole image for each container, where it need not.

    Asked once for a storage: what was made with one driver is of no use to another.
    """
    if os.geteuid() == 0:
        return ()
    marker = home / "driver"
    overlay = ("--storage-driver", "overlay")
    if not marker.exists():
        works = False
        if not (home / "root").exists():
            probe = home / f"probe.{os.getpid()}"
            asked = Runtime(kind="podman", argv=("podman", *_places(probe), *overlay), env=env)
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                works = asked.run("info").returncode == 0
            end_pause(probe)
            shutil.rmtree(probe, ignore_errors=True)
        _replace(marker, "overlay" if works else "podman's own choice")
    return overlay if marker.read_text(encoding="utf-8") == "overlay" else ()


def end_pause(home: Path) -> None:
    """End the process with which podman keeps an ordinary user's namespaces, once nothing runs in them any more."""
    with contextlib.suppress(OSError, ValueError):
        pid = int((home / "state" / "pause.pid").read_text(encoding="ascii"))
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        if any(
            one.startswith(b"TMPDIR=") and Path(os.fsdecode(one[7:])).parent in {home, home.parent} for one in variables
        ):
            os.kill(pid, signal.SIGKILL)


def _settings() -> Sequence[str]:
    # crun fails where both generations of control groups are mounted; runc takes either.
    runtime = "runc" if shutil.which("runc") else "crun"
    return (
        "# Written by lab/container_runtime.py.",
        "[containers]",
        'netns = "host"',
        'default_ulimits = ["nofile=8192:16384", "nproc=4096:8192"]',
        "[engine]",
        f'runtime = "{runtime}"',
        'cgroup_manager = "cgroupfs"',  # systemd does not run everywhere
        'events_logger = "file"',
        "",
    )


def _forget_last_boot(home: Path) -> None:
    # Podman keeps what runs in a directory that a boot is expected to empty; ours outlives it.
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    marker = home / "boot_id"
    if marker.exists() and marker.read_text(encoding="ascii") == boot:
        return
    for name in ("run", "state"):
        shutil.rmtree(home / name, ignore_errors=True)
    _replace(marker, boot)


def _replace(path: Path, text: str) -> None:
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
