"""Surveys as the API shows and takes them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from campaigns.survey import MAX_STEPS, StepKind
from dialer.web.fields import In, Out
from dialer.web.leads.export import ExportFormat

_NAME = r"^[a-z0-9_]{1,40}$"
StepName = Annotated[str, Field(pattern=_NAME)]
PromptName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{2,64}$", description="Name of a sound file on the node.")]


def _key(text: str) -> str:
    if len(text) != 1 or text not in "0123456789*#":
        raise ValueError("not a key of the telephone: one of 0 to 9, * and #")
    return text


def _step_name(text: str) -> str:
    if not re.fullmatch(_NAME, text):
        raise ValueError("a step's name is 1 to 40 of a-z, 0-9 and _")
    return text


# Names of properties: a pattern there is beyond OpenAPI 3.0.
Key = Annotated[str, AfterValidator(_key)]
NewStep = Annotated[str, AfterValidator(_step_name)]


class Step(In):
    """One step. Where a step is named, null ends the call (an `agent` step without `otherwise`: the safe-harbour message)."""

    kind: StepKind
    prompt: PromptName | None = None
    next: StepName | None = Field(default=None, description="Of `play` and `opt_out`: what follows.")
    choices: dict[Key, StepName | None] = Field(default_factory=dict, description="Of `ask`: key → step.")
    wait_s: int = Field(default=5, ge=1, le=60, description="Of `ask`: how long a key is waited for after the prompt.")
    tries: int = Field(default=2, ge=1, le=5, description="Of `ask`: how often it is asked in all.")
    otherwise: StepName | None = Field(
        default=None, description="Of `ask`: after the last try in vain. Of `agent`: when nobody is ready."
    )


class SurveyDocument(In):
    """A message or survey: steps by name, and where a call begins."""

    start: StepName
    steps: Annotated[dict[NewStep, Step], Field(min_length=1, max_length=MAX_STEPS)]


class Problem(Out):
    """What is wrong at a step."""

    step: str
    what: Literal[
        "start_unknown", "step_unknown", "unreachable", "endless", "no_choices", "no_prompt", "prompt_missing"
    ]
    sentence: str


class Checked(Out):
    """What a look at a survey found."""

    problems: list[Problem]
    prompts_checked: bool = Field(description="False: this process does not know the node's prompts.")


class Survey(Out):
    """A version of a project's survey."""

    version: int
    created_at: datetime
    survey: SurveyDocument


class SurveySaved(Out):
    """The survey that is played from now on."""

    version: int
    prompts_checked: bool = Field(description="False: this process does not know the node's prompts.")


class VersionQuery(In):
    """Which version; the last when none is named."""

    version: int | None = Field(default=None, ge=1, le=2**31 - 1)


class AnswersQuery(VersionQuery):
    """Which version, as what file."""

    format: ExportFormat = ExportFormat.CSV


class Results(Out):
    """What came of a version: its calls by outcome, and step by step how often each answer was given."""

    version: int
    outcomes: dict[str, int]
    answers: dict[str, dict[str, int]] = Field(
        description="Step → key (or `opt_out`, `agent`, or nothing that could be understood) → calls."
    )
