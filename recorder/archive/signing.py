"""Who made a volume: an Ed25519 signature (RFC 8032) over the bag's tag manifest, which names the hash of everything else.

The key lies in a file that is made at the first use; its public half is on every volume, every label and in the ledger of discs, so a disc whose
key is another was not made here.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from recorder.errors import ArchiveError, Damaged
from recorder.spool import sync_directory

_RAW_BYTES = 32


def load_key(path: Path) -> Ed25519PrivateKey:
    """The signing key, made when there is none. Raises ArchiveError `signing_key_unusable`."""
    try:
        if not path.exists():
            _make(path)
        raw = bytes.fromhex(path.read_text(encoding="ascii").strip())
        if len(raw) != _RAW_BYTES:
            raise ValueError("32 bytes in hexadecimal are expected")
    except (OSError, ValueError) as error:
        raise ArchiveError(
            "signing_key_unusable", f"The key {path} that signs volumes cannot be used: {error}."
        ) from error
    return Ed25519PrivateKey.from_private_bytes(raw)


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + f".{os.getpid()}.part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(Ed25519PrivateKey.generate().private_bytes_raw().hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        path.hardlink_to(part)  # never over the key of one who was faster
    except FileExistsError:
        pass
    finally:
        part.unlink()
    sync_directory(path.parent)


def public_hex(key: Ed25519PrivateKey) -> str:
    """The public half, as it is printed."""
    return key.public_key().public_bytes_raw().hex()


def own(path: Path) -> set[str]:
    """The public half of our key, if there is one: whoever has lost it says which key to trust. Raises ArchiveError `signing_key_unusable`."""
    return {public_hex(load_key(path))} if path.exists() else set()


def sign(key: Ed25519PrivateKey, tag_manifest: bytes) -> bytes:
    """The content of `signature.json`."""
    return _content(public_hex(key), key.sign(tag_manifest).hex())


def check_signature(signature: bytes, tag_manifest: bytes) -> str:
    """The public key that signed it, in hexadecimal. Raises Damaged `signature_wrong`, also where not a byte of the meaning has changed."""
    try:
        stated = json.loads(signature)
        public = bytes.fromhex(stated["public_key"])
        Ed25519PublicKey.from_public_bytes(public).verify(bytes.fromhex(stated["signature"]), tag_manifest)
        if signature != _content(public.hex(), stated["signature"]):
            raise ValueError("other words around the same signature")
    except (ValueError, KeyError, TypeError, InvalidSignature):
        raise Damaged(
            "signature_wrong", "The volume's signature does not fit its manifest: it was changed, or is damaged."
        ) from None
    return public.hex()


def _content(public_key: str, signature: str) -> bytes:
    stated = {
        "algorithm": "ed25519",
        "of": "tagmanifest-sha256.txt",
        "public_key": public_key,
        "signature": signature.lower(),
    }
    return json.dumps(stated, indent=2, sort_keys=True).encode() + b"\n"
