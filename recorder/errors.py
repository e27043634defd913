"""The errors of the recorder.

RecorderError
├── BadLeg            a leg that cannot be used: the call is set aside (poisoned)
├── EncoderFailed     the encoder process died or stalled on a call: tried again, then set aside
├── StoreRefused      the store does not take bytes (full, read-only, broken): nothing is lost, tried again
├── SpoolInUse        another recorder works on this spool
├── FileGone          the store does not hold what the ledger says
├── KeysRefused       keys that are missing, damaged or destroyed: nothing is sealed with them, nothing opened
├── BadClip           a clip that cannot be cut
├── BadBundle         a bundle that cannot be named as asked
├── BadPolicy         a retention policy that cannot be used
└── ArchiveError      a volume, a disc or a drive is not what it should be
    └── Damaged       bytes differ from what the ledger or the manifest says
"""

from __future__ import annotations


class RecorderError(Exception):
    """A failure with a stable `error_id` (documented, never renamed) and a sentence that says what to do."""

    def __init__(self, error_id: str, message: str) -> None:
        super().__init__(message)
        self.error_id = error_id
        self.message = message


class BadLeg(RecorderError):
    """A leg that cannot be used; its call is set aside with `error_id` as the reason."""


class EncoderFailed(RecorderError):
    """The encoder process died or stalled while it had this call."""


class StoreRefused(RecorderError):
    """The store does not take bytes. `error_id` is the reason dialling is told."""


class SpoolInUse(RecorderError):
    """Another recorder works on this spool."""


class FileGone(RecorderError):
    """The store does not hold what the ledger says."""


class KeysRefused(RecorderError):
    """Keys that cannot be used."""


class BadClip(RecorderError):
    """A clip that cannot be cut."""


class BadBundle(RecorderError):
    """A bundle of recordings that cannot be made as asked."""


class BadPolicy(RecorderError):
    """A retention policy that cannot be used."""


class ArchiveError(RecorderError):
    """A volume, a disc or a drive is not what it should be."""


class Damaged(ArchiveError):
    """Bytes differ from what the ledger or the manifest says."""
