"""A volume, its copies and the recordings on it, as the ledger has them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from recorder.archive.states import CopyState, VolumeState


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A volume as the ledger has it."""

    id: UUID
    label: str
    project_id: UUID
    expiry_year: int
    medium: str
    state: VolumeState
    recordings: int
    copies_wanted: int
    created_at: datetime
    created_by: str
    rows_sha256: bytes | None
    data_bytes: int | None
    data_sha256: bytes | None
    image_bytes: int | None
    image_sha256: bytes | None
    sealed_at: datetime | None
    reason: str | None
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscCopy:
    """A copy of a volume: a disc, or an image in a folder."""

    id: UUID
    volume_id: UUID
    label: str
    number: int
    state: CopyState
    kind: str | None
    location: str | None
    custodian: str
    place: str
    lent_to: str | None
    written_at: datetime | None
    verified_at: datetime | None

    @property
    def name(self) -> str:
        """What is written on it: `W000012-2`."""
        return f"{self.label}-{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A recording on a volume. `path` is the store's; on the volume it lies under data/recordings/."""

    recording_id: UUID
    attempt_id: UUID
    path: str
    sha256: bytes
    bytes: int
