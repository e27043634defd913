"""What a volume is written to, and how much of it may be filled."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

SECTOR: Final = 2048
"""Bytes of a sector of every optical medium (ECMA-119 section 6.1.2)."""

NAMEPLATE_SECTORS: Final = 16
"""Behind the volume on each copy: as many as an error-correction block of a DVD has."""

_FIXED: Final = 4 * 1024 * SECTOR
_EACH: Final = 4 * 1024
_CODE_HEADERS: Final = 600


class Medium(StrEnum):
    """The words of `archive_volumes.medium`. `folder`: the image lies as a file in a folder, for example of another machine or an LTFS mount."""

    CD = "cd"
    DVD = "dvd"
    DVD_DL = "dvd_dl"
    BD = "bd"
    BD_DL = "bd_dl"
    FOLDER = "folder"


SECTORS: Final[dict[Medium, int]] = {
    Medium.CD: 359_424,  # 80 minutes, mode 1
    Medium.DVD: 2_295_104,  # DVD+R, the smaller of the two
    Medium.DVD_DL: 4_171_712,
    Medium.BD: 12_219_392,
    Medium.BD_DL: 24_438_784,
    Medium.FOLDER: 12_219_392,  # as a BD, so that it can still be burned
}
"""Sectors of each medium. ECMA-394, ECMA-338/359, ECMA-337/364, the white papers of the Blu-ray Disc Association."""

CORRECTION_PERCENT: Final = 18
"""What error correction adds to a volume: 39 of 255 symbols of each Reed-Solomon word, so that up to 15 % of the sectors may be lost."""


def correction_sectors(data_sectors: int) -> int:
    """Sectors of an image with its error correction, from those without. Even the smallest has room for the code's headers."""
    return data_sectors + data_sectors * CORRECTION_PERCENT // 100 + _CODE_HEADERS


def room_bytes(medium: Medium) -> int:
    """Bytes of recordings and what describes them that fit beside the error correction."""
    sectors = (SECTORS[medium] - _CODE_HEADERS - 16 - NAMEPLATE_SECTORS) * 100 // (100 + CORRECTION_PERCENT)
    return sectors * SECTOR - _FIXED


def weight_bytes(recording_bytes: int, row_bytes: int) -> int:
    """What a recording takes on a volume: whole sectors, its row, and its share of catalogue, manifest and directories."""
    return -(-recording_bytes // SECTOR) * SECTOR + row_bytes + _EACH


def fits(medium: Medium, data_bytes: int) -> bool:
    """Whether an image of so many bytes fits with its error correction and a nameplate."""
    return correction_sectors(data_bytes // SECTOR) + 16 + NAMEPLATE_SECTORS <= SECTORS[medium]
