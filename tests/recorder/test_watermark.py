"""The mark in what leaves the house: found in a piece of it after our encoders, never taken for another's, and weaker than the voice that hides it."""

from __future__ import annotations

import io
import math
from pathlib import Path

import av
import numpy as np
import pytest

from recorder import leaks, watermark
from recorder.errors import BadClip
from recorder.leaks import examine
from recorder.master import encode_block, make_master, opus_stream
from recorder.mp3 import transcode
from recorder.personal_copy import personal_copy, sound_of
from recorder.watermark import Sound, Traces, marked
from tests.recorder.builders import speech, wav

SECRET, OTHER = b"s" * 32, b"o" * 32
SECONDS = 45


def conversation(seconds: float = SECONDS) -> Sound:
    """Two voices, at different pitches, in turns of their own."""
    sides = [speech(seconds, pitch_hz=pitch, seed=seed) for pitch, seed in ((117.0, 3), (208.0, 8))]
    return np.stack(sides).astype(np.float32) * np.float32(1 / 32768)


def pieces(sound: Sound, size: int) -> list[Sound]:
    """In blocks."""
    return [sound[:, at : at + size] for at in range(0, sound.shape[1], size)]


def whole(blocks: list[Sound], secret: bytes = SECRET, rate_hz: int = 8000) -> Sound:
    """Marked and joined."""
    return np.concatenate(list(marked(blocks, secret, rate_hz=rate_hz)), axis=1)


def again_opus(path: Path, *, start_s: float, seconds: float) -> bytes:
    """What somebody makes of a file: a part of it, encoded anew as we would."""
    with av.open(path, "r") as source:
        sound = np.concatenate(list(sound_of(source, 8000)), axis=1)
    part = sound[:, round(start_s * 8000) : round((start_s + seconds) * 8000)]
    samples = (part.T * 32767).astype("<i2").reshape(1, -1)
    out = io.BytesIO()
    with av.open(out, "w", format="ogg") as container:
        stream = opus_stream(container, 8000)
        encode_block(container, stream, samples, rate_hz=8000, start=0)
        container.mux(stream.encode(None))
    return out.getvalue()


def a_copy(root: Path, seconds: float = SECONDS) -> Path:
    """A personal copy of a kept recording."""
    sound = (conversation(seconds) * 32767).astype("<i2")
    for name, side in zip(("r.wav", "t.wav"), sound, strict=True):
        (root / name).write_bytes(wav(side))
    make_master(root / "r.wav", root / "t.wav", root / "m.opus", expected_ms=None)
    (root / "copy.opus").write_bytes(personal_copy(root / "m.opus", None, {"comment": "for Wang"}, secret=SECRET))
    return root / "copy.opus"


def test_a_copy_sounds_as_long_as_the_recording_and_carries_its_mark_and_tags(tmp_path: Path) -> None:
    leak = examine(a_copy(tmp_path))
    assert leak.says == "for Wang"
    assert leak.seconds == pytest.approx(SECONDS, abs=0.1)
    assert leak.traces.of(SECRET).chance < 1e-12
    assert leak.traces.of(OTHER).chance > leaks.CERTAIN
    assert examine(tmp_path / "m.opus").traces.of(SECRET).chance > leaks.CERTAIN  # what is kept has none


def test_thirty_seconds_encoded_anew_still_tell(tmp_path: Path) -> None:
    copy = a_copy(tmp_path)
    (tmp_path / "cut.opus").write_bytes(again_opus(copy, start_s=7.345, seconds=30))
    (tmp_path / "leak.mp3").write_bytes(transcode(tmp_path / "cut.opus", None))
    for name in ("cut.opus", "leak.mp3"):
        traces = examine(tmp_path / name).traces
        assert traces.of(SECRET).chance < leaks.CERTAIN, name
        assert traces.of(OTHER).chance > leaks.CERTAIN, name


def test_both_sides_mixed_to_one_still_tell() -> None:
    sound = whole(pieces(conversation(30), 50_000))
    assert Traces([sound.mean(axis=0, keepdims=True)], sides=1).of(SECRET).chance < 1e-12


def test_the_chance_that_is_told_is_the_share_of_secrets_that_look_alike_by_accident() -> None:
    traces, asked = Traces(pieces(conversation(20), 40_000)), 500
    alike = sum(traces.of(number.to_bytes(32)).chance < 0.1 for number in range(asked))
    assert alike == pytest.approx(asked / 10, abs=5 * math.sqrt(asked / 10))


def test_the_mark_is_as_much_weaker_than_the_sound_as_it_is_said_and_silence_has_none() -> None:
    sound = conversation(10)
    added = whole([sound]) - sound
    ratio_db = 10 * np.log10(np.mean(added**2) / np.mean(sound**2))
    assert watermark.STRENGTH_DB - 8 < ratio_db < watermark.STRENGTH_DB
    assert not whole([np.zeros((2, 9000), np.float32)]).any()


@pytest.mark.parametrize("size", [1, 127, 128, 5000, 400_000])
def test_in_whatever_pieces_it_comes_the_same_comes_out_sample_for_sample(size: int) -> None:
    sound = conversation(2)[:, : 3001 if size == 1 else 16_000]
    made = whole(pieces(sound, size))
    assert made.shape == sound.shape
    assert np.allclose(made, whole([sound]), atol=1e-6)


def test_sound_of_a_higher_rate_is_marked_in_the_same_place() -> None:
    wide = np.repeat(conversation(20), 2, axis=1)
    made = whole([wide], rate_hz=16_000)
    assert made.shape == wide.shape
    assert Traces([made[:, ::2].copy()]).of(SECRET).chance < 1e-9


@pytest.mark.parametrize(
    ("content", "error_id"), [(b"no sound at all", "sound_unreadable"), (None, "sound_unreadable")]
)
def test_what_is_no_sound_is_said_plainly(tmp_path: Path, content: bytes | None, error_id: str) -> None:
    if content is not None:
        (tmp_path / "x").write_bytes(content)
    with pytest.raises(BadClip) as refused:
        examine(tmp_path / "x")
    assert refused.value.error_id == error_id


def test_too_little_sound_is_refused_rather_than_guessed_at(tmp_path: Path) -> None:
    (tmp_path / "short.wav").write_bytes(wav(speech(3.0)))
    with pytest.raises(BadClip) as refused:
        examine(tmp_path / "short.wav")
    assert refused.value.error_id == "sound_too_short"
