"""Calls, legs and recorders for these tests. Sound is made here, speech-like: voiced syllables with pauses."""

from __future__ import annotations

import asyncio
import io
import struct
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
import av
import numpy as np
from numpy.typing import NDArray

from recorder import ledger
from recorder.ledger import Recording
from recorder.paths import leg_paths
from recorder.service import Recorder
from recorder.settings import RecorderSettings
from recorder.sweep import lowest_id

RATE_HZ = 8000
ANSWERED = datetime(2026, 3, 9, 17, 30, tzinfo=UTC)  # the 10th in Shanghai
Sound = NDArray[np.int16]


def speech(seconds: float, *, pitch_hz: float = 140.0, seed: int = 1, first_silence_s: float = 0.0) -> Sound:
    """Voiced syllables of some 200 ms with gaps, harmonics and a little breath; 16-bit, 8 kHz."""
    rng = np.random.default_rng(seed)
    count = round(seconds * RATE_HZ)
    at = np.arange(count) / RATE_HZ
    glide = pitch_hz * (1 + 0.1 * np.sin(2 * np.pi * 0.7 * at))
    phase = 2 * np.pi * np.cumsum(glide) / RATE_HZ
    voice = sum(np.sin(k * phase) / k for k in range(1, 8))
    syllables = np.clip(np.sin(2 * np.pi * 2.3 * at + seed), 0, 1) * (np.sin(2 * np.pi * 0.21 * at + seed) > -0.4)
    sound = voice * syllables * 5000 + rng.normal(0, 12, count)
    sound[: round(first_silence_s * RATE_HZ)] = 0
    return np.clip(sound, -32767, 32767).astype("<i2")


def wav(sound: Sound, *, rate_hz: int = RATE_HZ, channels: int = 1, declared_bytes: int | None = None) -> bytes:
    """A wav file as Asterisk writes it: 44 bytes of header. `declared_bytes` 0: as a killed Asterisk leaves it."""
    data = sound.tobytes()
    length = len(data) if declared_bytes is None else declared_bytes
    riff = 36 + length if length else 0
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", riff, b"WAVE", b"fmt ", 16, 1, channels, rate_hz,
                       rate_hz * 2 * channels, 2 * channels, 16, b"data", length)  # fmt: skip
    return head + data


def attempt_id(number: int, at: datetime = ANSWERED) -> UUID:
    """A version 7 id of a moment."""
    return UUID(int=lowest_id(at).int | 0x7 << 76 | 0x2 << 62 | number)


def put_legs(spool: Path, call: UUID, customer: bytes | None, agent: bytes | None) -> tuple[Path, Path]:
    """Write legs as Asterisk would."""
    paths = leg_paths(spool, call)
    for path, content in zip(paths, (customer, agent), strict=True):
        if content is not None:
            path.write_bytes(content)
    return paths


def decoded(path: Path | bytes) -> NDArray[np.float32]:
    """The sound of a master at 48 kHz, shape (2, samples)."""
    with av.open(io.BytesIO(path) if isinstance(path, bytes) else path, "r") as container:
        return np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)


def level_db(sound: NDArray[np.float32]) -> float:
    """RMS in dB of full scale."""
    return float(20 * np.log10(np.sqrt(np.mean(np.square(sound, dtype=np.float64))) + 1e-9))


def settings(root: Path, **changes: Any) -> RecorderSettings:
    """Settings with a spool and a store under a directory, deadlines for tests, floors that a full test disk does not meet."""
    values: dict[str, Any] = {
        "spool_dir": root / "spool",
        "store_dir": root / "store",
        "settle_s": 0.3,
        "legs_deadline_s": 60.0,
        "reconcile_every_s": 0.2,
        "space_every_s": 0.2,
        "back_off_min_s": 0.05,
        "back_off_max_s": 0.4,
        "spool_floor_bytes": 0,
        "store_floor_bytes": 0,
        **changes,
    }
    made = RecorderSettings(**values)
    made.spool_dir.mkdir(parents=True, exist_ok=True)
    made.store_dir.mkdir(parents=True, exist_ok=True)
    return made


if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]

PROJECT = UUID("018f0000-0000-4000-8000-000000000001")
TRUNK = UUID("018f0000-0000-4000-8000-000000000002")


async def a_project(
    pool: Pool, *, zone: str = "Asia/Shanghai", record_calls: bool = True, project_id: UUID = PROJECT
) -> UUID:
    """A project; made once however often it is asked for."""
    await pool.execute(
        "insert into projects (id, name, zone, record_calls) values ($1, $2, $3, $4) on conflict do nothing",
        project_id, f"project {project_id}", zone, record_calls,
    )  # fmt: skip
    return project_id


async def an_attempt(
    pool: Pool,
    number: int = 1,
    *,
    answered_at: datetime | None = ANSWERED,
    talk_s: float | None = 2.0,
    project_id: UUID = PROJECT,
    at: datetime = ANSWERED,
    node: str = "node-1",
) -> UUID:
    """An attempt; `talk_s` None: it is still live."""
    call = attempt_id(number, at)
    ended_at = None if talk_s is None else (answered_at or at) + timedelta(seconds=talk_s)
    await pool.execute(
        """insert into attempts (id, project_id, number, node, trunk_id, caller_number, mode, state, created_at, answered_at, ended_at, outcome)
           values ($1, $2, $3, $9, $4, '+862155550000', 'progressive', $5, $6, $7, $8, case when $8::timestamptz is null then null else 'talked' end)""",
        call, project_id, f"+8613{number:09d}", TRUNK, "ended" if ended_at else "answered", at, answered_at, ended_at, node,
    )  # fmt: skip
    return call


async def end_attempt(pool: Pool, call: UUID, *, ended_at: datetime) -> None:
    """The hang-up."""
    await pool.execute(
        "update attempts set state = 'ended', outcome = 'talked', ended_at = $2 where id = $1", call, ended_at
    )


async def row_of(pool: Pool, call: UUID) -> Recording | None:
    """The ledger row of a call."""
    async with pool.acquire() as conn:
        return await ledger.recording_of_attempt(conn, call)


async def until(condition: Callable[[], Awaitable[bool]], what: str, *, deadline_s: float = 20.0) -> None:
    """Wait for a condition."""
    end = time.monotonic() + deadline_s
    while not await condition():
        if time.monotonic() > end:
            raise AssertionError(f"Not within {deadline_s} s: {what}")
        await asyncio.sleep(0.02)


NOW = ANSWERED + timedelta(seconds=10)


def now() -> datetime:
    """Ten seconds after the calls of these tests were answered."""
    return NOW


class Running:
    """A recorder at work for the length of a block."""

    def __init__(self, pool: Pool, of: RecorderSettings, **changes: Any) -> None:
        self.recorder = Recorder(pool, of, clock=changes.pop("clock", now), **changes)

    async def __aenter__(self) -> Recorder:
        await self.recorder.start()
        return self.recorder

    async def __aexit__(self, *_: object) -> None:
        await self.recorder.stop()
