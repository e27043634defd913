"""Retention: policies, business dates, legal holds; what would go on a day, why, and what went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING
from uuid import UUID

from campaigns import projects
from campaigns.sql import OneConnection
from dialer.domain.errors import Conflict, NotFound
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.identity import actor_of
from dialer.web.retention.types import (
    BusinessDate,
    DestroyKeys,
    Expire,
    Expired,
    Fate,
    Hold,
    KeysDestroyed,
    LiftHold,
    NewHold,
    NewPolicy,
    Policy,
    Preview,
    PreviewQuery,
    Removal,
    UsePolicy,
)
from dialer.web.roles import HOLDERS, KEEPERS, KEEPING_READERS
from recorder import file_keys, keeping, removals
from recorder.archive import ledger as archive_ledger
from recorder.keeping import Kept
from recorder.removals import Kind, Removals
from recorder.retention.policy import Basis

if TYPE_CHECKING:
    from recorder.ledger import Conn

SHOWN = 100
FILES = ("stored", "archived")


@operation("GET", "/retention/policies", roles=KEEPING_READERS, summary="List retention policies")
async def list_policies(call: Call) -> list[Policy]:
    """Every version, newest first within a name."""
    async with call.connection() as conn:
        return [Policy(**row) for row in await keeping.policies(conn)]


@operation("POST", "/retention/policies", roles=KEEPERS, summary="Add a version of a retention policy", status=201)
async def add_policy(call: Call, body: NewPolicy) -> Policy:
    """Its projects follow it from the moment it is answered."""
    content = body.model_dump(mode="json", by_alias=True, exclude={"name"}, exclude_none=True)
    async with call.transaction() as conn:
        version = await keeping.add_policy(conn, body.name, content, at=call.now, by=actor_of(call.caller))
        await call.audit(conn, "retention_policy_added", "retention_policy", f"{body.name}/{version}", **content)
    return Policy(name=body.name, version=version, body=content, created_at=call.now, created_by=actor_of(call.caller))


@operation("PUT", "/projects/{project_id}/retention", roles=KEEPERS, summary="Let a project follow a retention policy")
async def use_policy(call: Call, project_id: UUID, body: UsePolicy) -> None:
    """In its newest version, also when there is a newer one later."""
    async with call.transaction() as conn:
        await projects.load_project(conn, project_id)
        await keeping.use_policy(conn, project_id, body.policy, at=call.now, by=actor_of(call.caller))
        await call.audit(conn, "retention_policy_used", "project", project_id, policy=body.policy)


@operation("PUT", "/projects/{project_id}/business-dates", roles=HOLDERS, summary="State a business date")
async def set_date(call: Call, project_id: UUID, body: BusinessDate) -> None:
    """The end of a contract, a product or a dispute, from which retention is counted."""
    async with call.transaction() as conn:
        await projects.load_project(conn, project_id)
        await _call_there(conn, project_id, body.call_id)
        await keeping.set_date(conn, project_id, Basis(body.basis), body.day, attempt_id=body.call_id)
        await call.audit(
            conn, "business_date_set", "project", project_id, basis=body.basis, day=str(body.day), call_id=body.call_id
        )


@operation("GET", "/retention/holds", roles=KEEPING_READERS, summary="List legal holds")
async def list_holds(call: Call) -> list[Hold]:
    """The newest thousand, the lifted ones too."""
    async with call.connection() as conn:
        rows = await keeping.holds(conn)
    return [Hold(call_id=row["attempt_id"], **{k: v for k, v in row.items() if k != "attempt_id"}) for row in rows]


@operation("POST", "/retention/holds", roles=HOLDERS, summary="Place a legal hold", status=201)
async def place_hold(call: Call, body: NewHold) -> Hold:
    """From the answer on nothing it covers leaves the store, whatever was about to."""
    by = actor_of(call.caller)
    async with call.transaction() as conn:
        await projects.load_project(conn, body.project_id)
        await _call_there(conn, body.project_id, body.call_id)
        hold_id = await keeping.place_hold(
            conn, body.project_id, body.reason, attempt_id=body.call_id, at=call.now, by=by
        )
        await call.audit(
            conn, "legal_hold_placed", "legal_hold", hold_id, project_id=body.project_id, call_id=body.call_id,
            reason=body.reason,
        )  # fmt: skip
    return Hold(
        id=hold_id, project_id=body.project_id, call_id=body.call_id, reason=body.reason, placed_at=call.now, placed_by=by,
        lifted_at=None, lifted_by=None, lift_reason=None,
    )  # fmt: skip


@operation("POST", "/retention/holds/{hold_id}/lift", roles=KEEPERS, summary="Lift a legal hold")
async def lift_hold(call: Call, hold_id: UUID, body: LiftHold) -> None:
    """What it covered follows its policy again."""
    async with call.transaction() as conn:
        if not await keeping.lift_hold(conn, hold_id, body.reason, at=call.now, by=actor_of(call.caller)):
            raise NotFound("hold_unknown", "There is no such open hold.")
        await call.audit(conn, "legal_hold_lifted", "legal_hold", hold_id, reason=body.reason)


@operation(
    "GET",
    "/projects/{project_id}/retention",
    roles=KEEPING_READERS,
    summary="What would be deleted on a day, and why",
    timeout_s=300,
)
async def preview(call: Call, project_id: UUID, query: PreviewQuery) -> Preview:
    """Changes nothing."""
    counts: Counter[str] = Counter()
    going: list[Fate] = []
    total = 0
    async with call.connection() as conn:
        day = query.day or await _today(call, conn, project_id)
        async for page in keeping.kept(conn, states=FILES, project_id=project_id):
            for one in page:
                verdict = one.verdict(day)
                counts[verdict.why] += 1
                if verdict.expired:
                    total += one.bytes
                    if len(going) < SHOWN:
                        going.append(_fate(one, day))
    return Preview(day=day, recordings=dict(counts), bytes_going=total, going=going)


@operation(
    "POST",
    "/projects/{project_id}/retention/expire",
    roles=KEEPERS,
    summary="Delete what is over today, with proof",
    timeout_s=300,
)
async def expire(call: Call, project_id: UUID, body: Expire) -> Expired:
    """Never under hold, never inside a minimum; each is looked at again in the transaction that deletes it."""
    ids: list[UUID] = []
    async with call.connection() as conn:
        day = await _today(call, conn, project_id)
        async for page in keeping.kept(conn, states=FILES, project_id=project_id):
            ids += [one.id for one in page if one.verdict(day).expired]
            if len(ids) > body.most:
                break
    done = await remover(call).expire(ids[: body.most], day)
    return Expired(recordings=done.recordings, bytes=done.bytes, more=len(ids) > body.most, stuck=len(done.stuck))


@operation(
    "POST",
    "/projects/{project_id}/recording-keys/destroy",
    roles=KEEPERS,
    summary="Destroy the keys of a project whose recordings are all over",
    timeout_s=300,
)
async def destroy_keys(call: Call, project_id: UUID, body: DestroyKeys) -> KeysDestroyed:
    """No copy of its sealed recordings opens any more, wherever it lies. Refused while a recording is inside its retention, or a hold is open."""
    async with call.transaction() as conn:
        await keeping.lock_shared(conn)
        day = await _today(call, conn, project_id)
        if any(row["lifted_at"] is None for row in await keeping.holds(conn, project_id)):
            raise Conflict("recording_keys_on_hold", "A legal hold of this project is open: its keys stay.")
        async for page in keeping.kept(conn, states=FILES, project_id=project_id):
            if not all(one.verdict(day).expired for one in page):
                raise Conflict(
                    "recording_keys_needed",
                    "Recordings of this project are inside their retention: see the preview. What is over goes with waihu retention expire.",
                )
        volumes = await archive_ledger.volumes_of(conn, project_id)
        count = await file_keys.destroy_of_project(conn, project_id, at=call.now)
        await call.audit(
            conn, "recording_keys_destroyed", "project", project_id, reason=body.reason, recordings=count, volumes=len(volumes)
        )  # fmt: skip
        await call.deps.archive_keys.erase_volumes(volumes)
    return KeysDestroyed(recordings=count, volumes=len(volumes))


@operation("GET", "/calls/{call_id}/removals", roles=KEEPING_READERS, summary="Proof of what became of a recording")
async def list_removals(call: Call, call_id: UUID) -> list[Removal]:
    """Each time its file left the store, oldest first."""
    async with call.connection() as conn:
        rows = await removals.proof(conn, call_id)
    return [
        Removal(
            call_id=row["attempt_id"],
            sha256=row["sha256"].hex(),
            **{k: v for k, v in row.items() if k in Removal.model_fields and k not in {"call_id", "sha256"}},
        )
        for row in rows
    ]


def remover(call: Call) -> Removals:
    """Takes files out of the store in the caller's name; the audit row is in the transaction that decides."""

    async def audit(conn: Conn, kind: Kind, going: Sequence[Kept]) -> None:
        await call.audit(
            conn, f"recordings_{kind}", "project", going[0].project_id, recordings=len(going),
            bytes=sum(one.bytes for one in going), calls=[str(one.attempt_id) for one in going],
        )  # fmt: skip

    return Removals(
        pool=call.deps.pool,
        store_dir=call.deps.store_dir,
        clock=call.deps.clock,
        by=actor_of(call.caller),
        audit=audit,
        erase=call.deps.archive_keys.erase,
    )


async def _today(call: Call, conn: Conn, project_id: UUID) -> date:
    project = await projects.load_project(conn, project_id)
    return call.now.astimezone(keeping.zone_of(project.zone)).date()


async def _call_there(conn: OneConnection, project_id: UUID, call_id: UUID | None) -> None:
    """A hold or a date of a call that does not exist would protect nothing. Errors: NotFound `call_unknown`."""
    if call_id is not None and not await keeping.has_call(conn, project_id, call_id):
        raise NotFound("call_unknown", "There is no such call in this project.")


def _fate(one: Kept, day: date) -> Fate:
    verdict = one.verdict(day)
    return Fate(
        call_id=one.attempt_id, state=one.state, day=one.day, expired=verdict.expired, why=verdict.why, sentence=verdict.sentence,
        expires=verdict.expires, bytes=one.bytes,
    )  # fmt: skip
