"""What must be there before a project takes a step: facts in, what is missing out, all of it at once. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final

from campaigns.caller_numbers.number import CallerNumber
from campaigns.caller_numbers.usable import Unusable, why_not
from campaigns.life.table import Life, Step
from campaigns.projects import Project


class SignOffKind(StrEnum):
    """What a client, or who stands for them, signs; the same words as in `sign_offs.kind`."""

    TRIAL = "trial"  # script, numbers and data may be tried
    FORMAL = "formal"  # the frozen figures of the trial are agreed to
    CORRECTION = "correction"  # the correction is done: the stop may be lifted
    SETTLEMENT = "settlement"  # the statement is agreed to


_PASSES: Final = {Unusable.COOLING, Unusable.DAY_CAP}


class Requirement(StrEnum):
    """Stable ids of what a step asks for; docs/life-cycle.md lists them."""

    STATE = "state"
    TRIAL_FIRST = "trial_first"
    TRUNK = "trunk"
    CALLER_NUMBER = "caller_number"
    CERTIFICATES = "certificates"
    SCRIPT = "script"
    DATA = "data"
    RULE_PACK = "rule_pack"
    CONVERSION = "conversion"
    AGENTS = "agents"
    SENIOR_AGENTS = "senior_agents"
    CALLS_OVER = "calls_over"
    WRAP_UPS_OVER = "wrap_ups_over"
    SAMPLE = "sample"
    FIGURES = "figures"
    FORMAL_AGREED = "formal_agreed"
    WHY = "why"
    CHANGED = "changed"
    SIGN_OFF_TRIAL = "sign_off_trial"
    SIGN_OFF_FORMAL = "sign_off_formal"
    SIGN_OFF_CORRECTION = "sign_off_correction"
    SIGN_OFF_SETTLEMENT = "sign_off_settlement"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A sign-off that no step has used yet. `covers`: the hash of what was signed, in hex; '' where nothing particular is."""

    id: str
    kind: SignOffKind
    signer: str
    covers: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was found of a project at the moment of a step. `today`: in its zone. `figures`: the hash of its present trial's frozen figures."""

    project: Project
    now: datetime
    today: date
    script: str | None
    has_data: bool
    conversions: tuple[str, ...]
    agents: int
    senior_agents: int
    live_calls: int
    wrapping_up: int
    attempted: bool
    figures: str | None
    formal_before: bool
    signed: tuple[Signed, ...]
    why: str
    changed: str

    def signature(self, kind: SignOffKind) -> Signed | None:
        """The newest sign-off of a kind that no step has used; of the figures only one of these very figures."""
        fits = [
            one
            for one in self.signed
            if one.kind is kind and (kind is not SignOffKind.FORMAL or (one.covers and one.covers == self.figures))
        ]
        return fits[-1] if fits else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One requirement: is it met, what was found, and what to do when it is not."""

    requirement: Requirement
    met: bool
    found: str
    to_do: str


@dataclass(frozen=True, slots=True)
class _Check:
    """`look` gives whether it is met and what was found."""

    look: Callable[[Facts], tuple[bool, str]]
    to_do: str


def _trunk(facts: Facts) -> tuple[bool, str]:
    trunk = facts.project.trunk
    return trunk is not None and trunk.enabled, "none" if trunk is None else trunk.name


def _shown(facts: Facts) -> list[CallerNumber]:
    """The numbers that may be shown today; one that cools down or has had its calls of the day is one of them."""
    project = facts.project
    kept = []
    for one in project.caller_numbers:
        found = why_not(one, trunk_id=project.trunk_id, purpose=project.purpose, day=facts.today, now=facts.now)
        if found is None or found.why in _PASSES:
            kept.append(one)
    return kept


def _caller_number(facts: Facts) -> tuple[bool, str]:
    shown = _shown(facts)
    return bool(shown), _listed(one.number for one in shown)


def _certificates(facts: Facts) -> tuple[bool, str]:
    without = [one.number for one in _shown(facts) if one.certified is None]
    return not without, f"without: {_listed(without)}" if without else "valid today"


def _listed(numbers: Iterable[str]) -> str:
    return ", ".join(itertools.islice(numbers, 10)) or "none"


def _rule_pack(facts: Facts) -> tuple[bool, str]:
    rules = facts.project.rules
    refused = rules.pack_refusal(facts.today)
    begun = [f"{pack}@{version}" for pack, version, since, _ in rules.packs if since is None or since <= facts.today]
    return refused is None and bool(begun), refused or ", ".join(begun) or "none in force"


def _sign_off(kind: SignOffKind, to_do: str) -> _Check:
    def look(facts: Facts) -> tuple[bool, str]:
        signed = facts.signature(kind)
        return signed is not None, "none" if signed is None else f"{signed.signer} ({signed.id})"

    return _Check(look, to_do)


def _none_left(count: int) -> tuple[bool, str]:
    return count == 0, str(count)


CHECKS: Final[dict[Requirement, _Check]] = {
    Requirement.TRIAL_FIRST: _Check(
        lambda facts: (not facts.project.sign_offs, "sign-offs" if facts.project.sign_offs else "no sign-offs"),
        "This project goes through a trial and sign-offs: begin its trial.",
    ),
    Requirement.TRUNK: _Check(_trunk, "Give it a trunk that is switched on."),
    Requirement.CALLER_NUMBER: _Check(_caller_number, "Put a caller number on its list that may be shown: active, of its trunk, for its purpose, with a certificate that is not over."),
    Requirement.CERTIFICATES: _Check(_certificates, "Keep a certificate that is valid today for each of these caller numbers, or take them off the list."),
    Requirement.SCRIPT: _Check(
        lambda facts: (facts.script is not None, facts.script or "none"), "Publish a script and give it to the project (an agentless one: a survey)."
    ),
    Requirement.DATA: _Check(
        lambda facts: (facts.has_data, "there" if facts.has_data else "none"),
        "Import leads, or widen its filter: there is nobody to call.",
    ),
    Requirement.RULE_PACK: _Check(_rule_pack, "Choose a rule pack that is in force today."),
    Requirement.CONVERSION: _Check(
        lambda facts: (bool(facts.conversions), ", ".join(facts.conversions) or "none"),
        "Say which result is a conversion: its meaning in the project's results.",
    ),
    Requirement.AGENTS: _Check(
        lambda facts: (facts.agents > 0, str(facts.agents)), "Assign agents who may take its calls."
    ),
    Requirement.SENIOR_AGENTS: _Check(
        lambda facts: (facts.senior_agents > 0, str(facts.senior_agents)),
        "Assign a senior team (or some of its agents) who may take its calls: they try it.",
    ),
    Requirement.CALLS_OVER: _Check(
        lambda facts: _none_left(facts.live_calls), "Pause it and wait until its calls are over."
    ),
    Requirement.WRAP_UPS_OVER: _Check(
        lambda facts: _none_left(facts.wrapping_up), "Wait until the agents have wrapped up their last calls."
    ),
    Requirement.SAMPLE: _Check(
        lambda facts: (facts.attempted, "dialled" if facts.attempted else "nothing dialled"),
        "Dial the sample first: there is nothing to look at.",
    ),
    Requirement.FIGURES: _Check(
        lambda facts: (facts.figures is not None, facts.figures or "none"), "Close the trial: that freezes its figures."
    ),
    Requirement.FORMAL_AGREED: _Check(
        lambda facts: (facts.formal_before, "yes" if facts.formal_before else "no"),
        "It was never agreed to run formally: begin a trial, close it, and go formal.",
    ),
    Requirement.WHY: _Check(lambda facts: (bool(facts.why.strip()), facts.why), "Say why."),
    Requirement.CHANGED: _Check(
        lambda facts: (bool(facts.changed.strip()), facts.changed), "Say what was changed, so that it does not come again."
    ),
    Requirement.SIGN_OFF_TRIAL: _sign_off(
        SignOffKind.TRIAL, "Record the client's sign-off for the trial (script, numbers, data)."
    ),
    Requirement.SIGN_OFF_FORMAL: _sign_off(
        SignOffKind.FORMAL, "Record the client's sign-off of the frozen figures; it names their hash."
    ),
    Requirement.SIGN_OFF_CORRECTION: _sign_off(
        SignOffKind.CORRECTION, "Record the sign-off of the correction, made after the stop."
    ),
    Requirement.SIGN_OFF_SETTLEMENT: _sign_off(
        SignOffKind.SETTLEMENT, "Record the client's sign-off of the settlement."
    ),
}  # fmt: skip

_R = Requirement
_TO_DIAL: Final = (_R.SCRIPT, _R.TRUNK, _R.CALLER_NUMBER, _R.CERTIFICATES, _R.DATA, _R.RULE_PACK, _R.CONVERSION)
ALWAYS: Final[dict[Step, tuple[Requirement, ...]]] = {
    Step.START: (_R.TRIAL_FIRST,),
    Step.CLOSE_TRIAL: (_R.CALLS_OVER, _R.WRAP_UPS_OVER, _R.SAMPLE),
    Step.STOP: (_R.WHY,),
    Step.LIFT: (_R.CHANGED,),
    Step.COMPLETE: (_R.CALLS_OVER,),
    Step.REOPEN: (_R.WHY,),
}
"""Of every project."""

SIGNED: Final[dict[Step, tuple[Requirement, ...]]] = {
    Step.BEGIN_TRIAL: (*_TO_DIAL, _R.SENIOR_AGENTS, _R.SIGN_OFF_TRIAL),
    Step.GO_FORMAL: (*_TO_DIAL, _R.AGENTS, _R.FIGURES, _R.SIGN_OFF_FORMAL),
    Step.RESUME: (_R.TRUNK, _R.CALLER_NUMBER, _R.CERTIFICATES, _R.RULE_PACK),
    Step.LIFT: (_R.SIGN_OFF_CORRECTION,),
    Step.SETTLE: (_R.SIGN_OFF_SETTLEMENT,),
}
"""Besides, of a project with sign-offs."""

USED: Final[dict[Step, SignOffKind]] = {
    Step.BEGIN_TRIAL: SignOffKind.TRIAL,
    Step.GO_FORMAL: SignOffKind.FORMAL,
    Step.LIFT: SignOffKind.CORRECTION,
    Step.SETTLE: SignOffKind.SETTLEMENT,
}
"""The sign-off a step uses up."""


def required(step: Step, life: Life, *, sign_offs: bool) -> tuple[Requirement, ...]:
    """What a step asks for."""
    wanted = ALWAYS.get(step, ())
    if sign_offs:
        wanted += SIGNED.get(step, ())
        if step is Step.RESUME and life is Life.PAUSED:
            wanted += (_R.FORMAL_AGREED,)
    return wanted


def look(step: Step, life: Life, facts: Facts) -> list[Found]:
    """All that a step asks for, with what was found."""
    found = []
    for requirement in required(step, life, sign_offs=facts.project.sign_offs):
        check = CHECKS[requirement]
        met, seen = check.look(facts)
        found.append(Found(requirement=requirement, met=met, found=seen, to_do=check.to_do))
    return found
