"""Projects as the API shows and takes them."""

from __future__ import annotations

from datetime import datetime, time
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, model_validator

from dialer.web.fields import In, Line, Name, Out, PageQuery, Prose, Purpose, Seconds, Zone

Ratio = Annotated[
    Decimal,
    Field(ge=1, le=10, max_digits=4, decimal_places=2, description="Calls for each ready agent, in mode `ratio`."),
]
Cap = Annotated[
    Decimal,
    Field(ge=0, le=1, max_digits=5, decimal_places=4, description="Most abandoned of answered calls; 0.03 is 3 %."),
]
_WEIGHT = "Its part of agents, channels and calls a second, against the other projects of its priority."
_PRIORITY = "Projects of a higher one are served first."
_PURPOSE = (
    "What it calls for; caller numbers that are for something else are not shown. Empty: only those for everything are."
)
_GUARANTEED = "So many agents it gets before priorities count, if it can use them."
CancelAfter = Annotated[
    int,
    Field(
        ge=0,
        le=120,
        description="A call that has rung so long may be given up when nobody would be free to take it; 15 or more, 0 is never.",
    ),
]
Rate = Annotated[
    Decimal,
    Field(
        ge=0,
        le=1,
        max_digits=5,
        decimal_places=4,
        description="Share of those taken for machines that counts as abandoned people.",
    ),
]
WithinMs = Annotated[
    int,
    Field(
        ge=0,
        le=60_000,
        multiple_of=100,
        description="An agent who comes later after the answer (with machine detection: after the end of the greeting) is late; tenths of a second.",
    ),
]
Bound = Annotated[Decimal, Field(description="A share; 0.25 is 25 %.")]
Prompt = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Name of the safe-harbour prompt on the node.")
]
Word = Annotated[str, Field(pattern=r"^[a-z_]{1,40}$", description="An outcome of a call.")]
LocalTime = Annotated[time, Field(description="Time of day in the project's zone.")]


class Mode(StrEnum):
    """How calls are placed."""

    MANUAL = "manual"
    PREVIEW = "preview"
    PROGRESSIVE = "progressive"
    RATIO = "ratio"
    PREDICTIVE = "predictive"
    TRIAL = "trial"
    AGENTLESS = "agentless"


class TrialCounts(StrEnum):
    """Which leads fill the sample of a trial."""

    ATTEMPTED = "attempted"
    REACHED = "reached"


class AtPreviewLimit(StrEnum):
    """What happens to a lead that is shown when the time for looking at it is over."""

    GIVE_BACK = "give_back"
    DIAL = "dial"


class AbandonmentPeriod(StrEnum):
    """Over what the share of abandoned calls is counted: the day in the project's zone, the last 24 hours, 30 days in the zone one after the other."""

    DAY = "day"
    HOURS_24 = "hours_24"
    DAYS_30 = "days_30"


class AtAbandonmentLimit(StrEnum):
    """What happens when the budget is used up: one call for each ready agent, or none."""

    ONE_TO_ONE = "one_to_one"
    STOP = "stop"


class MachineDetection(StrEnum):
    """Who listens to an answered call before an agent is looked for: nobody, or Asterisk's AMD. A machine is hung up on."""

    OFF = "off"
    AMD = "amd"


class State(StrEnum):
    """Where a project is in its life."""

    DRAFT = "draft"
    RUNNING = "running"
    REVIEW = "review"
    PAUSED = "paused"
    STOPPED = "stopped"
    COMPLETED = "completed"
    SETTLED = "settled"
    ARCHIVED = "archived"


class Stage(StrEnum):
    """What its dialling is at present."""

    TRIAL = "trial"
    FORMAL = "formal"


class ProjectQuery(PageQuery):
    """Which projects."""

    state: State | None = None


class NewProject(In):
    """A project to be; what is left out gets the database's default."""

    name: Name
    client: Line | None = None
    mode: Mode | None = None
    ratio: Ratio | None = None
    trunk_id: UUID | None = None
    zone: Zone | None = None
    window_start: LocalTime | None = None
    window_end: LocalTime | None = None
    ring_timeout_s: Annotated[int, Field(ge=5, le=120)] | None = None
    agent_wait_ms: Annotated[int, Field(ge=0, le=10_000)] | None = None
    wrap_up_limit_s: Annotated[int, Field(ge=0, le=3600)] | None = None
    preview_limit_s: Annotated[int, Field(ge=5, le=3600)] | None = None
    abandonment_cap: Cap | None = None
    cancel_after_s: CancelAfter | None = None
    machine_detection: MachineDetection | None = None
    share_weight: Annotated[int, Field(ge=1, le=100, description=_WEIGHT)] | None = None
    share_priority: Annotated[int, Field(ge=0, le=9, description=_PRIORITY)] | None = None
    guaranteed_agents: Annotated[int, Field(ge=0, le=10_000, description=_GUARANTEED)] | None = None
    abandonment_period: AbandonmentPeriod | None = None
    abandonment_at_limit: AtAbandonmentLimit | None = None
    abandonment_within_ms: WithinMs | None = None
    abandonment_counts_late: bool | None = Field(default=None, description="Late counts as abandoned.")
    abandonment_counts_machines: bool | None = Field(default=None, description="Machines count as answered.")
    abandonment_false_machine_rate: Rate | None = None
    max_attempts: Annotated[int, Field(ge=1, le=100)] | None = None
    daily_cap_per_number: Annotated[int, Field(ge=1, le=100)] | None = None
    safe_harbour: Prompt | None = None
    record_calls: bool | None = None
    mask_numbers: bool | None = None
    script: Prose | None = None
    purpose: Annotated[Purpose | Literal[""] | None, Field(description=_PURPOSE)] = None
    preview_at_limit: AtPreviewLimit | None = None
    preview_skips_per_hour: Annotated[int, Field(ge=0, le=1000, description="Of one agent.")] | None = None
    preview_skips_per_lead: Annotated[int, Field(ge=0, le=100, description="By all agents.")] | None = None
    preview_skip_wait_s: Annotated[int, Field(ge=0, le=604_800, description="A skipped lead rests so long.")] | None = (
        None
    )
    preview_same_agent_wait_s: (
        Annotated[int, Field(ge=0, le=604_800, description="And comes to the same agent only after this.")] | None
    ) = None
    trial_size: (
        Annotated[int, Field(ge=1, le=1_000_000, description="In mode `trial`: leads of the sample.")] | None
    ) = None
    trial_counts: TrialCounts | None = None
    sign_offs: bool | None = Field(
        default=None, description="It goes through a trial and signatures. Said while it is a draft."
    )
    skills: (
        Annotated[
            list[Annotated[str, Field(pattern=r"^[\w-]{1,40}$")]],
            Field(max_length=50, description="An agent needs them all."),
        ]
        | None
    ) = None
    valid_connect_s: (
        Annotated[int, Field(ge=1, le=3600, description="A conversation this long is a valid connect.")] | None
    ) = None
    recording_pause_limit_s: (
        Annotated[int, Field(ge=0, le=900, description="How long a recording may be paused; 0: not at all.")] | None
    ) = None


class ProjectChange(NewProject):
    """What is to change; what is left out or null stays."""

    name: Name | None = None  # type: ignore[assignment]


class Project(Out):
    """A project."""

    id: UUID
    name: str
    client: str
    state: State
    stage: Stage
    sign_offs: bool
    mode: Mode
    ratio: Decimal
    trunk_id: UUID | None
    zone: str
    window_start: time
    window_end: time
    ring_timeout_s: int
    agent_wait_ms: int
    wrap_up_limit_s: int
    preview_limit_s: int
    abandonment_cap: Decimal
    cancel_after_s: int
    machine_detection: MachineDetection
    share_weight: int
    share_priority: int
    guaranteed_agents: int
    abandonment_period: AbandonmentPeriod
    abandonment_at_limit: AtAbandonmentLimit
    abandonment_within_ms: int
    abandonment_counts_late: bool
    abandonment_counts_machines: bool
    abandonment_false_machine_rate: Decimal
    max_attempts: int
    daily_cap_per_number: int
    safe_harbour: str
    record_calls: bool
    mask_numbers: bool
    script: str
    purpose: str
    preview_at_limit: AtPreviewLimit
    preview_skips_per_hour: int
    preview_skips_per_lead: int
    preview_skip_wait_s: int
    preview_same_agent_wait_s: int
    trial_size: int
    trial_counts: TrialCounts
    valid_connect_s: int
    skills: list[str]
    recording_pause_limit_s: int
    created_at: datetime


class ProjectState(Out):
    """What the engine says of a project after a command."""

    project_id: UUID
    state: str


class Agents(In):
    """Who works on a project: the whole list."""

    agent_ids: Annotated[list[UUID], Field(max_length=5000)]


class CallerNumbers(In):
    """Which caller numbers a project may show: the whole allow-list."""

    caller_number_ids: Annotated[list[UUID], Field(max_length=5000)]


class Disposition(In):
    """A result an agent may choose, and what it does to the lead."""

    code: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}$")]
    label_zh: Name
    label_en: Name
    effect: Literal["final", "retry", "callback", "do_not_call"]
    meaning: Literal["conversion", "complaint"] | None = Field(
        default=None, description="What it says of the call, for figures and stop rules."
    )
    retry_after_s: Seconds | None = Field(default=None, description="For effect `retry`, and only there.")
    growth_percent: Annotated[int, Field(ge=100, le=1000)] = Field(
        default=100,
        description="The delay after each further time, of the one before: 100 stays, 200 doubles, up to 30 days.",
    )

    @model_validator(mode="after")
    def _retry_says_when(self) -> Disposition:
        if (self.effect == "retry") != (self.retry_after_s is not None):
            raise ValueError("retry_after_s belongs to effect retry, and only there")
        return self


class Dispositions(In):
    """A project's results: the whole list, in the order they are shown."""

    dispositions: Annotated[list[Disposition], Field(max_length=200)]


class RetryRule(In):
    """What happens to a lead after an outcome; an outcome without a rule is final."""

    outcome: Word
    retry_after_s: Seconds
    max_times: Annotated[int, Field(ge=0, le=100)]
    counts: bool = Field(default=True, description="Is it one of the attempts that the project allows?")
    growth_percent: Annotated[int, Field(ge=100, le=1000)] = Field(
        default=100,
        description="The delay after each further time, of the one before: 100 stays, 200 doubles, up to 30 days.",
    )


class RetryRules(In):
    """A project's retry rules: the whole list."""

    rules: Annotated[list[RetryRule], Field(max_length=200)]


class Share(Out):
    """`count` of `total`; the true share lies between `low` and `high` with 95 % confidence."""

    count: int
    total: int
    low: Bound
    high: Bound


class Trial(Out):
    """The present sample of a project and what came of it, in leads."""

    size: int
    counts: TrialCounts
    taken: int = Field(description="Places taken, with those of calls that live.")
    full: bool = Field(description="Nothing more is dialled for it.")
    began_at: datetime
    attempts: int
    attempted: int = Field(description="Leads called at least once.")
    answered: Share = Field(description="Of the leads attempted.")
    bridged: Share = Field(description="Of the leads that answered.")
    abandoned: Share = Field(description="Of the leads that answered.")
    dispositions: dict[str, Share] = Field(description="Each lead's last result, of the leads bridged.")
