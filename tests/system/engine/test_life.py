"""A project's whole life on the real Asterisk, over the API: every signature, a stop in the middle, and figures that stay as they were."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from campaigns import teams
from campaigns.life.steps import history
from campaigns.projects import Project, load_project
from campaigns.states import DialMode, ProjectState
from dialer.domain.commands import HangUp, WrapUp
from dialer.domain.roles import Role
from dialer.domain.states import AgentState
from dialer.web.app import create_app
from dialer.web.deps import WebDeps
from dialer.web.parts import PARTS
from lab.carrier import Behaviour
from recorder.archive.erasing import ArchiveKeys
from recorder.file_keys import FileKeys
from recorder.keyring import KeySource
from tests.builders import a_script
from tests.campaigns.test_claim_rules import a_rule, under
from tests.system.engine.conftest import Floor
from tests.web.client import Person
from tests.web.conftest import HandClock, House

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]


@asynccontextmanager
async def a_house(floor: Floor, directory: Path) -> AsyncIterator[House]:
    """The API before the engine of a floor."""
    clock = HandClock()
    deps = WebDeps(
        pool=floor.pool, database_url=floor.database_url, redis=None, engine=floor.engine, feed=floor.engine.feed, explain=floor.engine,
        store_dir=directory / "store", archive_dir=directory / "archive", file_keys=(keys := FileKeys(KeySource(path=directory / "keys"))),
        archive_keys=ArchiveKeys(path=directory / "archive.keys", keys=keys),
        upload_dir=directory / "uploads", clock=clock,
    )  # fmt: skip
    app = create_app(deps)
    server = TestServer(app)
    await server.start_server()
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        yield House(
            server=server, http=http, pool=floor.pool, engine=cast("Any", floor.engine), feed=floor.engine.feed, clock=clock, deps=deps,
            document=app[PARTS].document,
        )  # fmt: skip
    await server.close()


class Manager:
    """The project manager at the API."""

    def __init__(self, house: House, person: Person, project: Project) -> None:
        self._house, self._person, self._path = house, person, f"/projects/{project.id}"

    async def step(self, step: str, **said: str) -> dict[str, Any]:
        answer = await self._person.ask("POST", f"{self._path}/steps", {"step": step, **said})
        assert answer.status == 200, answer.body
        return cast("dict[str, Any]", answer.body)

    async def refused(self, step: str) -> set[str]:
        answer = await self._person.ask("POST", f"{self._path}/steps", {"step": step})
        assert (answer.status, answer.error_id) == (409, "step_refused"), answer.body
        return {one["id"] for one in answer.body["detail"]["missing"]}

    async def sign(self, kind: str, covers: str | None = None) -> None:
        body = {
            "kind": kind, "signer": "陈经理", "signed_at": self._house.clock().isoformat(), "evidence_name": f"{kind}.pdf",
            "evidence_sha256": "ab" * 32, **({"covers": covers} if covers else {}),
        }  # fmt: skip
        answer = await self._person.ask("POST", f"{self._path}/sign-offs", body)
        assert answer.status == 201, answer.body

    async def figures(self) -> dict[str, Any]:
        return cast("dict[str, Any]", (await self._person.ask("GET", f"{self._path}/figures")).body)


async def wraps_up(floor: Floor, agent_id: UUID, disposition: str) -> None:
    """The agent says what the conversation came to."""
    await floor.becomes(agent_id, AgentState.WRAP_UP, 20)
    await floor.engine.execute(WrapUp(agent_id=agent_id, disposition=disposition))


async def tried(floor: Floor, manager: Manager, project: Project) -> tuple[UUID, UUID]:
    """试呼: the sample is dialled by the senior team alone, and closed. Gives the agents, the senior first."""
    for _ in range(2):
        await floor.lead(project, ring=0, talk=1)
    await floor.lead(project, Behaviour.BUSY)
    left = [await floor.lead(project, ring=0, talk=1), await floor.lead(project, ring=0)]
    await floor.pool.execute("update leads set priority = -1 where id = any ($1)", left)
    senior, junior = await floor.agent(project, wanted="break"), await floor.agent(project)
    await teams.set_team(floor.pool, senior, (await teams.add_team(floor.pool, name="资深组", senior=True)).id)
    await manager.sign("trial")
    assert (await manager.step("begin_trial"))["life"] == "trial"
    assert floor.on_floor(junior).project_ids == frozenset(), "a trial is for the senior team"
    await floor.login(senior)
    for said in ("agreed", "refused"):
        await wraps_up(floor, senior, said)
    calls = await floor.ended(3)
    await floor.until(lambda: floor.engine.explain_project(project.id)["why"] == "sample", "the sample full")
    assert {row["mode"] for row in calls} == {"trial"}
    assert {row["agent_id"] for row in calls if row["bridged_at"]} == {senior}
    await manager.step("pause")
    assert (await manager.step("close_trial"))["life"] == "review"
    return senior, junior


async def corrected(floor: Floor, manager: Manager, project: Project, talker: UUID) -> None:
    """停呼整改: what rings is hung up, the conversation goes on, and nothing is dialled before the stop is lifted and the project resumed."""
    rings = await floor.lead(project, Behaviour.NO_ANSWER)
    await floor.until(lambda: rings_now(floor, rings), "a call that rings", 15)
    assert (await manager.step("stop", why="客户投诉话术"))["life"] == "stopped"
    await floor.until(lambda: not rings_now(floor, rings), "what rang hung up", 10)
    assert floor.state(talker) is AgentState.TALKING
    later = await floor.lead(project, ring=0, talk=1)
    assert await manager.refused("resume") == {"state"}
    assert await manager.refused("lift") == {"changed", "sign_off_correction"}
    await floor.engine.execute(HangUp(agent_id=talker))
    await wraps_up(floor, talker, "refused")
    await manager.sign("correction")
    assert (await manager.step("lift", changed="话术第三段"))["life"] == "paused"
    assert await floor.attempts(later) == []
    assert (await manager.step("resume"))["life"] == "formal"

    async def is_connected() -> bool:
        return any(row["bridged_at"] for row in await floor.attempts(later))

    await floor.until(is_connected, "the lead dialled after the correction", 20)


async def brought_to_its_archive(floor: Floor, manager: Manager, agents: tuple[UUID, UUID]) -> None:
    """结算、归档."""
    await manager.step("pause")
    for agent_id in agents:
        if floor.state(agent_id) in {AgentState.TALKING, AgentState.RESERVED}:
            await floor.engine.execute(HangUp(agent_id=agent_id))

    async def is_quiet() -> bool:
        return not await floor.pool.fetchval("select count(*) from live_attempts")

    await floor.until(is_quiet, "no call alive", 20)
    await manager.step("complete")
    assert await manager.refused("settle") == {"sign_off_settlement"}
    await manager.sign("settlement")
    await manager.step("settle")
    assert (await manager.step("archive"))["life"] == "archived"


async def test_a_project_lives_from_its_draft_to_its_archive_with_every_signature_and_a_stop_in_the_middle(
    floor: Floor, tmp_path: Path
) -> None:
    await floor.start()
    project = await floor.project(
        state=ProjectState.DRAFT, sign_offs=True, trial_size=3, wrap_up_limit_s=60, mode="progressive"
    )
    await floor.pool.execute("update caller_numbers set certified = '{[2000-01-01,2100-01-01)}'")
    await a_script(floor.pool, project.id)
    project = await under(floor.pool, project, a_rule("attempts", most=50))
    async with a_house(floor, tmp_path) as house:
        manager = Manager(house, await house.person(Role.PROJECT_MANAGER), project)
        assert await manager.refused("begin_trial") == {"data", "senior_agents", "sign_off_trial"}
        agents = await tried(floor, manager, project)
        [frozen] = (await manager.figures())["frozen"]
        shares = frozen["figures"]["shares"]
        assert {name: (one["count"], one["total"]) for name, one in shares.items() if name != "valid_connect"} == {
            "reach": (2, 3), "connect": (2, 3), "abandoned": (0, 2), "conversion": (1, 2), "complaint": (0, 2),
        }  # fmt: skip
        assert not any(one["large_enough"] for one in shares.values())
        assert await manager.refused("go_formal") == {"sign_off_formal"}
        await manager.sign("formal", covers=frozen["sha256"])
        assert (await manager.step("go_formal"))["life"] == "formal"
        assert (await load_project(floor.pool, project.id)).mode is DialMode.PROGRESSIVE
        assert floor.on_floor(agents[1]).project_ids == {project.id}
        await corrected(floor, manager, project, await talking_one(floor, *agents))
        await floor.pool.execute(
            "update attempts set disposition = 'complaint' where mode = 'trial' and bridged_at is not null"
        )
        await brought_to_its_archive(floor, manager, agents)
        found = await manager.figures()
        assert found["frozen"] == [frozen], "whatever was dialled and corrected afterwards"
        assert found["frozen"][0]["holds"] is True
        assert found["now"]["shares"]["complaint"]["count"] == 2
    kept = list(reversed(await history(floor.pool, project.id)))
    assert [one.step.value for one in kept] == [
        "begin_trial", "pause", "close_trial", "go_formal", "stop", "lift", "resume", "pause", "complete", "settle", "archive",
    ]  # fmt: skip
    assert [one.step.value for one in kept if one.sign_off_id] == ["begin_trial", "go_formal", "lift", "settle"]
    assert {one.role for one in kept} == {"project_manager"}
    outside = await floor.pool.fetchval(
        """select count(*) from attempts a where not exists (
             select from (select at as since, to_life, lead(at, 1, 'infinity') over (order by id) as until from project_steps) s
             where s.to_life in ('trial', 'formal') and a.created_at between s.since and s.until)"""
    )
    assert outside == 0, "nothing is dialled but in the trial and in the formal run"


def rings_now(floor: Floor, lead_id: int) -> bool:
    return any(call.lead_id == lead_id for call in floor.engine.parts.floor.calls.values())


async def talking_one(floor: Floor, *agents: UUID) -> UUID:
    """Of the two leads that are left one hangs up by itself and is wrapped up; the other talks on: gives the agent who talks with them."""

    def wrapping() -> list[UUID]:
        return [one for one in agents if floor.state(one) is AgentState.WRAP_UP]

    def talking() -> list[UUID]:
        return [one for one in agents if floor.state(one) is AgentState.TALKING]

    await floor.until(lambda: wrapping() and talking(), "one conversation over and one going on", 20)
    await floor.engine.execute(WrapUp(agent_id=wrapping()[0], disposition="refused"))
    return talking()[0]
