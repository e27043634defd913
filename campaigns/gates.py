"""The gates in front of a project: may it dial now at all? Pure, and closed when in doubt.

First what the project itself says, then the lines of its rule packs (`campaigns.rules`) that do not depend on the lead.

What belongs to a single lead (caps, do-not-call, a live call) is in the claiming statement, where it cannot be raced.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from campaigns.abandonment import SITE_PROMPT, without_message
from campaigns.caller_numbers.usable import why_not
from campaigns.openings import UNTOLD, Openings
from campaigns.projects import Project
from campaigns.rules.facts import Subject
from campaigns.rules.ruleset import Finding, Rule, ShareRule, findings, first_refusal, moment_of
from campaigns.rules.schema import Registry, RingTime, Window
from campaigns.states import DialMode, ProjectState
from campaigns.trunks import Trunk


class Gate(StrEnum):
    """Which gate decided. `OPEN`: none of them objects."""

    OPEN = "open"
    PROJECT_NOT_RUNNING = "project_not_running"
    NO_TRUNK = "no_trunk"
    TRUNK_DISABLED = "trunk_disabled"
    NO_CALLER_NUMBER = "no_caller_number"
    NO_SURVEY = "no_survey"
    ZONE_UNKNOWN = "zone_unknown"
    WINDOW_INVALID = "window_invalid"
    OUTSIDE_WINDOW = "outside_window"
    RULE_PACK = "rule_pack"
    RING_TIME = "ring_time"
    REGISTRY = "registry"
    ABANDONMENT = "abandonment"
    NOT_EVALUABLE = "not_evaluable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether the project may dial, which gate decided, and a sentence for people. `opens_at`: when the window opens next, if that is what is shut; `rule`: the line that objects."""

    allowed: bool
    gate: Gate
    reason: str
    opens_at: datetime | None = None
    rule: Rule | None = None


def decide(project: Project, now: datetime, mode: DialMode | None = None) -> Verdict:
    """May this project place a call at `now`? The first gate that objects decides; what cannot be evaluated objects.

    `mode`: how this call comes about, where that is not the project's own way; lines of rule packs may be for some modes alone.
    """
    return next(objections(_dialled(project, mode), now), None) or Verdict(
        allowed=True, gate=Gate.OPEN, reason="The project may dial."
    )


def objections(project: Project, now: datetime) -> Iterator[Verdict]:
    """All that speaks against dialling the project, in the order it is asked; nothing that goes wrong is passed over."""
    try:
        yield from _objections(project, now)
    except Exception as error:  # noqa: BLE001 -- whatever is wrong with a project: it is not dialled
        yield Verdict(
            allowed=False,
            gate=Gate.NOT_EVALUABLE,
            reason=f"The rules cannot be evaluated ({type(error).__name__}), so nothing is dialled.",
        )


def _objections(project: Project, now: datetime) -> Iterator[Verdict]:
    if project.state is not ProjectState.RUNNING:
        yield _no(Gate.PROJECT_NOT_RUNNING, f"The project is {project.life}, not running.")
    if project.trunk is None:
        yield _no(Gate.NO_TRUNK, "The project has no trunk.")
    elif project.trunk.enabled is not True:
        yield _no(Gate.TRUNK_DISABLED, f"The trunk {project.trunk.name} is switched off.")
    else:
        yield from _caller_numbers(project, project.trunk, now)
    if project.mode is DialMode.AGENTLESS and project.survey is None:
        yield _no(Gate.NO_SURVEY, "Nobody would speak: an agentless project needs a survey or a message.")
    if project.mode not in DialMode:
        yield _no(Gate.NOT_EVALUABLE, "The project's mode of dialling is unknown.")
    yield from _window(project, now)
    yield from _rules(project, now)


_NAMED: Final = 3


def _caller_numbers(project: Project, trunk: Trunk, now: datetime) -> Iterator[Verdict]:
    try:
        day = now.astimezone(ZoneInfo(project.zone)).date()
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return  # the window says so
    held = [
        (one.number, why_not(one, trunk_id=trunk.id, purpose=project.purpose, day=day, now=now))
        for one in project.caller_numbers
    ]
    refused = [(number, why) for number, why in held if why is not None]
    if not held:
        yield _no(Gate.NO_CALLER_NUMBER, "The project has no caller number.")
    elif len(refused) == len(held):
        named = "; ".join(f"{number}: {why.reason}" for number, why in refused[:_NAMED])
        more = f"; and {len(refused) - _NAMED} more" if len(refused) > _NAMED else ""
        yield Verdict(
            allowed=False,
            gate=Gate.NO_CALLER_NUMBER,
            reason=f"No caller number of the project may be shown on the trunk {trunk.name} now. {named}{more}.",
            opens_at=min((why.until for _, why in refused if why.until is not None), default=None),
        )


_OF_PROJECT = (RingTime, Registry)
_GATE_OF = {Window: Gate.OUTSIDE_WINDOW, RingTime: Gate.RING_TIME, Registry: Gate.REGISTRY}


def _rules(project: Project, now: datetime) -> Iterator[Verdict]:
    if (refused := project.rules.pack_refusal(now.astimezone(ZoneInfo(project.zone)).date())) is not None:
        yield _no(Gate.RULE_PACK, refused)
    subject = Subject(
        now=now, project_id=project.id, client=project.client, project_zone=project.zone, mode=project.mode.value, number="",
        ring_s=project.ring_timeout_s, lists=project.lists_loaded,
    )  # fmt: skip
    found = first_refusal(project.rules, subject, only=lambda rule: isinstance(rule.line, _OF_PROJECT))
    if found is not None:
        yield _of(found)
    if (missing := without_message(project, now)) is not None:
        yield Verdict(
            allowed=False,
            gate=Gate.ABANDONMENT,
            reason=f"{unheard(missing)} Rule {missing.name}.",
            rule=missing.rule,
        )


def unheard(rule: ShareRule) -> str:
    """What to do about a message that a rule asks for and the project does not have."""
    return (
        f'Whoever gets no agent must hear: "{rule.line.message_en}" Record it, and name the prompt in the project\'s safe_harbour'
        f" ({SITE_PROMPT} is the site's own, and names nobody)."
    )


def _dialled(project: Project, mode: DialMode | None) -> Project:
    return project if mode in (None, project.mode) else replace(project, mode=mode)


def openings(project: Project, now: datetime, mode: DialMode | None = None) -> Openings:
    """The zones in which the project's rules let calls be placed now; what cannot be evaluated is shut and looked at again in an hour. `mode`: as in `decide`."""
    project = _dialled(project, mode)

    def opens(zone: str) -> datetime | None:
        subject = Subject(
            now=now, project_id=project.id, client=project.client, project_zone=project.zone, mode=project.mode.value, number="", zone=zone or None
        )  # fmt: skip
        try:
            refused = [one for one in findings(project.rules, subject, only=_is_window) if one.refusal is not None]
        except Exception:  # noqa: BLE001 -- whatever is wrong with a zone: it is not called
            return now + UNTOLD
        return None if not refused else moment_of(refused) or now + UNTOLD

    return Openings(opens=opens)


def _is_window(rule: Rule) -> bool:
    return isinstance(rule.line, Window)


def _of(found: Finding) -> Verdict:
    refusal = found.refusal
    assert refusal is not None  # noqa: S101 -- what first_refusal found
    gate = _GATE_OF.get(type(found.rule.line), Gate.NOT_EVALUABLE) if refusal.evaluable else Gate.NOT_EVALUABLE
    return Verdict(
        allowed=False,
        gate=gate,
        reason=f"{refusal.reason} Rule {found.rule.name}.",
        opens_at=refusal.until,
        rule=found.rule,
    )


def _window(project: Project, now: datetime) -> Iterator[Verdict]:
    if now.tzinfo is None:
        yield _no(Gate.NOT_EVALUABLE, "The present time has no zone.")
        return
    try:
        zone = ZoneInfo(project.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield _no(Gate.ZONE_UNKNOWN, f"The time zone {project.zone} is unknown.")
        return
    if not project.window_start < project.window_end:
        yield _no(Gate.WINDOW_INVALID, "The calling window ends before it begins.")
        return
    local = now.astimezone(zone)
    if not project.window_start <= local.time() < project.window_end:
        yield Verdict(
            allowed=False,
            gate=Gate.OUTSIDE_WINDOW,
            reason=f"It is {local:%H:%M} in {project.zone}; calls are placed from {project.window_start:%H:%M} to {project.window_end:%H:%M}.",
            opens_at=_next_opening(local.date(), project.window_start, zone, now),
        )


def _next_opening(today: date, opens: time, zone: ZoneInfo, now: datetime) -> datetime:
    """The first opening after `now`. An opening that the clocks skip comes with the hour that is skipped; one that comes twice, the first time."""
    for days in range(3):
        moment = datetime.combine(today + timedelta(days=days), opens, zone).astimezone(UTC)
        if moment > now:
            return moment
    raise AssertionError("a day has at most 25 hours")


def _no(gate: Gate, reason: str) -> Verdict:
    return Verdict(allowed=False, gate=gate, reason=reason)
