"""A file that turned up where it should not be: its sound, made ready to be asked for marks, and what its tags say."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av

from recorder import watermark
from recorder.errors import BadClip
from recorder.personal_copy import sound_of
from recorder.watermark import Traces

SHORTEST_S: Final = 5
CERTAIN: Final = 1e-6
"""What is found is believed where fewer than one in a million unmarked sounds would look like it, all that was asked for counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """What a file is."""

    sha256: bytes
    says: str  # its tags: anybody can write them
    seconds: float
    traces: Traces


def examine(path: Path) -> Leak:
    """Read a file of any kind that holds sound. Blocking. Raises BadClip `sound_unreadable`, `sound_too_short`."""
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").digest()
        with av.open(path, "r") as source:
            tags = {**source.metadata, **source.streams.audio[0].metadata}
            traces = Traces(sound_of(source, watermark.RATE_HZ))
    except (OSError, IndexError, av.FFmpegError) as error:
        raise BadClip(
            "sound_unreadable", f"{path} cannot be read as sound ({type(error).__name__}): is it the file you mean?"
        ) from error
    seconds = traces.samples / watermark.RATE_HZ
    if seconds < SHORTEST_S:
        raise BadClip("sound_too_short", f"A mark is looked for in {SHORTEST_S} s of sound at least; 30 s are enough.")
    said = {name.lower(): text for name, text in tags.items()}
    return Leak(sha256=sha256, says=said.get("comment", said.get("description", "")), seconds=seconds, traces=traces)
