"""What is answered and read on a call is kept at once, may be said twice, and holds the result back while something is missing; quotas are exact."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from campaigns.errors import BadInput, Conflict, Missing
from campaigns.projects import Project
from campaigns.questionnaires.flow import Status
from campaigns.scripts import quotas
from campaigns.scripts.responses import Response, answer, check_result, close, mark_read, response_of
from campaigns.sql import Pool
from tests.builders import NOON, a_lead, a_project, an_attempt
from tests.campaigns.questionnaires.builders import choice, number, options, said, yes_no
from tests.campaigns.scripts.builders import a_document, a_talk, in_use

CLAUSES = [
    {"name": "hello", "title": "H", "text": "Hello"},
    {"name": "risk", "title": "R", "text": "Risk", "must_read_before": ["agreed"], "when": said("hears", "yes")},
]
TICKS = [
    {"name": "mood", "label": "M", "options": options("good", "bad"), "required_before": ["agreed"]},
    {"name": "tags", "label": "T", "options": options("x", "y"), "several": True},
]
SCRIPT = a_document(
    yes_no("hears", next=[{"when": said("hears", "no"), "to": "end"}]),
    number("age", required_before=["agreed"]),
    sections=CLAUSES,
    selections=TICKS,
)


@pytest.fixture
async def project(pool: Pool) -> Project:
    return await a_project(pool)


async def tell(pool: Pool, call: UUID, **answers: Any) -> Response:
    """Answer, one after the other."""
    response: Response | None = None
    for name, given in answers.items():
        async with pool.acquire() as conn:
            response = await answer(conn, call, name, given, now=NOON)
    assert response is not None
    return response


async def test_each_answer_is_kept_at_once_with_its_version_and_the_same_again_changes_nothing(
    pool: Pool, project: Project
) -> None:
    made = await in_use(pool, project, SCRIPT)
    call = await a_talk(pool, project)
    assert (await tell(pool, call, hears="yes")).way.at == "age"
    for _ in range(2):
        over = await tell(pool, call, age="30", tags=["y", "x"])
        assert over.way.status is Status.COMPLETE
    await in_use(pool, project, a_document(yes_no("other")), now=NOON)
    again = await response_of(pool, call)
    assert again is not None
    assert (again.script_id, again.version) == made
    assert again.answers == {"hears": "yes", "age": "30", "tags": ["x", "y"]}
    rows = await pool.fetch("select name, changes from script_answers order by name")
    assert [tuple(row) for row in rows] == [("age", 0), ("hears", 0), ("tags", 0)]
    await tell(pool, call, age=31, tags=None)
    assert await pool.fetchval("select changes from script_answers where name = 'age'") == 1
    assert await pool.fetchval("select count(*) from script_answers where name = 'tags'") == 0


async def test_what_cannot_be_an_answer_is_refused_and_changes_nothing(pool: Pool, project: Project) -> None:
    await in_use(pool, project, SCRIPT)
    call, other = await a_talk(pool, project), await a_talk(pool, await a_project(pool))
    async with pool.acquire() as conn:
        for name, given in (("age", 101), ("age", None), ("mood", "sad"), ("hears", ["yes"])):
            with pytest.raises(BadInput) as invalid:
                await answer(conn, call, name, given, now=NOON)
            assert invalid.value.error_id == "answer_invalid"
        for wrong, name, error_id in ((call, "nothing", "question_unknown"), (other, "age", "script_none"), (UUID(int=0), "age", "attempt_unknown")):  # fmt: skip
            with pytest.raises(Missing) as missing:
                await answer(conn, wrong, name, 1, now=NOON)
            assert missing.value.error_id == error_id
    assert await pool.fetchval("select count(*) from script_calls") == 0


async def test_a_clause_is_kept_as_the_place_in_the_recording_where_it_was_first_read(
    pool: Pool, project: Project
) -> None:
    await in_use(pool, project, SCRIPT)
    call = await a_talk(pool, project)
    async with pool.acquire() as conn:
        for seconds in (12.345, 99):
            response = await mark_read(conn, call, "risk", now=NOON + timedelta(seconds=seconds))
            assert (response.read["risk"].offset_ms, len(response.read)) == (12345, 1)
        with pytest.raises(Missing, match="no section"):
            await mark_read(conn, call, "nothing", now=NOON)


async def test_nothing_is_read_to_nobody_but_the_engine_may_know_of_the_answer_first(
    pool: Pool, project: Project
) -> None:
    await in_use(pool, project, SCRIPT)
    ringing = (await an_attempt(pool, project)).attempt_id
    async with pool.acquire() as conn:
        with pytest.raises(Conflict) as refused:
            await mark_read(conn, ringing, "risk", now=NOON)
        assert refused.value.error_id == "call_not_answered"
        known = await mark_read(conn, ringing, "risk", now=NOON + timedelta(seconds=3), answered_at=NOON)
        assert known.read["risk"].offset_ms == 3000


async def test_what_is_read_when_the_call_is_over_was_not_read(pool: Pool, project: Project) -> None:
    await in_use(pool, project, SCRIPT)
    call = await a_talk(pool, project, over=True)
    async with pool.acquire() as conn:
        with pytest.raises(Conflict) as refused:
            await mark_read(conn, call, "risk", now=NOON + timedelta(seconds=1))
        assert refused.value.error_id == "call_over"
        assert (await mark_read(conn, call, "risk", now=NOON)).read["risk"].offset_ms == 0
        again = await mark_read(conn, call, "risk", now=NOON + timedelta(seconds=9))
        assert again.read["risk"].offset_ms == 0, "said again, it stays what it was"


async def test_a_result_is_refused_by_the_name_of_what_is_missing(pool: Pool, project: Project) -> None:
    await in_use(pool, project, SCRIPT)
    call = await a_talk(pool, project)

    async def refused(disposition: str = "agreed") -> tuple[str, Any]:
        try:
            await check_result(pool, call, disposition)
        except Conflict as error:
            return error.error_id, error.detail.get("question") or error.detail.get("selection") or error.detail.get("section")  # fmt: skip
        return "", None

    assert await refused() == ("question_required", "hears")
    assert await refused("refused") == ("", None)
    await pool.execute("update dispositions set effect = 'do_not_call' where code = 'agreed'")
    assert await refused() == ("", None), "who wants no more calls is not kept on the line"
    await pool.execute("update dispositions set effect = 'final' where code = 'agreed'")
    await tell(pool, call, hears="yes")
    assert await refused() == ("question_required", "age")
    await tell(pool, call, age=40)
    assert await refused() == ("selection_required", "mood")
    await tell(pool, call, mood="good")
    assert await refused() == ("clause_required", "risk")
    async with pool.acquire() as conn:
        await mark_read(conn, call, "risk", now=NOON)
    assert await refused() == ("", None)
    await tell(pool, call, hears="no")
    assert await refused() == ("", None), "neither question nor clause is on this way"


async def test_conditions_and_texts_know_the_lead(pool: Pool, project: Project) -> None:
    rich = {"custom": "余额", "op": ">=", "value": 1000}
    await in_use(pool, project, a_document(choice("plan", when=rich), yes_no("sure")))
    for balance, first in (("1500.50", "plan"), ("12", "sure"), ("viel", "sure")):
        call = await a_talk(pool, project, lead_id=await a_lead(pool, project.id, fields={"余额": balance}))
        response = await response_of(pool, call)
        assert response is not None
        assert response.way.at == first


QUOTAS = [
    {"name": "young", "when": said("age", 30, "<"), "limit": 3, "full": "sorry"},
    {"name": "buyers", "when": said("buys", "yes"), "limit": 2},
]
COUNTED = a_document(
    number("age"), yes_no("buys", next=[{"to": "end"}]), yes_no("sorry"), quotas=QUOTAS
)  # `sorry` is come to from the full quota alone


async def counted(pool: Pool, project: Project, script: tuple[UUID, int]) -> dict[str, int]:
    """What the counters say; and they say what the places say."""
    taken = await quotas.taken_of(pool, project.id, script[0])
    places = await pool.fetch("select cell, count(*) as places from script_places group by cell")
    assert {cell: count for cell, count in taken.items() if count} == {row["cell"]: row["places"] for row in places}
    return taken


async def test_quotas_are_exact_however_many_answer_at_the_same_moment(pool: Pool, project: Project) -> None:
    script = await in_use(pool, project, COUNTED)
    calls = [await a_talk(pool, project) for _ in range(12)]
    ends = await asyncio.gather(*(tell(pool, call, age=20, buys="yes") for call in calls))
    found = Counter((end.way.status, end.way.turned_away) for end in ends)
    assert found[Status.COMPLETE, None] == 2
    assert all(away for _, away in found.keys() - {(Status.COMPLETE, None)}), "the others were turned away"
    assert await counted(pool, project, script) == {"young": 2, "buyers": 2}
    statuses = await pool.fetch("select status, count(*) as calls from script_calls group by status")
    assert {row["status"]: row["calls"] for row in statuses}["complete"] == 2


async def test_a_changed_answer_gives_its_place_back_and_takes_another(pool: Pool, project: Project) -> None:
    script = await in_use(pool, project, COUNTED)
    calls = [await a_talk(pool, project) for _ in range(4)]
    for call in calls[:3]:
        await tell(pool, call, age=20)
    assert (await tell(pool, calls[3], age=20)).way.turned_away == "young"
    assert (await tell(pool, calls[3], age=40)).way.at == "buys", "not turned away any more"
    assert (await tell(pool, calls[0], age=50)).way.at == "buys"
    assert await counted(pool, project, script) == {"young": 2}
    assert (await tell(pool, calls[3], age=20)).way.turned_away is None, "there is room again"
    assert await counted(pool, project, script) == {"young": 3}


async def test_a_call_without_a_complete_questionnaire_gives_back_its_place_at_its_result_or_when_it_is_needed(
    pool: Pool, project: Project
) -> None:
    script = await in_use(pool, project, COUNTED)
    result, forgotten, complete = [await a_talk(pool, project) for _ in range(3)]
    await tell(pool, result, age=20)
    await tell(pool, complete, age=20, buys="no")
    await tell(pool, forgotten, age=20)
    async with pool.acquire() as conn:
        await close(conn, result)
        await close(conn, complete)
        await close(conn, result)
    assert await counted(pool, project, script) == {"young": 2}
    await tell(pool, await a_talk(pool, project), age=20)
    await pool.execute("update attempts set state = 'ended', outcome = 'connected', ended_at = $2 where id = $1", forgotten, NOON - timedelta(hours=2))  # fmt: skip
    assert (await tell(pool, await a_talk(pool, project), age=20)).way.turned_away is None
    assert await counted(pool, project, script) == {"young": 3}


async def test_another_version_goes_on_counting_a_quota_of_the_same_name(pool: Pool, project: Project) -> None:
    from campaigns.scripts.assignments import assign
    from tests.campaigns.scripts.builders import a_published

    script_id, _ = await in_use(pool, project, COUNTED)
    for _ in range(3):
        await tell(pool, await a_talk(pool, project), age=20, buys="no")
    wider = a_document(number("age"), yes_no("sure"), quotas=[{**QUOTAS[0], "limit": 4, "full": "end"}])
    second = await a_published(pool, wider, script_id)
    async with pool.acquire() as conn:
        await assign(conn, project.id, second, now=NOON + timedelta(minutes=1))
    later = NOON + timedelta(minutes=2)
    ends = [await tell(pool, await a_talk(pool, project, at=later), age=20) for _ in range(2)]
    assert [end.way.turned_away for end in ends] == [None, "young"]
