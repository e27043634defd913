"""Reads what was written down about a run: our rows, the files of the store, the carrier's records."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import av
import numpy as np

from lab.carrier import CarrierCdr
from lab.demo.compare import AttemptFact, CarrierFact, FileFact, RecordingFact
from lab.places import home_of
from recorder.errors import FileGone
from recorder.file_keys import FileKeys, WrappedKey
from recorder.keyring import KeySource
from recorder.sealing import Seal, content_of

Stretches = tuple[tuple[int, int | None], ...]
_ATTEMPTS = """
select id, number, caller_number, state, outcome, created_at, sent_at, answered_at, bridged_at, ended_at, abandoned, agent_id from attempts order by id
"""
_RECORDINGS = """
select attempt_id, state, reason, duration_ms, path, sha256, bytes, project_key_id, wrapped_key, pauses::text as pauses,
       (select coalesce(jsonb_agg(to_jsonb(p) order by p.started_at), '[]')::text from recording_pauses p where p.attempt_id = r.attempt_id) as paused
from recordings r
"""
_PAUSES = """
select count(*) as count, coalesce(sum(to_ms - from_ms), 0) / 1000.0 as seconds,
       (select jsonb_object_agg(ended_by, n)::text from (select ended_by, count(*) as n from recording_pauses group by ended_by) by_end) as ended_by
from recording_pauses
"""
_EDGE_MS = 300  # a pause is known to a fifth of a second, and a codec smears
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
            pauses=_stretches(row["pauses"]),
            paused=_stretches(row["paused"]),
        )
        for row, file in zip(rows, files, strict=True)
    ]


async def pauses(connection: asyncpg.Connection[asyncpg.Record]) -> dict[str, Any]:
    """How many pauses of recordings there were, how long together, and how they ended."""
    row = await connection.fetchrow(_PAUSES)
    assert row is not None  # noqa: S101 - sums have one row
    return {
        "count": row["count"],
        "seconds": round(float(row["seconds"]), 1),
        "ended_by": json.loads(row["ended_by"] or "{}"),
    }


def _stretches(rows: str) -> Stretches:
    return tuple((one["from_ms"], one["to_ms"]) for one in json.loads(rows))


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
        channels, duration_ms, loudest = decoded(path, seal, _stretches(row["pauses"]))
    except (av.FFmpegError, FileGone):
        channels, duration_ms, loudest = 0, 0, 0.0
    return FileFact(hash_agrees=agrees, channels=channels, duration_ms=duration_ms, loudest_in_pause=loudest)


def decoded(path: Path, seal: Seal | None, pauses: Stretches = ()) -> tuple[int, int, float]:
    """Channels and milliseconds of sound that really come out of a file, and how loud it is within pauses, of full scale."""
    samples = rate = channels = 0
    loudest = 0.0
    with content_of(path, seal) as content, av.open(content, "r") as container:
        for frame in container.decode(audio=0):
            rate = frame.sample_rate
            channels = frame.layout.nb_channels
            start_ms, samples = samples * 1000 / rate, samples + frame.samples
            if any(start + _EDGE_MS <= start_ms < (stop or 0) - _EDGE_MS for start, stop in pauses):
                loudest = max(loudest, float(np.abs(frame.to_ndarray()).max()))
    return channels, round(samples * 1000 / rate) if rate else 0, loudest
