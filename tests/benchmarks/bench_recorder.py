"""How fast recordings are taken in and encoded, beside what the machine can do on the same files in the same run.

- Intake: a spool of 60 s calls until every master is stored, read back and its legs are gone. Bound: cp, openssl sha256 and fsync of the
  same legs, three programs for all files at once (the cheapest way to copy and hash them with what every machine has). "but the encoding"
  is one reading of the legs plus the time in which the one encoder had nothing to do: what checking, hashing, syncing, the ledger and reading back cost.
- Encoding: seconds of sound per second of CPU of one core, listening (analysis) and hashing included. Bound 1: 250x real time. Bound 2: libopus
  itself, called from C types with the same settings on samples that are already in memory (no file, no container, no hash). Bound 3, where
  the program is installed: ffmpeg with one thread and the same settings, from the same legs to a file of the same size.
- Analysis: voice on both legs, levels, peaks and all figures of a call, on one core. Bound: 1,500x real time.
- Chain: entries a second whose hashes are followed from the database. Bound: 200,000 a second.
- Streaming: 1 MB ranges through the reader, beside pread of the same ranges.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import av
import numpy as np

from recorder import chaining
from recorder.activity import BLOCK_S, FRAME_MS, Activity, waveform
from recorder.encoder import EncodeOrder, EncoderPool
from recorder.master import BIT_RATE, Master, make_master
from recorder.open_files import OpenFiles
from recorder.ranges import Span
from recorder.service import Recorder
from recorder.steps import Step
from recorder.talk import figures
from tests.benchmarks.database import a_database
from tests.recorder.builders import (
    RATE_HZ,
    Sound,
    a_project,
    an_attempt,
    put_legs,
    settings,
    speech,
    wav,
)
from tests.recorder.killed_recorder import now

CALLS = 40
CALL_S = 60
ENCODE_S = 900
INTAKE_GOAL = 0.8
REAL_TIME_BOUND = 250
ANALYSIS_BOUND = 1500
CHAIN_ENTRIES = 400_000
CHAIN_BOUND = 200_000
BARE_OPUS_BOUND = 0.7
FFMPEG_BOUND = 0.95
STREAM_BOUND = 0.1
_OPUS_APPLICATION_VOIP = 2048
_OPUS_SET_BITRATE, _OPUS_SET_COMPLEXITY = 4002, 4010
_FRAME = RATE_HZ // 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A figure beside its bound; `wanted` is the ratio that has to be reached (None: it is only shown)."""

    name: str
    figure: str
    bound: str
    ratio: float
    wanted: float | None

    def __str__(self) -> str:
        held = self.wanted is None or self.ratio >= self.wanted
        return f"{self.name} | {self.figure} | {self.bound} | {self.ratio:.2f} | {'ok' if held else 'MISSED'}"


@contextmanager
def a_folder() -> Iterator[Path]:
    """On the disk of the checkout, like the database's."""
    runs = Path(__file__).resolve().parents[2] / ".run" / "bench"
    runs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=runs) as folder:
        yield Path(folder)


def copy_hash_sync(legs: list[Path], target: Path) -> float:
    """Seconds of the bound."""
    target.mkdir()
    began = time.perf_counter()
    copies = [str(target / leg.name) for leg in legs]
    subprocess.run(["cp", *map(str, legs), str(target)], check=True)
    subprocess.run(["openssl", "dgst", "-sha256", *copies], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["sync", *copies], check=True)
    took = time.perf_counter() - began
    shutil.rmtree(target)
    return took


def read_all(legs: list[Path]) -> float:
    """Seconds to read the legs once more."""
    began = time.perf_counter()
    for leg in legs:
        leg.read_bytes()
    return time.perf_counter() - began


async def intake() -> list[Line]:
    """Take in a spool."""
    with a_folder() as folder:
        async with a_database() as pool:
            of = settings(folder, reconcile_every_s=3600.0)
            await a_project(pool)
            customer, agent = wav(speech(CALL_S)), wav(speech(CALL_S, pitch_hz=210, seed=5))
            put_legs(of.spool_dir, await an_attempt(pool, 1, talk_s=CALL_S), customer, agent)
            removed: dict[UUID, float] = {}

            def at_step(step: Step, call: UUID) -> None:
                if step is Step.REMOVED:
                    removed[call] = time.perf_counter()

            recorder = Recorder(pool, of, clock=now, on_step=at_step)
            await recorder.start()
            await recorder.settled(60)  # the encoder process is up
            calls = [await an_attempt(pool, number, talk_s=CALL_S) for number in range(2, CALLS + 2)]
            legs = [leg for call in calls for leg in put_legs(of.spool_dir, call, customer, agent)]
            os.sync()
            bound_s = min(copy_hash_sync(legs, folder / "copy") for _ in range(3))
            read_s = read_all(legs)
            encoding_s, encode = 0.0, EncoderPool.encode

            async def timed(self: EncoderPool, order: EncodeOrder) -> Master:
                nonlocal encoding_s
                async with turn:  # one encoder: its own time, not that of those who wait for it
                    since = time.perf_counter()
                    try:
                        return await encode(self, order)
                    finally:
                        encoding_s += time.perf_counter() - since

            turn = asyncio.Lock()
            EncoderPool.encode = timed  # type: ignore[method-assign]
            began = time.perf_counter()
            for call in calls:
                recorder.signal(call)
            await recorder.settled(300)
            EncoderPool.encode = encode  # type: ignore[method-assign]
            took_s = max(removed[call] for call in calls) - began
            await recorder.stop()
    size_mb = sum((len(customer), len(agent))) * CALLS / 1e6
    rest_s = took_s - encoding_s + read_s
    bound = f"cp+openssl sha256+fsync {size_mb / bound_s:.0f} MB/s"
    return [
        Line(name="Intake of legs, all of it but the encoding", figure=f"{size_mb / rest_s:.0f} MB/s", bound=f"{bound} (>= {INTAKE_GOAL})", ratio=bound_s / rest_s, wanted=INTAKE_GOAL),
        Line(name="Intake of legs, with the encoding", figure=f"{size_mb / took_s:.0f} MB/s", bound=f"{bound} (shown)", ratio=bound_s / took_s, wanted=None),
        Line(
            name="Intake, sound a second of one encoder",
            figure=f"{CALLS * CALL_S / took_s:.0f}x real time",
            bound="(shown)",
            ratio=CALLS * CALL_S / took_s / REAL_TIME_BOUND,
            wanted=None,
        ),
    ]  # fmt: skip


def bare_opus_s(stereo: Sound) -> float | None:
    """CPU seconds of libopus alone for interleaved samples; None where PyAV does not carry the library as a file of its own."""
    found = sorted((Path(av.__file__).parent.parent / "av.libs").glob("libopus*"))
    if not found:
        return None
    opus = ctypes.CDLL(str(found[0]))
    opus.opus_encoder_create.restype = ctypes.c_void_p
    error = ctypes.c_int()
    encoder = ctypes.c_void_p(opus.opus_encoder_create(RATE_HZ, 2, _OPUS_APPLICATION_VOIP, ctypes.byref(error)))
    opus.opus_encoder_ctl(encoder, _OPUS_SET_BITRATE, ctypes.c_int(BIT_RATE))
    opus.opus_encoder_ctl(encoder, _OPUS_SET_COMPLEXITY, ctypes.c_int(0))
    out = ctypes.create_string_buffer(4000)
    at = stereo.ctypes.data
    began = time.process_time()
    for frame in range(len(stereo) // 2 // _FRAME):
        opus.opus_encode(encoder, ctypes.c_void_p(at + frame * _FRAME * 4), _FRAME, out, 4000)
    took = time.process_time() - began
    opus.opus_encoder_destroy(encoder)
    return took


def ffmpeg_s(folder: Path) -> float | None:
    """CPU seconds of the program for the same two legs; None where it is not installed."""
    program = shutil.which("ffmpeg")
    if program is None:
        return None
    reading = ["-y", "-v", "error", "-threads", "1", "-i", str(folder / "r.wav"), "-i", str(folder / "t.wav")]
    merging = [
        "-filter_threads",
        "1",
        "-filter_complex_threads",
        "1",
        "-filter_complex",
        "amerge=inputs=2[a]",
        "-map",
        "[a]",
    ]
    writing = [
        "-c:a",
        "libopus",
        "-application",
        "voip",
        "-compression_level",
        "0",
        "-frame_duration",
        "20",
        "-b:a",
        str(BIT_RATE),
    ]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([program, *reading, *merging, *writing, "-threads", "1", str(folder / "f.ogg")], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def encoding() -> list[Line]:
    """Encode a quarter of an hour."""
    customer, agent = speech(ENCODE_S), speech(ENCODE_S, pitch_hz=210, seed=5)
    stereo = np.ascontiguousarray(np.stack([customer, agent], axis=1).reshape(-1))
    best = float("inf")
    with a_folder() as folder:
        (folder / "r.wav").write_bytes(wav(customer))
        (folder / "t.wav").write_bytes(wav(agent))
        for _ in range(3):
            began = time.process_time()
            make_master(folder / "r.wav", folder / "t.wav", folder / "m", expected_ms=None)
            best = min(best, time.process_time() - began)
        programs = [took for took in (ffmpeg_s(folder) for _ in range(3)) if took]
    speed = ENCODE_S / best
    lines = [
        Line(name="Encoding, one core", figure=f"{speed:.0f}x real time", bound=f">= {REAL_TIME_BOUND}x", ratio=speed / REAL_TIME_BOUND, wanted=1.0)
    ]  # fmt: skip
    bare = [took for took in (bare_opus_s(stereo) for _ in range(3)) if took]
    if bare:
        bound = f"libopus alone {ENCODE_S / min(bare):.0f}x"
        lines.append(
            Line(
                name="Encoding beside its library",
                figure=f"{speed:.0f}x",
                bound=bound,
                ratio=min(bare) / best,
                wanted=BARE_OPUS_BOUND,
            )
        )
    if programs:
        bound = f"ffmpeg, one thread {ENCODE_S / min(programs):.0f}x"
        lines.append(
            Line(
                name="Encoding beside ffmpeg",
                figure=f"{speed:.0f}x",
                bound=bound,
                ratio=min(programs) / best,
                wanted=FFMPEG_BOUND,
            )
        )
    return lines


def analysis() -> list[Line]:
    """Listen to a quarter of an hour, as the encoder does."""
    legs = speech(ENCODE_S), speech(ENCODE_S, pitch_hz=210, seed=5)
    block, best = BLOCK_S * RATE_HZ, float("inf")
    for _ in range(3):
        began = time.process_time()
        sides = Activity(), Activity()
        for start in range(0, len(legs[0]), block):
            for side, leg in zip(sides, legs, strict=True):
                side.hear(leg[start : start + block], RATE_HZ)
        figures(sides[0].voiced, sides[1].voiced, frame_ms=FRAME_MS)
        for side in sides:
            waveform(side.peaks, 1000)
        best = min(best, time.process_time() - began)
    speed = ENCODE_S / best
    return [
        Line(name="Analysis of both legs, one core", figure=f"{speed:.0f}x real time", bound=f">= {ANALYSIS_BOUND}x", ratio=speed / ANALYSIS_BOUND, wanted=1.0)
    ]  # fmt: skip


async def streaming() -> list[Line]:
    """Read 1 MB ranges of a file that is in memory already."""
    size, span = 64_000_000, 1_000_000
    with a_folder() as folder:
        path = folder / "m.opus"
        path.write_bytes(os.urandom(1_000_000) * 64)
        handle = os.open(path, os.O_RDONLY)
        bare_s = ours_s = float("inf")
        for _ in range(3):
            began = time.perf_counter()
            for start in range(0, size, span):
                os.pread(handle, span, start)
            bare_s = min(bare_s, time.perf_counter() - began)
            began = time.perf_counter()
            for start in range(0, size, span):
                async with OpenFiles(most=0).of(path, size) as file:
                    async for _chunk in file.chunks((Span(start=start, stop=start + span),)):
                        pass
            ours_s = min(ours_s, time.perf_counter() - began)
        os.close(handle)
    bound = f"pread {size / bare_s / 1e6:.0f} MB/s"
    return [
        Line(
            name="Reading 1 MB ranges without blocking",
            figure=f"{size / ours_s / 1e6:.0f} MB/s",
            bound=bound,
            ratio=bare_s / ours_s,
            wanted=STREAM_BOUND,
        )
    ]


async def the_chain() -> list[Line]:
    """Follow a long chain."""
    async with a_database() as pool:
        await pool.execute(
            "insert into recording_events (attempt_id, line) select gen_random_uuid(), repeat('x', 300) from generate_series(1, $1::integer)",
            CHAIN_ENTRIES,
        )
        async with pool.acquire() as conn:
            while await chaining.chain_on(conn, None, at=now()):
                pass
            await conn.execute("vacuum analyze recording_events")
            best = float("inf")
            for _ in range(3):
                began = time.perf_counter()
                assert await chaining.follow(conn) == (CHAIN_ENTRIES, None, CHAIN_ENTRIES)
                best = min(best, time.perf_counter() - began)
    speed = CHAIN_ENTRIES / best
    return [
        Line(name="Checking the chain", figure=f"{speed:,.0f} entries/s", bound=f">= {CHAIN_BOUND:,}/s", ratio=speed / CHAIN_BOUND, wanted=1.0)
    ]  # fmt: skip


def main() -> int:
    """Print the figures; 0 when every bound is held."""
    lines = [*encoding(), *analysis(), *asyncio.run(intake()), *asyncio.run(streaming()), *asyncio.run(the_chain())]
    for line in lines:
        print(line)
    return int(any(str(line).endswith("MISSED") for line in lines))


if __name__ == "__main__":
    sys.exit(main())
