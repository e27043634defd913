"""Error correction inside the image: dvdisaster's RS02, interleaved over the whole medium, so a scratch or scattered sectors can be given back.

    data (the ISO image) | RS02 | the primary volume descriptor, 16 times

It needs no second file and no ledger: any dvdisaster, anywhere, finds the code in the image and repairs it. It looks for the code where the primary
volume descriptor says the data end; that one sector is kept again at the end of the medium.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import IO, Final

from recorder.archive.media import SECTOR, correction_sectors
from recorder.archive.programs import run
from recorder.errors import ArchiveError, Damaged

_SLOWEST_BYTES_S: Final = 2_000_000
_LEAST_S: Final = 120
_REPAIRED: Final = re.compile(r"Repaired sectors: (\d+)")
_DESCRIPTOR: Final = 16
_AGAIN: Final = 16
"""Copies of the descriptor: an error-correction block of a DVD, half of a BD's."""


def protect(image: Path, data_bytes: int) -> int:
    """Add error correction to an image of so many bytes and give its new size. Durable when it returns. Blocking.

    Killed half-way it leaves the first `data_bytes` as they were: cut to them, it can be done again, with the same result.
    """
    with image.open("r+b") as file:
        file.truncate(data_bytes)
    wanted = correction_sectors(data_bytes // SECTOR)
    run(_command(image, "-mRS02", "-n", str(wanted), "-c"), timeout_s=_deadline_s(image))
    size = image.stat().st_size
    if not data_bytes < size <= wanted * SECTOR:
        raise ArchiveError("archive_program_failed", f"dvdisaster made {size} bytes of {data_bytes}.")
    return _keep_descriptor(image)


def repair(image: Path) -> int:
    """Repair an image in place and give the number of sectors that were mended. Blocking. Raises Damaged `volume_beyond_repair`."""
    with image.open("r+b") as file:
        end = file.seek(0, os.SEEK_END) - _AGAIN * SECTOR
        copies = [end + number * SECTOR for number in range(_AGAIN)]
        descriptor = next((found for at in [_DESCRIPTOR * SECTOR, *copies] if (found := _descriptor(file, at))), None)
        if descriptor is None:
            raise Damaged(
                "volume_beyond_repair", "Not one copy of the volume descriptor can be read: is it one of our volumes?"
            )
        file.seek(_DESCRIPTOR * SECTOR)
        file.write(descriptor)
        file.truncate(end)
    try:
        said = run(_command(image, "-f"), timeout_s=_deadline_s(image))
    except ArchiveError as error:
        if error.error_id == "archive_program_missing":
            raise
        raise Damaged(
            "volume_beyond_repair", f"More is damaged than error correction can give back: {error.message}"
        ) from error
    _keep_descriptor(image)
    mended = _REPAIRED.search(said)
    return int(mended[1]) if mended else 0


def protected_bytes(source: Path, data_bytes: int) -> int | None:
    """Bytes of an image or disc with its error correction, as the code behind the data says; None where it cannot be read. Blocking.

    The code begins with its header (dvdisaster, appendix "codec specification", RS02): cookie, method, at 68 the sectors of data, at 128 those of the code.
    """
    try:
        with source.open("rb") as file:
            file.seek(data_bytes)
            header = file.read(SECTOR)
    except OSError:
        return None
    if len(header) != SECTOR or header[:16] != b"*dvdisaster*RS02":
        return None
    data, code = (int.from_bytes(header[at : at + 8], "little") for at in (68, 128))
    if data != data_bytes // SECTOR or not 0 < data + code <= correction_sectors(data):
        return None
    return (data + code + _AGAIN) * SECTOR


def _descriptor(file: IO[bytes], at: int) -> bytes | None:
    """A sector that is a primary volume descriptor: its number for the size is there in both byte orders (ECMA-119 section 8.4.8)."""
    file.seek(max(0, at))
    sector = file.read(SECTOR)
    size = (int.from_bytes(sector[80:84], "little"), int.from_bytes(sector[84:88], "big"))
    return sector if sector[:6] == b"\1CD001" and size[0] == size[1] > 0 else None


def _keep_descriptor(image: Path) -> int:
    with image.open("r+b") as file:
        file.seek(_DESCRIPTOR * SECTOR)
        descriptor = file.read(SECTOR)
        file.seek(0, os.SEEK_END)
        file.write(descriptor * _AGAIN)
        file.flush()
        os.fsync(file.fileno())
        return file.tell()


def _command(image: Path, *words: str) -> list[str]:
    return ["dvdisaster", "--resource-file", os.devnull, "-i", str(image), *words]


def _deadline_s(image: Path) -> float:
    return _LEAST_S + image.stat().st_size / _SLOWEST_BYTES_S
