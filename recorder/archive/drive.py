"""A burner, or what stands for one: `/dev/sr0`, or `stdio:/some/file` with the same command lines (libburn's own emulation)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recorder.archive.media import SECTOR
from recorder.archive.programs import run
from recorder.errors import ArchiveError

_LOOK_S: Final = 180
_SLOWEST_BYTES_S: Final = 500_000
_STATUS: Final = re.compile(r"^Media status : (.*)$", re.MULTILINE)
_ROOM: Final = re.compile(r"^Media blocks : \d+ readable , (\d+) writable", re.MULTILINE)
_ADDRESS: Final = re.compile(r"(stdio:)?/[^\s'\"]+")
_STDIO: Final = "stdio:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inserted:
    """What lies in the drive."""

    blank: bool
    writable_bytes: int


class Drive:
    """One drive. Raises ArchiveError `drive_address_invalid` for an address that is none."""

    def __init__(self, address: str) -> None:
        if not _ADDRESS.fullmatch(address):
            raise ArchiveError(
                "drive_address_invalid", f"{address!r} is no drive: give /dev/sr0, or stdio:/path/of/a/file."
            )
        self.address = address

    @property
    def path(self) -> Path:
        """Where the medium in it is read."""
        return Path(self.address.removeprefix(_STDIO))

    def inserted(self) -> Inserted | None:
        """What is in it; None when there is nothing. Blocking. Raises ArchiveError `archive_program_missing`."""
        try:
            said = run(["xorriso", "-outdev", self.address, "-toc"], timeout_s=_LOOK_S)
        except ArchiveError as error:
            if error.error_id == "archive_program_missing":
                raise
            return None
        status, room = _STATUS.search(said), _ROOM.search(said)
        if status is None or "not present" in status[1]:
            return None
        return Inserted(blank="blank" in status[1], writable_bytes=int(room[1]) * SECTOR if room else 0)

    def burn(self, image: Path) -> None:
        """Write an image to the blank medium, close it and open the tray. Blocking.

        Raises ArchiveError `medium_missing`, `medium_not_blank`, `medium_too_small`, `archive_program_failed`.
        """
        found = self.inserted()
        if found is None:
            raise ArchiveError("medium_missing", f"There is no medium in {self.address}: put a blank one in.")
        if not found.blank:
            raise ArchiveError(
                "medium_not_blank",
                f"The medium in {self.address} is not blank: put a blank one in. Nothing was written.",
            )
        size = image.stat().st_size
        if found.writable_bytes < size:
            raise ArchiveError(
                "medium_too_small",
                f"The medium in {self.address} takes {found.writable_bytes} bytes, the volume has {size}.",
            )
        command = ["xorriso", "-as", "cdrecord", "-v", f"dev={self.address}", "padsize=0", "-eject", str(image)]
        run(command, timeout_s=_LOOK_S + size / _SLOWEST_BYTES_S)
