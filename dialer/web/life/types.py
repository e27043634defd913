"""The life of a project as the API shows and takes it."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, model_validator

from campaigns.life.requirements import Requirement, SignOffKind
from campaigns.life.stop_rules import FALLING, RuleKind
from campaigns.life.table import Life, Step
from campaigns.life.watching import AlarmKind
from dialer.web.fields import Day, In, Line, Moment, Name, Note, Out, Prose
from dialer.web.projects.types import Stage, State

Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256, in hex.")]


class Required(Out):
    """Something a step asks for."""

    requirement: Requirement
    met: bool
    found: str = Field(description="What is there.")
    to_do: str = Field(description="What to do when it is not met.")


class NextStep(Out):
    """A step that leads on from here."""

    step: Step
    roles: list[str] = Field(description="Who may take it.")
    may: bool = Field(description="You may, and nothing is missing but what you say with the step (`why`, `changed`).")
    required: list[Required]


class LifeNow(Out):
    """Where a project is in its life, and how it goes on."""

    project_id: UUID
    life: Life
    state: State
    stage: Stage
    sign_offs: bool
    next: list[NextStep]


class NewStep(In):
    """A step to take."""

    step: Step
    why: Note = ""
    changed: Note = Field(default="", description="For `lift`: what was corrected.")


class StepTaken(Out):
    """What came of it."""

    project_id: UUID
    life: Life
    moved: bool = Field(description="False: it was so already, nothing was changed.")
    figures_sha256: str | None = Field(description="Of `close_trial`: the hash of the figures it froze.")


class KeptStep(Out):
    """A step that was taken."""

    id: int
    step: Step
    from_life: Life
    to_life: Life
    at: datetime
    actor: str
    role: str | None = Field(description="Null: no person, a stop rule.")
    why: str
    changed: str
    found: dict[str, str] = Field(description="Requirement → what was there.")
    sign_off_id: UUID | None
    figures_id: UUID | None


class NewSignOff(In):
    """A signature of the client's."""

    kind: SignOffKind
    signer: Name
    signed_at: Moment
    evidence_name: Annotated[Line, Field(min_length=1)] = Field(description="Name of the file that proves it.")
    evidence_sha256: Hash
    covers: Hash | None = Field(default=None, description="For `formal`: the hash of the frozen figures.")
    note: Note = ""


class SignOff(Out):
    """A signature that was recorded."""

    id: UUID
    kind: SignOffKind
    signer: str
    signed_at: datetime
    evidence_name: str
    evidence_sha256: str
    covers: str | None
    note: str
    actor: str = Field(description="Who recorded it.")
    recorded_at: datetime
    used_by: Step | None = Field(description="The step it was good for; one signature, one step.")


class SignOffs(Out):
    """All signatures of a project, oldest first."""

    sign_offs: list[SignOff]


class FrozenFigures(Out):
    """The figures of a trial as they were when it was closed."""

    id: UUID
    run: int
    frozen_at: datetime
    sha256: str
    holds: bool = Field(description="The text is still the one that was hashed.")
    document: str = Field(description="The very text that was hashed.")
    figures: dict[str, Any]


class Figures(Out):
    """The figures of a project's trials."""

    frozen: list[FrozenFigures]
    now: dict[str, Any] = Field(description="The present sample's, as its calls are now; these do change.")


ShareValue = Annotated[float, Field(gt=0, lt=1, description="A share; 0.01 is 1 %.")]


class StopRule(In):
    """What makes a project stop by itself."""

    kind: RuleKind
    tolerated: ShareValue
    alarming: ShareValue = Field(description="Beyond `tolerated`: higher, and of `answers` lower.")
    false_stop_calls: Annotated[int, Field(ge=100, le=10_000_000)] = Field(
        default=20_000, description="On average at least so many calls between stops while all is as tolerated."
    )
    least_calls: Annotated[int, Field(ge=10, le=100_000)] = Field(
        default=30, description="It does not stop before so many calls."
    )

    @model_validator(mode="after")
    def _in_order(self) -> StopRule:
        if (self.alarming < self.tolerated) != (self.kind in FALLING) or self.alarming == self.tolerated:
            raise ValueError("the alarming share lies beyond the tolerated one: above it, and of answers below it")
        return self


class StopRules(In):
    """A project's stop rules: the whole list, one of each kind."""

    rules: Annotated[list[StopRule], Field(max_length=10)]


class Alarm(Out):
    """Something to look at."""

    id: UUID
    project_id: UUID
    kind: AlarmKind
    raised_at: datetime
    cleared_at: datetime | None = Field(description="Null: it is so now.")
    detail: dict[str, Any]


class AlarmQuery(In):
    """Which alarms."""

    open: bool = Field(default=False, description="Only those that are not cleared.")
    limit: int = Field(default=50, ge=1, le=500)


class Alarms(Out):
    """Newest first."""

    alarms: list[Alarm]


class LogFormat(StrEnum):
    """As what a log is written."""

    XLSX = "xlsx"
    MARKDOWN = "markdown"


class LogFile(In):
    """Which version of a day's log, as what."""

    format: LogFormat = LogFormat.XLSX
    version: int | None = Field(default=None, ge=1, description="The last, when it is left out.")


class LogsQuery(In):
    """Which logs."""

    before: Day | None = Field(default=None, description="Days before this one.")
    limit: int = Field(default=50, ge=1, le=500)


class NewLog(In):
    """What the manager adds to the facts."""

    notes: Prose = ""
    sign: bool = Field(default=False, description="When the day is over.")


class DayDraft(Out):
    """The facts of a day, as they are now."""

    facts: dict[str, Any]


class KeptLog(Out):
    """A version of a day's log."""

    day: date
    version: int
    signed: bool
    actor: str
    saved_at: datetime
    sha256: str = Field(description="Of the text that was kept: facts and notes.")
    facts: dict[str, Any]
    notes: str


class KeptLogs(Out):
    """The newest day and version first."""

    logs: list[KeptLog]
