"""The abandonment budget of a project: what its contract allows, what is used and left, and where it ends."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from pydantic import Field

from campaigns.abandonment import share_rules
from dialer.db.abandonment import budgets_of_project, strictest
from dialer.engine.contract_words import contract_in_words
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.fields import Out
from dialer.web.projects.routes import there
from dialer.web.projects.types import AbandonmentPeriod, AtAbandonmentLimit
from dialer.web.roles import REPORT_READERS


class AnsweredCalls(Out):
    """The answered calls of the period that are over, by what came of them."""

    connected: int = Field(description="Got an agent in time.")
    late: int = Field(description="Got an agent, later than the contract says.")
    abandoned: int = Field(description="Got none and heard the safe-harbour message.")
    hung_up_early: int = Field(description="Left before an agent came, within the limit.")
    machines: int = Field(description="Taken for machines.")


class ProjectedBudget(Out):
    """Where the period ends if calls go on like in the last hour, in the hours that are left to dial in."""

    answered: int
    abandoned: int
    allowed: int
    left: int
    open_h: float = Field(description="Hours of the project's window that are left of the period.")


class AbandonmentBudget(Out):
    """The contract that binds now, with its budget, by the calls that are over."""

    project_id: UUID
    definition: str = Field(description="The contract in words; where several must be kept, all of them.")
    definition_zh: str
    rules: list[str] = Field(description="Lines of rule packs that it comes from; none: it is the project's own.")
    must_hear: str = Field(description="What the strictest line wants abandoned callers to hear; empty: no pack says.")
    must_hear_zh: str
    cap: Decimal
    period: AbandonmentPeriod
    at_limit: AtAbandonmentLimit
    safe_harbour: str = Field(description="The prompt that abandoned callers hear.")
    since: datetime = Field(description="What ended from here on is counted.")
    until: datetime | None = Field(description="When the period ends; null: it moves along with the present.")
    calls: AnsweredCalls
    answered: int = Field(description="That count, by the contract.")
    abandoned: int = Field(description="Used of the budget.")
    allowed: int = Field(description="Of so many answered calls.")
    left: int = Field(description="Negative: so many too many.")
    share: Decimal | None = Field(description="Abandoned of the answered; null while there are none.")
    standing: Literal["free", "covered", "stopped"] = Field(
        description="What the contract leaves to the pacer now: it keeps the budget by itself; it risks no more calls than are left; nothing."
    )
    projected: ProjectedBudget | None = Field(description="At the period's end; null: it has none.")


@operation(
    "GET", "/projects/{project_id}/abandonment", roles=REPORT_READERS, summary="What is left of the abandonment budget"
)
async def get_abandonment(call: Call, project_id: UUID) -> AbandonmentBudget:
    """The project's own contract is changed with it (`abandonment_...`); the engine takes it at its next decision. Rule packs can only make it stricter."""
    async with call.connection() as conn:
        project = await there(conn, project_id)
        kept = await budgets_of_project(conn, project, call.now)
    words = [contract_in_words(one.contract, project.safe_harbour) for one in kept]
    contract, budget = (binding := strictest(kept)).contract, binding.budget
    message = next((rule.line for rule in share_rules(project, call.now)), None)
    projected = budget.projected
    return AbandonmentBudget(
        project_id=project.id,
        definition=" ".join(one.en for one in words),
        definition_zh="".join(one.zh for one in words),
        rules=list(contract.rules),
        must_hear=message.message_en if message else "",
        must_hear_zh=message.message_zh if message else "",
        cap=contract.cap,
        period=AbandonmentPeriod(contract.period.value),
        at_limit=AtAbandonmentLimit(project.abandonment_at_limit.value),
        safe_harbour=project.safe_harbour,
        since=budget.span.since,
        until=budget.span.until,
        calls=AnsweredCalls.model_validate(budget.tally),
        answered=budget.answered,
        abandoned=budget.abandoned,
        allowed=budget.allowed,
        left=budget.left,
        share=budget.share,
        standing=budget.standing.value,
        projected=None if projected is None else ProjectedBudget.model_validate(projected),
    )
