"""What the lines about abandoned calls say of a project: whether it has the message, and what its calls have used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from campaigns.abandonment import share_rules, without_message
from campaigns.explaining.results import Asked, GateResult, of_finding
from campaigns.gates import unheard
from campaigns.projects import Project
from campaigns.rules.judge import Refusal
from campaigns.rules.ruleset import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What the answered calls of a period came to. `stopped`: the project's contract lets nothing be dialled now."""

    answered: int
    abandoned: int
    stopped: bool


def of_abandonment(project: Project, at: datetime, shares: Mapping[str, Share] | None) -> Iterator[GateResult]:
    """One word for each line in force. `shares`: by the line's period, as rule packs name it; None: a past moment, of which it is not kept."""
    missing = without_message(project, at)
    for rule in share_rules(project, at):
        refusal = Refusal(reason=unheard(rule)) if missing is not None else None
        result = of_finding(Asked.ABANDONMENT, Finding(rule=rule.rule, refusal=refusal))
        if refusal is not None:
            yield result
        elif shares is None:
            yield replace(result, passed=None, reason="What was abandoned until then is not counted again.")
        else:
            share = shares[rule.line.period]
            most = f"{(100 * rule.line.limit).normalize():f} % at most in {rule.line.period.replace('_', ' ')}"
            then = "Nothing is dialled until the share is back" if share.stopped else "The pacer keeps to it"
            reason = f"{share.abandoned} of {share.answered} answered calls were abandoned, {most}. {then}."
            yield replace(result, passed=not share.stopped, reason=reason)
