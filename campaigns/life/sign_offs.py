"""Sign-offs: who of the client agreed to what, when, and the hash of the file that proves it. Rows are added, never changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from campaigns.errors import BadInput, Missing
from campaigns.life.requirements import SignOffKind
from campaigns.sql import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOff:
    """One signature. Hashes are hex; `used_by`: the step it was good for, when it was taken."""

    id: UUID
    kind: SignOffKind
    signer: str
    signed_at: datetime
    evidence_name: str
    evidence_sha256: str
    covers: str | None
    note: str
    actor: str
    recorded_at: datetime
    used_by: str | None


_RECORD = """
insert into sign_offs (project_id, kind, signer, signed_at, evidence_name, evidence_sha256, covers, note, user_id, actor, recorded_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
returning id
"""


async def record(
    conn: Connection,
    project_id: UUID,
    *,
    kind: SignOffKind,
    signer: str,
    signed_at: datetime,
    evidence_name: str,
    evidence_sha256: str,
    covers: str | None,
    note: str,
    user_id: UUID | None,
    actor: str,
    now: datetime,
) -> UUID:
    """Keep a signature. One of the trial's figures says by `covers` which it is of.

    Errors: BadInput `sign_off_in_future`, `sign_off_covers_nothing`; Missing `figures_unknown`, `project_unknown`.
    """
    if signed_at > now:
        raise BadInput("sign_off_in_future", "A signature lies in the past: correct the time it was given.")
    if kind is SignOffKind.FORMAL:
        if covers is None:
            raise BadInput(
                "sign_off_covers_nothing", "Say the hash of the frozen figures that were signed: it is on them."
            )
        if not await conn.fetchval(
            "select true from trial_figures where project_id = $1 and sha256 = $2", project_id, bytes.fromhex(covers)
        ):
            raise Missing("figures_unknown", "The project has no frozen figures with this hash.")
    try:
        kept: UUID = await conn.fetchval(
            _RECORD,
            project_id,
            kind.value,
            signer,
            signed_at,
            evidence_name,
            bytes.fromhex(evidence_sha256),
            None if covers is None else bytes.fromhex(covers),
            note,
            user_id,
            actor,
            now,
        )
    except asyncpg.ForeignKeyViolationError as error:
        raise Missing("project_unknown", "There is no such project.", project_id=str(project_id)) from error
    return kept


_LIST = """
select s.id, s.kind, s.signer, s.signed_at, s.evidence_name, encode(s.evidence_sha256, 'hex') as evidence_sha256, encode(s.covers, 'hex') as covers,
       s.note, s.actor, s.recorded_at, (select p.step from project_steps p where p.sign_off_id = s.id) as used_by
from sign_offs s where s.project_id = $1 order by s.recorded_at, s.id
"""


async def sign_offs_of(conn: Connection, project_id: UUID) -> list[SignOff]:
    """All signatures of a project, oldest first."""
    return [SignOff(**{**row, "kind": SignOffKind(row["kind"])}) for row in await conn.fetch(_LIST, project_id)]
