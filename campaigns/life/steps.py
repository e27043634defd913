"""Taking a step in a project's life: the row is locked, what must be there is looked at, and the step is written with what was found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from campaigns.errors import Missing, Refused
from campaigns.life.freezing import Frozen, freeze
from campaigns.life.requirements import USED, Facts, Found, Requirement, Signed, SignOffKind, look
from campaigns.life.table import TABLE, WHO, Answer, Kind, Life, Step, life_of, parts_of
from campaigns.life.watching import AlarmKind, clear_alarms
from campaigns.projects import Project, load_project
from campaigns.scripts.assignments import script_of_project
from campaigns.sql import Connection, OneConnection
from campaigns.states import DialMode, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Who takes a step. `role` None: no person, a stop rule."""

    actor: str
    role: str | None
    user_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What came of a step. `moved` is False when it was so already. `figures`: those that it froze."""

    project: Project
    life: Life
    moved: bool
    figures: Frozen | None = None


_LOCK = "select id from projects where id = $1 for no key update"
_FACTS = """
select exists (select from leads l where l.project_id = p.id and l.state in ('new', 'retry') and l.callback_agent_id is null and not l.held) as has_data,
       (select coalesce(array_agg(d.code order by d.position), '{}') from dispositions d where d.project_id = p.id and d.meaning = 'conversion') as conversions,
       (select count(*) from live_attempts v where v.project_id = p.id) as live_calls,
       (select count(*) from agent_live l join attempts a on a.id = l.attempt_id where l.state = 'wrap_up' and a.project_id = p.id) as wrapping_up,
       exists (select from attempts a where a.project_id = p.id and a.id >= uuid7_floor(p.trial_began_at) and a.mode = 'trial' and a.outcome <> 'not_sent') as attempted,
       (select encode(f.sha256, 'hex') from trial_figures f where f.project_id = p.id and f.run = p.trial_run) as figures,
       exists (select from project_steps s where s.project_id = p.id and s.step in ('go_formal', 'start')) as formal_before,
       (select max(s.at) from project_steps s where s.project_id = p.id and s.step = 'stop') as stopped_at,
       (select count(*) from assignments s join agents g on g.id = s.agent_id where s.project_id = p.id and p.skills <@ g.skills) as agents,
       (select count(*) from assignments s join agents g on g.id = s.agent_id join teams t on t.id = g.team_id
        where s.project_id = p.id and p.skills <@ g.skills and t.senior) as senior_agents
from projects p where p.id = $1
"""
_SIGNED = """
select s.id::text as id, s.kind, s.signer, coalesce(encode(s.covers, 'hex'), '') as covers
from sign_offs s
where s.project_id = $1 and not exists (select from project_steps p where p.sign_off_id = s.id)
  and (s.kind <> 'correction' or s.signed_at >= $2)
order by s.recorded_at, s.id
"""
_MOVE = "update projects set state = $2, stage = $3 where id = $1"
_MOVE_TO_TRIAL = """
update projects
set state = $2, stage = $3, formal_mode = case when mode = 'trial' then formal_mode else mode end, mode = 'trial',
    trial_run = trial_run + 1, trial_taken = 0, trial_began_at = $4
where id = $1
"""
_MOVE_TO_FORMAL = """
update projects
set state = $2, stage = $3, mode = case when mode = 'trial' then coalesce(formal_mode, 'progressive') else mode end, formal_mode = null
where id = $1
"""
_WRITE = """
insert into project_steps (project_id, step, from_life, to_life, at, user_id, actor, role, why, changed, found, sign_off_id, figures_id)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""


_OF_STOPS = (AlarmKind.COMPLAINTS, AlarmKind.ABANDONMENT, AlarmKind.ANSWERS)
CLEARS = {Step.LIFT: _OF_STOPS, Step.COMPLETE: tuple(AlarmKind)}
"""The alarms that are over with a step."""


async def take(
    conn: OneConnection, project_id: UUID, step: Step, *, by: By, now: datetime, why: str = "", changed: str = ""
) -> Taken:
    """Take a step, all of it or nothing; a running engine has to be told (`ReloadProject`), the claim sees it at once.

    Errors: Missing `project_unknown`; Refused `step_not_for_role`, and `step_refused` with everything that is missing in `detail.missing`.
    """
    async with conn.transaction():
        if await conn.fetchval(_LOCK, project_id) is None:
            raise Missing("project_unknown", "There is no such project.", project_id=str(project_id))
        project = await load_project(conn, project_id)
        if (by.role is None and step is not Step.STOP) or (by.role is not None and by.role not in WHO[step]):
            raise Refused("step_not_for_role", f"This step is for: {', '.join(sorted(WHO[step]))}.", step=step.value)
        life = life_of(project.state, project.stage)
        answer = TABLE[life, step]
        if answer.kind is Kind.REPEAT:
            return Taken(project=project, life=life, moved=False)
        facts = await facts_of(conn, project, now, why=why, changed=changed)
        found = look(step, life, facts)
        _refuse(step, life, answer, found)
        figures = await freeze(conn, project_id, now) if step is Step.CLOSE_TRIAL else None
        state, stage = parts_of(answer.life, project.stage)
        moving: tuple[Any, ...] = (project_id, state.value, stage.value)
        if step is Step.BEGIN_TRIAL:
            await conn.execute(_MOVE_TO_TRIAL, *moving, now)
        elif project.stage is Stage.TRIAL and stage is Stage.FORMAL:
            await conn.execute(_MOVE_TO_FORMAL, *moving)
        else:
            await conn.execute(_MOVE, *moving)
        kind = USED.get(step)
        signed = facts.signature(kind) if kind is not None and project.sign_offs else None
        await conn.execute(
            _WRITE,
            project_id,
            step.value,
            life.value,
            answer.life.value,
            now,
            by.user_id,
            by.actor,
            by.role,
            why,
            changed,
            {one.requirement.value: one.found for one in found},
            None if signed is None else UUID(signed.id),
            None if figures is None else figures.id,
        )
        if step in CLEARS:
            await clear_alarms(conn, project_id, CLEARS[step], now)
        return Taken(project=await load_project(conn, project_id), life=answer.life, moved=True, figures=figures)


def _refuse(step: Step, life: Life, answer: Answer, found: list[Found]) -> None:
    missing = [one for one in found if not one.met]
    listed = [{"id": one.requirement.value, "found": one.found, "to_do": one.to_do} for one in missing]
    if answer.kind is Kind.REFUSED:
        listed.insert(0, {"id": Requirement.STATE.value, "found": life.value, "to_do": answer.instead})
    if listed:
        what = " ".join(one["to_do"] for one in listed)
        raise Refused(
            "step_refused", f"The project cannot {step.value}: {what}", step=step.value, life=life.value, missing=listed
        )


async def facts_of(conn: Connection, project: Project, now: datetime, *, why: str = "", changed: str = "") -> Facts:
    """What the requirements look at. One index step for each, except for the trial's own calls. Errors: those of ZoneInfo for the project's zone."""
    row = await conn.fetchrow(_FACTS, project.id)
    if row is None:
        raise Missing("project_unknown", "There is no such project.", project_id=str(project.id))
    signed = await conn.fetch(_SIGNED, project.id, row["stopped_at"] or project.created_at)
    return Facts(
        project=project,
        now=now,
        today=now.astimezone(ZoneInfo(project.zone)).date(),
        script=await script_of(conn, project),
        has_data=row["has_data"],
        conversions=tuple(row["conversions"]),
        agents=row["agents"],
        senior_agents=row["senior_agents"],
        live_calls=row["live_calls"],
        wrapping_up=row["wrapping_up"],
        attempted=row["attempted"],
        figures=row["figures"],
        formal_before=row["formal_before"],
        signed=tuple(Signed(**{**one, "kind": SignOffKind(one["kind"])}) for one in signed),
        why=why,
        changed=changed,
    )


async def script_of(conn: Connection, project: Project) -> str | None:
    """What speaks in a project, in a few words: the published version its agents read, or the survey of an agentless one; None: nothing. A script in use is always published."""
    if project.mode is DialMode.AGENTLESS:
        return None if project.survey is None else f"survey {project.survey.version}"
    if (assignment := await script_of_project(conn, project.id)) is None:
        return None
    said = f"{assignment.used.name} {assignment.used.version}"
    if assignment.trial is None:
        return said
    return f"{said}, {assignment.trial_percent} % {assignment.trial.name} {assignment.trial.version}"


async def possible(conn: Connection, project: Project, now: datetime) -> dict[Step, list[Found]]:
    """The steps that lead on from where a project is, each with what it asks for. For people."""
    life = life_of(project.state, project.stage)
    facts = await facts_of(conn, project, now)
    return {step: look(step, life, facts) for step in Step if TABLE[life, step].kind is Kind.MOVE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A step that was taken."""

    id: int
    step: Step
    from_life: Life
    to_life: Life
    at: datetime
    user_id: UUID | None
    actor: str
    role: str | None
    why: str
    changed: str
    found: dict[str, str]
    sign_off_id: UUID | None
    figures_id: UUID | None


_HISTORY = """
select id, step, from_life, to_life, at, user_id, actor, role, why, changed, found, sign_off_id, figures_id
from project_steps where project_id = $1 and ($2::bigint is null or id < $2) order by id desc limit $3
"""


async def history(conn: Connection, project_id: UUID, *, before: int | None = None, limit: int = 500) -> list[Kept]:
    """The steps of a project, newest first."""
    return [
        Kept(**{**row, "step": Step(row["step"]), "from_life": Life(row["from_life"]), "to_life": Life(row["to_life"])})
        for row in await conn.fetch(_HISTORY, project_id, before, limit)
    ]
