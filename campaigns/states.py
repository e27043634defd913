"""The words of campaigns: what a project, a lead, an import and a caller number can be, and how a call comes about."""

from __future__ import annotations

from enum import StrEnum


class ProjectState(StrEnum):
    """The same words as in `projects.state`. Only a running project is dialled; with its stage the state says where in its life it is (`campaigns.life.table`)."""

    DRAFT = "draft"
    RUNNING = "running"
    REVIEW = "review"  # the figures of its trial are frozen
    PAUSED = "paused"
    STOPPED = "stopped"  # for correction: dialled again only when a person has lifted the stop
    COMPLETED = "completed"
    SETTLED = "settled"
    ARCHIVED = "archived"


class Stage(StrEnum):
    """What a project's dialling is at present; the same words as in `projects.stage`."""

    TRIAL = "trial"
    FORMAL = "formal"


class DialMode(StrEnum):
    """Who decides that a call is placed; the same words as in `projects.mode` and `attempts.mode`."""

    MANUAL = "manual"  # the agent types a number or picks a lead
    PREVIEW = "preview"  # the agent sees the lead first
    PROGRESSIVE = "progressive"  # one call for each ready agent
    RATIO = "ratio"  # a fixed number of calls for each ready agent
    PREDICTIVE = "predictive"
    TRIAL = "trial"  # progressive, until a sample is full
    AGENTLESS = "agentless"  # a message or a survey, as many as trunks and rates take


class MachineDetection(StrEnum):
    """Who listens to an answered call before an agent is looked for."""

    OFF = "off"
    AMD = "amd"  # Asterisk's own


class TrialCounts(StrEnum):
    """Which leads fill the sample of a trial; the same words as in `projects.trial_counts`."""

    ATTEMPTED = "attempted"  # called at least once
    REACHED = "reached"  # answered


class AtPreviewLimit(StrEnum):
    """What happens to a lead that is shown when the time for looking at it is over; the same words as in `projects.preview_at_limit`."""

    GIVE_BACK = "give_back"
    DIAL = "dial"


class PreviewPass(StrEnum):
    """How a lead that was shown came to be not dialled; the same words as in `preview_passes.how`."""

    SKIPPED = "skipped"  # the agent said so, with a reason
    LAPSED = "lapsed"  # the time for looking at it was over
    LEFT = "left"  # the agent went on a break or home


class AbandonmentPeriod(StrEnum):
    """Over what the share of abandoned calls is counted; the same words as in `projects.abandonment_period`."""

    DAY = "day"  # the calendar day in the project's zone
    HOURS_24 = "hours_24"  # the last 24 hours
    DAYS_30 = "days_30"  # 30 days in the project's zone, one period after the other


class AtAbandonmentLimit(StrEnum):
    """What happens when the budget is used up; the same words as in `projects.abandonment_at_limit`."""

    ONE_TO_ONE = "one_to_one"  # no more calls than ready agents
    STOP = "stop"  # no calls


class LeadState(StrEnum):
    """The same words as in `leads.state`."""

    NEW = "new"
    IN_FLIGHT = "in_flight"  # an attempt is alive
    RETRY = "retry"  # again after next_at
    CALLBACK = "callback"  # promised for next_at
    DONE = "done"
    DO_NOT_CALL = "do_not_call"
    EXHAUSTED = "exhausted"  # no result after all attempts that are allowed


class ImportState(StrEnum):
    """The same words as in `imports.state`."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    UNDONE = "undone"


class CallerNumberState(StrEnum):
    """The same words as in `caller_numbers.state`."""

    ACTIVE = "active"
    RESTING = "resting"
    RETIRED = "retired"


class Pai(StrEnum):
    """What stands in P-Asserted-Identity; the same words as in `trunks.pai`."""

    OFF = "off"  # there is no such header
    FROM = "from"  # the caller number as in From
    E164 = "e164"  # the caller number in E.164 form


class Privacy(StrEnum):
    """Whether the callee may see the caller number; the same words as in `trunks.privacy`."""

    NONE = "none"
    ID = "id"  # RFC 3323 and 3325: only the carrier learns it


class Effect(StrEnum):
    """What a disposition does to the lead; the same words as in `dispositions.effect`."""

    FINAL = "final"
    RETRY = "retry"
    CALLBACK = "callback"
    DO_NOT_CALL = "do_not_call"


class Meaning(StrEnum):
    """What a disposition says of the call, for figures and stop rules; the same words as in `dispositions.meaning`."""

    CONVERSION = "conversion"
    COMPLAINT = "complaint"
