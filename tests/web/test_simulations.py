"""Simulations over the API: played apart from the web process, watched, cancelled, and bounded."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any
from uuid import uuid4
from xml.etree import ElementTree as ET

import pytest
from PIL import Image

from campaigns.projects import Project
from dialer.db import simulations
from dialer.domain.roles import Role
from dialer.web.parts import PARTS
from lab.waiting import wait_until
from tests.builders import a_project, an_agent, an_attempt
from tests.web.client import Person
from tests.web.conftest import House

ASSUMED = {"answer": 0.3, "talk_s": 60, "wrap_up_s": 10}
SMALL: dict[str, Any] = {"agents": 5, "hours": 0.2, "days": 2, "assumed": ASSUMED}
LARGE: dict[str, Any] = {"agents": 200, "hours": 24, "days": 2, "modes": ["predictive"], "assumed": ASSUMED}


async def ended(person: Person, simulation: dict[str, Any], timeout_s: float = 60) -> dict[str, Any]:
    """The simulation when it is over."""
    shown: dict[str, Any] = {}

    async def over() -> bool:
        shown.update(await person.get(f"/simulations/{simulation['id']}"))
        return bool(shown["state"] != "running")

    await wait_until(over, timeout_s=timeout_s, what="the simulation's end")
    return shown


async def test_a_day_is_played_in_each_mode_and_comes_back_with_intervals_and_a_picture(house: House) -> None:
    manager = await house.person(Role.PROJECT_MANAGER)
    project = await a_project(house.pool, name='Spring <&"> 春')
    begun = await manager.do("POST", f"/projects/{project.id}/simulations", SMALL | {"leads": 500})
    assert (begun["state"], begun["total"], begun["modes"]) == ("running", 6, None)
    shown = await ended(manager, begun)
    assert (shown["state"], shown["done"], shown["error_id"]) == ("done", 6, None)
    by_mode = {one["mode"]: one["forecast"] for one in shown["modes"]}
    assert list(by_mode) == ["progressive", "ratio", "predictive"]
    assert by_mode["progressive"]["abandoned_percent"]["mean"] == 0
    for figures in by_mode.values():
        assert 0 < figures["utilisation_percent"]["mean"] <= 100
        assert figures["data_lasts_h"]["mean"] > 0
        assert figures["utilisation_percent"]["spread"] > 0
    assert all(len(one["days"]) == 2 and one["sentence"].startswith("With 5 agents") for one in shown["modes"])
    assert 0 < shown["modes"][0]["curve"][0]["utilisation_percent"] <= 100
    for kind in ("picture", "curve"):
        picture = await manager.ask("GET", f"/simulations/{begun['id']}/{kind}")
        assert (picture.status, picture.headers["Content-Type"].split(";")[0]) == (200, "image/svg+xml")
        assert 'Spring <&"> 春, 5 agents' in {
            text.text for text in ET.fromstring(picture.raw).iter("{http://www.w3.org/2000/svg}text")
        }
        drawn = await manager.ask("GET", f"/simulations/{begun['id']}/{kind}", format="png")
        assert drawn.headers["Content-Type"] == "image/png"
        assert Image.open(io.BytesIO(drawn.raw)).size == (1660, 950)
    assert [one["id"] for one in (await manager.get(f"/projects/{project.id}/simulations"))["items"]] == [begun["id"]]
    assert len(await house.audited("simulation_begun")) == 1


async def measured_calls(house: House, project: Project) -> None:
    """One answered after 10 s and handled, one that rang for nothing."""
    now = house.clock() - timedelta(hours=1)
    agent = await an_agent(house.pool)
    for answered in (True, False):
        claimed = await an_attempt(house.pool, project, now=now)
        await house.pool.execute(
            "update attempts set state = 'ended', outcome = $2, answered_at = $3, ended_at = $4 where id = $1",
            claimed.attempt_id, "connected" if answered else "no_answer", now + timedelta(seconds=10) if answered else None,
            now + timedelta(seconds=40),
        )  # fmt: skip
    for state, at_s, took_s in (("talking", 10, 30), ("wrap_up", 40, 8)):
        await house.pool.execute(
            "insert into agent_times (agent_id, state, project_id, began_at, ended_at) values ($1, $2, $3, $4, $5)",
            agent, state, project.id, now + timedelta(seconds=at_s), now + timedelta(seconds=at_s + took_s),
        )  # fmt: skip


async def test_a_projects_own_times_are_played_again_and_missing_ones_are_said(house: House) -> None:
    planner = await house.person(Role.SUPERVISOR)
    project = await a_project(house.pool)
    wanted = {"agents": 3, "hours": 0.2, "days": 2, "modes": ["progressive"]}
    refused = await planner.ask("POST", f"/projects/{project.id}/simulations", wanted)
    assert (refused.status, refused.error_id) == (409, "too_little_history")
    await measured_calls(house, project)
    shown = await ended(planner, await planner.do("POST", f"/projects/{project.id}/simulations", wanted))
    (figures,) = (one["forecast"] for one in shown["modes"])
    assert shown["state"] == "done"
    # 38 s of work a call and 8 s less of it talk: what they played is what was measured.
    assert figures["talk_min_per_hour"]["mean"] / (0.6 * figures["utilisation_percent"]["mean"]) == pytest.approx(
        30 / 38, abs=0.02
    )


async def test_a_simulation_that_is_cancelled_ends_its_process_and_makes_room(house: House) -> None:
    planner = await house.person(Role.SUPERVISOR)
    path = f"/projects/{(await a_project(house.pool)).id}/simulations"
    first, second = [await planner.do("POST", path, LARGE) for _ in range(2)]
    busy = await planner.ask("POST", path, SMALL)
    assert (busy.status, busy.error_id) == (503, "simulations_busy")
    assert (await planner.ask("GET", f"/simulations/{first['id']}/picture")).error_id == "simulation_not_done"
    for one in (first, second):
        assert (await planner.do("POST", f"/simulations/{one['id']}/cancel"))["state"] == "canceled"
    places = house.server.app[PARTS].simulations
    await wait_until(lambda: not places.locked(), timeout_s=10, what="room for another one")
    assert (await ended(planner, await planner.do("POST", path, SMALL)))["state"] == "done"
    assert (await planner.do("POST", f"/simulations/{first['id']}/cancel"))["state"] == "canceled"


async def test_a_simulation_whose_web_process_was_killed_has_failed(house: House) -> None:
    project, reader = await a_project(house.pool), await house.person(Role.GENERAL_MANAGER)
    begun = await simulations.begin(
        house.pool, project.id, wanted={"agents": 3}, total=4, user_id=None, now=house.clock()
    )
    assert (await reader.get(f"/simulations/{begun.id}"))["state"] == "running"
    await house.pool.execute("update simulations set seen_at = now() - interval '31 seconds'")
    shown = await reader.get(f"/simulations/{begun.id}")
    assert (shown["state"], shown["error_id"]) == ("failed", "simulation_interrupted")


async def test_each_project_keeps_its_newest_simulations(house: House) -> None:
    project, other = await a_project(house.pool), await a_project(house.pool)
    now = house.clock()
    for n in range(simulations.KEPT + 3):
        of = other if n == 0 else project
        begun = await simulations.begin(
            house.pool, of.id, wanted={"agents": 3}, total=1, user_id=None, now=now + timedelta(seconds=n)
        )
        await simulations.cancel(house.pool, begun.id)
    kept = await simulations.of_project(house.pool, project.id, limit=100)
    assert [one.created_at for one in kept] == [
        now + timedelta(seconds=simulations.KEPT + 2 - n) for n in range(simulations.KEPT)
    ]
    assert len(await simulations.of_project(house.pool, other.id, limit=100)) == 1


@pytest.mark.parametrize(
    ("wrong", "error_id"),
    [
        (LARGE | {"days": 50}, "simulation_too_large"),
        (SMALL | {"agents": 501}, "invalid_request"),
        (SMALL | {"modes": []}, "invalid_request"),
        (SMALL | {"modes": ["ratio", "ratio"]}, "invalid_request"),
        (SMALL | {"modes": ["preview"]}, "invalid_request"),
        (SMALL | {"assumed": ASSUMED | {"answer": 0}}, "invalid_request"),
    ],
)
async def test_what_cannot_be_played_is_refused(house: House, wrong: dict[str, Any], error_id: str) -> None:
    planner, project = await house.person(Role.SUPERVISOR), await a_project(house.pool)
    answer = await planner.ask("POST", f"/projects/{project.id}/simulations", wrong)
    assert (answer.status, answer.error_id) == (422, error_id)
    assert (await planner.ask("GET", f"/simulations/{uuid4()}")).error_id == "simulation_unknown"
