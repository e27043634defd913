"""scripts/bootstrap.sh on machines that lack something: what it says, what it does not do, and that it costs nothing the second time.

The machines are played by a PATH that holds only the programs a case names; some of these are small stand-ins.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

_CHECKOUT = Path(__file__).resolve().parents[2]
# What every Debian and Ubuntu has.
_BASICS = (
    *(
        "bash",
        "sh",
        "cat",
        "tail",
        "head",
        "grep",
        "awk",
        "sed",
        "tr",
        "cut",
        "df",
        "dirname",
        "env",
        "mkdir",
        "rm",
        "id",
    ),
    *("timeout", "sha256sum", "flock", "setpriv", "unshare", "make"),
)
_MISSING_HERE = ("podman", "runc", "crun", "mmdebstrap")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    code: int
    said: str
    complaint: str


class Machine:
    """A copy of the checkout's set-up files and a PATH of its own."""

    def __init__(self, directory: Path) -> None:
        self.checkout = directory / "waihu"
        self.programs = directory / "bin"
        self.programs.mkdir(parents=True)
        for name in ("scripts", "docker", "lab"):
            shutil.copytree(_CHECKOUT / name, self.checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "requirements.in", "requirements-dev.lock"):
            shutil.copy(_CHECKOUT / name, self.checkout / name)
        for name in _BASICS:
            self.has(name)
        for name in ("redis-server", "initdb", "postgres", "newuidmap", "xorriso", "dvdisaster", "age"):
            self.has(name, "exit 0")

    def has(self, name: str, script: str | None = None) -> Machine:
        """The real program, or a shell script that plays it."""
        place = self.programs / name
        if name == "python3" and script is None:
            script = f'exec {Path(sys.executable).resolve()} "$@"'  # what PATH has may be a shim that needs more of the machine
        if script is None:
            real = shutil.which(name)
            assert real, name
            place.symlink_to(real)
        else:
            place.unlink(missing_ok=True)
            place.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
            place.chmod(0o755)
        return self

    def has_all_packages(self) -> Machine:
        for name in _MISSING_HERE:
            self.has(name, "exit 0")
        return self.has("python3")

    def bootstrap(self, *words: str, **variables: str) -> Outcome:
        done = subprocess.run(
            ["/bin/bash", str(self.checkout / "scripts" / "bootstrap.sh"), *words],
            env={
                "PATH": str(self.programs),
                "HOME": str(self.checkout),
                "WAIHU_CONTAINER_RUNTIME": "podman",
                **variables,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return Outcome(code=done.returncode, said=done.stdout, complaint=done.stderr)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_apt_it_names_the_packages_to_install_by_hand(machine: Machine) -> None:
    outcome = machine.has("python3").bootstrap("packages")
    assert outcome.code == 1
    assert "no apt-get" in outcome.complaint
    assert "podman runc mmdebstrap" in outcome.complaint


def test_without_root_and_sudo_it_says_what_an_administrator_runs(machine: Machine) -> None:
    machine.has("python3").has("apt-get", "exit 0").has("apt-cache", "exit 0").has("id", "echo 1000")
    outcome = machine.bootstrap("packages")
    assert outcome.code == 1
    assert "apt-get install --no-install-recommends podman runc mmdebstrap" in outcome.complaint


def test_sudo_that_wants_a_password_without_a_terminal_is_said_at_once(machine: Machine) -> None:
    machine.has("python3").has("apt-get", "exit 0").has("apt-cache", "exit 0").has("id", "echo 1000").has(
        "sudo", "exit 1"
    )
    outcome = machine.bootstrap("packages")
    assert outcome.code == 1
    assert "no terminal to ask on" in outcome.complaint
    assert "sudo apt-get install" in outcome.complaint


@pytest.mark.parametrize(
    ("what_apt_says", "expected"),
    [
        ("Err:1 x Could not resolve 'mirror.example'", "mirror cannot be reached"),
        ("E: Failed to fetch x Connection timed out", "mirror cannot be reached"),
        ("E: Write error - write (28: No space left on device)", "disk is full"),
        ("E: Unable to locate package podman", "package sources of this system do not have"),
        ("E: Could not get lock /var/lib/dpkg/lock-frontend", "another program installs packages"),
        ("E: something new", "apt could not install"),
    ],
)
def test_a_failure_of_apt_is_put_into_words(machine: Machine, what_apt_says: str, expected: str) -> None:
    machine.has("python3").has("apt-get", f'echo "{what_apt_says}"; exit 100').has("apt-cache", "exit 0").has(
        "id", "echo 0"
    )
    outcome = machine.bootstrap("packages")
    assert outcome.code == 1
    assert expected in outcome.complaint
    assert what_apt_says in outcome.complaint


def test_it_says_which_packages_it_installs_and_asks_for_no_others(machine: Machine) -> None:
    asked = machine.checkout / "asked"
    script = f'echo "$@" >>{asked}; case "$*" in *install*) for p in podman runc mmdebstrap; do ln -sf /bin/true {machine.programs}/$p; done;; esac'
    machine.has("ln").has("python3").has("apt-get", script).has("apt-cache", "exit 0").has("id", "echo 0")
    outcome = machine.bootstrap("packages")
    assert outcome.code == 0, outcome.complaint
    assert "installing system packages: podman runc mmdebstrap\n" in outcome.said
    assert asked.read_text().splitlines()[-1].endswith("install --no-install-recommends podman runc mmdebstrap")


def test_an_old_python_gets_a_newer_one_beside_it(machine: Machine) -> None:
    policy = 'case "$*" in *python3.11-venv) echo "  Candidate: 3.11.0";; policy*) echo "  Candidate: (none)";; "show python3") echo "Version: 3.10.6";; esac'
    machine.has_all_packages().has("apt-get", "exit 100").has("apt-cache", policy).has("id", "echo 0")
    for name in ("python3", "python3.11"):
        machine.has(name, "exit 1")
    outcome = machine.bootstrap("packages")
    assert "installing system packages: python3.11 python3.11-venv\n" in outcome.said


def test_when_everything_is_there_it_is_quiet(machine: Machine) -> None:
    outcome = machine.has_all_packages().bootstrap("packages")
    assert outcome == Outcome(code=0, said="", complaint="")


def test_an_ordinary_user_gets_the_program_that_podman_maps_users_with(machine: Machine) -> None:
    (machine.has_all_packages().has("id", "echo 1000").programs / "newuidmap").unlink()
    outcome = machine.bootstrap("packages")
    assert outcome.code == 1
    assert outcome.complaint.splitlines()[1].endswith(": uidmap")


def test_only_the_tests_get_a_browser(machine: Machine) -> None:
    debian = 'case "$*" in policy*) echo "  Candidate: 150.0";; *) exit 0;; esac'
    no_venv = 'case "$*" in "-m venv"*) exit 1;; *) exit 0;; esac'
    machine.has_all_packages().has("apt-get", "exit 100").has("apt-cache", debian).has("id", "echo 0")
    machine.has("python3", no_venv)
    assert machine.bootstrap("packages").said == ""
    assert "installing system packages: chromium-headless-shell\n" in machine.bootstrap("tests").said
    machine.has("google-chrome", "exit 0")
    assert "installing system packages" not in machine.bootstrap("tests").said


def test_where_the_distribution_has_no_browser_the_tests_get_playwright_s(machine: Machine) -> None:
    machine.has_all_packages().has("apt-cache", "exit 1").has("id", "echo 0").has("chmod").has("touch").has("sleep")
    fake = f'#!/bin/sh\necho "$@" >>{machine.checkout}/asked; exit 1\n'
    make_fake_venv = (
        'mkdir -p "$3/bin"; for name in python playwright; do cp "$0" "$3/bin/$name"; done; '
        f'cp {machine.checkout}/playwright "$3/bin/playwright"'
    )
    (machine.checkout / "playwright").write_text(fake, encoding="utf-8")
    (machine.checkout / "playwright").chmod(0o755)
    venv = f'case "$*" in "-m venv "*) {make_fake_venv};; -V) echo "Python 3.11.9";; "-B -m lab.image") exit 0;; esac'
    machine.has("cp").has("python3", venv)
    outcome = machine.bootstrap("tests")
    assert outcome.code == 1
    assert "Install google-chrome-stable" in outcome.complaint
    assert (machine.checkout / "asked").read_text() == "install-deps chromium-headless-shell\n"


def test_docker_that_answers_makes_podman_unnecessary(machine: Machine) -> None:
    outcome = machine.has("python3").has("docker", "echo 27.1").bootstrap("packages", WAIHU_CONTAINER_RUNTIME="")
    assert outcome == Outcome(code=0, said="", complaint="")


def test_a_full_disk_is_said_before_anything_is_begun(machine: Machine) -> None:
    table = 'echo "Filesystem 1024-blocks Used Available Capacity Mounted"; echo "/dev/x 100 50 1024 99% /"'
    outcome = machine.has_all_packages().has("df", table).bootstrap()
    assert outcome.code == 1
    assert "1 MB free" in outcome.complaint
    assert not (machine.checkout / ".venv").exists()


def test_a_checkout_that_cannot_be_written_is_said(machine: Machine) -> None:
    (machine.checkout / ".run").write_text("in the way", encoding="utf-8")
    outcome = machine.has_all_packages().bootstrap()
    assert outcome.code == 1
    assert "cannot be written" in outcome.complaint


@pytest.mark.parametrize(
    ("what_pip_says", "expected"),
    [
        ("Failed to establish a new connection", "index cannot be reached"),
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("THESE PACKAGES DO NOT MATCH THE HASHES", "differs from the locked one"),
        ("something new", "virtual environment could not be made"),
    ],
)
def test_a_failure_of_pip_is_put_into_words_and_leaves_nothing_half_done(
    machine: Machine, what_pip_says: str, expected: str
) -> None:
    machine.has_all_packages()
    fake_pip = f'case "$*" in *"-m pip -V") exit 0;; *"-m pip"*) echo "{what_pip_says}"; exit 1;; *) exit 0;; esac'
    make_fake_venv = (
        f'mkdir -p "$3/bin"; printf "%s\\n" "#!/bin/sh" \'{fake_pip}\' >"$3/bin/python"; chmod +x "$3/bin/python"'
    )
    machine.has("chmod").has("python3", f'case "$1" in -m) {make_fake_venv};; -V) echo "Python 3.11.9";; esac')
    outcome = machine.bootstrap("venv")
    assert outcome.code == 1
    assert expected in outcome.complaint
    assert not (machine.checkout / ".venv" / ".complete").exists()


@pytest.mark.slow
def test_this_checkout_is_set_up_and_the_next_start_has_nothing_to_do() -> None:
    command = ["bash", str(_CHECKOUT / "scripts" / "bootstrap.sh")]
    # Under a worker the runner's variables would reach pip; a person's shell has none of them.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    subprocess.run(command, env=clean, capture_output=True, timeout=110, check=True, stdin=subprocess.DEVNULL)
    again = subprocess.run(
        command, env=clean, capture_output=True, text=True, timeout=10, check=True, stdin=subprocess.DEVNULL
    )
    assert again.stdout == ""
    assert again.stderr == ""


def test_every_target_is_listed_by_make_help() -> None:
    makefile = (_CHECKOUT / "Makefile").read_text(encoding="utf-8")
    targets = {line.partition(":")[2].strip() for line in makefile.splitlines() if line.startswith(".PHONY")}
    help_text = subprocess.run(["make"], cwd=_CHECKOUT, capture_output=True, text=True, timeout=20, check=True).stdout
    listed = {line.split()[1] for line in help_text.splitlines()}
    assert listed == targets
    assert {"setup", "check", "test", "demo", "bench", "chaos", "clean"} <= targets
