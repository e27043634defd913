"""Which Asterisk we run on: 22.8 or later, because recordings are damaged before."""

from __future__ import annotations

import re

from dialer.asterisk.ami.errors import UnsupportedAsterisk

MINIMUM = (22, 8)


def check_version(text: str) -> tuple[int, int]:
    """The (major, minor) of an `AsteriskVersion` like `22.10.1+dfsg+~cs6.17`, or `certified-22.8-cert1`.

    Errors: UnsupportedAsterisk when it is older than 22.8, or cannot be read (a git build says no number).
    """
    found = re.match(r"(?:certified[-/])?(\d{1,4})\.(\d{1,4})", text)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    if version < MINIMUM:
        raise UnsupportedAsterisk(text, ".".join(map(str, MINIMUM)))
    return version
