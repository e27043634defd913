"""Names of legs in the spool and of masters in the store. Only our own ids are ever part of a name."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Final
from uuid import UUID

from recorder.errors import FileGone

CUSTOMER_SUFFIX: Final = "-r.wav"
AGENT_SUFFIX: Final = "-t.wav"
POISONED_DIR: Final = "poisoned"
PART_SUFFIX: Final = ".part"
MEDIA_TYPE: Final = "audio/ogg; codecs=opus"

_LEG = re.compile(r"([0-9a-f]{32})-[rt]\.wav")


def leg_paths(spool: Path, attempt_id: UUID) -> tuple[Path, Path]:
    """Customer's leg and agent's leg of an attempt."""
    return spool / f"{attempt_id.hex}{CUSTOMER_SUFFIX}", spool / f"{attempt_id.hex}{AGENT_SUFFIX}"


def attempt_of(name: str) -> UUID | None:
    """The attempt a file in the spool belongs to; None for what is no leg."""
    match = _LEG.fullmatch(name)
    return UUID(match[1]) if match else None


def master_path(day: date, project_id: UUID, attempt_id: UUID) -> str:
    """Where the master lies, relative to the store; `day` is the business date in the project's zone."""
    return str(PurePosixPath(f"{day:%Y/%m/%d}", str(project_id), f"{attempt_id.hex}.opus"))


def locate(store: Path, relative: str) -> Path:
    """The file of a ledger path. Refuses a path that leaves the store, whatever the ledger says."""
    pure = PurePosixPath(relative)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise FileGone(
            "recording_path_outside_store", "The ledger names a file outside the store; restore the row from a backup."
        )
    return store / pure
