"""Taking leads to dial. One statement decides and writes, so that whatever is killed, a number has at most one live attempt and stays under its cap.

What the statement does, in this order: the first leads of the list are locked (SKIP LOCKED: claimers never wait for each other's rows); each is put aside or taken;
`live_attempts` has the number as its key, so a number that is alive anywhere is refused by the database; the number's row of `callees` takes the call only
below every cap, else the statement fails as a whole; in a trial so do the places of its sample; a caller number is chosen for each lead among those that the
project may show now (`campaigns.caller_numbers.choice_sql`) and counted in its own row; then the attempt is there, committed, before anybody may dial.

A lead that may not be dialled now does not stay at the front of the list: on a do-not-call list it leaves for good, over its daily cap it comes
back when tomorrow's window opens, over another cap when that has room, while its number is alive elsewhere after a minute. Leads of a zone whose window is shut are
not looked at. So a claim costs the same however long the list is.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

from campaigns.caller_numbers.number import Offer
from campaigns.claim_sql import CLAIM, CLAIM_NUMBER
from campaigns.errors import BadInput, Missing, NotEvaluable, Refused
from campaigns.openings import Openings
from campaigns.sql import Connection
from campaigns.states import DialMode

MAX_CLAIM: Final = 500
_ROUNDS: Final = 6
_PUT_ASIDE_SCAN: Final = 64
_PUT_ASIDE_GROWTH: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRequest:
    """Up to `len(attempt_ids)` leads of a project for one node and trunk.

    `attempt_ids` are UUIDs version 7 of `now`. `offers`: the caller numbers the calls may show, the longest unused first; each is shown at most `room` times.
    `holder` is the engine run that claims: when it does not hold the node at that moment, by the database's clock, it gets nothing. None: not asked.
    """

    project_id: UUID
    node: str
    trunk_id: UUID
    mode: DialMode
    now: datetime
    attempt_ids: tuple[UUID, ...]
    offers: tuple[Offer, ...]
    agent_id: UUID | None = None
    device_id: UUID | None = None
    holder: UUID | None = None
    openings: Openings


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedLead:
    """A committed attempt: it may be dialled now, by the one who claimed it. `lead_id` is None for a number that is no lead."""

    attempt_id: UUID
    lead_id: int | None
    number: str
    name: str
    fields: dict[str, Any]
    caller_number: str
    trunk_id: UUID
    created_at: datetime
    import_id: UUID | None = None  # the list it came with; a lead that an agent asked for by its number does not say


class Claimed(list[ClaimedLead]):
    """What a claim has taken. `more`: it came to its end while it put leads aside, so those behind them were not looked at yet: claim again at once."""

    more: bool = False


async def claim(conn: Connection, request: ClaimRequest) -> Claimed:
    """Take the next leads of a running project; fewer than asked for, or none, when there are no more that may be dialled now.

    Each round is one statement and one transaction; a second round comes only when leads were put aside, and looks at more of them. Inside a transaction of the caller it must be
    the only thing, and a refusal undoes it.
    Leads whose zone is not open stay where they are and cost nothing. When the answer is lost with the connection, nothing is known: the attempts, if any, are found by their ids.
    Fewer also when the caller numbers are used up first. Errors: Refused `caller_number_refused` (none of the offered numbers may be shown now: nothing was
    claimed); BadInput `claim_malformed`; NotEvaluable `project_zone_unknown`.
    """
    _check(request)
    claimed = Claimed()
    waiting = list(request.attempt_ids)
    scan = len(waiting)
    for _ in range(_ROUNDS):
        shown = Counter(one.caller_number for one in claimed)
        offers = [(one.number, one.room - shown[one.number], one.uses + shown[one.number]) for one in request.offers]
        rows = await _run(
            conn,
            CLAIM,
            request.project_id,
            request.now,
            scan,
            request.node,
            request.trunk_id,
            waiting,
            [number for number, _, _ in offers],
            request.mode.value,
            request.agent_id,
            request.device_id,
            request.holder,
            request.openings.open_zones(),
            list(request.openings.known),
            [room for _, room, _ in offers],
            [uses for _, _, uses in offers],
        )
        if not claimed and any(row["nothing_to_show"] for row in rows):
            raise _nothing_to_show()
        rows = [row for row in rows if not row["nothing_to_show"]]
        unknown = [row["zone"] for row in rows if row["zone"] is not None]
        rows = [row for row in rows if row["zone"] is None]
        again = None in [request.openings.ask(zone) for zone in unknown]  # ask about all of them
        taken = [row for row in rows if row["attempt_id"] is not None]
        claimed += [_claimed(row, request) for row in taken]
        for row in taken:
            waiting.remove(row["attempt_id"])
        if not waiting or (not again and (len(rows) == len(taken) or rows[0]["seen"] < scan)):
            break
        aside = min(MAX_CLAIM, max(_PUT_ASIDE_SCAN, _PUT_ASIDE_GROWTH * scan))
        scan = len(waiting) if again else max(len(waiting), aside)
    else:
        claimed.more = True
    return claimed


def _claimed(row: Any, request: ClaimRequest) -> ClaimedLead:
    return ClaimedLead(
        attempt_id=row["attempt_id"],
        lead_id=row["lead_id"],
        number=row["number"],
        name=row["name"],
        fields=row["fields"],
        caller_number=row["caller_number"],
        trunk_id=request.trunk_id,
        created_at=request.now,
        import_id=row["import_id"],
    )


def _check(request: ClaimRequest) -> None:
    ids = request.attempt_ids
    if not 1 <= len(ids) <= MAX_CLAIM or len(set(ids)) != len(ids):
        raise BadInput("claim_malformed", f"A claim takes 1 to {MAX_CLAIM} different attempt ids.")


def _nothing_to_show() -> Refused:
    return Refused("caller_number_refused", _WHY["caller_number_refused"])


async def _run(conn: Connection, statement: str, *arguments: object) -> list[Any]:
    """Run a claiming statement again when it lost a race that a fresh look decides; it has changed nothing then."""
    for last in (False, False, True):
        try:
            return await conn.fetch(statement, *arguments)
        except asyncpg.NotNullViolationError as error:
            if error.table_name not in {"callees", "projects", "caller_numbers", "dialled_numbers"}:
                raise
            if last:
                raise NotEvaluable(
                    "claim_contended",
                    "Others take the same numbers, or the same places of a trial, at the same moment; try again.",
                ) from error
        except asyncpg.DeadlockDetectedError as error:
            if last:
                raise NotEvaluable(
                    "claim_contended", "Others change the same leads at the same moment; try again."
                ) from error
        except asyncpg.InvalidParameterValueError as error:
            raise NotEvaluable(
                "project_zone_unknown", "The project's time zone is not known to the database; set another one."
            ) from error
    raise AssertionError("unreachable")


_WHY: Final = {
    "node_lost": "This engine does not own its node at this moment; nothing was dialled.",
    "not_in_sample": "The trial calls the leads of its sample and nobody else; this lead is not among them.",
    "project_not_running": "The project is not running; start it first.",
    "outside_window": "It is not the hour to call this number; see why for when it is.",
    "blind_region": "Numbers of this region are not called in this project.",
    "region_unknown": "Some regions are not called, and the region of this number is not known.",
    "no_consent": "There is no consent to this call that holds now.",
    "exhausted": "This lead was called as often as the rules allow.",
    "frequency_cap": "This number was called as often lately as the rules allow; see why for when it may be called again.",
    "do_not_call": "This number is on the do-not-call list and is not dialled.",
    "number_live": "This number is being called at this moment; wait until that call has ended.",
    "caller_number_refused": "No caller number of the project may be shown on this trunk now; see why for what each of them waits for. Nothing was dialled.",
    "daily_cap": "This number was called as often today as is allowed; try again tomorrow.",
}


async def claim_number(
    conn: Connection, request: ClaimRequest, *, lead_id: int | None = None, number: str | None = None
) -> ClaimedLead:
    """Take one named lead of the project, or a number (E.164) that may or may not be a lead of it: manual dialling, preview, callbacks.

    The lead's own state, retry time and the project's number of attempts do not hold a person back; the rules, the caps, the do-not-call lists and a live
    call do.
    Errors: Refused `node_lost`, `project_not_running`, `not_in_sample` (in mode trial), `outside_window`, `do_not_call`, `region_unknown`, `blind_region`, `no_consent`, `exhausted`, `number_live`, `daily_cap`,
    `frequency_cap`, `caller_number_refused`; Missing `lead_unknown`; BadInput `claim_malformed`.
    """
    if len(request.attempt_ids) != 1 or (lead_id is None) == (number is None):
        raise BadInput("claim_malformed", "Name one lead or one number, with one attempt id.")
    row = await _claim_named(conn, request, lead_id, number)
    if row["blocked"] == "zone_unjudged":
        request.openings.ask(row["zone"])
        row = await _claim_named(conn, request, lead_id, number)
    if row["blocked"]:
        raise Refused(row["blocked"], _WHY[row["blocked"]])
    return ClaimedLead(
        attempt_id=request.attempt_ids[0],
        lead_id=row["lead_id"],
        number=row["number"],
        name=row["name"],
        fields=row["fields"],
        caller_number=row["caller_number"],
        trunk_id=request.trunk_id,
        created_at=request.now,
    )


async def _claim_named(conn: Connection, request: ClaimRequest, lead_id: int | None, number: str | None) -> Any:
    openings = request.openings
    rows = await _run(
        conn,
        CLAIM_NUMBER,
        request.project_id,
        request.now,
        lead_id,
        request.node,
        request.trunk_id,
        request.attempt_ids[0],
        [one.number for one in request.offers],
        request.mode.value,
        request.agent_id,
        request.device_id,
        number,
        request.holder,
        list(openings.known),
        [zone for zone, opens in openings.known.items() if opens is not None],
        [one.room for one in request.offers],
        [one.uses for one in request.offers],
    )
    if not rows:
        raise Missing("lead_unknown", "The project has no such lead.", lead_id=lead_id)
    return rows[0]
