"""The mark of an export on the lab's recorded voices: what is left of it in 30 s that somebody cut out and encoded anew."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Literal

import av
import numpy as np
import pytest

from lab.carrier import Carrier
from lab.voices import AGENT_VOICES, RATE_HZ, Samples
from recorder import leaks
from recorder.leaks import examine
from recorder.master import make_master
from recorder.personal_copy import personal_copy, sound_of
from tests.recorder.builders import wav
from tests.system.telephony.sound import voice

SECRET = b"k" * 32


def pcm(path: Path, *, rate_hz: int) -> Samples:
    """A file's sound, 16 bit, shape (samples, sides)."""
    with av.open(path, "r") as source:
        return (np.concatenate(list(sound_of(source, rate_hz)), axis=1).T * 32767).astype("<i2")


def encoded(
    samples: Samples, codec: Literal["libopus", "libmp3lame"], container: str, *, rate_hz: int, bit_rate: int
) -> bytes:
    """A file as any program makes it."""
    out = io.BytesIO()
    with av.open(out, "w", format=container) as target:
        stream = target.add_stream(codec, rate=rate_hz, layout="stereo")
        stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples).reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate, frame.pts = rate_hz, 0
        resampler = av.AudioResampler(format=stream.format.name, layout="stereo", rate=rate_hz)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            target.mux(stream.encode(part))
        target.mux(stream.encode(None))
    return out.getvalue()


@pytest.mark.parametrize("agent", range(AGENT_VOICES))
async def test_half_a_minute_of_an_export_tells_whose_it_was_after_opus_and_mp3(
    carrier: Carrier, tmp_path: Path, agent: int
) -> None:
    seconds = 45
    for name, file in (("r.wav", "human.alaw"), ("t.wav", f"agent-{agent}.wav")):
        (tmp_path / name).write_bytes(wav(np.resize(voice(carrier.voices_dir / file), seconds * RATE_HZ).astype("<i2")))
    make_master(tmp_path / "r.wav", tmp_path / "t.wav", tmp_path / "m", expected_ms=None)
    (tmp_path / "export").write_bytes(personal_copy(tmp_path / "m", None, {}, secret=SECRET))
    whole = pcm(tmp_path / "export", rate_hz=48_000)
    part = whole[round(7.345 * 48_000) :][: 30 * 48_000]
    leaked = {
        "opus": encoded(part, "libopus", "ogg", rate_hz=48_000, bit_rate=24_000),
        "mp3": encoded(part[::3], "libmp3lame", "mp3", rate_hz=16_000, bit_rate=32_000),
        "mono": encoded(part.mean(axis=1, keepdims=True).repeat(2, axis=1).astype("<i2"), "libopus", "ogg", rate_hz=48_000, bit_rate=24_000),
    }  # fmt: skip
    for name, content in leaked.items():
        (tmp_path / name).write_bytes(content)
        traces = examine(tmp_path / name).traces
        assert traces.of(SECRET).chance * 10_000 < leaks.CERTAIN, name  # among ten thousand exports
        assert traces.of(b"o" * 32).chance > leaks.CERTAIN, name
