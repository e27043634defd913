"""What a gate says of a number."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from campaigns.rules.ruleset import Finding


class Asked(StrEnum):
    """The gates, in the order in which they are asked."""

    PROJECT = "project"
    TRUNK = "trunk"
    CALLER_NUMBER = "caller_number"
    SURVEY = "survey"
    PROJECT_WINDOW = "project_window"
    RULE_PACK = "rule_pack"
    RING_TIME = "ring_time"
    REGISTRY = "registry"
    ABANDONMENT = "abandonment"
    LEAD = "lead"
    SUPPLY = "supply"
    TRIAL = "trial"
    WINDOW = "window"
    DO_NOT_CALL = "do_not_call"
    BLIND_REGION = "blind_region"
    CONSENT = "consent"
    ATTEMPTS = "attempts"
    NUMBER_LIVE = "number_live"
    DAILY_CAP = "daily_cap"
    FREQUENCY = "frequency"
    DUE = "due"
    PROMISE = "promise"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """A gate's word. `passed` None: it cannot be told (of a past moment). `rule` and what follows: the line of a pack, if it is one."""

    gate: Asked
    passed: bool | None
    reason: str
    until: datetime | None = None
    rule: str | None = None
    says_en: str = ""
    says_zh: str = ""
    source: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """All gates of a number. `first`: the first that is shut, in the order they are asked; None: none is."""

    at: datetime
    project_id: UUID
    lead_id: int | None
    gates: tuple[GateResult, ...]

    @property
    def first(self) -> GateResult | None:
        """The gate that decides."""
        return next((gate for gate in self.gates if gate.passed is False), None)


def of_finding(gate: Asked, finding: Finding) -> GateResult:
    """A line of a pack, as a gate."""
    line, refusal = finding.rule.line, finding.refusal
    return GateResult(
        gate=gate,
        passed=refusal is None,
        reason="It passes." if refusal is None else refusal.reason,
        until=None if refusal is None else refusal.until,
        rule=finding.rule.name,
        says_en=line.says_en,
        says_zh=line.says_zh,
        source=line.source,
        url=line.url,
    )
