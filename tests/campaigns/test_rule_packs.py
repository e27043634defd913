"""Promises of rule packs in the database: a version never changes, a choice is remembered with its times, and what cannot be read stops dialling."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import asyncpg
import pytest

from campaigns import projects
from campaigns.errors import BadInput, Conflict, Missing
from campaigns.gates import Gate, decide, openings
from campaigns.rule_packs import PackRef, add_pack, choose, chosen, find_pack, list_packs, rules_of
from campaigns.rules.loading import shipped
from campaigns.sql import Pool
from tests.builders import NOON, a_project
from tests.campaigns.rules.test_loading import HEAD, RULE

pytestmark = pytest.mark.services
COLLECTION = PackRef(pack="cn-collection", version="2026.1")
INSURANCE = PackRef(pack="cn-insurance", version="2026.1")
MINE = PackRef(pack="mine", version="1")


async def use(pool: Pool, project: projects.Project, *refs: PackRef, hours: int = 0) -> projects.Project:
    async with pool.acquire() as conn:
        await choose(conn, project.id, refs, now=NOON + timedelta(hours=hours))
    return await projects.load_project(pool, project.id)


async def test_a_project_is_loaded_with_the_rules_it_has_chosen(pool: Pool) -> None:
    project = await a_project(pool)
    assert project.rules.rules == ()
    project = await use(pool, project, COLLECTION)
    assert {rule.pack for rule in project.rules.rules} == {"cn-collection"}
    assert [one.rules for one in await projects.list_projects(pool)] == [project.rules]
    assert (await use(pool, project)).rules.rules == ()


async def test_a_chosen_window_shuts_its_zones_and_says_when_they_open(pool: Pool) -> None:
    project = await use(pool, await a_project(pool), COLLECTION)
    late = NOON + timedelta(hours=10)  # 22:00 in Shanghai
    assert openings(project, late).ask("") == late + timedelta(hours=10)
    assert openings(project, late).ask("Europe/London") is None
    assert openings(project, NOON).ask("") is None


async def test_ring_times_and_lists_that_were_never_loaded_shut_the_project(pool: Pool) -> None:
    short = await use(pool, await a_project(pool, ring_timeout_s=10), PackRef(pack="uk-ofcom", version="2026.1"))
    gates = {rule.line.kind for rule in short.rules.rules}
    assert "ring_time" in gates
    assert not decide(short, NOON).allowed
    insured = await use(pool, await a_project(pool), INSURANCE)
    assert decide(insured, NOON).gate is Gate.NOT_EVALUABLE
    assert "never loaded" in decide(insured, NOON).reason


async def test_what_was_in_force_at_a_past_moment_is_remembered(pool: Pool) -> None:
    project = await a_project(pool)
    await use(pool, project, COLLECTION)
    await use(pool, project, INSURANCE, hours=2)
    await use(pool, project, COLLECTION, INSURANCE, hours=3)
    await use(pool, project, COLLECTION, INSURANCE, hours=4)  # no change
    assert await chosen(pool, project.id, at=NOON - timedelta(hours=1)) == []
    assert await chosen(pool, project.id, at=NOON + timedelta(hours=1)) == [COLLECTION]
    assert await chosen(pool, project.id, at=NOON + timedelta(hours=2)) == [INSURANCE]
    assert await chosen(pool, project.id) == [COLLECTION, INSURANCE]
    assert await pool.fetchval("select count(*) from project_rule_packs") == 3
    then = await rules_of(pool, [project.id], at=NOON + timedelta(hours=1))
    assert {rule.pack for rule in then[project.id].rules} == {"cn-collection"}


async def test_a_version_replaces_another_even_at_the_same_moment(pool: Pool) -> None:
    project = await a_project(pool)
    await add_pack(pool, HEAD + RULE, now=NOON)
    await add_pack(pool, HEAD.replace('version = "1"', 'version = "2"') + RULE, now=NOON)
    await use(pool, project, MINE)
    await use(pool, project, PackRef(pack="mine", version="2"))
    assert await chosen(pool, project.id) == [PackRef(pack="mine", version="2")]
    await use(pool, project, MINE)
    assert await chosen(pool, project.id) == [MINE]


async def test_a_version_never_changes(pool: Pool) -> None:
    await add_pack(pool, HEAD + RULE, now=NOON)
    await add_pack(pool, HEAD + RULE, now=NOON)
    for other in (HEAD + RULE.replace("house rule", "another rule"), shipped()["cn-collection", "2026.1"] + "\n# mine"):
        with pytest.raises(Conflict) as refused:
            await add_pack(pool, other, now=NOON)
        assert refused.value.error_id == "rule_pack_exists"
    for statement in ("update rule_packs set document = ''", "delete from rule_packs"):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await pool.execute(statement)
    assert (await find_pack(pool, MINE)).document == HEAD + RULE


async def test_shipped_and_own_packs_are_listed_together(pool: Pool) -> None:
    await add_pack(pool, HEAD + RULE, now=NOON)
    listed = {one.ref.name: one.shipped for one in await list_packs(pool)}
    assert listed["mine@1"] is False
    assert listed["cn-general@2026.1"] is True
    assert len(listed) == 7


async def test_an_unknown_or_doubled_pack_cannot_be_chosen_and_changes_nothing(pool: Pool) -> None:
    project = await use(pool, await a_project(pool), COLLECTION)
    with pytest.raises(Missing) as missing:
        await use(pool, project, PackRef(pack="mars", version="1"))
    assert missing.value.error_id == "rule_pack_unknown"
    with pytest.raises(BadInput) as twice:
        await use(pool, project, COLLECTION, PackRef(pack="cn-collection", version="1"))
    assert twice.value.error_id == "rule_pack_twice"
    assert await chosen(pool, project.id) == [COLLECTION]


async def test_a_pack_this_program_cannot_read_stops_its_project(pool: Pool) -> None:
    project = await a_project(pool)
    document = HEAD + RULE.replace('"window"', '"a-kind-of-the-future"')
    await pool.execute(
        "insert into rule_packs values ('mine', '9', $1, $2, null, $3)", document, hashlib.sha256(document.encode()).digest(), NOON
    )  # fmt: skip
    await pool.execute("insert into project_rule_packs values ($1, 'mine', '9', $2)", project.id, NOON)
    verdict = decide(await projects.load_project(pool, project.id), NOON)
    assert (verdict.allowed, verdict.gate) == (False, Gate.RULE_PACK)
    assert "mine@9" in verdict.reason
