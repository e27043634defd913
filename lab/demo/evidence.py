"""Reads what was written down about a run: our rows, the files of the store, the carrier's records."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import asyncpg
import av

from lab.carrier import CarrierCdr
from lab.demo.compare import AttemptFact, CarrierFact, FileFact, RecordingFact
from lab.places import home_of
from recorder.errors import FileGone
from recorder.file_keys import FileKeys, WrappedKey
from recorder.keyring import KeySource
from recorder.sealing import Seal, content_of

_ATTEMPTS = """
select id, number, caller_number, state, outcome, created_at, sent_at, answered_at, bridged_at, ended_at, abandoned, agent_id from attempts order by id
"""
_RECORDINGS = """
select attempt_id, state, reason, duration_ms, path, sha256, bytes, project_key_id, wrapped_key from recordings
"""
_ANSWER_TO_BRIDGE_MS = """
select extract(epoch from bridged_at - answered_at) * 1000 as ms from attempts where bridged_at is not null order by 1
"""
# A customer may wait for an agent, which is pacing; what comes after the promise is ours alone.
_AGENT_TO_BRIDGE_MS = """
select extract(epoch from a.bridged_at - greatest(a.answered_at, promised.at)) * 1000 as ms
from attempts a
join (select attempt_id, min(began_at) as at from agent_times where state = 'reserved' group by attempt_id) promised on promised.attempt_id = a.id
where a.bridged_at is not null order by 1
"""


async def attempts(connection: asyncpg.Connection[asyncpg.Record]) -> list[AttemptFact]:
    """Every attempt."""
    return [AttemptFact(**dict(row)) for row in await connection.fetch(_ATTEMPTS)]


async def recordings(connection: asyncpg.Connection[asyncpg.Record], store: Path, keys: Path) -> list[RecordingFact]:
    """Every row of the ledger, with what its file really is."""
    rows = await connection.fetch(_RECORDINGS)
    file_keys = FileKeys(KeySource(path=keys))
    seals = [await _seal(connection, file_keys, row) for row in rows]
    files = await asyncio.to_thread(lambda: [_file(store, row, seal) for row, seal in zip(rows, seals, strict=True)])
    return [
        RecordingFact(
            attempt_id=row["attempt_id"],
            state=row["state"],
            reason=row["reason"],
            duration_ms=row["duration_ms"],
            file=file,
        )
        for row, file in zip(rows, files, strict=True)
    ]


async def answer_to_bridge_ms(connection: asyncpg.Connection[asyncpg.Record]) -> list[float]:
    """From the customer's answer to both hearing each other, for every bridged call."""
    return [float(row["ms"]) for row in await connection.fetch(_ANSWER_TO_BRIDGE_MS)]


async def agent_to_bridge_ms(connection: asyncpg.Connection[asyncpg.Record]) -> list[float]:
    """From the moment when there was a customer and an agent for them to both hearing each other, for every bridged call."""
    return [float(row["ms"]) for row in await connection.fetch(_AGENT_TO_BRIDGE_MS)]


def shown_at_home(attempts: Iterable[AttemptFact], homes: Mapping[str, str]) -> dict[str, int]:
    """Calls to provinces in which a caller number of ours (`homes`: number → province) is at home, and those of them that showed such a number."""
    provinces = set(homes.values())
    there = [(home_of(one.number)[0], homes.get(one.caller_number)) for one in attempts]
    possible = [pair for pair in there if pair[0] in provinces]
    return {"possible": len(possible), "shown": sum(callee == caller for callee, caller in possible)}


def carrier_facts(records: Iterable[CarrierCdr]) -> list[CarrierFact]:
    """The carrier's calls."""
    return [
        CarrierFact(
            uniqueid=record.uniqueid,
            number=record.number,
            caller=record.caller,
            started=record.started,
            answered=record.answered,
            ended=record.ended,
            behaviour=record.behaviour,
        )
        for record in records
    ]


async def _seal(
    connection: asyncpg.Connection[asyncpg.Record], file_keys: FileKeys, row: asyncpg.Record
) -> Seal | None:
    if row["wrapped_key"] is None:
        return None
    key = WrappedKey(project_key_id=row["project_key_id"], wrapped=row["wrapped_key"])
    return await file_keys.seal(connection, row["attempt_id"], key)


def _file(store: Path, row: asyncpg.Record, seal: Seal | None) -> FileFact | None:
    if row["path"] is None:
        return None
    path = store / row["path"]
    if not path.is_file():
        return None
    content = path.read_bytes()
    agrees = hashlib.sha256(content).digest() == row["sha256"] and len(content) == row["bytes"]
    try:
        channels, duration_ms = decoded(path, seal)
    except (av.FFmpegError, FileGone):
        channels, duration_ms = 0, 0
    return FileFact(hash_agrees=agrees, channels=channels, duration_ms=duration_ms)


def decoded(path: Path, seal: Seal | None) -> tuple[int, int]:
    """Channels and milliseconds of sound that really come out of a file."""
    samples = rate = channels = 0
    with content_of(path, seal) as content, av.open(content, "r") as container:
        for frame in container.decode(audio=0):
            samples += frame.samples
            rate = frame.sample_rate
            channels = frame.layout.nb_channels
    return channels, round(samples * 1000 / rate) if rate else 0
