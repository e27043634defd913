"""The structural regions of a volume's image, named, so that each of them can be hurt: read here from the standard, not from the product's reader.

ECMA-119 (descriptors, path tables, directory records), the Joliet specification, and dvdisaster's layout behind the data.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from recorder.archive.media import SECTOR

_PRIMARY, _JOLIET = 16, 17
_FOLDER = 2
_DESCRIPTOR_COPIES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Bytes from `start` up to, not including, `stop`. `path`: the file on the volume they are of, where they are of one."""

    name: str
    start: int
    stop: int
    path: str | None = None


def regions_of(image: Path, data_bytes: int) -> list[Region]:
    """All regions of an image whose file system has so many bytes, without a gap between them."""
    content = image.read_bytes()
    found = [
        Region(name="system area", start=0, stop=_PRIMARY * SECTOR),
        Region(name="primary descriptor", start=_PRIMARY * SECTOR, stop=(_PRIMARY + 1) * SECTOR),
        Region(name="Joliet descriptor", start=_JOLIET * SECTOR, stop=(_JOLIET + 1) * SECTOR),
        Region(name="end of descriptors", start=(_JOLIET + 1) * SECTOR, stop=(_JOLIET + 2) * SECTOR),
    ]
    for which, number in (("Rock Ridge", _PRIMARY), ("Joliet", _JOLIET)):
        descriptor = content[number * SECTOR : (number + 1) * SECTOR]
        found += _path_tables(descriptor, which)
        found += _tree(content, *_extent(descriptor[156:190]), which)
    code, copies = data_bytes, len(content) - _DESCRIPTOR_COPIES * SECTOR
    found += [
        Region(name="error correction, header", start=code, stop=code + 2 * SECTOR),
        Region(name="error correction", start=code + 2 * SECTOR, stop=copies),
        Region(name="descriptor kept again", start=copies, stop=len(content)),
    ]
    return _without_gaps(found, len(content))


def _path_tables(descriptor: bytes, which: str) -> list[Region]:
    [size] = struct.unpack_from("<I", descriptor, 132)
    places = [*struct.unpack_from("<II", descriptor, 140), *struct.unpack_from(">II", descriptor, 148)]
    return [
        Region(name=f"path table, {which}", start=place * SECTOR, stop=place * SECTOR + size)
        for place in places
        if place
    ]


def _extent(record: bytes) -> tuple[int, int]:
    start, size = struct.unpack_from("<I4xI", record, 2)
    return start * SECTOR, size


def _tree(content: bytes, start: int, size: int, which: str, above: str = "") -> list[Region]:
    """A directory and what lies in it. Files are named by the Joliet tree; Rock Ridge has the same extents."""
    found = [Region(name=f"directory, {which}", start=start, stop=start + size)]
    at = start
    while at < start + size:
        length = content[at]
        if not length:
            at = (at // SECTOR + 1) * SECTOR
            continue
        record = content[at : at + length]
        name = record[33 : 33 + record[32]]
        place, count = _extent(record)
        if name not in {b"\0", b"\1"}:
            path = above + name.decode("utf-16-be" if which == "Joliet" else "ascii").removesuffix(";1")
            if record[25] & _FOLDER:
                found += _tree(content, place, count, which, f"{path}/")
            elif which == "Joliet" and count:
                kind = "recording" if path.startswith("data/recordings/") else path
                found.append(Region(name=kind, start=place, stop=place + count, path=path))
        at += length
    return found


def _without_gaps(found: list[Region], size: int) -> list[Region]:
    """What no structure names is padding; it belongs to the image too."""
    whole, at = list[Region](), 0
    for one in sorted(found, key=lambda region: region.start):
        if one.start > at:
            whole.append(Region(name="padding", start=at, stop=one.start))
        if one.stop > at:
            whole.append(Region(name=one.name, start=max(at, one.start), stop=one.stop, path=one.path))
            at = one.stop
    if at < size:
        whole.append(Region(name="padding", start=at, stop=size))
    return whole
