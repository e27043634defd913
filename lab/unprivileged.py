"""Running as root a program that refuses root (PostgreSQL), on files that may lie where no other user can go.

The ways are tried in turn, because each is forbidden somewhere: user namespaces in some containers and hardened kernels, mounting
without CAP_SYS_ADMIN, another user's access below a directory like /root.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

_MOUNT_POINT = Path("/mnt")
_PROBE = 'test "$(id -u)" != 0 && test -x "$1" && test -w "$1"'


class CannotLeaveRoot(LabError):
    """No way was found to run PostgreSQL as anything but root here."""

    error_id = "lab.cannot_leave_root"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How to start the program: `prefix` goes before its command, which sees the directory as `directory`."""

    name: str
    prefix: tuple[str, ...]
    directory: Path
    owner: tuple[int, int]  # user and group id the directory must belong to


def find_way(directory: Path) -> Way:
    """The first way that works for `directory`, which is made, and given to the user that will run the program."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if os.geteuid() != 0:
        return Way(name="as ourselves", prefix=(), directory=directory, owner=(os.geteuid(), os.getegid()))
    tried = []
    for way in _ways(directory):
        os.chown(directory, *way.owner)
        answer = _try([*way.prefix, "sh", "-c", _PROBE, "sh", str(way.directory)])
        if answer is None:
            _give(directory, way.owner)
            return way
        tried.append(f"{way.name}: {answer}")
    raise CannotLeaveRoot(
        "PostgreSQL refuses to run as root and no other user could be taken on ("
        + "; ".join(tried)
        + "). Run this as an ordinary user, or allow user namespaces."
    )


def _ways(directory: Path) -> list[Way]:
    account = _account()
    become = (f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups")
    return [
        Way(
            name="user namespace",
            prefix=("unshare", "--user", f"--map-user={account.pw_uid}", f"--map-group={account.pw_gid}"),
            directory=directory,
            owner=(0, 0),
        ),
        Way(
            name="other user", prefix=("setpriv", *become), directory=directory, owner=(account.pw_uid, account.pw_gid)
        ),
        Way(
            name="other user with the directory mounted where it can go",
            prefix=(
                *("unshare", "--mount", "--propagation", "private"),
                *(
                    "sh",
                    "-c",
                    f'mount --bind "$0" {_MOUNT_POINT} && exec setpriv {" ".join(become)} "$@"',
                    str(directory),
                ),
            ),
            directory=_MOUNT_POINT,
            owner=(account.pw_uid, account.pw_gid),
        ),
    ]


def _account() -> pwd.struct_passwd:
    # It needs a name: initdb looks its own user up.
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise CannotLeaveRoot("neither a user postgres nor nobody exists: install PostgreSQL with `make setup`")


def _try(argv: Sequence[str]) -> str | None:
    """None when it works, else why not."""
    if shutil.which(argv[0]) is None:
        return f"{argv[0]} is missing"
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as problem:
        return str(problem)
    return None if done.returncode == 0 else (done.stderr.strip() or "the directory cannot be reached")


def _give(directory: Path, owner: tuple[int, int]) -> None:
    # Only what is not right yet: the tree is large when the cluster is old, and the owner never changes on one machine.
    if all(_owner(entry) == owner for entry in directory.iterdir()):
        return
    for parent, names, files in os.walk(directory):
        for name in (*names, *files):
            os.chown(Path(parent) / name, *owner, follow_symlinks=False)


def _owner(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_uid, status.st_gid
