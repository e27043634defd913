"""Pulling recordings for QA: a sample is drawn once, its recordings are listened to by one person each."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta
from uuid import UUID

from dialer.db import qa_samples
from dialer.db.recording_search import Wanted
from dialer.domain.errors import BadRequest, Conflict, NotFound
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.fields import Page, PageQuery, after_cursor, big_id, moment, page_of
from dialer.web.qa.types import Item, NewSample, Sample
from dialer.web.roles import LISTENERS, SAMPLERS
from recorder import sampling

CLAIM_HOURS = 2  # a listener who has not come back by then lets others have it


@operation("POST", "/qa/samples", roles=SAMPLERS, summary="Draw a sample of recordings", status=201, timeout_s=60)
async def draw_sample(call: Call, body: NewSample) -> Sample:
    """With the chance each recording had. The same seed draws the same from the same population, on any day by anybody."""
    seed = body.seed or secrets.token_hex(8)
    wanted = Wanted(**body.population.model_dump())
    async with call.transaction() as conn:
        population = await qa_samples.population(conn, wanted, body.strata)
        if not population:
            raise NotFound("sample_empty", "No stored recording is like this: ask for less.")
        if len(population) > qa_samples.MOST:
            raise BadRequest(
                "sample_population_too_large",
                f"This is more than {qa_samples.MOST} recordings: name a project or a shorter time.",
            )
        drawn = await asyncio.to_thread(sampling.draw, population, size=body.size, seed=seed)
        sample_id = await qa_samples.add(
            conn, name=body.name, seed=seed, strata=body.strata, wanted=wanted, population=len(population), at=call.now, by=call.identity.user_id,
            items=[(one.recording_id, one.stratum, one.drawn, one.population) for one in drawn],
        )  # fmt: skip
        await call.audit(
            conn,
            "qa_sample_drawn",
            "qa_sample",
            sample_id,
            name=body.name,
            seed=seed,
            size=len(drawn),
            population=len(population),
        )
        made = await qa_samples.one(conn, sample_id)
    return _there(made)


@operation("GET", "/qa/samples", roles=LISTENERS, summary="List samples")
async def list_samples(call: Call, query: PageQuery) -> Page[Sample]:
    """Newest first."""
    after = after_cursor(query.cursor, moment, UUID)
    async with call.connection() as conn:
        rows = await qa_samples.page(conn, after=after, limit=query.limit + 1)  # type: ignore[arg-type]
    return page_of(rows, query.limit, Sample.model_validate, lambda row: [row.created_at, row.id])


@operation("GET", "/qa/samples/{sample_id}", roles=LISTENERS, summary="A sample and how far it has come")
async def get_sample(call: Call, sample_id: UUID) -> Sample:
    """How many were heard."""
    async with call.connection() as conn:
        return _there(await qa_samples.one(conn, sample_id))


@operation("GET", "/qa/samples/{sample_id}/items", roles=LISTENERS, summary="The recordings of a sample")
async def list_items(call: Call, sample_id: UUID, query: PageQuery) -> Page[Item]:
    """In the order in which they should be listened to."""
    after = after_cursor(query.cursor, big_id)
    async with call.connection() as conn:
        _there(await qa_samples.one(conn, sample_id))
        rows = await qa_samples.items(
            conn, sample_id, after=min(after[0], 2**31 - 1) if after else 0, limit=query.limit + 1
        )
    return page_of(rows, query.limit, Item.model_validate, lambda row: [row.position])


@operation("POST", "/qa/samples/{sample_id}/claim", roles=LISTENERS, summary="Take the next recording of a sample")
async def claim_item(call: Call, sample_id: UUID) -> Item:
    """Nobody else gets it for two hours. Whoever has one already gets that one again."""
    async with call.transaction() as conn:
        _there(await qa_samples.one(conn, sample_id))
        item = await qa_samples.claim(
            conn,
            sample_id,
            by=call.identity.user_id,
            at=call.now,
            claimed_before=call.now - timedelta(hours=CLAIM_HOURS),
        )
        if item is None:
            raise Conflict(
                "sample_all_taken",
                "Every recording of this sample was heard, is being listened to, or is not in the store any more.",
            )
        await call.audit(conn, "qa_item_claimed", "qa_sample", sample_id, recording=item.recording_id)
    return Item.model_validate(item)


@operation(
    "POST", "/qa/samples/{sample_id}/items/{recording_id}/heard", roles=LISTENERS, summary="Mark a recording heard"
)
async def mark_heard(call: Call, sample_id: UUID, recording_id: UUID) -> Item:
    """By who has claimed it and, as the audit log says, has listened to it since."""
    async with call.transaction() as conn:
        item = await qa_samples.mark_heard(conn, sample_id, recording_id, by=call.identity.user_id, at=call.now)
        if item is None:
            raise Conflict("sample_item_not_heard", "Claim this recording and listen to it first.")
        await call.audit(conn, "qa_item_heard", "qa_sample", sample_id, recording=recording_id)
    return Item.model_validate(item)


@operation(
    "DELETE",
    "/qa/samples/{sample_id}/items/{recording_id}/claim",
    roles=LISTENERS,
    summary="Give a claimed recording back",
)
async def give_back(call: Call, sample_id: UUID, recording_id: UUID) -> None:
    """It comes again when the others were heard."""
    async with call.transaction() as conn:
        if not await qa_samples.give_back(conn, sample_id, recording_id, by=call.identity.user_id, at=call.now):
            raise Conflict("sample_item_not_claimed", "You have not claimed this recording.")
        await call.audit(conn, "qa_item_given_back", "qa_sample", sample_id, recording=recording_id)


def _there(sample: qa_samples.Sample | None) -> Sample:
    if sample is None:
        raise NotFound("sample_unknown", "There is no such sample.")
    return Sample.model_validate(sample)
