"""HTTP ranges as RFC 9110 has them, and a reader that serves what was planned."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import time
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.waiting import wait_until
from recorder.errors import FileGone
from recorder.open_files import OpenFiles
from recorder.ranges import Span, StreamPlan, parse_ranges, plan_response
from recorder.sealing import CHUNK_BYTES as SEALED_BYTES
from recorder.sealing import HEAD_BYTES, STRIDE, Seal, SealingSink, new_seal
from recorder.streaming import BLOCK_BYTES, KEPT_BYTES

SIZE = 1000
SHA = hashlib.sha256(b"a recording").digest()
ETAG = f'"{SHA.hex()}"'
MODIFIED = datetime(2026, 3, 10, 1, 2, 3, 456789, tzinfo=UTC)
DATE = "Tue, 10 Mar 2026 01:02:03 GMT"
WHOLE = [(0, SIZE)]


def plan(
    range_header: str | None = None,
    if_range: str | None = None,
    *,
    method: Literal["GET", "HEAD"] = "GET",
    size: int = SIZE,
    if_none_match: str | None = None,
) -> StreamPlan:
    """A plan for the recording of these tests."""
    return plan_response(
        method=method,
        range_header=range_header,
        if_range=if_range,
        size=size,
        sha256=SHA,
        modified=MODIFIED,
        if_none_match=if_none_match,
    )


@pytest.mark.parametrize(
    ("range_header", "if_range", "status", "spans", "content_range"),
    [
        pytest.param(None, None, 200, WHOLE, None, id="no range: the whole file"),
        pytest.param("bytes=0-499", None, 206, [(0, 500)], "bytes 0-499/1000", id="first half"),
        pytest.param("bytes=500-", None, 206, [(500, 1000)], "bytes 500-999/1000", id="from a byte on"),
        pytest.param("bytes=-100", None, 206, [(900, 1000)], "bytes 900-999/1000", id="suffix"),
        pytest.param("bytes=-5000", None, 206, WHOLE, "bytes 0-999/1000", id="suffix longer than the file"),
        pytest.param("bytes=0-0", None, 206, [(0, 1)], "bytes 0-0/1000", id="one byte"),
        pytest.param("bytes=999-999", None, 206, [(999, 1000)], "bytes 999-999/1000", id="the last byte"),
        pytest.param("bytes=990-5000", None, 206, [(990, 1000)], "bytes 990-999/1000", id="end beyond the file is cut"),
        pytest.param("bytes=0-", None, 206, WHOLE, "bytes 0-999/1000", id="all of it, as players ask first"),
        pytest.param("BYTES=0-9", None, 206, [(0, 10)], "bytes 0-9/1000", id="the unit has no case"),
        pytest.param("bytes= 0-9 , ", None, 206, [(0, 10)], "bytes 0-9/1000", id="white space and empty elements"),
        pytest.param("bytes=0-9,20-29", None, 206, [(0, 10), (20, 30)], None, id="two ranges: multipart"),
        pytest.param("bytes=500-599,0-99", None, 206, [(500, 600), (0, 100)], None, id="the order asked for is kept"),
        pytest.param("bytes=0-9,5-19", None, 206, [(0, 20)], "bytes 0-19/1000", id="overlapping ranges are joined"),
        pytest.param("bytes=0-9,10-19", None, 206, [(0, 20)], "bytes 0-19/1000", id="adjacent ranges are joined"),
        pytest.param("bytes=0-9,2000-", None, 206, [(0, 10)], "bytes 0-9/1000", id="the satisfiable one of two"),
        pytest.param("bytes=1000-", None, 416, [], "bytes */1000", id="begins at the end: unsatisfiable"),
        pytest.param("bytes=2000-3000,5000-", None, 416, [], "bytes */1000", id="none satisfiable"),
        pytest.param("bytes=-0", None, 416, [], "bytes */1000", id="empty suffix: unsatisfiable"),
        pytest.param("seconds=0-10", None, 200, WHOLE, None, id="unknown unit is ignored"),
        pytest.param("bytes=9-0", None, 200, WHOLE, None, id="backwards: malformed, ignored"),
        pytest.param("bytes=0-9,9-0", None, 200, WHOLE, None, id="one malformed spoils the header"),
        pytest.param("bytes=a-b", None, 200, WHOLE, None, id="letters"),
        pytest.param("bytes=-", None, 200, WHOLE, None, id="a bare dash"),
        pytest.param("bytes=", None, 200, WHOLE, None, id="no range after the unit"),
        pytest.param("bytes", None, 200, WHOLE, None, id="no equals sign"),
        pytest.param("bytes=--5", None, 200, WHOLE, None, id="a negative number"),
        pytest.param("bytes=٣-٤", None, 200, WHOLE, None, id="digits that are not ASCII"),
        pytest.param(
            "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 100, 2)), None, 200, WHOLE, None, id="too many ranges"
        ),
        pytest.param("bytes=0-9", ETAG, 206, [(0, 10)], "bytes 0-9/1000", id="If-Range with our tag"),
        pytest.param("bytes=0-9", '"other"', 200, WHOLE, None, id="If-Range with another tag"),
        pytest.param("bytes=0-9", f"W/{ETAG}", 200, WHOLE, None, id="If-Range with a weak tag never matches"),
        pytest.param("bytes=0-9", DATE, 206, [(0, 10)], "bytes 0-9/1000", id="If-Range with our date"),
        pytest.param("bytes=0-9", "Tue, 10 Mar 2026 01:02:04 GMT", 200, WHOLE, None, id="If-Range with a later date"),
        pytest.param("bytes=0-9", "yesterday", 200, WHOLE, None, id="If-Range with rubbish"),
        pytest.param(None, ETAG, 200, WHOLE, None, id="If-Range without Range is ignored"),
        pytest.param("bytes=2000-", '"other"', 200, WHOLE, None, id="a failed If-Range comes before 416"),
    ],
)
def test_range_conformance(
    range_header: str | None, if_range: str | None, status: int, spans: list[tuple[int, int]], content_range: str | None
) -> None:
    made = plan(range_header, if_range)
    assert made.status == status
    assert [(span.start, span.stop) for span in made.spans] == spans
    assert made.headers.get("Content-Range") == content_range
    assert int(made.headers["Content-Length"]) == sum(
        len(part) if isinstance(part, bytes) else part.length for part in made.parts
    )
    assert (made.headers["ETag"], made.headers["Last-Modified"], made.headers["Accept-Ranges"]) == (ETAG, DATE, "bytes")


def test_a_multipart_body_is_laid_out_as_the_standard_says() -> None:
    made = plan("bytes=0-1,10-12")
    boundary = made.headers["Content-Type"].removeprefix("multipart/byteranges; boundary=")
    file = bytes(range(200)) * 5
    body = b"".join(part if isinstance(part, bytes) else file[part.start : part.stop] for part in made.parts)
    head = "Content-Type: audio/ogg; codecs=opus\r\nContent-Range: bytes"
    assert body == (
        f"\r\n--{boundary}\r\n{head} 0-1/1000\r\n\r\n".encode()
        + file[0:2]
        + f"\r\n--{boundary}\r\n{head} 10-12/1000\r\n\r\n".encode()
        + file[10:13]
        + f"\r\n--{boundary}--\r\n".encode()
    )
    assert int(made.headers["Content-Length"]) == len(body)
    assert "Content-Range" not in made.headers


def test_head_says_what_get_would_and_ignores_ranges() -> None:
    made = plan("bytes=0-9", method="HEAD")
    assert (made.status, made.parts, made.headers["Content-Length"]) == (200, (), "1000")


def test_an_empty_file_has_no_satisfiable_range() -> None:
    assert plan("bytes=0-", size=0).status == 416
    assert plan("bytes=-5", size=0).status == 416
    assert (plan(size=0).status, plan(size=0).parts) == (200, ())


@pytest.mark.parametrize("tags", [ETAG, f'"x", {ETAG}', f"W/{ETAG}", "*"])
def test_what_the_listener_already_has_is_not_sent_again(tags: str) -> None:
    made = plan("bytes=0-9", if_none_match=tags)
    assert (made.status, made.parts) == (304, ())
    assert plan(if_none_match='"other"').status == 200


@given(
    header=st.text(max_size=60) | st.from_regex(r"bytes=([0-9]{0,4}-[0-9]{0,4},?){1,20}", fullmatch=True),
    size=st.integers(0, 3000),
)
def test_whatever_is_asked_no_byte_outside_the_file_and_none_twice(header: str, size: int) -> None:
    spans = parse_ranges(header, size)
    if spans is None:
        return
    assert all(0 <= span.start < span.stop <= size for span in spans)
    ordered = sorted(spans, key=lambda span: span.start)
    assert all(one.stop < other.start for one, other in pairwise(ordered))


async def test_the_reader_gives_the_planned_bytes(tmp_path: Path) -> None:
    content = bytes(range(256)) * 4000
    path = tmp_path / "a.opus"
    path.write_bytes(content)
    parts = (b"head", Span(start=5, stop=700_000), b"tail", Span(start=1_000_000, stop=1_024_000))
    async with OpenFiles(most=0).of(path, len(content)) as file:
        chunks = [chunk async for chunk in file.chunks(parts)]
    assert b"".join(chunks) == b"head" + content[5:700_000] + b"tail" + content[1_000_000:]
    assert max(map(len, chunks)) <= BLOCK_BYTES


def a_file(path: Path, content: bytes, seal: Seal | None) -> int:
    """A master of this content; how long the file is."""
    with path.open("wb") as file:
        if seal is None:
            file.write(content)
        else:
            sink = SealingSink(file, seal)
            sink.write(content)
            sink.finish()
    return path.stat().st_size


async def span_of(files: OpenFiles, path: Path, size: int, seal: Seal | None, start: int, stop: int) -> bytes:
    async with files.of(path, size, seal) as file:
        return b"".join([chunk async for chunk in file.chunks((Span(start=start, stop=stop),))])


@pytest.mark.parametrize("sealed", [False, True])
async def test_what_was_heard_is_not_read_again_until_its_file_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sealed: bool
) -> None:
    content, path, seal = (
        os.urandom(3 * BLOCK_BYTES + 5),
        tmp_path / "a.opus",
        new_seal(UUID(int=7)) if sealed else None,
    )
    size, reads, preadv = a_file(path, content, seal), 0, os.preadv

    def counted(*words: Any) -> int:
        nonlocal reads
        reads += 1
        return preadv(*words)

    monkeypatch.setattr(os, "preadv", counted)
    files, chance = OpenFiles(), random.Random(1)
    assert await span_of(files, path, size, seal, 0, len(content)) == content
    assert 4 <= reads <= 8  # four blocks; some may have to wait for the disk
    reads = 0
    for _ in range(100):
        start = chance.randrange(len(content))
        stop = chance.randrange(start, len(content)) + 1
        assert await span_of(files, path, size, seal, start, stop) == content[start:stop]
    assert reads == 0
    assert files.blocks.bytes >= len(content)
    files.close()
    assert files.blocks.bytes == 0


async def test_no_more_is_kept_than_may_be_and_the_longest_unused_goes_first(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.opus" for name in "abc"]
    for path in paths:
        a_file(path, path.name.encode() * (BLOCK_BYTES // 6), None)
    size, files = paths[0].stat().st_size, OpenFiles(kept_bytes=2 * BLOCK_BYTES)
    for path in (*paths, paths[1], *paths):
        assert await span_of(files, path, size, None, 0, size) == path.name.encode() * (BLOCK_BYTES // 6)
        assert files.blocks.bytes <= 2 * BLOCK_BYTES
    files.close()


@pytest.mark.parametrize("kept", [0, KEPT_BYTES])
async def test_damage_takes_away_only_the_sealed_chunk_that_it_is_in(tmp_path: Path, kept: int) -> None:
    content, path, seal = os.urandom(BLOCK_BYTES), tmp_path / "a.opus", new_seal(UUID(int=7))
    size = a_file(path, content, seal)
    with path.open("r+b") as file:
        file.seek(HEAD_BYTES + 2 * STRIDE + 100)
        file.write(b"damage")
    files = OpenFiles(kept_bytes=kept)
    good = (0, 2 * SEALED_BYTES), (3 * SEALED_BYTES, BLOCK_BYTES)
    for start, stop in good * 2:
        assert await span_of(files, path, size, seal, start, stop) == content[start:stop]
    with pytest.raises(FileGone) as altered:
        await span_of(files, path, size, seal, 0, BLOCK_BYTES)
    assert altered.value.error_id == "recording_file_altered"
    files.close()


async def test_a_file_that_is_gone_or_torn_is_said_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(FileGone) as gone:
        async with OpenFiles(most=0).of(tmp_path / "none.opus", 10):
            pass
    (tmp_path / "torn.opus").write_bytes(b"123")
    with pytest.raises(FileGone) as torn:
        async with OpenFiles(most=0).of(tmp_path / "torn.opus", 10):
            pass
    assert (gone.value.error_id, torn.value.error_id) == ("recording_file_gone", "recording_file_torn")


async def test_a_file_that_is_cut_while_it_is_read_ends_the_stream_with_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.opus"
    size = 2 * BLOCK_BYTES
    path.write_bytes(bytes(size))
    async with OpenFiles(most=0).of(path, size) as file:
        chunks = file.chunks((Span(start=0, stop=size),))
        await anext(chunks)
        os.truncate(path, BLOCK_BYTES + 300_000)
        assert sum([len(await anext(chunks)) for _ in range(5)]) == 300_000
        with pytest.raises(FileGone):
            async for _ in chunks:
                pass


async def test_reading_does_not_block_the_loop(tmp_path: Path) -> None:
    path = tmp_path / "a.opus"
    size = 20_000_000
    path.write_bytes(bytes(size))
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.get_running_loop().create_task(others())
    begin = time.monotonic()
    async with OpenFiles(most=0).of(path, size) as file:
        total = sum([len(chunk) async for chunk in file.chunks((Span(start=0, stop=size),))])
    other.cancel()
    assert total == size
    assert turns >= size // BLOCK_BYTES, time.monotonic() - begin  # a turn between two blocks


def open_handles(path: Path) -> int:
    """How often this process has a file open."""
    found = 0
    for handle in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found += handle.readlink() == path
    return found


async def read(files: OpenFiles, path: Path, size: int) -> bytes:
    async with files.of(path, size) as file:
        return b"".join([chunk async for chunk in file.chunks((Span(start=0, stop=size),))])


async def test_file_stays_open_for_the_next_range_and_is_let_go_when_none_comes(tmp_path: Path) -> None:
    path = tmp_path / "a.opus"
    path.write_bytes(b"sound")
    files = OpenFiles(idle_s=0.05)
    assert await asyncio.gather(*(read(files, path, 5) for _ in range(3))) == [b"sound"] * 3
    assert open_handles(path) == 1
    assert await read(files, path, 5) == b"sound"
    await wait_until(lambda: open_handles(path) == 0, timeout_s=5, what="the file to be let go")
    assert await read(files, path, 5) == b"sound"
    files.close()
    assert open_handles(path) == 0


async def test_more_files_than_may_stay_open_let_go_of_the_longest_unused(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.opus" for name in "abc"]
    files = OpenFiles(most=2)
    for path in paths:
        path.write_bytes(b"sound")
        assert await read(files, path, 5) == b"sound"
    assert [open_handles(path) for path in paths] == [0, 1, 1]
    files.close()


async def test_file_in_use_is_closed_only_when_its_last_reader_is_done(tmp_path: Path) -> None:
    path = tmp_path / "a.opus"
    path.write_bytes(b"sound")
    files = OpenFiles()
    async with files.of(path, 5) as file:
        files.close()
        assert open_handles(path) == 1
        assert b"".join([chunk async for chunk in file.chunks((Span(start=0, stop=5),))]) == b"sound"
    assert open_handles(path) == 0


async def test_torn_file_is_opened_anew_so_that_a_mended_one_is_heard(tmp_path: Path) -> None:
    path = tmp_path / "a.opus"
    path.write_bytes(b"sound")
    files = OpenFiles()
    async with files.of(path, 5):
        os.truncate(path, 2)
    with pytest.raises(FileGone, match="shorter"):
        await read(files, path, 5)
    mended = tmp_path / "mended"
    mended.write_bytes(b"sound")
    mended.replace(path)
    assert await read(files, path, 5) == b"sound"
    files.close()
