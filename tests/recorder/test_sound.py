"""Headers, masters, faults and clips, on sound made here."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recorder.clip import clip
from recorder.errors import BadClip, BadLeg
from recorder.faults import LegMeasure, judge
from recorder.master import HashedFile, make_master
from recorder.wav import WavLayout, read_layout
from tests.recorder.builders import RATE_HZ, decoded, level_db, speech, wav


def layout(content: bytes) -> WavLayout | None:
    """Layout of a whole leg."""
    return read_layout(content[:65536], len(content))


def test_a_closed_header_is_taken_at_its_word() -> None:
    assert layout(wav(speech(1.0))) == WavLayout(rate_hz=8000, offset=44, frames=8000, closed=True)


def test_a_header_of_length_zero_is_repaired_to_the_end_of_the_file() -> None:
    torn = wav(speech(1.0), declared_bytes=0)
    assert layout(torn) == WavLayout(rate_hz=8000, offset=44, frames=8000, closed=False)


def test_a_header_that_promises_more_than_there_is_ends_with_the_file() -> None:
    content = wav(speech(1.0))[:-7001]
    assert layout(content) == WavLayout(rate_hz=8000, offset=44, frames=(16000 - 7001) // 2, closed=False)


def test_a_chunk_after_the_sound_is_no_sound() -> None:
    content = bytearray(wav(speech(1.0)) + b"LIST\x04\0\0\0abcd")
    content[4:8] = (len(content) - 8).to_bytes(4, "little")
    assert layout(bytes(content)) == WavLayout(rate_hz=8000, offset=44, frames=8000, closed=True)


@pytest.mark.parametrize("length", [0, 1, 3, 11, 12, 20, 35, 43])
def test_a_file_cut_within_its_header_holds_nothing_and_is_no_poison(length: int) -> None:
    assert layout(wav(speech(1.0))[:length]) is None


def test_a_file_with_sound_is_never_taken_for_an_empty_one() -> None:
    """An empty leg may go; so a header that hides the sound behind a wrong length is poison, not emptiness."""
    hidden = wav(speech(0))[:36] + b"junk\xff\xff\xff\x7f" + bytes(100)
    with pytest.raises(BadLeg):
        layout(hidden)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_layout_or_nothing_or_a_bad_leg(content: bytes) -> None:
    for candidate in (content, b"RIFF" + content, wav(speech(0))[:40] + content):
        try:
            found = layout(candidate)
        except BadLeg:
            continue
        assert found is None or 0 <= found.frames * 2 <= len(candidate)


def test_a_master_says_its_hash_and_length_and_the_same_legs_give_the_same_bytes(tmp_path: Path) -> None:
    customer, agent = tmp_path / "r.wav", tmp_path / "t.wav"
    customer.write_bytes(wav(speech(25.0)))
    agent.write_bytes(wav(speech(25.0, seed=3)))
    made = [make_master(customer, agent, tmp_path / name, expected_ms=25_000) for name in ("a", "b")]
    content = (tmp_path / "a").read_bytes()
    assert made[0] == made[1]
    assert (tmp_path / "b").read_bytes() == content
    assert (made[0].sha256, made[0].bytes, made[0].duration_ms) == (
        hashlib.sha256(content).digest(),
        len(content),
        25_000,
    )
    assert decoded(content).shape == (2, 25 * 48000)


def test_the_sides_stay_apart(tmp_path: Path) -> None:
    """What one side says is not heard on the other: at least 25 dB down where only one speaks."""
    talk, quiet = speech(4.0), speech(4.0) * 0
    (tmp_path / "r.wav").write_bytes(wav(np.concatenate([talk, quiet])))
    (tmp_path / "t.wav").write_bytes(wav(np.concatenate([quiet, talk])))
    make_master(tmp_path / "r.wav", tmp_path / "t.wav", tmp_path / "m", expected_ms=None)
    left, right = decoded(tmp_path / "m")
    half = 4 * 48000
    assert level_db(left[:half]) - level_db(right[:half]) > 25
    assert level_db(right[half:]) - level_db(left[half:]) > 25
    assert abs(level_db(left[:half]) - level_db(right[half:])) < 1.0


def test_the_sides_stay_in_step_with_their_legs(tmp_path: Path) -> None:
    """A click at 2.5 s on the left and 7.5 s on the right is found there, within 10 ms."""
    left, right = speech(10.0) // 20, speech(10.0) // 20
    left[20000:20040] = 30000
    right[60000:60040] = 30000
    (tmp_path / "r.wav").write_bytes(wav(left))
    (tmp_path / "t.wav").write_bytes(wav(right))
    make_master(tmp_path / "r.wav", tmp_path / "t.wav", tmp_path / "m", expected_ms=None)
    heard = decoded(tmp_path / "m")
    assert [int(np.argmax(np.abs(side))) / 48000 for side in heard] == [
        pytest.approx(2.5, abs=0.01),
        pytest.approx(7.5, abs=0.01),
    ]


def test_a_master_that_cannot_be_finished_leaves_nothing_and_tells_the_disk_s_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "r.wav").write_bytes(wav(speech(30.0)))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space") as refused:
        make_master(tmp_path / "r.wav", tmp_path / "t.wav", tmp_path / "m", expected_ms=None)
    assert refused.value.errno == errno.ENOSPC
    assert not (tmp_path / "m").exists()


def test_what_a_killed_intake_left_at_the_part_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"half of something" * 1000)
    sink = HashedFile(tmp_path / "m")
    sink.write(b"whole")
    assert sink.finish() == hashlib.sha256(b"whole").digest()
    assert (tmp_path / "m").read_bytes() == b"whole"


def measure(
    side: str = "customer", *, ms: int = 10_000, present: bool = True, closed: bool = True, loud_ms: int = 5000
) -> LegMeasure:
    """A leg at 8 kHz."""
    return LegMeasure(side=side, present=present, closed=closed, frames=ms * 8, loud_ms=loud_ms)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("customer", "agent", "expected_ms", "faults"),
    [
        (measure(), measure("agent"), 10_000, []),
        (measure(), measure("agent"), None, []),
        (measure(), measure("agent"), 11_500, []),
        (measure(), measure("agent"), 11_501, [{"fault": "short", "ms": 1501}]),
        (measure(), measure("agent"), 8_000, [{"fault": "long", "ms": 2000}]),
        (measure(ms=600_000), measure("agent", ms=600_000), 611_000, []),  # 2 % of a long call
        (measure(ms=600_000), measure("agent", ms=600_000), 613_000, [{"fault": "short", "ms": 13_000}]),
        (measure(), measure("agent", ms=9_800), None, []),
        (measure(), measure("agent", ms=9_799), None, [{"fault": "out_of_step", "ms": 201}]),
        (measure(loud_ms=0), measure("agent"), None, [{"fault": "leg_silent", "side": "customer"}]),
        (measure(), measure("agent", closed=False), None, [{"fault": "header_repaired", "side": "agent"}]),
        (measure(), measure("agent", ms=0, loud_ms=0), None, [{"fault": "leg_empty", "side": "agent"}]),
        (
            measure(ms=0, present=False, loud_ms=0),
            measure("agent"),
            None,
            [{"fault": "leg_missing", "side": "customer"}],
        ),
    ],
)
def test_faults(
    customer: LegMeasure, agent: LegMeasure, expected_ms: int | None, faults: list[dict[str, object]]
) -> None:
    assert judge((customer, agent), rate_hz=8000, expected_ms=expected_ms) == faults


def test_nobody_is_said_to_have_been_silent_in_a_call_that_was_paused() -> None:
    legs = (measure(loud_ms=0), measure("agent"))
    assert judge(legs, rate_hz=8000, expected_ms=10_000, paused=True) == []


@pytest.fixture
def master(tmp_path: Path) -> Path:
    """Ten seconds: the customer speaks in the first five, the agent in the last five."""
    talk, quiet = speech(5.0), speech(5.0) * 0
    (tmp_path / "r.wav").write_bytes(wav(np.concatenate([talk, quiet])))
    (tmp_path / "t.wav").write_bytes(wav(np.concatenate([quiet, talk])))
    make_master(tmp_path / "r.wav", tmp_path / "t.wav", tmp_path / "m.opus", expected_ms=None)
    return tmp_path / "m.opus"


def pcm(content: bytes) -> NDArray[np.float32]:
    """Samples of a wav file at 8 kHz, shape (channels, samples), full scale 1."""
    with wave.open(io.BytesIO(content)) as file:
        assert (file.getframerate(), file.getsampwidth()) == (RATE_HZ, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, file.getnchannels())
    return (samples.T / 32768).astype(np.float32)


def length_ms(sound: NDArray[np.float32]) -> float:
    """Length of samples at 8 kHz."""
    return float(sound.shape[1] * 1000 / RATE_HZ)


async def test_a_clip_has_the_asked_length_and_the_asked_sound(master: Path) -> None:
    sound = pcm(await clip(master, start_ms=4000, end_ms=7000, media="wav"))
    assert (sound.shape[0], abs(length_ms(sound) - 3000) <= 1) == (2, True)
    customer, agent = sound
    assert level_db(customer[: 900 * 8]) > level_db(agent[: 900 * 8]) + 20
    assert level_db(agent[1200 * 8 :]) > level_db(customer[1200 * 8 :]) + 20


async def test_a_clip_begins_where_it_was_asked_to(master: Path) -> None:
    whole = pcm(await clip(master, start_ms=0, end_ms=10_000, media="wav"))
    part = pcm(await clip(master, start_ms=6123, end_ms=8123, media="wav"))
    steps = range(-40, 41)
    fits = [float(np.dot(whole[1, 6123 * 8 + step :][: 2000 * 8], part[1, : 2000 * 8])) for step in steps]
    assert abs(steps[int(np.argmax(fits))]) <= 8  # samples: 1 ms


async def test_a_clip_of_one_side_and_a_clip_in_opus(master: Path) -> None:
    agent = pcm(await clip(master, start_ms=0, end_ms=4500, leg="agent", media="wav"))
    assert (agent.shape[0], level_db(agent) < -45) == (1, True)
    both = decoded(await clip(master, start_ms=1000, end_ms=3500))
    assert both.shape[1] / 48 == pytest.approx(2500, abs=20)


async def test_a_clip_that_runs_over_the_end_is_cut_there_and_one_after_it_is_refused(master: Path) -> None:
    assert length_ms(pcm(await clip(master, start_ms=9000, end_ms=15_000, media="wav"))) == pytest.approx(1000, abs=1)
    with pytest.raises(BadClip, match="earlier time"):
        await clip(master, start_ms=11_000, end_ms=12_000)


@pytest.mark.parametrize(("start_ms", "end_ms"), [(-1, 100), (100, 100), (200, 100), (0, 600_001)])
async def test_a_clip_out_of_bounds_is_refused(master: Path, start_ms: int, end_ms: int) -> None:
    with pytest.raises(BadClip) as refused:
        await clip(master, start_ms=start_ms, end_ms=end_ms)
    assert refused.value.error_id == "clip_out_of_bounds"


def test_what_was_not_written_while_the_customer_was_alone_is_silence_so_that_the_sound_begins_at_the_answer(
    tmp_path: Path,
) -> None:
    """A click at 2.5 s of the call is found there though both legs begin 480 ms after the answer; so is a pause."""
    left, right = speech(9.52) // 20, speech(9.52, seed=3) // 20
    left[round((2.5 - 0.48) * 8000) :][:40] = 30000
    right[round((7.5 - 0.48) * 8000) :][:40] = 30000
    for side in (left, right):
        side[round((3.0 - 0.48) * 8000) : round((5.0 - 0.48) * 8000)] = 0
    (tmp_path / "r.wav").write_bytes(wav(left))
    (tmp_path / "t.wav").write_bytes(wav(right))
    made = make_master(
        tmp_path / "r.wav", tmp_path / "t.wav", tmp_path / "m", expected_ms=10_000, alone_ms=500, pauses=((3000, 5000),)
    )
    heard = decoded(tmp_path / "m")
    assert [int(np.argmax(np.abs(side))) / 48000 for side in heard] == [
        pytest.approx(2.5, abs=0.01),
        pytest.approx(7.5, abs=0.01),
    ]
    assert np.abs(heard[:, : round(0.45 * 48000)]).max() < 0.001
    assert (made.duration_ms, made.faults) == (10_000, [])


@pytest.mark.parametrize(("alone_ms", "closed"), [(0, True), (300, True), (500, False)])
def test_what_is_missing_for_another_reason_is_not_put_before_the_sound(
    tmp_path: Path, alone_ms: int, *, closed: bool
) -> None:
    for name in ("r.wav", "t.wav"):
        (tmp_path / name).write_bytes(wav(speech(9.52), declared_bytes=None if closed else 0))
    made = make_master(tmp_path / "r.wav", tmp_path / "t.wav", tmp_path / "m", expected_ms=10_000, alone_ms=alone_ms)
    assert made.duration_ms == 9520
