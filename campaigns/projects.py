"""Projects: what is dialled, how, when and from where. `Project` is everything a dialler needs to know, its calling rules included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import asyncpg

from campaigns.caller_numbers.number import CallerNumber, caller_number
from campaigns.dispositions import DEFAULT_DISPOSITIONS, Disposition
from campaigns.dispositions import save as save_dispositions
from campaigns.errors import BadInput, Conflict, Missing
from campaigns.life.table import Life, life_of
from campaigns.retry import DEFAULT_RETRY_RULES, RetryRule
from campaigns.retry import save as save_retry_rules
from campaigns.rule_packs import rules_of
from campaigns.rules.ruleset import NO_RULES, RuleSet
from campaigns.sql import Connection, OneConnection
from campaigns.states import (
    AbandonmentPeriod,
    AtAbandonmentLimit,
    AtPreviewLimit,
    DialMode,
    Effect,
    LeadState,
    MachineDetection,
    Meaning,
    ProjectState,
    Stage,
    TrialCounts,
)
from campaigns.survey import Survey, survey_of
from campaigns.trunks import Trunk, trunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project with its trunk, lists and rules. The window is in the project's zone: from `window_start` on, before `window_end`.
    `lists_loaded`: when each list of numbers not to be called was last loaded, by its category.

    `purpose`: what it calls for, a code that caller numbers may be limited to; empty: not said.

    `cancel_after_s`: a call that has rung so long may be given up when nobody would be free for its answer; 0: never.
    `sign_offs`: it goes through a trial and signatures (`campaigns.life`). `valid_connect_s`: a conversation this long is a valid connect.
    `skills`: an agent needs them all to get its calls. `recording_pause_limit_s`: how long a recording may be paused; 0: not at all.
    """

    id: UUID
    name: str
    client: str
    state: ProjectState
    mode: DialMode
    ratio: Decimal
    trunk: Trunk | None
    zone: str
    window_start: time
    window_end: time
    ring_timeout_s: int
    agent_wait_ms: int
    wrap_up_limit_s: int
    preview_limit_s: int
    abandonment_cap: Decimal
    cancel_after_s: int
    share_weight: int
    share_priority: int
    guaranteed_agents: int
    abandonment_period: AbandonmentPeriod
    abandonment_at_limit: AtAbandonmentLimit
    abandonment_within_ms: int
    abandonment_counts_late: bool
    abandonment_counts_machines: bool
    abandonment_false_machine_rate: Decimal
    max_attempts: int
    daily_cap_per_number: int
    safe_harbour: str
    record_calls: bool
    mask_numbers: bool
    script: str
    created_at: datetime
    caller_numbers: tuple[CallerNumber, ...]
    agent_ids: frozenset[UUID]
    dispositions: tuple[Disposition, ...]
    retry_rules: tuple[RetryRule, ...]
    preview_at_limit: AtPreviewLimit = AtPreviewLimit.GIVE_BACK
    preview_skips_per_hour: int = 20
    preview_skips_per_lead: int = 3
    preview_skip_wait_s: int = 300
    preview_same_agent_wait_s: int = 3600
    machine_detection: MachineDetection = MachineDetection.OFF
    rules: RuleSet = NO_RULES
    trial_size: int = 100
    trial_counts: TrialCounts = TrialCounts.ATTEMPTED
    trial_taken: int = 0
    lists_loaded: Mapping[str, datetime] = field(default_factory=dict)
    survey: Survey | None = None
    stage: Stage = Stage.FORMAL
    sign_offs: bool = False
    valid_connect_s: int = 15
    skills: Sequence[str] = ()
    purpose: str = ""
    recording_pause_limit_s: int = 120

    @property
    def life(self) -> Life:
        """Where it is in its life."""
        return life_of(self.state, self.stage)

    @property
    def trunk_id(self) -> UUID | None:
        """The trunk's id, as the column says it."""
        return self.trunk.id if self.trunk else None


SETTINGS: Final = frozenset({
    "name", "client", "mode", "ratio", "trunk_id", "zone", "window_start", "window_end", "ring_timeout_s", "agent_wait_ms", "wrap_up_limit_s",
    "preview_limit_s", "preview_at_limit", "preview_skips_per_hour", "preview_skips_per_lead", "preview_skip_wait_s", "preview_same_agent_wait_s",
    "abandonment_cap", "abandonment_period", "abandonment_at_limit", "abandonment_within_ms", "abandonment_counts_late", "abandonment_counts_machines",
    "abandonment_false_machine_rate", "machine_detection", "cancel_after_s", "share_weight", "share_priority", "guaranteed_agents", "max_attempts", "daily_cap_per_number",
    "safe_harbour", "record_calls", "mask_numbers", "script", "trial_size", "trial_counts", "sign_offs", "valid_connect_s", "skills", "purpose",
    "recording_pause_limit_s",
})  # fmt: skip
"""What `create_project` and `update_project` take: columns of `projects`, by these names and no others."""

_COLUMNS = """
select p.*,
       (select to_jsonb(t) from trunks t where t.id = p.trunk_id) as trunk,
       (select coalesce(jsonb_agg(to_jsonb(n) order by n.number), '[]') from project_caller_numbers a join caller_numbers n on n.id = a.caller_number_id
        where a.project_id = p.id) as caller_numbers,
       (select coalesce(array_agg(a.agent_id), '{}') from project_agents a where a.project_id = p.id) as agent_ids,
       (select coalesce(jsonb_agg(jsonb_build_object('code', d.code, 'label_zh', d.label_zh, 'label_en', d.label_en, 'effect', d.effect,
                                                     'retry_after_s', extract(epoch from d.retry_after),
                                                     'growth_percent', d.growth_percent, 'meaning', d.meaning) order by d.position, d.code), '[]')
        from dispositions d where d.project_id = p.id) as dispositions,
       (select coalesce(jsonb_agg(jsonb_build_object('outcome', r.outcome, 'retry_after_s', extract(epoch from r.retry_after),
                                                     'max_times', r.max_times, 'counts', r.counts, 'growth_percent', r.growth_percent) order by r.outcome), '[]')
        from retry_rules r where r.project_id = p.id) as retry_rules,
       (select array_agg(l.category order by l.category) from do_not_call_lists l) as list_names,
       (select array_agg(l.loaded_at order by l.category) from do_not_call_lists l) as list_times,
       (select jsonb_build_object('version', s.version, 'document', s.document) from surveys s
        where s.project_id = p.id order by s.version desc limit 1) as survey
from projects p
"""
_OF_AGENT = "exists (select from serving a where a.project_id = p.id and a.agent_id = {place})"

# Constants of this file are put together here; values are always arguments.
_LOAD = f"{_COLUMNS} where p.id = $1 and ($2::uuid is null or {_OF_AGENT.format(place='$2')})"
_LIST = f"""{_COLUMNS}
where ($1::text is null or p.state = $1) and ($2::uuid is null or {_OF_AGENT.format(place="$2")}) and ($3::text is null or p.name > $3)
order by p.name limit $4
"""


async def load_project(conn: Connection, project_id: UUID, *, agent_id: UUID | None = None) -> Project:
    """One project (of an agent, when one is given). Errors: Missing `project_unknown`."""
    row = await conn.fetchrow(_LOAD, project_id, agent_id)
    if row is None:
        raise Missing("project_unknown", "There is no such project.", project_id=str(project_id))
    return _project(row, await rules_of(conn, [project_id]))


async def list_projects(
    conn: Connection,
    *,
    state: ProjectState | None = None,
    agent_id: UUID | None = None,
    after: str | None = None,
    limit: int | None = None,
) -> list[Project]:
    """Projects by name: all, or those in a state, of an agent, with names beyond `after`."""
    rows = await conn.fetch(_LIST, state.value if state else None, agent_id, after, limit)
    rules = await rules_of(conn, [row["id"] for row in rows])
    return [_project(row, rules) for row in rows]


_SHOWING_NUMBERS = "select id from projects where not mask_numbers"


async def showing_numbers(conn: Connection) -> frozenset[UUID]:
    """The projects that show numbers to people."""
    return frozenset(row["id"] for row in await conn.fetch(_SHOWING_NUMBERS))


_CREATE = "insert into projects (name) values ($1) returning id"


async def create_project(conn: OneConnection, *, name: str, **settings: Any) -> Project:
    """A draft with the given settings (`SETTINGS`), the default dispositions and retry rules, and nothing to dial with yet.

    All of it or nothing.
    Errors: Conflict `project_name_taken`; BadInput `project_setting_unknown`, `project_setting_invalid`, `zone_unknown`; Missing `trunk_unknown`.
    """
    async with conn.transaction():
        try:
            project_id: UUID = await conn.fetchval(_CREATE, name)
        except asyncpg.UniqueViolationError as error:
            raise _name_taken() from error
        except asyncpg.CheckViolationError as error:
            raise BadInput(
                "project_setting_invalid", "A project's name has 1 to 200 characters.", setting="name"
            ) from error
        await save_dispositions(conn, project_id, DEFAULT_DISPOSITIONS)
        await save_retry_rules(conn, project_id, DEFAULT_RETRY_RULES)
        return await update_project(conn, project_id, **settings)


def _name_taken() -> Conflict:
    return Conflict("project_name_taken", "There is a project of this name: choose another.")


async def update_project(conn: Connection, project_id: UUID, **settings: Any) -> Project:
    """Change settings (`SETTINGS`). A running engine has to be told (`ReloadProject`); the caps hold from the next claim on by themselves.

    Errors: as `create_project`; Missing `project_unknown`; Conflict `project_begun` (sign-offs are asked for, or not, while it is a draft),
    `project_in_trial` (its mode and its sample are those of the trial until that is closed).
    """
    unknown = settings.keys() - SETTINGS
    if unknown:
        raise BadInput("project_setting_unknown", f"A project has no setting {min(unknown)}.", settings=sorted(unknown))
    if "zone" in settings:
        _check_zone(settings["zone"])
    if "sign_offs" in settings:
        await _check_draft(conn, project_id, settings["sign_offs"])
    if settings.keys() & _OF_SAMPLE and await conn.fetchval(_IN_TRIAL, project_id):
        raise Conflict("project_in_trial", "Its trial is under way: the sample stays what was agreed to.")
    if settings:
        # The names come from SETTINGS, never from outside; the values are arguments.
        assignments = ", ".join(f"{name} = ${place}" for place, name in enumerate(settings, 2))
        try:
            await conn.execute(f"update projects set {assignments} where id = $1", project_id, *settings.values())  # noqa: S608 -- constants
        except asyncpg.UniqueViolationError as error:
            raise _name_taken() from error
        except asyncpg.ForeignKeyViolationError as error:
            raise Missing("trunk_unknown", "There is no such trunk.") from error
        except (
            asyncpg.CheckViolationError,
            asyncpg.NotNullViolationError,
            asyncpg.NumericValueOutOfRangeError,
        ) as error:
            if error.constraint_name == "projects_trial_is_sampled":
                raise Conflict(
                    "project_in_trial", "Its trial is under way and dials a sample: change the mode when it is formal."
                ) from error
            raise BadInput(
                "project_setting_invalid",
                "A setting is outside its range.",
                constraint=error.constraint_name or error.column_name or "",
            ) from error
        except asyncpg.DataError as error:
            raise BadInput("project_setting_invalid", f"A setting has a value of the wrong kind: {error}") from error
    return await load_project(conn, project_id)


_OF_SAMPLE: Final = frozenset({"trial_size", "trial_counts"})
_IN_TRIAL = "select true from projects where id = $1 and sign_offs and stage = 'trial' and state in ('running', 'paused', 'stopped')"
_BEGUN = "select true from projects where id = $1 and state <> 'draft' and sign_offs is distinct from $2"


async def _check_draft(conn: Connection, project_id: UUID, sign_offs: object) -> None:
    if await conn.fetchval(_BEGUN, project_id, sign_offs):
        raise Conflict("project_begun", "Sign-offs are asked for, or not, while a project is a draft.")


_ASSIGN = """
with gone as (
    delete from project_agents where project_id = $1 and agent_id <> all ($2::uuid[])
)
insert into project_agents (project_id, agent_id) select $1, id from unnest($2::uuid[]) id
on conflict do nothing
"""


async def assign_agents(conn: Connection, project_id: UUID, agent_ids: frozenset[UUID]) -> None:
    """Make these, and no others, the agents of a project. Errors: Missing `project_or_agent_unknown`."""
    try:
        await conn.execute(_ASSIGN, project_id, list(agent_ids))
    except asyncpg.ForeignKeyViolationError as error:
        raise Missing("project_or_agent_unknown", "There is no such project or agent.") from error


_COUNTS = """
select state, count(*) as leads,
       count(*) filter (where state in ('new', 'retry') and callback_agent_id is null and not held and next_at <= $2) as dialable
from leads where project_id = $1 group by state
"""


async def lead_counts(conn: Connection, project_id: UUID, now: datetime) -> dict[str, int]:
    """How many leads are in each state, and `dialable_now` of them. Reads all leads of the project: for people, not for every tick."""
    rows = await conn.fetch(_COUNTS, project_id, now)
    found = {row["state"]: row["leads"] for row in rows}
    return {state.value: found.get(state.value, 0) for state in LeadState} | {
        "dialable_now": sum(row["dialable"] for row in rows)
    }


def _check_zone(zone: object) -> None:
    try:
        ZoneInfo(str(zone))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadInput("zone_unknown", "There is no such time zone; give a name such as Asia/Shanghai.") from error


_WORDS: Final = frozenset(
    {"mode", "preview_at_limit", "abandonment_period", "abandonment_at_limit", "machine_detection", "trial_counts"}
)
_PLAIN: Final = ("id", "created_at", "trial_taken", *sorted(SETTINGS - _WORDS - {"trunk_id"}))


def _project(row: asyncpg.Record, rules: Mapping[UUID, RuleSet]) -> Project:
    return Project(
        rules=rules.get(row["id"], NO_RULES),
        lists_loaded=dict(zip(row["list_names"] or (), row["list_times"] or (), strict=True)),
        **{name: row[name] for name in _PLAIN},
        state=ProjectState(row["state"]),
        stage=Stage(row["stage"]),
        mode=DialMode(row["mode"]),
        preview_at_limit=AtPreviewLimit(row["preview_at_limit"]),
        abandonment_period=AbandonmentPeriod(row["abandonment_period"]),
        abandonment_at_limit=AtAbandonmentLimit(row["abandonment_at_limit"]),
        machine_detection=MachineDetection(row["machine_detection"]),
        trial_counts=TrialCounts(row["trial_counts"]),
        survey=_survey(row["survey"]),
        trunk=trunk(row["trunk"]) if row["trunk"] else None,
        caller_numbers=tuple(caller_number(number) for number in row["caller_numbers"]),
        agent_ids=frozenset(row["agent_ids"]),
        dispositions=tuple(
            Disposition(
                code=one["code"],
                label_zh=one["label_zh"],
                label_en=one["label_en"],
                effect=Effect(one["effect"]),
                retry_after=None if one["retry_after_s"] is None else timedelta(seconds=one["retry_after_s"]),
                growth_percent=one["growth_percent"],
                meaning=None if one["meaning"] is None else Meaning(one["meaning"]),
            )
            for one in row["dispositions"]
        ),
        retry_rules=tuple(
            RetryRule(
                outcome=rule["outcome"],
                retry_after=timedelta(seconds=rule["retry_after_s"]),
                max_times=rule["max_times"],
                counts=rule["counts"],
                growth_percent=rule["growth_percent"],
            )
            for rule in row["retry_rules"]
        ),
    )


def _survey(row: Mapping[str, Any] | None) -> Survey | None:
    """The last version; one that cannot be read is none, so that the other projects go on and this one is not dialled with it."""
    try:
        return None if row is None else survey_of(row["document"], row["version"])
    except BadInput:
        return None
