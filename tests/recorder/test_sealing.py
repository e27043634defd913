"""Sealed files: opened from any place by whoever has the key, by nobody else, and no change to them goes unseen."""

from __future__ import annotations

import asyncio
import io
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.errors import FileGone
from recorder.open_files import OpenFiles
from recorder.ranges import Span
from recorder.sealing import CHUNK_BYTES, HEAD_BYTES, STRIDE, Seal, SealedFile, SealingSink, content_bytes, new_seal
from tests.recorder.builders import attempt_id

SEAL = Seal(attempt_id=attempt_id(1), key=bytes(range(32)))


def sealed(content: bytes, seal: Seal = SEAL) -> bytes:
    """A sealed file, written in pieces as an encoder does."""
    out = io.BytesIO()
    sink = SealingSink(out, seal)
    for at in range(0, len(content), 7000):
        sink.write(content[at : at + 7000])
    sink.finish()
    return out.getvalue()


async def streamed(path: Path, *spans: Span, seal: Seal = SEAL) -> bytes:
    """Spans of the sound, as a listener gets them."""
    size = await asyncio.to_thread(lambda: path.stat().st_size)
    async with OpenFiles(most=0).of(path, size, seal) as file:
        return b"".join([chunk async for chunk in file.chunks(spans)])


LENGTHS = [1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 4 * CHUNK_BYTES, 9 * CHUNK_BYTES + 777]


@pytest.mark.parametrize("length", LENGTHS)
async def test_what_was_sealed_is_opened_whole_and_from_any_place(length: int, tmp_path: Path) -> None:
    content, path, chance = random.Random(length).randbytes(length), tmp_path / "a.opus", random.Random(1)
    path.write_bytes(sealed(content))
    assert content_bytes(path.stat().st_size) == length
    assert await streamed(path, Span(start=0, stop=length)) == content
    for _ in range(30):
        start = chance.randrange(length)
        stop = chance.randint(start + 1, length)
        assert await streamed(path, Span(start=start, stop=stop)) == content[start:stop]
    with SealedFile(path, SEAL) as file:
        assert file.read() == content
        file.seek(length // 2)
        assert file.read(100) == content[length // 2 : length // 2 + 100]


def test_the_sound_cannot_be_found_in_a_sealed_file() -> None:
    content = b"the customer's own words " * 10_000
    assert b"customer" not in sealed(content)


@settings(max_examples=60)
@given(at=st.integers(0, 3 * STRIDE), bit=st.integers(0, 7))
def test_any_flipped_bit_is_found(at: int, bit: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = bytearray(sealed(bytes(2 * CHUNK_BYTES + 500)))
    file[at % len(file)] ^= 1 << bit
    path = tmp_path_factory.getbasetemp() / "flipped.opus"
    path.write_bytes(file)
    with pytest.raises(FileGone) as refused:
        SealedFile(path, SEAL).read()
    assert refused.value.error_id == "recording_file_altered"


@pytest.mark.parametrize("chunks_cut", [1, 2])
def test_a_file_that_ends_at_an_earlier_chunk_is_no_shorter_recording(chunks_cut: int, tmp_path: Path) -> None:
    file = sealed(bytes(3 * CHUNK_BYTES))
    (tmp_path / "a.opus").write_bytes(file[: HEAD_BYTES + (3 - chunks_cut) * STRIDE])
    with pytest.raises(FileGone):
        SealedFile(tmp_path / "a.opus", SEAL).read()


def test_chunks_in_another_order_do_not_open(tmp_path: Path) -> None:
    file = sealed(bytes(3 * CHUNK_BYTES))
    one, other = file[HEAD_BYTES : HEAD_BYTES + STRIDE], file[HEAD_BYTES + STRIDE : HEAD_BYTES + 2 * STRIDE]
    (tmp_path / "a.opus").write_bytes(file[:HEAD_BYTES] + other + one + file[HEAD_BYTES + 2 * STRIDE :])
    with pytest.raises(FileGone):
        SealedFile(tmp_path / "a.opus", SEAL).read()


def test_another_call_s_file_under_this_call_s_name_does_not_open(tmp_path: Path) -> None:
    (tmp_path / "a.opus").write_bytes(sealed(bytes(100), Seal(attempt_id=attempt_id(2), key=SEAL.key)))
    with pytest.raises(FileGone):
        SealedFile(tmp_path / "a.opus", SEAL)


def test_another_key_does_not_open_it(tmp_path: Path) -> None:
    (tmp_path / "a.opus").write_bytes(sealed(bytes(100)))
    with pytest.raises(FileGone):
        SealedFile(tmp_path / "a.opus", new_seal(SEAL.attempt_id)).read()


@pytest.mark.parametrize("length", [0, HEAD_BYTES - 1, HEAD_BYTES, HEAD_BYTES + 5, HEAD_BYTES + STRIDE + 7])
def test_a_file_of_an_impossible_length_is_torn(length: int, tmp_path: Path) -> None:
    (tmp_path / "a.opus").write_bytes(bytes(length))
    with pytest.raises(FileGone):
        SealedFile(tmp_path / "a.opus", SEAL)


async def test_a_range_reads_and_opens_only_the_chunks_that_hold_it(tmp_path: Path) -> None:
    """All other chunks are spoilt, and nobody notices."""
    content = random.Random(5).randbytes(20 * CHUNK_BYTES)
    file = bytearray(sealed(content))
    for chunk in set(range(20)) - {7, 8}:
        at = HEAD_BYTES + chunk * STRIDE
        file[at] ^= 1
    (tmp_path / "a.opus").write_bytes(file)
    span = Span(start=8 * CHUNK_BYTES - 10, stop=8 * CHUNK_BYTES + 10)
    assert await streamed(tmp_path / "a.opus", span) == content[span.start : span.stop]


async def test_a_spoilt_chunk_ends_the_stream_before_a_byte_of_it_is_given(tmp_path: Path) -> None:
    content = random.Random(6).randbytes(12 * CHUNK_BYTES)
    file = bytearray(sealed(content))
    file[HEAD_BYTES + 9 * STRIDE + 5] ^= 1
    (tmp_path / "a.opus").write_bytes(file)
    async with OpenFiles(most=0).of(tmp_path / "a.opus", len(file), SEAL) as reading:
        chunks = reading.chunks((Span(start=0, stop=len(content)),))
        got = [await anext(chunks) for _ in range(9)]
        with pytest.raises(FileGone):
            await anext(chunks)
    assert b"".join(got) == content[: 9 * CHUNK_BYTES]
