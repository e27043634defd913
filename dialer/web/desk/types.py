"""The desk as the API shows and takes it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, model_validator

from dialer.domain.pauses import MOST_NOTE, PauseReason
from dialer.web.fields import BigId, Cells, In, Line, Moment, Name, Note, Number, Out
from dialer.web.leads.types import Lead
from dialer.web.projects.types import Disposition

AgentRef = Annotated[UUID | Literal["me"], Field(description="An agent's id, or `me`.")]


class SitDown(In):
    """Log in on a device."""

    device_id: UUID
    wanted: Literal["ready", "break"] = "break"


class TakeBreak(In):
    """A break (小休)."""

    reason: Annotated[Name, Field(max_length=40)]


class Departure(In):
    """At `at`, after the call of that moment, the agent goes on a break or leaves the seat."""

    at: Moment
    to: Literal["break", "logged_out"] = "break"
    reason: Annotated[Line, Field(max_length=40, description="Of a break: lunch, meeting ...")] = ""


class Departures(In):
    """What is to come, the next first: the whole list."""

    departures: Annotated[list[Departure], Field(max_length=50)]


class DialOut(In):
    """Call a number, or a lead of the project."""

    project_id: UUID
    number: Number | None = None
    lead_id: BigId | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> DialOut:
        if (self.number is None) == (self.lead_id is None):
            raise ValueError("give either a number or a lead_id")
        return self


class ShowNext(In):
    """Show the next lead of a project."""

    project_id: UUID


class SkipLead(In):
    """Do not dial the lead shown."""

    reason: Annotated[Name, Field(description="Why; the supervisor sees how often each reason is given.")]


class PauseFor(In):
    """Why nothing is to be recorded now."""

    reason: PauseReason
    note: Annotated[
        Line,
        Field(
            max_length=MOST_NOTE, description="What it is about, for `other` and for no other; never the number itself."
        ),
    ] = ""


class PauseChoice(Out):
    """A reason to choose from."""

    code: PauseReason
    label_zh: str
    label_en: str
    needs_note: bool


class TransferTo(In):
    """Give the customer to another agent."""

    to_agent_id: UUID


class WrapUpWith(In):
    """The result of the last call."""

    disposition: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}$")]
    note: Note = ""
    callback_at: Moment | None = None
    callback_personal: bool = True
    fields: Cells = Field(default_factory=dict)


class DoneOut(Out):
    """The engine did it."""

    state: str = Field(description="The agent's state after it.")
    attempt_id: UUID | None
    lead_id: int | None


class Desk(Out):
    """What the agent has before them now."""

    agent_id: UUID
    state: str
    wanted: str | None
    reason: str | None
    since: datetime | None
    project_id: UUID | None
    attempt_id: UUID | None
    lead_id: int | None
    call_state: str | None
    wrap_up_until: datetime | None
    preview_until: datetime | None
    leaves_at: datetime | None = Field(description="When the agent leaves next, as far as it was said ahead.")
    leaves_to: str | None = Field(description="`break` or `logged_out`.")
    leaves_for: str | None
    preview_at_limit: str | None = Field(description="What happens to the lead shown at `preview_until`.")
    preview_skips_left: int | None = Field(description="Leads the agent may skip in this hour; 0: not this one.")
    call: dict[str, Any] | None = Field(
        description="The call in hand, its number masked where the project masks numbers; `recording_pause`: the pause of its recording, "
        "if there is one."
    )
    lead: Lead | None
    script: str | None
    dispositions: list[Disposition]
    pause_reasons: list[PauseChoice] = Field(description="Why the recording may be paused.")
