"""What an agentless call says and asks: steps as data, how a call goes through them, and what is wrong with them. Pure.

A document: `{"start": "hello", "steps": {name: step}}`. A step is one of

    {"kind": "play",    "prompt": "hello", "next": "question"}
    {"kind": "ask",     "prompt": "question", "choices": {"1": "thanks", "9": "remove"}, "wait_s": 5, "tries": 2, "otherwise": "thanks"}
    {"kind": "opt_out", "prompt": "removed", "next": null}
    {"kind": "agent",   "otherwise": "sorry"}

`next`, `otherwise` and the choices name a step, or null: the call ends (an agent step without `otherwise`: the safe-harbour message). No step may lead
back to itself, so every call ends and every step has at most one answer; asking again is what `tries` is for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from campaigns.errors import BadInput
from campaigns.ways import circle, reached

MAX_STEPS: Final = 200


class StepKind(StrEnum):
    """What a step does."""

    PLAY = "play"
    ASK = "ask"
    OPT_OUT = "opt_out"  # the number goes on the do-not-call list when the call comes here
    AGENT = "agent"  # an agent takes over, if one is ready


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step. `wait_s`: how long a key is waited for after the prompt; `tries`: how often the question is asked in all."""

    kind: StepKind
    prompt: str | None = None
    next: str | None = None
    choices: Mapping[str, str | None] = field(default_factory=dict)
    wait_s: int = 5
    tries: int = 2
    otherwise: str | None = None

    @property
    def leads_to(self) -> Iterator[str]:
        """The steps that may come after it."""
        after = {StepKind.ASK: [*self.choices.values(), self.otherwise], StepKind.AGENT: [self.otherwise]}
        return (name for name in after.get(self.kind, [self.next]) if name is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """A version of a project's survey."""

    version: int
    start: str
    steps: Mapping[str, Step]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call is: at a step, asked so many times already."""

    step: str
    asked: int = 0


def survey_of(document: Mapping[str, Any], version: int) -> Survey:
    """Read a document. Errors: BadInput `survey_malformed` when it is none."""
    try:
        steps = {
            str(name): Step(**{**step, "kind": StepKind(step["kind"])}) for name, step in document["steps"].items()
        }
        return Survey(version=version, start=str(document["start"]), steps=steps)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadInput("survey_malformed", f"This is no survey: {error!r}.") from error


def begin(survey: Survey) -> Place:
    """Where a call begins."""
    return Place(survey.start)


def after(survey: Survey, place: Place, key: str) -> Place | None:
    """Where a call goes after a step, with the key that was pressed (or none, ""); None: it ends."""
    step = survey.steps[place.step]
    if step.kind is StepKind.ASK:
        if key in step.choices:
            return _at(step.choices[key])
        return Place(place.step, place.asked + 1) if place.asked + 1 < step.tries else _at(step.otherwise)
    return _at(step.otherwise if step.kind is StepKind.AGENT else step.next)


def answer_at(survey: Survey, place: Place, key: str) -> str | None:
    """What is kept of this: the key of a choice, "" when the question was asked for the last time in vain, None when there is nothing yet."""
    step = survey.steps[place.step]
    if step.kind is not StepKind.ASK:
        return None
    if key in step.choices:
        return key
    return "" if place.asked + 1 >= step.tries else None


def _at(name: str | None) -> Place | None:
    return None if name is None else Place(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong at a step. `what`: start_unknown, step_unknown, unreachable, endless, no_choices, no_prompt, prompt_missing."""

    step: str
    what: str
    sentence: str


def problems_of(survey: Survey, prompts: Collection[str] | None = None) -> list[Problem]:
    """All that is wrong with a survey; `prompts`: the names of the prompts there are, None when that is not known."""
    found = [*_of_steps(survey, prompts)]
    if survey.start not in survey.steps:
        return [*found, Problem(step=survey.start, what="start_unknown", sentence="The start names no step.")]
    ways = {name: tuple(step.leads_to) for name, step in survey.steps.items()}
    there = reached(ways, survey.start)
    found += [
        Problem(step=name, what="unreachable", sentence="No way leads to this step.")
        for name in survey.steps
        if name not in there
    ]
    if round_trip := circle(ways):
        way = " → ".join(round_trip)
        found.append(Problem(step=round_trip[0], what="endless", sentence=f"The steps lead round in a circle: {way}."))
    return found


def _of_steps(survey: Survey, prompts: Collection[str] | None) -> Iterator[Problem]:
    for name, step in survey.steps.items():
        for target in step.leads_to:
            if target not in survey.steps:
                yield Problem(step=name, what="step_unknown", sentence=f"It leads to {target!r}, which is no step.")
        if step.kind is StepKind.ASK and not step.choices:
            yield Problem(step=name, what="no_choices", sentence="A question needs at least one key.")
        if step.kind in (StepKind.PLAY, StepKind.ASK) and step.prompt is None:
            yield Problem(step=name, what="no_prompt", sentence="There is nothing to say: name a prompt.")
        if prompts is not None and step.prompt is not None and step.prompt not in prompts:
            yield Problem(step=name, what="prompt_missing", sentence=f"There is no prompt {step.prompt!r} on the node.")
