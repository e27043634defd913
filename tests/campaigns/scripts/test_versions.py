"""A draft may change, a published version never; a project uses published versions only; a call's version follows from its id and its moment."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from campaigns.errors import BadInput, Conflict, Missing
from campaigns.life.steps import script_of
from campaigns.projects import Project
from campaigns.scripts import assignments, versions
from campaigns.scripts.assignments import assign, draw, script_at, script_of_project, unassign
from campaigns.scripts.responses import response_of
from campaigns.sql import Pool
from tests.builders import NOON, a_project, an_attempt, new_ids
from tests.campaigns.questionnaires.builders import choice, yes_no
from tests.campaigns.scripts.builders import EARLY, a_document, a_published, in_use


@pytest.fixture
async def project(pool: Pool) -> Project:
    return await a_project(pool)


async def test_a_script_has_one_draft_and_versions_that_count_up(pool: Pool) -> None:
    async with pool.acquire() as conn:
        script_id = await versions.create(conn, "话术", NOON)
        assert await versions.save_draft(conn, script_id, a_document(yes_no("a")), NOON) == 1
        assert await versions.save_draft(conn, script_id, a_document(yes_no("b")), NOON) == 1, "the draft is changed"
        version, draft = await versions.draft_of(conn, script_id)
        await versions.publish(conn, script_id, version, draft, NOON)
        assert [one.name for one in (await versions.ready(conn, script_id, 1)).flow.questions.values()] == ["b"]
        with pytest.raises(Conflict, match="no draft"):
            await versions.draft_of(conn, script_id)
        assert await versions.save_draft(conn, script_id, a_document(yes_no("c")), NOON) == 2
        assert await versions.drop_draft(conn, script_id) == 2
        assert [one.version for one in await versions.versions_of(conn, script_id)] == [1]
        [listed] = await versions.list_scripts(conn)
        assert (listed.name, listed.published, listed.draft) == ("话术", 1, None)
        with pytest.raises(Conflict, match="this name"):
            await versions.create(conn, "话术", NOON)


@pytest.mark.parametrize("statement", ["update script_versions set document = '{}'", "update script_versions set published_at = null", "delete from script_versions"])  # fmt: skip
async def test_the_database_lets_nobody_change_a_published_version(pool: Pool, statement: str) -> None:
    await a_published(pool, a_document(yes_no("a")))
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="never changes"):
        await pool.execute(statement)


async def test_what_was_changed_after_the_check_is_not_published(pool: Pool) -> None:
    async with pool.acquire() as conn:
        script_id = await versions.create(conn, "s", NOON)
        version = await versions.save_draft(conn, script_id, a_document(yes_no("a")), NOON)
        _, checked = await versions.draft_of(conn, script_id)
        await versions.save_draft(conn, script_id, a_document(yes_no("b")), NOON)
        with pytest.raises(Conflict) as refused:
            await versions.publish(conn, script_id, version, checked, NOON)
        assert refused.value.error_id == "script_draft_changed"
        assert (await versions.get_script(conn, script_id)).published is None


async def test_a_draft_is_never_used_not_even_when_the_program_forgets(pool: Pool, project: Project) -> None:
    async with pool.acquire() as conn:
        script_id = await versions.create(conn, "s", NOON)
        await versions.save_draft(conn, script_id, a_document(yes_no("a")), NOON)
        for version in (1, 7):
            with pytest.raises(BadInput) as refused:
                await assign(conn, project.id, (script_id, version), now=NOON)
            assert refused.value.error_id == "script_not_published"
        assert await script_of_project(conn, project.id) is None


async def test_a_script_that_waits_for_a_disposition_the_project_has_not_is_refused(
    pool: Pool, project: Project
) -> None:
    made = await a_published(pool, a_document(yes_no("a", required_before=["agreed", "sold"])))
    async with pool.acquire() as conn:
        with pytest.raises(BadInput) as refused:
            await assign(conn, project.id, made, now=NOON)
        assert (refused.value.error_id, refused.value.detail["dispositions"]) == ("script_disposition_unknown", ["sold"])  # fmt: skip
        assert await script_of_project(conn, project.id) is None, "nothing was changed"


async def test_a_projects_life_names_the_version_that_is_in_use(pool: Pool, project: Project) -> None:
    assert await script_of(pool, project) is None
    used, tried = await a_published(pool, a_document(yes_no("a"))), await a_published(pool, a_document(yes_no("a")))
    async with pool.acquire() as conn:
        made = await assign(conn, project.id, used, trial=tried, trial_percent=30, now=NOON)
        assert made.trial is not None
        assert await script_of(conn, project) == f"{made.used.name} 1, 30 % {made.trial.name} 1"


async def test_what_a_project_used_is_known_for_every_moment(pool: Pool, project: Project) -> None:
    first = await in_use(pool, project, a_document(yes_no("a")), now=EARLY)
    second = await in_use(pool, project, a_document(yes_no("b")), now=NOON)
    async with pool.acquire() as conn:
        used = {}
        for at in (EARLY - timedelta(seconds=1), EARLY, NOON - timedelta(seconds=1), NOON, NOON + timedelta(days=1)):
            found = await script_at(conn, project.id, at)
            used[at] = None if found is None else found.used.script_id
        assert list(used.values()) == [None, first[0], first[0], second[0], second[0]]
        assert await unassign(conn, project.id, NOON + timedelta(hours=1))
        assert await script_of_project(conn, project.id) is None
        assert len(await assignments.assignments_of(conn, project.id)) == 2


async def test_a_call_keeps_the_version_of_the_moment_it_was_placed(pool: Pool, project: Project) -> None:
    before = await an_attempt(pool, project, now=EARLY - timedelta(minutes=1))
    first = await in_use(pool, project, a_document(yes_no("a")))
    placed = await an_attempt(pool, project)
    await in_use(pool, project, a_document(yes_no("b")), now=NOON + timedelta(seconds=1))
    assert await response_of(pool, before.attempt_id) is None
    response = await response_of(pool, placed.attempt_id)
    assert response is not None
    assert (response.script_id, response.version) == first
    with pytest.raises(Missing):
        await response_of(pool, UUID(int=0))


async def test_a_trial_goes_to_its_share_of_calls_and_the_database_draws_the_same(pool: Pool, project: Project) -> None:
    used, tried = await a_published(pool, a_document(yes_no("a"))), await a_published(pool, a_document(choice("b")))
    async with pool.acquire() as conn:
        made = await assign(conn, project.id, used, trial=tried, trial_percent=20, now=NOON)
        ids = new_ids(2000)
        rows = await conn.fetch("select id, script_draw(id) as drawn from unnest($1::uuid[]) id", list(ids))
        assert {row["id"]: row["drawn"] for row in rows} == {one: draw(one) for one in ids}
        on_trial = [one for one in ids if made.for_call(one)[1]]
        assert 300 < len(on_trial) < 500
        assert {made.for_call(one)[0].script_id for one in on_trial} == {tried[0]}
        for wrong in ({"trial": used, "trial_percent": 20}, {"trial": tried}, {"trial_percent": 20}):
            with pytest.raises(BadInput, match="1 to 99 percent"):
                await assign(conn, project.id, used, now=NOON, **wrong)
