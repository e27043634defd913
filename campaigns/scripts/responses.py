"""What is answered and read on a call: kept answer by answer, so that nothing is lost with a browser; all of it may be repeated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from campaigns.errors import Conflict, Missing
from campaigns.leads import Lead as ListedLead
from campaigns.leads import get_lead
from campaigns.questionnaires.answers import accepted
from campaigns.questionnaires.flow import Lead, Status, Way, way
from campaigns.questionnaires.questions import Statement
from campaigns.scripts import quotas
from campaigns.scripts.assignments import script_at
from campaigns.scripts.checking import Script
from campaigns.scripts.rendering import missing
from campaigns.scripts.versions import ready
from campaigns.sql import Connection, OneConnection
from campaigns.states import Effect

FIELDS: Final = ("name", "reference", "province", "city", "carrier", "zone", "priority", "attempts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """When a clause was read: `offset_ms` after the recording began."""

    at: datetime
    offset_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A call with its version of a script and what was said so far. `way` follows from the answers; `lead` is None for a number that is no lead,
    `attempt_id` while the lead is only looked at.
    """

    attempt_id: UUID | None
    project_id: UUID
    script_id: UUID
    version: int
    trial: bool
    script: Script
    number: str
    lead: ListedLead | None
    answers: Mapping[str, Any]
    read: Mapping[str, Read]
    way: Way
    full_cell: str | None

    @property
    def full(self) -> frozenset[str]:
        """The quota that had no place for this call."""
        return frozenset(() if self.full_cell is None else (self.full_cell,))


def known_of(lead: ListedLead | None) -> Lead:
    """What conditions and texts know of a lead."""
    if lead is None:
        return Lead()
    return Lead(fields={name: getattr(lead, name) for name in FIELDS}, custom=lead.fields)


_ATTEMPT = """
select a.project_id, a.lead_id, a.number, a.created_at, c.script_id, c.version, c.trial, c.full_cell
from attempts a left join script_calls c on c.attempt_id = a.id where a.id = $1
"""
_ANSWERS = "select name, answer from script_answers where attempt_id = $1"
_READS = "select section, read_at, offset_ms from script_reads where attempt_id = $1"


async def response_of(conn: Connection, attempt_id: UUID) -> Response | None:
    """A call's script with what was said so far; None: its project had no script when it was placed. Errors: Missing `attempt_unknown`."""
    row = await conn.fetchrow(_ATTEMPT, attempt_id)
    if row is None:
        raise Missing("attempt_unknown", "There is no such attempt.", attempt_id=str(attempt_id))
    script_id, version, trial = row["script_id"], row["version"], row["trial"]
    if script_id is None:
        assignment = await script_at(conn, row["project_id"], row["created_at"])
        if assignment is None:
            return None
        used, trial = assignment.for_call(attempt_id)
        script_id, version = used.script_id, used.version
    script = await ready(conn, script_id, version)
    lead = None if row["lead_id"] is None else await get_lead(conn, row["lead_id"])
    answers = {one["name"]: one["answer"] for one in await conn.fetch(_ANSWERS, attempt_id)}
    read = {
        one["section"]: Read(at=one["read_at"], offset_ms=one["offset_ms"])
        for one in await conn.fetch(_READS, attempt_id)
    }
    full = frozenset(() if row["full_cell"] is None else (row["full_cell"],))
    return Response(
        attempt_id=attempt_id, project_id=row["project_id"], script_id=script_id, version=version, trial=trial, script=script,
        number=row["number"], lead=lead, answers=answers, read=read, way=way(script.flow, answers, known_of(lead), full), full_cell=row["full_cell"],
    )  # fmt: skip


_OPEN = """
insert into script_calls (attempt_id, project_id, script_id, version, trial) values ($1, $2, $3, $4, $5) on conflict (attempt_id) do nothing
"""
_LOCK = "select attempt_id from script_calls where attempt_id = $1 for update"
_ANSWER = """
insert into script_answers as s (attempt_id, name, answer, at, user_id) values ($1, $2, $3, $4, $5)
on conflict (attempt_id, name) do update set answer = excluded.answer, at = excluded.at, user_id = excluded.user_id, changes = s.changes + 1
where s.answer is distinct from excluded.answer
"""
_WITHDRAW = "delete from script_answers where attempt_id = $1 and name = $2"


async def answer(
    conn: OneConnection, attempt_id: UUID, name: str, given: Any, *, now: datetime, user_id: UUID | None = None
) -> Response:
    """Keep an answer to a question or what was ticked in a selection list (None: nothing). The same again changes nothing.

    Errors: Missing `attempt_unknown`, `script_none`, `question_unknown`; BadInput `answer_invalid`.
    """
    async with conn.transaction():
        response = await _opened(conn, attempt_id)
        question = response.script.selections.get(name) or response.script.flow.questions.get(name)
        if question is None or isinstance(question, Statement):
            raise Missing("question_unknown", f"The script asks nothing by the name {name!r}.", question=name)
        kept = accepted(question, given)
        if kept is None and name in response.script.selections:
            await conn.execute(_WITHDRAW, attempt_id, name)
        else:
            await conn.execute(_ANSWER, attempt_id, name, kept, now, user_id)
        return await _settled(conn, attempt_id, now)


_READ = """
insert into script_reads (attempt_id, section, read_at, offset_ms, user_id)
select a.id, $2, $3::timestamptz, greatest(0, round(extract(epoch from $3::timestamptz - coalesce(a.answered_at, $4::timestamptz)) * 1000)), $5
from attempts a where a.id = $1 and coalesce(a.answered_at, $4) is not null and (a.ended_at is null or a.ended_at >= $3)
on conflict (attempt_id, section) do update set section = excluded.section
returning section
"""
_OVER = "select ended_at is not null from attempts where id = $1"


async def mark_read(
    conn: OneConnection, attempt_id: UUID, section: str, *, now: datetime, answered_at: datetime | None = None, user_id: UUID | None = None
) -> Response:  # fmt: skip
    """Keep that a section was read now, as a place in the recording; the first time counts. `answered_at` is used while the database does not know it yet.

    Errors: Missing `attempt_unknown`, `script_none`, `section_unknown`; Conflict `call_not_answered`, `call_over`.
    """
    async with conn.transaction():
        response = await _opened(conn, attempt_id)
        if section not in {one.name for one in response.script.document.sections}:
            raise Missing("section_unknown", f"The script has no section {section!r}.", section=section)
        if (
            section not in response.read
            and await conn.fetchval(_READ, attempt_id, section, now, answered_at, user_id) is None
        ):
            if await conn.fetchval(_OVER, attempt_id):
                raise call_over()
            raise Conflict("call_not_answered", "Nobody has answered yet, so nothing can have been read to them.")
        again = await response_of(conn, attempt_id)
    assert again is not None  # noqa: S101 -- it was there in this transaction
    return again


def call_over() -> Conflict:
    """Nobody hears any more what is read."""
    return Conflict("call_over", "The call is over: what was not read to the customer then was not read.")


_EFFECT = "select effect from dispositions where project_id = $1 and code = $2"


async def check_result(conn: Connection, attempt_id: UUID, disposition: str) -> None:
    """Whether a disposition may be given; one that puts the number on the do-not-call list always may. Errors: Conflict `question_required`, `selection_required`, `clause_required`, each with all that is missing."""
    response = await response_of(conn, attempt_id)
    if response is None:
        return
    lead, read = known_of(response.lead), frozenset(response.read)
    still = missing(response.script, disposition, lead, response.way, response.answers, response.full, read)
    detail = {"disposition": disposition, "questions": still.questions, "selections": still.selections, "clauses": still.clauses}  # fmt: skip
    waits = still.questions or still.selections or still.clauses
    if not waits or await conn.fetchval(_EFFECT, response.project_id, disposition) == Effect.DO_NOT_CALL:
        return
    if still.questions:
        raise Conflict("question_required", f"Ask {still.questions[0]!r} first: {disposition} needs {len(still.questions)} more answers.", question=still.questions[0], **detail)  # fmt: skip
    if still.selections:
        raise Conflict("selection_required", f"Tick {still.selections[0]!r} first: {disposition} needs it.", selection=still.selections[0], **detail)  # fmt: skip
    if still.clauses:
        raise Conflict("clause_required", f"Read {still.clauses[0]!r} to the customer first: {disposition} needs it.", section=still.clauses[0], **detail)  # fmt: skip


async def close(conn: OneConnection, attempt_id: UUID) -> None:
    """The call has its result: a questionnaire that is not complete gives back its places."""
    async with conn.transaction():
        held = await quotas.held_by(conn, attempt_id)
        waiting = [cell for cell, kept in held.items() if not kept]
        if waiting and (row := await conn.fetchrow(_CALL, attempt_id)) is not None:
            await quotas.lock(conn, row["project_id"], row["script_id"], waiting)
            still = await quotas.held_by(conn, attempt_id)
            gone = [cell for cell in waiting if still.get(cell) is False]
            await quotas.give_back(conn, attempt_id, row["project_id"], row["script_id"], gone)


_CALL = "select project_id, script_id from script_calls where attempt_id = $1 for update"
_STATUS = "update script_calls set status = $2, full_cell = $3 where attempt_id = $1 and (status, full_cell) is distinct from ($2, $3)"


async def _opened(conn: OneConnection, attempt_id: UUID) -> Response:
    """The call's response, its row locked; from now on it keeps this version."""
    response = await response_of(conn, attempt_id)
    if response is None:
        raise Missing("script_none", "The project had no script when this call was placed.")
    await conn.execute(_OPEN, attempt_id, response.project_id, response.script_id, response.version, response.trial)
    await conn.execute(_LOCK, attempt_id)
    return response


async def _settled(conn: OneConnection, attempt_id: UUID, now: datetime) -> Response:
    """Follow the answers again, and take, keep and give back places accordingly."""
    response = await response_of(conn, attempt_id)
    assert response is not None  # noqa: S101 -- `_opened` has written it in this transaction
    flow, lead = response.script.flow, known_of(response.lead)
    here, held = response.way, await quotas.held_by(conn, attempt_id)
    limits = {cell.name: cell.limit for cell in flow.cells}
    wanted = _wanted(here)
    if wanted != held.keys():
        where = {"project_id": response.project_id, "script_id": response.script_id}
        await quotas.lock(conn, cells=wanted | held.keys(), **where)
        full = await quotas.take(conn, attempt_id, limits={one: limits[one] for one in wanted - held.keys()}, now=now, **where)  # fmt: skip
        if full:
            here = way(flow, response.answers, lead, full)
            wanted = _wanted(here)
        held = await quotas.held_by(conn, attempt_id)
        await quotas.give_back(conn, attempt_id, cells=held.keys() - wanted, **where)
    if wanted:
        await quotas.keep(conn, attempt_id, here.status is Status.COMPLETE)
    await conn.execute(_STATUS, attempt_id, here.status.value, here.turned_away)
    settled = await response_of(conn, attempt_id)
    assert settled is not None  # noqa: S101 -- as above
    return settled


def _wanted(here: Way) -> set[str]:
    """The quotas it takes a place of: none, once it can no longer become complete."""
    over = here.turned_away is not None or here.status is Status.SCREENED_OUT
    return set() if over else set(here.cells)
