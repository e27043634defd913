"""The trial of a project: its sample, and what came of it."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from campaigns import trial as campaign_trial
from campaigns.life.intervals import Share as CampaignShare
from campaigns.life.table import Life
from campaigns.states import Stage
from dialer.domain.errors import Conflict
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.commands import reload_project
from dialer.web.projects.routes import there
from dialer.web.projects.types import Share, Trial, TrialCounts
from dialer.web.roles import PLANNERS, REPORT_READERS


@operation("GET", "/projects/{project_id}/trial", roles=REPORT_READERS, summary="The trial of a project")
async def get_trial(call: Call, project_id: UUID) -> Trial:
    """The present sample and what came of it, each share with its 95 % interval (Wilson)."""
    async with call.connection() as conn:
        return _shown(await campaign_trial.trial_of(conn, project_id))


@operation("POST", "/projects/{project_id}/trial", roles=PLANNERS, summary="Begin a new sample")
async def begin_trial(call: Call, project_id: UUID) -> Trial:
    """Empty; what the one before came to stays in the calls. The mode is not changed by this."""
    async with call.transaction() as conn:
        project = await there(conn, project_id)
        if project.sign_offs and project.stage is Stage.TRIAL and project.life is not Life.REVIEW:
            raise Conflict(
                "project_in_trial", "Its trial is under way: close it, look at its figures, then begin another."
            )
        before = await campaign_trial.trial_of(conn, project_id)
        await campaign_trial.begin_trial(conn, project_id, call.now)
        await call.audit(conn, "trial_begun", "project", project_id, taken_before=before.taken, size=before.size)
        begun = _shown(await campaign_trial.trial_of(conn, project_id))
    await reload_project(call, project_id)
    return begun


def _shown(trial: campaign_trial.Trial) -> Trial:
    return Trial(
        size=trial.size,
        counts=TrialCounts(trial.counts.value),
        taken=trial.taken,
        full=trial.full,
        began_at=trial.began_at,
        attempts=trial.attempts,
        attempted=trial.attempted,
        answered=_share(trial.answered),
        bridged=_share(trial.bridged),
        abandoned=_share(trial.abandoned),
        dispositions={code: _share(share) for code, share in trial.dispositions.items()},
    )


def _share(share: CampaignShare) -> Share:
    return Share(count=share.count, total=share.total, low=_decimal(share.low), high=_decimal(share.high))


def _decimal(share: float) -> Decimal:
    return Decimal(str(share)).quantize(Decimal("0.0001"))
