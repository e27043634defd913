"""One number of a project before every gate, now or at a past moment, read in a few index steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from campaigns import gates
from campaigns.do_not_call_sql import listed_entries
from campaigns.errors import Missing
from campaigns.explaining.abandonment import Share, of_abandonment
from campaigns.explaining.results import Asked, Explanation, GateResult, of_finding
from campaigns.explaining.standing import of_promise, of_trial, standing_of
from campaigns.gates import Gate, Verdict
from campaigns.projects import Project
from campaigns.rule_packs import rules_of
from campaigns.rules.facts import PastCall, Subject
from campaigns.rules.judge import zone_of
from campaigns.rules.ruleset import NO_RULES, Finding, findings
from campaigns.rules.schema import Attempts, Blind, Consent, Frequency, Registry, RingTime, Window
from campaigns.sql import Connection
from campaigns.states import LeadState, ProjectState

KEPT: Final = timedelta(days=32)
"""How long the calls to a number are kept for counting."""

_LEAD = """
select id, number, state, zone, region, attempts, dialled, nullif(next_at, '-infinity') as next_at, callback_agent_id, created_at, held,
       exists (select from supplies s where s.project_id = $1 and s.opened <> s.wanted) as judging
from leads where project_id = $1 and (id = $2 or number = $3)
"""
_PAST = """
select u.called as at, u.project as project_id, u.client, u.answered as answered_at, u.abandoned as abandoned_at
from callees c, unnest(c.called, c.projects, c.clients, c.answered, c.abandoned) u (called, project, client, answered, abandoned)
where c.number = $1 and u.called <= $2 order by 1
"""
_CONSENTS = """
select distinct scope from consents
where number = $1 and client in ('', $2) and granted_at <= $3 and coalesce(expires_at, 'infinity') > $3 and coalesce(withdrawn_at, 'infinity') > $3
"""
_LISTED = listed_entries(number="$1", client="$2", project="$3::uuid", region="$4::text", at="$5::timestamptz")
_REGIONS = """
select exists (select from do_not_call_areas where kind = 'region' and (client is null or client = $1) and (project_id is null or project_id = $2)
               and created_at <= $3 and coalesce(expires_at, 'infinity') > $3)
"""
_ATTEMPTS_THEN = "select count(*) filter (where outcome is distinct from 'not_sent') from attempts where lead_id = $1 and created_at <= $2"
_BY_HAND = "select calls from dialled_numbers where number = $1 and project_id = $2"
_LIVE_NOW = "select created_at from live_attempts where number = $1"
_LIVE_THEN = """
select a.created_at from (
    select a.created_at, a.ended_at from attempts a where a.lead_id = $3 and a.number = $1
    union all
    select a.created_at, a.ended_at
    from callees c cross join lateral unnest(c.called, c.projects) u (called, project)
    join attempts a on a.project_id = u.project and a.id >= uuid7_floor(u.called - interval '1 second') and a.id < uuid7_floor(u.called + interval '1 second') and a.number = c.number
    where c.number = $1 and u.called between $2::timestamptz - interval '1 day' and $2
) a
where a.created_at <= $2 and (a.ended_at is null or a.ended_at > $2) limit 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which number, when. `state_then`: the project's state at a past moment, None when that is not known; `changed_since`: its settings are younger.
    `shares`: what its answered calls came to, by the periods of its rules; None: not known, as of a past moment.
    """

    project: Project
    now: datetime
    lead_id: int | None = None
    number: str | None = None
    at: datetime | None = None
    state_then: ProjectState | None = None
    changed_since: bool = False
    shares: Mapping[str, Share] | None = None

    @property
    def moment(self) -> datetime:
        """The moment that is asked about."""
        return self.at or self.now


async def explain_number(conn: Connection, question: Question) -> Explanation:
    """Every gate's word, in the order they are asked. Errors: Missing `lead_unknown`."""
    project, at = question.project, question.moment
    lead = await conn.fetchrow(_LEAD, project.id, question.lead_id, question.number)
    if lead is None and question.number is None:
        raise Missing("lead_unknown", "The project has no such lead.", lead_id=question.lead_id)
    number = str(lead["number"] if lead else question.number)
    past = await conn.fetch(_PAST, number, at)
    consents = frozenset(row["scope"] for row in await conn.fetch(_CONSENTS, number, project.client, at))
    region = lead["region"] if lead else None
    entries = await conn.fetch(_LISTED, number, project.client, project.id, region, at)
    regions = await conn.fetchval(_REGIONS, project.client, project.id, at)
    attempts = dialled = 0
    if question.at is None:
        attempts = lead["attempts"] if lead else 0
        dialled = lead["dialled"] if lead else await conn.fetchval(_BY_HAND, number, project.id) or 0
    elif lead is not None:
        attempts = dialled = await conn.fetchval(_ATTEMPTS_THEN, lead["id"], at)
    if question.at is None:
        live = await conn.fetchval(_LIVE_NOW, number)
    else:
        live = await conn.fetchval(_LIVE_THEN, number, at, lead["id"] if lead else None)
    standing = await standing_of(conn, project.id, lead["id"]) if lead and question.at is None else None
    if question.at is not None:
        project = replace(project, rules=(await rules_of(conn, [project.id], at=at)).get(project.id, NO_RULES))
    subject = Subject(
        now=at, project_id=project.id, client=project.client, project_zone=project.zone, mode=project.mode.value, number=number,
        zone=(lead["zone"] if lead else None) or None, region=region, attempts=dialled, past=tuple(PastCall(**row) for row in past), consents=consents,
        lists=project.lists_loaded, ring_s=project.ring_timeout_s,
    )  # fmt: skip
    told = _Told(question, project, subject, lead, attempts, entries, regions and region is None, live, standing)
    return Explanation(at=at, project_id=project.id, lead_id=lead["id"] if lead else None, gates=tuple(told.gates()))


class _Told:
    """The gates of one question; its parts are one method for each gate or group of gates."""

    def __init__(
        self,
        question: Question,
        project: Project,
        subject: Subject,
        lead: Any,
        attempts: int,
        entries: Any,
        region_unknown: bool,
        live: Any,
        standing: Any,
    ) -> None:
        self._question = question
        self._project = project
        self._subject = subject
        self._lead = lead
        self._attempts_made = attempts
        self._entries = entries
        self._region_unknown = region_unknown
        self._live = live
        self._standing = standing
        self._findings = findings(project.rules, subject)

    def gates(self) -> Iterator[GateResult]:
        yield from self._of_project()
        yield from self._lines(Asked.RING_TIME, RingTime)
        yield from self._lines(Asked.REGISTRY, Registry)
        yield from of_abandonment(self._project, self._subject.now, self._question.shares)
        if self._lead is not None:
            yield self._state()
            yield self._supply()
        if self._standing is not None:
            yield from of_trial(self._standing)
        yield from self._lines(Asked.WINDOW, Window)
        yield from self._do_not_call()
        yield from self._lines(Asked.BLIND_REGION, Blind)
        yield from self._lines(Asked.CONSENT, Consent)
        yield self._attempts()
        yield from self._lines(Asked.ATTEMPTS, Attempts)
        yield self._number_live()
        yield self._daily_cap()
        yield from self._lines(Asked.FREQUENCY, Frequency, self._counted)
        if self._lead is not None:
            yield self._due()
        if self._standing is not None:
            yield from of_promise(self._standing)

    def _of_project(self) -> Iterator[GateResult]:
        question, at = self._question, self._subject.now
        state = self._project.state if question.at is None else question.state_then
        now_or_then = " as it is set now: it was changed since" if question.changed_since else ""
        running = None if state is None else state is ProjectState.RUNNING
        yield GateResult(
            gate=Asked.PROJECT,
            passed=running,
            reason="What the project did then is not known." if state is None else f"The project is {state}.",
        )
        found = list(gates.objections(self._project, at))
        said = {verdict.gate: verdict for verdict in found}
        broken = next((one for one in found if one.gate is Gate.NOT_EVALUABLE and one.rule is None), None)
        if broken is not None:
            yield _of_verdict(Asked.PROJECT, broken, "")
        for asked, of in _PROJECT_GATES:
            verdict = next((said[gate] for gate in of if gate in said), None)
            yield _of_verdict(asked, verdict, now_or_then)

    def _lines(
        self, asked: Asked, kind: type, known: Callable[[Finding], bool] = lambda _finding: True
    ) -> Iterator[GateResult]:
        for finding in self._findings:
            if isinstance(finding.rule.line, kind):
                result = of_finding(asked, finding)
                if result.passed and not known(finding):
                    result = replace(result, passed=None, reason="The calls of that time are not kept any more.")
                yield result

    def _counted(self, finding: Finding) -> bool:
        line = finding.rule.line
        return not isinstance(line, Frequency) or self._subject.now - line.period >= self._question.now - KEPT

    def _state(self) -> GateResult:
        state = LeadState(self._lead["state"])
        if self._question.at is not None:
            there = self._lead["created_at"] <= self._subject.now
            return GateResult(
                gate=Asked.LEAD,
                passed=None if there else False,
                reason="The state the lead had then is not kept." if there else "The lead came later.",
            )
        waits = state in (LeadState.NEW, LeadState.RETRY, LeadState.CALLBACK)
        return GateResult(gate=Asked.LEAD, passed=waits, reason=f"The lead is in state {state}.")

    def _supply(self) -> GateResult:
        if self._question.at is not None:
            return GateResult(gate=Asked.SUPPLY, passed=None, reason="What the filter said then is not kept.")
        if self._lead["judging"]:
            return GateResult(
                gate=Asked.SUPPLY, passed=False, reason="The project's leads are being judged by a new filter."
            )
        reason = (
            "It is outside the project's filter, or not yet judged by it."
            if self._lead["held"]
            else "No filter holds it."
        )
        return GateResult(gate=Asked.SUPPLY, passed=not self._lead["held"], reason=reason)

    def _do_not_call(self) -> Iterator[GateResult]:
        for entry in self._entries:
            reach = entry["client"] or entry["project_id"] or "everybody"
            until = f" until {entry['expires_at']:%Y-%m-%d}" if entry["expires_at"] else ""
            yield GateResult(
                gate=Asked.DO_NOT_CALL,
                passed=False,
                reason=f"Entered {entry['created_at']:%Y-%m-%d} by {entry['source']} for {reach}{until}: {entry['reason']}.",
                until=entry["expires_at"],
                source=f"do-not-call list {entry['category']}",
            )
        if self._region_unknown:
            yield GateResult(
                gate=Asked.DO_NOT_CALL,
                passed=False,
                reason="Some regions are not called, and the region of this number is not known.",
            )
        elif not self._entries:
            yield GateResult(gate=Asked.DO_NOT_CALL, passed=True, reason="It is on no list.")

    def _attempts(self) -> GateResult:
        most, made = self._project.max_attempts, self._attempts_made
        return GateResult(
            gate=Asked.ATTEMPTS, passed=made < most, reason=f"Called {made} times; the project allows {most}."
        )

    def _number_live(self) -> GateResult:
        if self._live is not None:
            reason = f"The number is being called since {self._live:%H:%M:%S} UTC."
            return GateResult(gate=Asked.NUMBER_LIVE, passed=False, reason=reason)
        if self._subject.now < self._question.now - KEPT:
            reason = "The lead was not being called; the calls of other projects at that time are not kept any more."
            return GateResult(gate=Asked.NUMBER_LIVE, passed=None, reason=reason)
        return GateResult(gate=Asked.NUMBER_LIVE, passed=True, reason="Nobody is calling it.")

    def _daily_cap(self) -> GateResult:
        zone, at = zone_of(self._project.zone), self._subject.now
        day = at.astimezone(zone).date()
        made = sum(call.at.astimezone(zone).date() == day for call in self._subject.past)
        most = self._project.daily_cap_per_number
        known = at >= self._question.now - KEPT + timedelta(days=1)
        return GateResult(
            gate=Asked.DAILY_CAP,
            passed=made < most if known or made >= most else None,
            reason=f"Called {made} times on {day}, {most} at most.",
        )

    def _due(self) -> GateResult:
        due = self._lead["next_at"]
        if self._question.at is not None:
            return GateResult(gate=Asked.DUE, passed=None, reason="When the lead was due then is not kept.")
        waiting = due is not None and due > self._subject.now
        return GateResult(
            gate=Asked.DUE,
            passed=not waiting,
            reason=f"It may be called again at {due:%Y-%m-%d %H:%M} UTC." if waiting else "It is due.",
            until=due if waiting else None,
        )


_PROJECT_GATES: Final = (
    (Asked.TRUNK, (Gate.NO_TRUNK, Gate.TRUNK_DISABLED)),
    (Asked.CALLER_NUMBER, (Gate.NO_CALLER_NUMBER,)),
    (Asked.SURVEY, (Gate.NO_SURVEY,)),
    (Asked.PROJECT_WINDOW, (Gate.ZONE_UNKNOWN, Gate.WINDOW_INVALID, Gate.OUTSIDE_WINDOW)),
    (Asked.RULE_PACK, (Gate.RULE_PACK,)),
)


def _of_verdict(asked: Asked, verdict: Verdict | None, now_or_then: str) -> GateResult:
    if verdict is None:
        return GateResult(gate=asked, passed=True, reason=f"It passes{now_or_then}.")
    return GateResult(gate=asked, passed=False, reason=verdict.reason + now_or_then, until=verdict.opens_at)


_PROJECT_OF_LEAD = "select project_id from leads where id = $1"


async def project_of_lead(conn: Connection, lead_id: int) -> UUID:
    """Whose lead it is. Errors: Missing `lead_unknown`."""
    found: UUID | None = await conn.fetchval(_PROJECT_OF_LEAD, lead_id)
    if found is None:
        raise Missing("lead_unknown", "There is no such lead.", lead_id=lead_id)
    return found
