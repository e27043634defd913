"""Which copy a disc is: its name and id, written behind the volume. The copies of a volume are the same bit for bit, so nothing in it can tell them apart.

    volume (image_bytes) | the same sector, 16 times: a line of words, a line of JSON, the SHA-256 of that line, zeros

It is no part of the image: the hash in the ledger, the manifest and the error correction are all of the image alone. It holds that hash, so the ledger
can be rebuilt with it.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from recorder.archive.bucket import Stored
from recorder.archive.media import NAMEPLATE_SECTORS, SECTOR
from recorder.archive.volume import DiscCopy, Volume
from recorder.errors import ArchiveError

_WORDS: Final = b"WAIHU COPY 1"
_DESCRIPTOR: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Nameplate:
    """What a copy says of itself. `copy`: what is written on it, `W000012-2`."""

    copy: str
    copy_id: UUID
    volume_id: UUID
    image_bytes: int
    image_sha256: bytes

    def sectors(self) -> bytes:
        """As it is written."""
        said = {
            "copy": self.copy,
            "copy_id": str(self.copy_id),
            "image_bytes": self.image_bytes,
            "image_sha256": self.image_sha256.hex(),
            "volume_id": str(self.volume_id),
        }
        line = json.dumps(said, sort_keys=True).encode()
        text = b"\n".join((_WORDS, line, hashlib.sha256(line).hexdigest().encode(), b""))
        return text.ljust(SECTOR, b"\0") * NAMEPLATE_SECTORS


def read_nameplate(source: Path, image_bytes: int) -> Nameplate | None:
    """The nameplate behind an image or disc of so many bytes; None where there is none, or none of its sectors can be read. Blocking.

    Raises OSError when the source cannot be opened.
    """
    handle = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Else we would be told what was there before the disc was changed.
        os.posix_fadvise(handle, image_bytes, NAMEPLATE_SECTORS * SECTOR, os.POSIX_FADV_DONTNEED)
        for number in range(NAMEPLATE_SECTORS):
            try:
                sector = os.pread(handle, SECTOR, image_bytes + number * SECTOR)
            except OSError:
                continue
            if (found := _parsed(sector)) is not None:
                return found
    finally:
        os.close(handle)
    return None


def nameplate_of(volume: Volume, copy: DiscCopy) -> Nameplate:
    """What is to be written behind a copy."""
    return Nameplate(
        copy=copy.name,
        copy_id=copy.id,
        volume_id=volume.id,
        image_bytes=volume.image_bytes or 0,
        image_sha256=volume.image_sha256 or b"",
    )


def identify(volume: Volume, copy: DiscCopy, source: Path | Stored, name_seen: bool) -> None:
    """Whether what is about to be read is this copy. Blocking. Raises ArchiveError `medium_missing`, `wrong_disc`, `disc_unnamed`."""
    if isinstance(source, Stored):
        if source.location != copy.location:
            raise ArchiveError("wrong_disc", f"{source.location} is not {copy.name}: that lies in {copy.location}.")
        return
    try:
        plate = read_nameplate(source, volume.image_bytes or 0)
    except OSError as error:
        raise ArchiveError(
            "medium_missing",
            f"{copy.name} cannot be read from {source} ({error.strerror}): put the disc in, or mount the folder. Is it gone for good: waihu archive lost.",
        ) from error
    said = plate.copy if plate is not None else _label_of(source)
    if (plate is not None and plate.copy_id != copy.id) or (plate is None and said and said != volume.label):
        raise ArchiveError("wrong_disc", f"In {source} lies {said}, and not {copy.name}. Nothing was noted.")
    at_its_place = copy.kind == "folder" and copy.location == str(source)
    if plate is None and not at_its_place and not name_seen:
        raise ArchiveError(
            "disc_unnamed",
            f"What lies in {source} does not say which copy of {volume.label} it is: it was written before copies carried their names, or its end cannot be read. "
            f"If {copy.name} is what is written on it: waihu archive verify {copy.name} --name-seen. Nothing was noted.",
        )


def _label_of(source: Path) -> str:
    """The label in the volume's descriptor (ECMA-119 section 8.4.6); empty where it cannot be read."""
    try:
        with source.open("rb") as file:
            file.seek(_DESCRIPTOR * SECTOR)
            descriptor = file.read(SECTOR)
    except OSError:
        return ""
    return descriptor[40:72].decode("ascii", errors="replace").strip() if descriptor[:6] == b"\1CD001" else ""


def _parsed(sector: bytes) -> Nameplate | None:
    words, _, rest = sector.partition(b"\n")
    line, _, rest = rest.partition(b"\n")
    if words != _WORDS or rest.partition(b"\n")[0] != hashlib.sha256(line).hexdigest().encode():
        return None
    said = json.loads(line)
    return Nameplate(
        copy=said["copy"],
        copy_id=UUID(said["copy_id"]),
        volume_id=UUID(said["volume_id"]),
        image_bytes=said["image_bytes"],
        image_sha256=bytes.fromhex(said["image_sha256"]),
    )
