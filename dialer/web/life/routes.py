"""The life of a project: where it is, what leads on, the steps that were taken, sign-offs and frozen figures."""

from __future__ import annotations

from uuid import UUID

from campaigns.errors import Refused
from campaigns.life import freezing, steps
from campaigns.life import sign_offs as campaign_sign_offs
from campaigns.life.requirements import Found, Requirement
from campaigns.life.table import HALTED, WHO
from dialer.domain.errors import NotAllowed
from dialer.domain.roles import Role
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.commands import reload_project
from dialer.web.fields import Page, PageQuery, after_cursor, page_of
from dialer.web.identity import actor_of
from dialer.web.life.types import (
    Figures,
    FrozenFigures,
    KeptStep,
    LifeNow,
    NewSignOff,
    NewStep,
    NextStep,
    Required,
    SignOff,
    SignOffs,
    StepTaken,
)
from dialer.web.projects.routes import there
from dialer.web.projects.types import Stage, State
from dialer.web.roles import LIFE_LEADERS, REPORT_READERS

STEPPERS = frozenset(Role(role) for roles in WHO.values() for role in roles)
_SAID_WITH_IT = {Requirement.WHY, Requirement.CHANGED}


@operation("GET", "/projects/{project_id}/life", roles=REPORT_READERS, summary="Where a project is in its life")
async def get_life(call: Call, project_id: UUID) -> LifeNow:
    """With the steps that lead on: who may take them, what each asks for, and what of it is there."""
    role = call.identity.role.value
    async with call.connection() as conn:
        project = await there(conn, project_id)
        found = await steps.possible(conn, project, call.now)
    return LifeNow(
        project_id=project.id,
        life=project.life,
        state=State(project.state.value),
        stage=Stage(project.stage.value),
        sign_offs=project.sign_offs,
        next=[
            NextStep(
                step=step,
                roles=sorted(WHO[step]),
                may=role in WHO[step] and all(one.met or one.requirement in _SAID_WITH_IT for one in asked),
                required=[_required(one) for one in asked],
            )
            for step, asked in found.items()
        ],
    )


@operation("POST", "/projects/{project_id}/steps", roles=STEPPERS, summary="Take a step in a project's life")
async def take_step(call: Call, project_id: UUID, body: NewStep) -> StepTaken:
    """A step that is refused says everything that is missing (`detail.missing`: id, what was found, what to do). What was refused is audited too."""
    identity = call.identity
    if identity.role.value not in WHO[body.step]:
        raise NotAllowed(
            "step_not_for_role",
            "Your role does not take this step.",
            step=body.step.value,
            roles=sorted(WHO[body.step]),
        )
    by = steps.By(actor=actor_of(identity), role=identity.role.value, user_id=identity.user_id)
    refused: Refused | None = None
    taken: steps.Taken | None = None
    async with call.transaction() as conn:
        try:
            taken = await steps.take(
                conn, project_id, body.step, by=by, now=call.now, why=body.why, changed=body.changed
            )
            await call.audit(
                conn,
                "project_step",
                "project",
                project_id,
                step=body.step.value,
                life=taken.life.value,
                moved=taken.moved,
            )
        except Refused as error:
            refused = error
            await call.audit(
                conn, "project_step", "project", project_id, step=body.step.value, refused=error.error_id,
                missing=[one["id"] for one in error.detail.get("missing", [])],  # type: ignore[attr-defined]
            )  # fmt: skip
    if refused is not None or taken is None:
        raise refused or AssertionError("a step is taken or refused")
    await reload_project(call, project_id, hang_up_ringing=taken.moved and taken.life in HALTED)
    return StepTaken(
        project_id=project_id,
        life=taken.life,
        moved=taken.moved,
        figures_sha256=None if taken.figures is None else taken.figures.sha256,
    )


@operation("GET", "/projects/{project_id}/steps", roles=REPORT_READERS, summary="The steps a project has taken")
async def list_steps(call: Call, project_id: UUID, query: PageQuery) -> Page[KeptStep]:
    """Newest first: who, when, why, and what was found."""
    after = after_cursor(query.cursor, int)
    async with call.connection() as conn:
        await there(conn, project_id)
        rows = await steps.history(conn, project_id, before=after[0] if after else None, limit=query.limit + 1)
    return page_of(rows, query.limit, _kept, lambda row: [row.id])


@operation("GET", "/projects/{project_id}/sign-offs", roles=REPORT_READERS, summary="The signatures of a project")
async def get_sign_offs(call: Call, project_id: UUID) -> SignOffs:
    """Oldest first."""
    async with call.connection() as conn:
        await there(conn, project_id)
        found = await campaign_sign_offs.sign_offs_of(conn, project_id)
    return SignOffs(sign_offs=[SignOff.model_validate(one) for one in found])


@operation("POST", "/projects/{project_id}/sign-offs", roles=LIFE_LEADERS, summary="Record a signature", status=201)
async def add_sign_off(call: Call, project_id: UUID, body: NewSignOff) -> SignOff:
    """Who signed what and when, and the hash of the file that proves it. It is good for one step."""
    identity = call.identity
    async with call.transaction() as conn:
        await there(conn, project_id)
        kept = await campaign_sign_offs.record(
            conn,
            project_id,
            kind=body.kind,
            signer=body.signer,
            signed_at=body.signed_at,
            evidence_name=body.evidence_name,
            evidence_sha256=body.evidence_sha256,
            covers=body.covers,
            note=body.note,
            user_id=identity.user_id,
            actor=actor_of(identity),
            now=call.now,
        )
        await call.audit(
            conn, "sign_off_recorded", "project", project_id, sign_off_id=kept, kind=body.kind.value, signer=body.signer,
            evidence_sha256=body.evidence_sha256,
        )  # fmt: skip
        found = await campaign_sign_offs.sign_offs_of(conn, project_id)
    return next(SignOff.model_validate(one) for one in found if one.id == kept)


@operation("GET", "/projects/{project_id}/figures", roles=REPORT_READERS, summary="The figures of a project's trials")
async def get_figures(call: Call, project_id: UUID) -> Figures:
    """Those that were frozen never change; beside them the present sample's as its calls are now."""
    async with call.connection() as conn:
        await there(conn, project_id)
        frozen = await freezing.frozen_of(conn, project_id)
        now = await freezing.figures_now(conn, project_id)
    return Figures(frozen=[FrozenFigures.model_validate(one) for one in frozen], now=now)


def _required(found: Found) -> Required:
    return Required(requirement=found.requirement, met=found.met, found=found.found, to_do=found.to_do)


def _kept(one: steps.Kept) -> KeptStep:
    return KeptStep.model_validate({name: getattr(one, name) for name in KeptStep.model_fields})
