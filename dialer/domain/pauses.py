"""Pauses of a recording: why there may be one, how it ends, and what a customer's channel says of it.

The channel carries the mark of its last pause (`WAIHU_PAUSE`): an engine that takes over from a dead one learns from it what is muted, whether
or not the row was written. It holds ids, a code and times: nothing that was typed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

MARK_VARIABLE: Final = "WAIHU_PAUSE"
MOST_NOTE: Final = 100
"""Characters of the note that a reason may ask for."""


class PauseReason(StrEnum):
    """The same words as in `recording_pauses.reason`."""

    CARD_NUMBER = "card_number"
    IDENTITY_NUMBER = "identity_number"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A reason as a screen shows it."""

    code: PauseReason
    label_zh: str
    label_en: str
    needs_note: bool = False


REASONS: Final = (
    Reason(code=PauseReason.CARD_NUMBER, label_zh="银行卡号", label_en="Card number"),
    Reason(code=PauseReason.IDENTITY_NUMBER, label_zh="证件号码", label_en="Identity number"),
    Reason(code=PauseReason.OTHER, label_zh="其他", label_en="Other", needs_note=True),
)
"""All there are, in the order a desk shows them."""


class PauseEnd(StrEnum):
    """How a pause ended; the same words as in `recording_pauses.ended_by`."""

    AGENT = "agent"
    LIMIT = "limit"
    HANDED_OVER = "handed_over"  # the agent who had paused left the conversation: a transfer, a softphone that vanished
    CALL_END = "call_end"
    FAILED = "failed"  # Asterisk did not answer the order to mute: nobody was told that it was paused


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A pause as the channel carries it; `ended_by` None: it goes on."""

    pause_id: UUID
    agent_id: UUID
    reason: PauseReason
    started_at: datetime
    ended_at: datetime | None = None
    ended_by: PauseEnd | None = None

    def __str__(self) -> str:
        words = [self.pause_id.hex, self.agent_id.hex, self.reason.value, _ms(self.started_at)]
        if self.ended_at is not None and self.ended_by is not None:
            words += [_ms(self.ended_at), self.ended_by.value]
        return " ".join(words)


def mark_of(text: str) -> Mark | None:
    """The mark in a variable's value; None when it is none of ours."""
    try:
        pause_id, agent_id, reason, started, *ended = text.split(" ")
        if len(ended) not in (0, 2):
            return None
        return Mark(
            pause_id=UUID(hex=pause_id),
            agent_id=UUID(hex=agent_id),
            reason=PauseReason(reason),
            started_at=_moment(started),
            ended_at=_moment(ended[0]) if ended else None,
            ended_by=PauseEnd(ended[1]) if ended else None,
        )
    except (ValueError, OverflowError, OSError):
        return None


def _ms(at: datetime) -> str:
    return str(round(at.timestamp() * 1000))


def _moment(ms: str) -> datetime:
    return datetime.fromtimestamp(int(ms) / 1000, UTC)
