"""The Asterisk image: its version gate, what it says when it cannot be built, and that a stale one is not used."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from lab import container_runtime, image
from lab.container_runtime import Runtime, find_runtime
from lab.errors import ImageBuildFailed, ImageMissing, RuntimeMissing

_CHECKOUT = Path(__file__).resolve().parents[2]


def a_runtime(directory: Path, script: str) -> Runtime:
    """A stand-in for podman; every call is noted in `calls`."""
    program = directory / "podman"
    program.write_text(f'#!/bin/sh\necho "$@" >>{directory}/calls\n{script}\n', encoding="utf-8")
    program.chmod(0o755)
    return Runtime(kind="podman", argv=(str(program),))


@pytest.mark.parametrize("version", ["22.7.1~dfsg+~cs6.15-1", "21.9.0", "20.15.2", "22.0"])
def test_an_asterisk_that_damages_recordings_is_refused(tmp_path: Path, version: str) -> None:
    runtime = a_runtime(tmp_path, f'case "$1" in run) echo "Asterisk {version}";; esac')
    with pytest.raises(ImageBuildFailed, match=r"22\.8 or newer is needed"):
        image._check_version(runtime, "some-image")
    assert "image rm --force some-image" in (tmp_path / "calls").read_text()
    assert _dockerfile_gate(version).returncode == 1
    assert "22.8 or newer is needed" in _dockerfile_gate(version).stdout


@pytest.mark.parametrize("version", ["22.8.0~dfsg", "22.10.1", "23.0.0", "100.1"])
def test_a_recent_asterisk_passes(tmp_path: Path, version: str) -> None:
    image._check_version(a_runtime(tmp_path, f'echo "Asterisk {version}"'), "some-image")
    assert _dockerfile_gate(version).returncode == 0


@pytest.mark.parametrize(
    ("what_the_log_says", "expected"),
    [
        ("E: Could not connect to mirror.example:80", "WAIHU_DEBIAN_MIRROR"),
        ("write /var/lib/x: No space left on device", "disk is full"),
        ("W: GPG error: NO_PUBKEY 6ED0E7B82643E131", "debian-archive-keyring"),
        ("Asterisk 22.8 or newer is needed, the distribution gave 20.6", "too old"),
        ("newuidmap: write to uid_map failed", "/etc/subuid"),
    ],
)
def test_a_failed_build_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what_the_log_says: str, expected: str
) -> None:
    monkeypatch.setattr(image, "_CACHE", tmp_path)
    with pytest.raises(ImageBuildFailed, match=re.escape(expected)) as caught:
        image._logged(["sh", "-c", f"echo '{what_the_log_says}'; exit 2"], {}, "build")
    assert what_the_log_says in str(caught.value)


def test_a_build_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "_CACHE", tmp_path)
    with pytest.raises(ImageBuildFailed, match="took longer"):
        image._logged(["sleep", "60"], {"PATH": "/usr/bin:/bin"}, "pull", timeout_s=0.1)


def test_too_little_room_is_said_before_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "_CACHE", tmp_path)
    monkeypatch.setattr(image, "_NEEDED_BYTES", 10**18)
    with pytest.raises(ImageBuildFailed, match="make room"):
        image._check_disk()


def test_an_image_that_is_not_built_is_told_with_the_command_that_builds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = a_runtime(tmp_path, "exit 1")
    monkeypatch.setattr(image, "find_runtime", lambda: runtime)
    with pytest.raises(ImageMissing, match="make image"):
        image.ensure_image()


def test_another_dockerfile_is_another_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = a_runtime(tmp_path, "exit 0")
    before = image.image_name(runtime)
    for name in image._INGREDIENTS:
        (tmp_path / name).write_bytes((_CHECKOUT / "docker" / name).read_bytes())
    monkeypatch.setattr(image, "_CONTEXT", tmp_path)
    assert image.image_name(runtime) == before
    (tmp_path / "with-hosts").write_text("#!/bin/sh\n", encoding="utf-8")
    assert image.image_name(runtime) != before


def test_an_unknown_runtime_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAIHU_CONTAINER_RUNTIME", "rkt")
    with pytest.raises(RuntimeMissing, match="rkt"):
        find_runtime.__wrapped__()


def test_a_docker_command_without_a_daemon_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2; exit 1\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not container_runtime.docker_answers()
    program.write_text("#!/bin/sh\necho 27.1\n", encoding="utf-8")
    assert container_runtime.docker_answers()


def _podman_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    program = tmp_path / "bin" / "podman"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\necho asked >>{tmp_path}/asked; exit {code}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.setattr("os.geteuid", lambda: 1000)


@pytest.mark.parametrize(("code", "expected"), [(0, True), (125, False)])
def test_an_ordinary_users_containers_share_the_image_where_the_kernel_lets_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, expected: bool
) -> None:
    _podman_says(tmp_path, monkeypatch, code)
    for _ in range(2):
        runtime = container_runtime._podman(tmp_path / "home")
        assert ("overlay" in runtime.argv) is expected
    assert (tmp_path / "asked").read_text() == "asked\n"


def test_the_process_that_holds_an_ordinary_users_namespaces_is_ended_and_no_other(tmp_path: Path) -> None:
    state = tmp_path / "home" / "state"
    state.mkdir(parents=True)
    for place, by in ((tmp_path / "home", signal.SIGKILL), (tmp_path / "elsewhere", signal.SIGTERM)):
        with subprocess.Popen(["sleep", "60"], env={**os.environ, "TMPDIR": str(place / "tmp")}) as process:
            (state / "pause.pid").write_text(str(process.pid), encoding="ascii")
            container_runtime.end_pause(tmp_path / "home")
            process.terminate()
            assert process.wait(timeout=10) == -by
    container_runtime.end_pause(tmp_path / "never")


def test_a_storage_that_is_there_keeps_its_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _podman_says(tmp_path, monkeypatch, 0)
    (tmp_path / "home" / "root").mkdir(parents=True)
    assert "overlay" not in container_runtime._podman(tmp_path / "home").argv


def test_what_ran_before_a_reboot_is_forgotten(tmp_path: Path) -> None:
    runtime = container_runtime._podman(tmp_path)
    stale = tmp_path / "run" / "alive"
    stale.parent.mkdir()
    stale.touch()
    container_runtime._podman(tmp_path)
    assert stale.exists()
    (tmp_path / "boot_id").write_text("another boot", encoding="ascii")
    container_runtime._podman(tmp_path)
    assert not stale.exists()
    assert str(tmp_path / "root") in runtime.argv


def _dockerfile_gate(version: str) -> subprocess.CompletedProcess[str]:
    """The check of the version as the Dockerfile makes it, on a machine where Asterisk has this one."""
    text = (_CHECKOUT / "docker" / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")
    found = re.search(r"asterisk -V \| (awk '.*?') >&2", text, re.DOTALL)
    assert found
    return subprocess.run(
        ["sh", "-c", f"echo 'Asterisk {version}' | {found[1]}"], capture_output=True, text=True, timeout=10, check=False
    )
