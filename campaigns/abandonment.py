"""What the rule packs of a project demand of its abandoned calls: how soon an agent must be there, and what the callee hears when none is. Pure.

The largest share they allow is the pacer's to keep (`dialer.db.abandonment.contracts_of`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from campaigns.projects import Project
from campaigns.rules.ruleset import ShareRule, abandonment_lines
from campaigns.states import DialMode

SITE_PROMPT: Final = "safe-harbour"
"""The message of a project that names none: the site's own, which speaks for no client in particular."""
_BY_HAND: Final = frozenset({DialMode.MANUAL, DialMode.PREVIEW})


def share_rules(project: Project, now: datetime) -> tuple[ShareRule, ...]:
    """The lines of its packs about abandoned calls that are in force, the strictest first. A zone that is not known has UTC's days."""
    if not project.rules.rules:
        return ()
    try:
        day = now.astimezone(ZoneInfo(project.zone)).date()
    except (ZoneInfoNotFoundError, ValueError, OSError):
        day = now.astimezone(UTC).date()
    return abandonment_lines(project.rules, day, project.mode.value)


def agent_wait_ms(project: Project, now: datetime) -> int:
    """How long an answered customer may wait for an agent: by its setting, or sooner where a pack wants the message sooner."""
    asked = (int(1000 * rule.line.within_s) for rule in share_rules(project, now))
    return min((project.agent_wait_ms, *asked))


def without_message(project: Project, now: datetime) -> ShareRule | None:
    """The line whose message the project does not have: it must name a prompt of its own. Calls that an agent asks for need none."""
    if project.mode in _BY_HAND or project.safe_harbour not in ("", SITE_PROMPT):
        return None
    return next(iter(share_rules(project, now)), None)
