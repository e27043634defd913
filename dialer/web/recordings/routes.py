"""Recordings: finding them. Listening is in `listening`."""

from __future__ import annotations

from uuid import UUID

from campaigns.numbers import normalise
from dialer.db import history, recording_search
from dialer.db.history import RecordingRow
from dialer.db.recording_search import Wanted
from dialer.domain.errors import NotFound
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.fields import Page, after_cursor, page_of
from dialer.web.masking import scrubbed, shown
from dialer.web.recordings.types import Recording, RecordingPause, RecordingQuery, Tags, Talk, Waveform
from dialer.web.roles import LISTENERS
from recorder import ledger


@operation("GET", "/recordings", roles=LISTENERS, summary="List recordings")
async def list_recordings(call: Call, query: RecordingQuery) -> Page[Recording]:
    """Newest first."""
    after = after_cursor(query.cursor, UUID)
    asked = {name: getattr(query, name) for name in Wanted.__slots__}
    if query.number is not None:
        asked["number"] = normalise(query.number, call.deps.settings.region).e164
    async with call.connection() as conn:
        rows = await recording_search.search(
            conn, Wanted(**asked), before=after[0] if after else None, limit=query.limit + 1
        )
    return page_of(rows, query.limit, _shown, lambda row: [row.attempt_id])


@operation("PUT", "/recordings/{recording_id}/tags", roles=LISTENERS, summary="Tag a recording")
async def set_tags(call: Call, recording_id: UUID, body: Tags) -> Recording:
    """These tags, and no others."""
    tags = sorted(set(body.tags))
    async with call.transaction() as conn:
        of = await recording_search.set_tags(conn, recording_id, tags)
        row = _there(await history.recording(conn, recording_id))
        if of is not None:
            await call.audit(
                conn, "recording_tagged", "recording", recording_id, project_id=of[0], call_id=of[1], tags=tags
            )
        return _shown(row)


@operation("GET", "/recordings/{recording_id}", roles=LISTENERS, summary="What is known of a recording")
async def get_recording(call: Call, recording_id: UUID) -> Recording:
    """Its facts, without its sound."""
    async with call.connection() as conn:
        return _shown(_there(await history.recording(conn, recording_id)))


@operation("GET", "/recordings/{recording_id}/waveform", roles=LISTENERS, summary="The picture of a recording")
async def get_waveform(call: Call, recording_id: UUID) -> Waveform:
    """Peaks of both sides, at most 1000 each, for a player to draw before any sound has come."""
    async with call.connection() as conn:
        wave = await ledger.waveform(conn, recording_id)
    if wave is None:
        raise NotFound(
            "waveform_unknown", "There is no picture of this recording: it has no sound, or is older than analysis."
        )
    return Waveform(each_ms=wave.each_ms, customer=list(wave.customer), agent=list(wave.agent))


def _shown(row: RecordingRow) -> Recording:
    values = {
        name: getattr(row, name)
        for name in Recording.model_fields
        if name not in {"call_id", "sha256", "number", "talk", "note", "pauses", "tags"}
    }
    return Recording(
        **values,
        call_id=row.attempt_id,
        sha256=row.sha256.hex() if row.sha256 else None,
        number=shown(row.number, masked=row.mask_numbers),
        note=scrubbed(row.note, row.number, masked=row.mask_numbers),
        tags=[scrubbed(tag, row.number, masked=row.mask_numbers) for tag in row.tags],
        talk=None if row.longest_silence_ms is None else Talk.model_validate(row),
        pauses=[_pause(row, RecordingPause.model_validate(one)) for one in row.pauses],
    )


def _pause(row: RecordingRow, pause: RecordingPause) -> RecordingPause:
    return pause.model_copy(update={"note": scrubbed(pause.note, row.number, masked=row.mask_numbers)})


def _there(row: RecordingRow | None) -> RecordingRow:
    if row is None:
        raise NotFound("recording_unknown", "There is no such recording.")
    return row
