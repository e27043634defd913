"""A pause of a recording in its three forms: in memory, as a row, and as the mark on the customer's channel."""

from __future__ import annotations

from datetime import datetime, timedelta

from dialer.db.pauses import PauseNews
from dialer.domain.pause_table import PauseState
from dialer.domain.pauses import Mark, PauseEnd, PauseReason
from dialer.engine.floor import Call, Pause


def row_of(call: Call, pause: Pause, ended_by: PauseEnd | None = None, ended_at: datetime | None = None) -> PauseNews:
    """For the journal; `ended_by` None: it goes on. Places in the recording are counted from the answer, where its sound begins."""
    from_ms = _place(call, pause.started_at)
    return PauseNews(
        id=pause.id,
        attempt_id=call.attempt_id,
        agent_id=pause.agent_id,
        reason=pause.reason.value,
        note=pause.note,
        started_at=pause.started_at,
        ended_at=None if ended_at is None else max(ended_at, pause.started_at),
        ended_by=ended_by.value if ended_by else None,
        from_ms=from_ms,
        to_ms=None if ended_at is None else max(from_ms, _place(call, ended_at)),
    )


def mark_for(pause: Pause, ended_by: PauseEnd | None = None, ended_at: datetime | None = None) -> Mark:
    """For the channel."""
    return Mark(
        pause_id=pause.id,
        agent_id=pause.agent_id,
        reason=pause.reason,
        started_at=pause.started_at,
        ended_at=ended_at,
        ended_by=ended_by,
    )


def paused(row: PauseNews, until: datetime) -> Pause:
    """What a row says of a pause that goes on."""
    return Pause(
        id=row.id,
        agent_id=row.agent_id,
        reason=PauseReason(row.reason),
        note=row.note,
        started_at=row.started_at,
        until=until,
        state=PauseState.PAUSED,
    )


def marked(mark: Mark, row: PauseNews | None, until: datetime) -> Pause:
    """What a mark says; only a row has the note."""
    return Pause(
        id=mark.pause_id,
        agent_id=mark.agent_id,
        reason=mark.reason,
        note=row.note if row is not None and row.id == mark.pause_id else "",
        started_at=mark.started_at,
        until=until,
        state=PauseState.PAUSED,
    )


def _place(call: Call, at: datetime) -> int:
    return max(0, round((at - (call.answered_at or call.created_at)) / timedelta(milliseconds=1)))
