"""What holds for every file of the repository."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from dialer.asterisk.conf_dir import asterisk_conf
from dialer.domain.errors import NotFound

_CHECKOUT = Path(__file__).resolve().parents[2]
# Written in pieces, or this file would name them.
_FORBIDDEN = {
    "a package mirror or index": rf"deb\.{'debian'}\.org|archive\.{'ubuntu'}\.com|{'pypi'}\.org|{'python'}hosted\.org|registry\.{'npmjs'}|"
    rf"snapshot\.{'debian'}\.org|tuna\.{'tsinghua'}|mirrors\.{'aliyun'}",
    "a place on the machine it was written on": rf"(?<![\w.])/{'work'}/(main|scratch|shared)|/{'opt'}/(pypi|wheels)",
    "an index in a lock": r"^--(extra-)?index-url|^--find-links|file://",
}


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=_CHECKOUT, capture_output=True, text=True, timeout=20, check=False
    )
    if listed.returncode:  # an unpacked archive is no repository
        return [
            path for path in _CHECKOUT.rglob("*") if path.is_file() and not {".run", ".venv", ".git"} & set(path.parts)
        ]
    return [_CHECKOUT / name for name in listed.stdout.split("\0") if name and (_CHECKOUT / name).is_file()]


def test_no_file_names_what_is_true_on_one_machine_only() -> None:
    found = []
    for path in tracked_files():
        text = path.read_bytes().decode("utf-8", errors="ignore")
        for what, pattern in _FORBIDDEN.items():
            if what.endswith("lock") and path.suffix != ".lock":
                continue
            if match := re.search(pattern, text, re.MULTILINE):
                found.append(f"{path.relative_to(_CHECKOUT)} names {what}: {match[0]}")
    assert found == []


def test_every_locked_package_has_its_hashes() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (_CHECKOUT / name).read_text(encoding="utf-8").replace("\\\n", " ")
        for line in text.splitlines():
            assert re.match(r"^[a-z0-9-]+==[^ ]+( ;.*?)? .*--hash=sha256:[0-9a-f]{64}", line), line


def test_production_runs_the_versions_that_were_tested() -> None:
    tested = set(_pins("requirements-dev.lock"))
    assert set(_pins("requirements.lock")) <= tested


def test_the_lock_holds_all_that_is_asked_for() -> None:
    for name in ("requirements", "requirements-dev"):
        wanted = [
            line.partition("#")[0].strip()
            for line in (_CHECKOUT / f"{name}.in").read_text(encoding="utf-8").splitlines()
        ]
        locked = {pin.partition("==")[0] for pin in _pins(f"{name}.lock")}
        names = {re.split(r"[\[;<>=! ]", line)[0].lower() for line in wanted if line and not line.startswith("-r")}
        assert names <= locked


def test_the_code_imports_only_what_it_asks_for() -> None:
    # What only the development tools bring along is missing in production.
    asked_for = {
        re.split(r"[\[;<>=! #]", line)[0].lower()
        for line in (_CHECKOUT / "requirements.in").read_text(encoding="utf-8").splitlines()
        if line
    }
    distributions = metadata.packages_distributions()
    ours = {"agi", "campaigns", "dialer", "lab", "recorder"}
    found = set()
    for path in (path for folder in sorted(ours) for path in (_CHECKOUT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            for top in {name.partition(".")[0] for name in names} - ours - sys.stdlib_module_names:
                owners = {name.lower().replace("_", "-") for name in distributions.get(top, [])}
                if not owners & asked_for:
                    found.add(f"{path.relative_to(_CHECKOUT)} imports {top}")
    assert not found


def _build_wheel(checkout: Path, into: Path) -> Path:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(into)],
        cwd=checkout,
        capture_output=True,
        timeout=100,
        check=True,
    )
    (wheel,) = into.glob("*.whl")
    return wheel


def test_an_installed_wheel_finds_asterisks_configuration_and_holds_no_secret_of_the_checkout(tmp_path: Path) -> None:
    checkout, site_packages = tmp_path / "checkout", tmp_path / "installed"
    for path in [path for path in tracked_files() if path.relative_to(_CHECKOUT).parts[0] != "tests"]:
        copy = checkout / path.relative_to(_CHECKOUT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    (checkout / "asterisk-conf" / "site" / "manager.conf").write_text("secret = hunter2", encoding="utf-8")
    with zipfile.ZipFile(_build_wheel(checkout, tmp_path)) as wheel:
        wheel.extractall(site_packages)
    script = "from dialer.asterisk.conf_dir import asterisk_conf; print(asterisk_conf())"
    found = subprocess.run(
        [sys.executable, "-c", script],
        cwd=site_packages,
        env={"PYTHONPATH": str(site_packages)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout.strip()
    assert Path(found).is_relative_to(site_packages)
    ours = {path.relative_to(_CHECKOUT / "asterisk-conf") for path in tracked_files() if _is_conf(path)}
    theirs = {path.relative_to(found) for path in Path(found).rglob("*") if path.is_file()}
    assert ours == theirs


def _is_conf(path: Path) -> bool:
    return path.is_relative_to(_CHECKOUT / "asterisk-conf")


def test_a_missing_configuration_is_told_with_the_places_looked_at(tmp_path: Path) -> None:
    assert asterisk_conf() == _CHECKOUT / "asterisk-conf"
    with pytest.raises(NotFound, match=re.escape(str(tmp_path))) as caught:
        asterisk_conf((tmp_path,))
    assert caught.value.error_id == "asterisk_conf_missing"


@pytest.mark.slow
def test_the_wheel_holds_migrations_and_configuration_and_no_tests(tmp_path: Path) -> None:
    inside = set(zipfile.ZipFile(_build_wheel(_CHECKOUT, tmp_path)).namelist())
    for folder in ("agi", "campaigns", "dialer", "lab", "recorder"):
        for path in (_CHECKOUT / folder).rglob("*"):
            if path.suffix in {".py", ".sql", ".conf", ".typed", ".html", ".json"} and path in set(tracked_files()):
                assert path.relative_to(_CHECKOUT).as_posix() in inside
    assert any(name.startswith("dialer/db/migrations/") and name.endswith(".sql") for name in inside)
    assert not any(name.startswith("tests/") for name in inside)


def test_the_continuous_check_calls_the_command_of_the_readme() -> None:
    text = (_CHECKOUT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.search(r"^exec make .*\btest\b", text, re.MULTILINE)
    assert "make test" in (_CHECKOUT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", [["ruff", "format", "--check", "."], ["ruff", "check", "."]])
def test_the_code_keeps_the_format_and_the_rules(command: list[str]) -> None:
    _clean(command)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_file_of_ours_escapes_the_rules() -> None:
    words = [sys.executable, "-m", "ruff", "check", "--show-files", "."]
    listed = subprocess.run(words, cwd=_CHECKOUT, capture_output=True, text=True, timeout=60, check=True)
    assert {path for path in tracked_files() if path.suffix == ".py"} <= set(map(Path, listed.stdout.split()))


def test_the_types_fit() -> None:
    _clean(["mypy", "--no-error-summary"])


def test_imports_point_one_way() -> None:
    _clean(["lint-imports", "--no-cache", "--no-logo"])


@pytest.mark.parametrize(
    "path", sorted(path.relative_to(_CHECKOUT) for path in tracked_files() if path.suffix == ".sh"), ids=str
)
def test_a_shell_script_is_well_formed_and_stops_at_the_first_error(path: Path) -> None:
    subprocess.run(["bash", "-n", str(_CHECKOUT / path)], timeout=10, check=True)
    assert "set -euo pipefail" in (_CHECKOUT / path).read_text(encoding="utf-8")


def _pins(name: str) -> list[str]:
    return re.findall(r"^([a-z0-9-]+==[^ ;\\]+)", (_CHECKOUT / name).read_text(encoding="utf-8"), re.MULTILINE)


def _clean(command: list[str]) -> None:
    program = Path(sys.executable).with_name(command[0])
    done = subprocess.run(
        [str(program), *command[1:]], cwd=_CHECKOUT, capture_output=True, text=True, timeout=590, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
