"""The master keys of an installation: a small secret file, or a command that prints one. They wrap the projects' keys, and nothing else.

Lines of `<name> <32 bytes in base64>`; the last one is in use, older ones open what they have wrapped. `#` begins a comment.
"""

from __future__ import annotations

import base64
import functools
import os
import re
import secrets
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from recorder.errors import KeysRefused
from recorder.spool import sync_directory

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_COMMAND_TIMEOUT_S: Final = 20
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_FORM: Final = "a line for each key: a name, a space, 32 bytes in base64"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """Master keys by name; `current` wraps what is new."""

    current: str
    keys: Mapping[str, bytes] = field(repr=False)

    def wrap(self, secret: bytes, purpose: str) -> bytes:
        """Encrypt a key under the current master key."""
        return wrap(self.keys[self.current], secret, purpose)

    def unwrap(self, master: str, wrapped: bytes, purpose: str) -> bytes:
        """Raises KeysRefused where the master key is not here, or not the one."""
        key = self.keys.get(master)
        if key is None:
            raise KeysRefused(
                "recording_master_key_unknown",
                f"The master key {master!r} is not in the key file: put the file back that was in use when it wrapped this.",
            )
        return unwrap(key, wrapped, purpose)

    def derive(self, purpose: str, *, master: str | None = None) -> bytes:
        """32 bytes for a purpose of their own (HKDF, RFC 5869), the same for every process that has this master key."""
        return _derived(self.keys[master or self.current], purpose)


@functools.lru_cache(maxsize=64)  # asked for with every range that is heard by a link
def _derived(key: bytes, purpose: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=purpose.encode()).derive(key)


def wrap(key: bytes, secret: bytes, purpose: str) -> bytes:
    """AES-256-GCM with a random nonce in front; `purpose` must be the same to open it."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, secret, purpose.encode())


def unwrap(key: bytes, wrapped: bytes, purpose: str) -> bytes:
    """Raises KeysRefused where it does not open."""
    try:
        return AESGCM(key).decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], purpose.encode())
    except (InvalidTag, ValueError):
        raise KeysRefused(
            "recording_key_damaged",
            "A wrapped key does not open: the ledger row was changed, or the key file has another key under this name.",
        ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySource:
    """Where the master keys come from: `command` (its standard output), else `path`."""

    path: Path
    command: str = ""

    def load(self) -> Keyring:
        """Read them. Blocking. Raises KeysRefused."""
        return parse(self._text())

    def _text(self) -> str:
        if self.command:
            return _printed(self.command)
        try:
            with self.path.open(encoding="utf-8") as file:
                mode = os.fstat(file.fileno()).st_mode
                text = file.read()
        except FileNotFoundError:
            raise KeysRefused(
                "recording_keys_missing",
                f"The key file {self.path} is not there. Put it back from its backup; a new one opens nothing that was sealed before.",
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise KeysRefused(
                "recording_keys_unreadable",
                f"The key file {self.path} cannot be read ({error}): see its owner and rights.",
            ) from error
        if mode & 0o077:
            raise KeysRefused(
                "recording_keys_open_to_others",
                f"The key file {self.path} can be read by other users of this machine: chmod 600 it.",
            )
        return text

    def make(self, name: str) -> None:
        """Make a key file with one new key, for this user alone, durable when it returns. Blocking. Raises KeysRefused, never overwrites."""
        line = f"{name} {base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()}\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(
                    "# Master keys of recordings. Keep a copy off this machine: without it nobody hears them again.\n"
                    + line
                )
                file.flush()
                os.fsync(file.fileno())
            sync_directory(self.path.parent)
        except OSError as error:
            raise KeysRefused(
                "recording_keys_unwritable",
                f"The key file {self.path} cannot be made ({error.strerror}): see the rights of its folder.",
            ) from error

    def add(self, name: str) -> None:
        """Add a new key, which is in use from now on. Blocking. Raises KeysRefused."""
        if self.command:
            raise KeysRefused(
                "recording_keys_elsewhere", "The keys come from a command: add the new key where it takes them from."
            )
        ring = self.load()
        if name in ring.keys:
            raise KeysRefused(
                "recording_key_name_taken", f"There is a master key {name!r} already: choose another name."
            )
        text = self._text()
        part = self.path.with_name(self.path.name + ".part")
        part.unlink(missing_ok=True)
        try:
            was = self.path.stat()
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                os.fchown(handle, was.st_uid, was.st_gid)  # run as root it must stay Waihu's own
                file.write(f"{text.rstrip()}\n{name} {base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()}\n")
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.path)
            sync_directory(self.path.parent)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise KeysRefused(
                "recording_keys_unwritable",
                f"The key file {self.path} cannot be written anew ({error.strerror}): run this as its owner, and see the rights of its folder.",
            ) from error


def name_of(at: datetime) -> str:
    """A name for a key that is made at a moment."""
    return f"{at:%Y%m%dT%H%M%SZ}"


def parse(text: str) -> Keyring:
    """Master keys from the text of a key file. Raises KeysRefused; never repeats what it has read."""
    keys: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            name, encoded = words
            key = base64.b64decode(encoded, validate=True)
        except ValueError:
            key, name = b"", ""
        if len(key) != _KEY_BYTES or not _NAME.fullmatch(name) or name in keys:
            raise KeysRefused(
                "recording_keys_malformed", f"Line {number} of the key file is not as it should be: {_FORM}."
            )
        keys[name] = key
    if not keys:
        raise KeysRefused("recording_keys_malformed", f"The key file holds no key. It has {_FORM}.")
    return Keyring(current=list(keys)[-1], keys=keys)


def _printed(command: str) -> str:
    try:
        done = subprocess.run(
            shlex.split(command),
            capture_output=True,
            text=True,
            timeout=_COMMAND_TIMEOUT_S,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise KeysRefused(
            "recording_keys_command_failed",
            f"The command that prints the master keys failed ({type(error).__name__}): run it by hand as the user Waihu runs as.",
        ) from None
    return done.stdout
