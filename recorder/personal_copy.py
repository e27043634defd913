"""A copy of a recording that says in its tags whose copy it is. The sound is not touched: packets are copied, not encoded anew."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import av

from recorder.sealing import Seal, content_of


def personal_copy(path: Path, seal: Seal | None, tags: Mapping[str, str]) -> bytes:
    """The recording as a file of its own, with tags. Blocking. Raises FileGone."""
    out = io.BytesIO()
    with content_of(path, seal) as content, av.open(content, "r") as source, av.open(
        out, "w", format="ogg", options={"fflags": "+bitexact"}
    ) as target:  # fmt: skip
        of = source.streams.audio[0]
        stream = target.add_stream_from_template(of)
        target.metadata.update(tags)
        stream.metadata.update(tags)
        for packet in source.demux(of):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return out.getvalue()
