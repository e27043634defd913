"""The life of a volume and of its copies, as tables: (state, event) → state. What is not in a table is refused.

A volume's steps leave the work directory and the ledger so that each may be done again; a copy is a disc, or an image in a folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeVar

from recorder.errors import ArchiveError


class VolumeState(StrEnum):
    """The words of `archive_volumes.state`."""

    PLANNED = "planned"  # its recordings are chosen
    FROZEN = "frozen"  # their rows are copied: what is built from now on is always the same
    IMAGED = "imaged"  # the image is written, its hash in the ledger
    PROTECTED = "protected"  # error correction is added, the whole hash in the ledger
    CHECKED = "checked"  # read back file by file: may be written to media
    SEALED = "sealed"  # as many copies as the policy wants have been re-read from their media
    VOID = "void"  # given up before it was sealed; its recordings are free for another


class VolumeEvent(StrEnum):
    """What happens to a volume, in the past tense."""

    FROZEN = "frozen"
    IMAGED = "imaged"
    PROTECTED = "protected"
    CHECKED = "checked"
    COPIES_VERIFIED = "copies_verified"
    FOUND_WRONG = "found_wrong"  # it is not what was written, and no copy is made yet: the image is built again
    GIVEN_UP = "given_up"


class CopyState(StrEnum):
    """The words of `archive_copies.state`."""

    WANTED = "wanted"
    WRITTEN = "written"
    VERIFIED = "verified"
    DAMAGED = "damaged"
    LOST = "lost"
    DESTROYED = "destroyed"


class CopyEvent(StrEnum):
    """What happens to a copy, in the past tense."""

    WRITTEN = "written"
    VERIFIED = "verified"
    FOUND_DAMAGED = "found_damaged"
    LOST = "lost"
    DESTROYED = "destroyed"


_V, _VE, _C, _CE = VolumeState, VolumeEvent, CopyState, CopyEvent

VOLUME_MOVES: Final[dict[tuple[VolumeState, VolumeEvent], VolumeState]] = {
    (_V.PLANNED, _VE.FROZEN): _V.FROZEN,
    (_V.FROZEN, _VE.IMAGED): _V.IMAGED,
    (_V.IMAGED, _VE.PROTECTED): _V.PROTECTED,
    (_V.PROTECTED, _VE.CHECKED): _V.CHECKED,
    (_V.CHECKED, _VE.COPIES_VERIFIED): _V.SEALED,
    **{(state, _VE.FOUND_WRONG): _V.FROZEN for state in (_V.IMAGED, _V.PROTECTED, _V.CHECKED)},
    **{(state, _VE.GIVEN_UP): _V.VOID for state in (_V.PLANNED, _V.FROZEN, _V.IMAGED, _V.PROTECTED, _V.CHECKED)},
}

COPY_MOVES: Final[dict[tuple[CopyState, CopyEvent], CopyState]] = {
    (_C.WANTED, _CE.WRITTEN): _C.WRITTEN,
    (_C.WRITTEN, _CE.VERIFIED): _C.VERIFIED,
    (_C.VERIFIED, _CE.VERIFIED): _C.VERIFIED,  # the yearly look
    (_C.DAMAGED, _CE.VERIFIED): _C.VERIFIED,  # another drive reads it
    **{(state, _CE.FOUND_DAMAGED): _C.DAMAGED for state in (_C.WRITTEN, _C.VERIFIED, _C.DAMAGED)},
    **{(state, _CE.LOST): _C.LOST for state in (_C.WRITTEN, _C.VERIFIED, _C.DAMAGED)},
    **{(state, _CE.DESTROYED): _C.DESTROYED for state in (_C.WRITTEN, _C.VERIFIED, _C.DAMAGED, _C.LOST)},
}


def diagram(
    moves: Mapping[tuple[VolumeState, VolumeEvent], VolumeState] | Mapping[tuple[CopyState, CopyEvent], CopyState],
) -> str:
    """The table as a Mermaid diagram, for docs/discs.md."""
    arrows = [f"    {source} --> {target}: {event}" for (source, event), target in moves.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", *arrows, "```"])


S = TypeVar("S", VolumeState, CopyState)
E = TypeVar("E", VolumeEvent, CopyEvent)


def after(moves: dict[tuple[S, E], S], state: S, event: E, what: str) -> S:
    """The state after an event. Raises ArchiveError `archive_step_refused`."""
    try:
        return moves[state, event]
    except KeyError:
        raise ArchiveError("archive_step_refused", f"{what} is {state}: it cannot be {event}.") from None
