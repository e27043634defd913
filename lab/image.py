"""The Asterisk image: one Dockerfile, built by Docker or by podman; `python -m lab.image` builds what is missing.

The Dockerfile begins at debian:forky-slim. Docker pulls it. Podman gets it, under the same name, from the distribution's own packages
(mmdebstrap), because a machine behind a package mirror often reaches no image registry; where that fails it pulls as well.
The name of the image carries a hash of what it is made from, so a stale one is never taken for the right one.

Runs with the system's Python before the virtual environment exists: standard library only.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab.container_runtime import CHECKOUT, Runtime, find_runtime
from lab.errors import ImageBuildFailed, ImageMissing, LabError

_CONTEXT = CHECKOUT / "docker"
_INGREDIENTS = ("Dockerfile", "with-hosts")
_CACHE = CHECKOUT / ".run" / "image"
_SUITE = "forky"
_BASE = "docker.io/library/debian:forky-slim"
_NEEDED_BYTES = 2_500_000_000
_OLDEST = (22, 8)
_BUILD_TIMEOUT_S = 1_800.0

Say = Callable[[str], None]


def image_name(runtime: Runtime) -> str:
    """Name of the image this checkout needs."""
    digest = hashlib.sha256()
    for name in _INGREDIENTS:
        digest.update((_CONTEXT / name).read_bytes() + b"\0")
    prefix = "" if runtime.kind == "docker" else "localhost/"
    return f"{prefix}waihu-asterisk:{digest.hexdigest()[:12]}"


def ensure_image() -> str:
    """Name of the image, which is there. Raises ImageMissing; building takes a minute and is `make image`."""
    runtime = find_runtime()
    name = image_name(runtime)
    if not _exists(runtime, name):
        raise ImageMissing(f"the image {name} is not built yet: run `make image`")
    return name


def build(say: Say) -> str:
    """Build the image unless it is there; safe to interrupt and to call twice at once. Raises ImageBuildFailed."""
    runtime = find_runtime()
    name = image_name(runtime)
    if _exists(runtime, name):
        return name
    _CACHE.mkdir(parents=True, exist_ok=True)
    with _alone(say):
        if _exists(runtime, name):
            return name
        _check_disk()
        if runtime.kind == "podman" and not _exists(runtime, _BASE):
            _make_base(runtime, say)
        say(f"image: installing Asterisk, softphones and SIPp with {runtime.kind} (about 40 s)")
        words = ["build", "--network", "host", "--tag", name, "--file", str(_CONTEXT / "Dockerfile"), str(_CONTEXT)]
        _logged(runtime.command(*words), runtime.environment(), "build")
        _check_version(runtime, name)
    return name


def _exists(runtime: Runtime, name: str) -> bool:
    return runtime.run("image", "inspect", "--format", "{{.Id}}", name).returncode == 0


def _make_base(runtime: Runtime, say: Say) -> None:
    problems = []
    if shutil.which("mmdebstrap"):
        say("image: assembling a Debian base system from packages (about 30 s)")
        try:
            _import_base(runtime)
        except ImageBuildFailed as problem:
            problems.append(str(problem))
        else:
            return
    say(f"image: pulling {_BASE}")
    try:
        _logged(runtime.command("pull", _BASE), runtime.environment(), "pull", timeout_s=300)
    except ImageBuildFailed as problem:
        problems.append(str(problem))
        raise ImageBuildFailed("\n".join(problems)) from None


def _import_base(runtime: Runtime) -> None:
    """A base system from packages straight into podman.

    The check of the release file's date is off in this base alone: mirrors that are kept for reproducible builds serve old release
    files, whose signature still counts.
    """
    argv = ["mmdebstrap", "--variant=minbase", '--aptopt=Acquire::Check-Valid-Until "false"', _SUITE, "-", *_mirror()]
    log = _CACHE / "base.log"
    with log.open("wb") as out:
        maker = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=out, env=_base_environment()
        )
        try:
            done = subprocess.run(
                runtime.command("import", "-", _BASE),
                env=runtime.environment(),
                stdin=maker.stdout,
                stdout=out,
                stderr=out,
                timeout=_BUILD_TIMEOUT_S,
                check=False,
            )
        finally:
            if maker.stdout:
                maker.stdout.close()
            made = _end(maker)
    if made or done.returncode:
        runtime.run("image", "rm", "--force", _BASE)  # whatever came through is not whole
        raise ImageBuildFailed(_explain("the base system could not be assembled", log))


def _end(maker: subprocess.Popen[bytes]) -> int:
    try:
        return maker.wait(timeout=60)
    except subprocess.TimeoutExpired:
        maker.kill()
        return maker.wait()


def _mirror() -> list[str]:
    """The package mirror of this machine where it is a Debian one; else none is named and mmdebstrap takes the official one."""
    named = os.environ.get("WAIHU_DEBIAN_MIRROR")
    if named:
        return [named]
    argv = [
        "apt-get",
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
        "Origin: Debian",
        "Label: Debian",
    ]
    try:
        listed = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return []
    uris = [line for line in listed.stdout.split() if re.match(r"https?://", line)]
    return uris[:1]


def _base_environment() -> dict[str, str]:
    # Root's temporary files stay in the checkout. Another user's cannot: they are made by a sub-user, who may not enter it.
    if os.geteuid() != 0:
        return dict(os.environ)
    temporary = _CACHE / "tmp"
    temporary.mkdir(exist_ok=True)
    return {**os.environ, "TMPDIR": str(temporary)}


def _check_disk() -> None:
    free = shutil.disk_usage(_CACHE).free
    if free < _NEEDED_BYTES:
        raise ImageBuildFailed(
            f"the disk of {CHECKOUT} has {free / 1e9:.1f} GB free and the image needs {_NEEDED_BYTES / 1e9:.1f} GB: make room there"
        )


def _check_version(runtime: Runtime, name: str) -> None:
    answer = runtime.run("run", "--rm", "--network", "host", name, "asterisk", "-V")
    found = re.search(r"Asterisk (\d+)\.(\d+)", answer.stdout)
    if found is None:
        raise ImageBuildFailed(f"the image was built, but Asterisk does not start in it: {answer.stderr.strip()}")
    if (int(found[1]), int(found[2])) < _OLDEST:
        runtime.run("image", "rm", "--force", name)
        raise ImageBuildFailed(
            f"the image holds Asterisk {found[1]}.{found[2]}; 22.8 or newer is needed, older ones damage recordings"
        )


def _logged(argv: Sequence[str], environment: dict[str, str], step: str, timeout_s: float = _BUILD_TIMEOUT_S) -> None:
    log = _CACHE / f"{step}.log"
    with log.open("wb") as out:
        try:
            done = subprocess.run(
                argv, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired:
            raise ImageBuildFailed(
                f"{argv[0]} {step} took longer than {timeout_s:g} s and was ended (log: {log})"
            ) from None
    if done.returncode:
        raise ImageBuildFailed(_explain(f"{argv[0]} {step} failed", log))


def _explain(what: str, log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace")
    reasons = {
        r"No space left on device": "the disk is full: make room where the checkout lies",
        r"Asterisk 22\.8 or newer is needed": "the distribution's Asterisk is too old: choose a mirror that has a newer one (WAIHU_DEBIAN_MIRROR)",
        r"Could not resolve|Temporary failure|Could not connect|Unable to connect|Connection timed out|Network is unreachable|no such host": (
            "the package mirror cannot be reached: check the network, or name another one in WAIHU_DEBIAN_MIRROR"
        ),
        r"NO_PUBKEY|not signed|invalid signature": "the mirror's signature is not known here: install a newer debian-archive-keyring",
        r"newuidmap|subuid|user namespace": "this user has no sub-users: add a line for it to /etc/subuid and /etc/subgid, or run as root",
    }
    because = next((reason for pattern, reason in reasons.items() if re.search(pattern, text)), "see its log")
    return f"{what}: {because}\n(log: {log}, ends with)\n" + "\n".join(text.strip().splitlines()[-8:])


@contextmanager
def _alone(say: Say) -> Iterator[None]:
    with (_CACHE / "lock").open("w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("image: another start builds it just now; waiting")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> int:
    started = time.monotonic()
    said = False

    def say(line: str) -> None:
        nonlocal said
        said = True
        print(line, flush=True)

    try:
        name = build(say)
    except LabError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    if said:
        print(f"image: {name} ready after {time.monotonic() - started:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
