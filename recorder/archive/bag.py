"""A volume is a bag (RFC 8493): payload under `data/`, its SHA-256 in the manifest, the manifest's in the tag manifest, that one signed.

What describes the recordings is written here; the recordings themselves stay in the store and go straight into the image.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.archive.catalogue import RECORDINGS, Line
from recorder.archive.signing import sign
from recorder.errors import Damaged

MANIFEST: Final = "manifest-sha256.txt"
TAG_MANIFEST: Final = "tagmanifest-sha256.txt"
SIGNATURE: Final = "signature.json"
_DECLARATION: Final = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
_ENTRY: Final = re.compile(r"([0-9a-f]{64})  ([^\r\n]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the bag's info file says."""

    label: str
    volume_id: str
    project_id: str
    expiry_year: int
    created_at: datetime
    rows_sha256: bytes


def close_bag(bag: Path, about: About, lines: Sequence[Line], key: Ed25519PrivateKey) -> None:
    """Write manifests, info and signature of a bag whose described part lies under `bag/data`. Blocking."""
    hashes = {f"{RECORDINGS}{line.file.removeprefix('recordings/')}": line.sha256 for line in lines}
    octets = sum(line.bytes for line in lines)
    for path in sorted((bag / "data").rglob("*")):
        if path.is_file():
            hashes[path.relative_to(bag).as_posix()] = hash_of(path)
            octets += path.stat().st_size
    info = {
        "Bagging-Date": f"{about.created_at:%Y-%m-%d}",
        "External-Identifier": about.label,
        "Internal-Sender-Identifier": about.volume_id,
        "Bag-Group-Identifier": about.project_id,
        "Payload-Oxum": f"{octets}.{len(hashes)}",
        "Waihu-Expiry-Year": str(about.expiry_year),
        "Waihu-Rows-Sha256": about.rows_sha256.hex(),
    }
    close_with(bag, hashes, info, key)


def close_with(bag: Path, hashes: Mapping[str, str], info: Mapping[str, str], key: Ed25519PrivateKey) -> None:
    """Write manifests, info and signature of a bag whose payload has these hashes by path. Blocking."""
    _write(bag / "bagit.txt", _DECLARATION)
    _write(bag / MANIFEST, manifest(hashes))
    _write(bag / "bag-info.txt", "".join(f"{name}: {value}\n" for name, value in info.items()))
    tags = {name: hash_of(bag / name) for name in ("bagit.txt", "bag-info.txt", MANIFEST)}
    _write(bag / TAG_MANIFEST, manifest(tags))
    (bag / SIGNATURE).write_bytes(sign(key, (bag / TAG_MANIFEST).read_bytes()))


def manifest(hashes: Mapping[str, str]) -> str:
    """The lines of a manifest; names of ours have no character that would need escaping (RFC 8493 section 2.1.3)."""
    return "".join(f"{value}  {name}\n" for name, value in sorted(hashes.items()))


def read_manifest(content: bytes, name: str) -> dict[str, str]:
    """Path → hash in hexadecimal. Raises Damaged `manifest_damaged`."""
    found: dict[str, str] = {}
    try:
        for line in content.decode("utf-8").splitlines():
            match = _ENTRY.fullmatch(line)
            if match is None or match[2] in found:
                raise ValueError(line)
            found[match[2]] = match[1]
    except ValueError:
        raise Damaged("manifest_damaged", f"{name} of the volume cannot be read as a manifest.") from None
    return found


def hash_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal. Blocking."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
