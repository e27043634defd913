"""Recordings as the API shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from dialer.domain.pauses import PauseEnd, PauseReason
from dialer.web.fields import In, Line, Masked, Moment, Name, Number, Out, PageQuery

Tag = Annotated[Name, Field(max_length=60)]
Ms = Annotated[int, Field(ge=0, le=2**31 - 1)]
State = Literal["pending", "stored", "missing", "poisoned", "archived", "deleted"]


class RecordingQuery(PageQuery):
    """Which recordings."""

    project_id: UUID | None = None
    agent_id: UUID | None = None
    state: State | None = None
    since: Moment | None = Field(default=None, description="Answered at or after.")
    until: Moment | None = Field(default=None, description="Answered before.")
    number: Number | None = Field(default=None, description="The whole number: parts would tell what a project masks.")
    disposition: Line | None = None
    tag: Tag | None = None
    text: Line | None = Field(default=None, min_length=2, description="Part of the agent's note.")
    fault: Line | None = Field(default=None, description="What is wrong with it, for example clipped.")
    shortest_ms: Ms | None = None
    longest_ms: Ms | None = None
    customer_spoke: bool | None = None
    dead_air_from_ms: Ms | None = None
    talk_over_from_ms: Ms | None = None
    monologue_from_ms: Ms | None = None
    first_word_from_ms: Ms | None = Field(default=None, description="The agent's first word came so late.")


class Talk(Out):
    """Who spoke when, in milliseconds from the answer. Dead air is silence of both sides from 3 s on; pauses of the recording are none."""

    customer_ms: int | None = Field(
        description="0: the customer never spoke; null: was not heard, but not all of the call was recorded."
    )
    agent_ms: int | None
    customer_first_word_ms: int | None
    agent_first_word_ms: int | None
    dead_air_ms: int
    longest_silence_ms: int
    talk_over_ms: int
    talk_overs: int
    longest_monologue_ms: int
    customer_db: float | None = Field(description="Level of the voice, RMS in dB of full scale; null without a voice.")
    agent_db: float | None


Why = Annotated[
    Line, Field(max_length=200, description="Why: a complaint's number, a sample, a dispute. Goes into the audit log.")
]


class Listen(In):
    """How to listen, and why."""

    media: Literal["opus", "mp3"] = Field(
        default="opus",
        description="Ogg Opus as it is kept, or MP3, made on the way, for players that take no Ogg Opus.",
    )
    why: Why = ""


class Clip(In):
    """Which part."""

    start_ms: int = Field(ge=0)
    end_ms: int = Field(gt=0)
    leg: Literal["both", "customer", "agent"] = "both"
    media: Literal["opus", "wav"] = "opus"
    why: Why = ""


class NewLink(In):
    """A link for a while."""

    valid_s: int = Field(
        default=900, ge=10, le=4 * 3600, description="How long it is valid; as long as the listener takes."
    )
    media: Literal["opus", "mp3"] = "opus"
    why: Why = ""


class RecordingLink(Out):
    """Where to listen without logging in."""

    path: str = Field(description="Of this server. Whoever has it can listen: treat it like the sound.")
    until: datetime


class Tags(In):
    """All of them."""

    tags: list[Tag] = Field(max_length=50)


class Waveform(Out):
    """Peaks of both sides, 0 to 255 of full scale."""

    each_ms: int = Field(description="What a peak stands for.")
    customer: list[int]
    agent: list[int]


class RecordingPause(Out):
    """A stretch in which neither side was recorded: a card number was said, or the like. The time axis goes on."""

    from_ms: int
    to_ms: int | None
    reason: PauseReason
    note: str
    agent_id: UUID = Field(description="At whose desk it was paused; the audit log says by whom.")
    started_at: datetime
    ended_at: datetime | None
    ended_by: PauseEnd | None


class Recording(Out):
    """A recording: stereo, the customer on the left, the agent on the right."""

    id: UUID
    call_id: UUID
    lead_id: int | None
    project_id: UUID
    agent_id: UUID | None
    number: Masked
    state: State
    reason: str | None = Field(description="Why there is none, or what is wrong with it.")
    sha256: str | None = Field(description="Of the stored file, in hexadecimal.")
    bytes: int | None
    duration_ms: int | None
    started_at: datetime | None
    ended_at: datetime | None
    verified_at: datetime | None
    disposition: str | None
    note: str = Field(description="The agent's; without the number where the project masks numbers.")
    tags: list[str]
    talk: Talk | None = Field(description="Null where the call was not analysed.")
    pauses: list[RecordingPause]
    paused_ms: int
