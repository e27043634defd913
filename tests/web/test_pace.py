"""How a project is paced: the engine's seconds and the database's minutes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dialer.db import pace_samples
from dialer.db.pace_samples import PaceSample
from dialer.domain.errors import Unavailable
from dialer.domain.roles import Role
from tests.builders import a_project
from tests.web.conftest import House

AT = datetime(2026, 3, 2, 14, 5, tzinfo=UTC)


async def test_a_moment_of_another_day_is_told_by_its_minutes_also_without_the_engine(house: House) -> None:
    project, leader = await a_project(house.pool), await house.person(Role.SUPERVISOR)
    kept = [
        PaceSample(
            project_id=project.id, began_at=AT + timedelta(minutes=minute), decisions=60, placed=minute + 20, limits={"agents": 50, "cps": 10},
            figures={"ready": (0.0, 1.5, 3.0), "theta": (0.01, 0.02, 0.03)},
        ) for minute in (-16, -15, 0, 14, 15)
    ]  # fmt: skip
    await pace_samples.save(house.pool, kept)
    await pace_samples.save(house.pool, kept)
    path = f"/projects/{project.id}/pace"
    shown = await leader.get(path, at="2026-03-02T14:05:00Z")
    assert [minute["placed"] for minute in shown["minutes"]] == [5, 20, 34]
    assert shown["limits"] == {"agents": 150, "cps": 30}
    assert shown["minutes"][0]["figures"]["theta"] == {"least": 0.01, "mean": 0.02, "most": 0.03}
    assert [one["at"] for one in shown["recent"]] == ["2026-03-02T14:05:00Z"]
    house.engine.refuse = Unavailable("engine_away", "The engine cannot be reached.")
    shown = await leader.get(path, at="2026-03-02T14:05:00Z")
    assert (len(shown["minutes"]), shown["recent"]) == (3, [])
    assert (await leader.ask("GET", path)).error_id == "engine_away"


async def test_minutes_of_former_weeks_are_forgotten_the_oldest_first(house: House) -> None:
    project = await a_project(house.pool)
    await pace_samples.save(house.pool, [
        PaceSample(project_id=project.id, began_at=AT + timedelta(days=day), decisions=1, placed=0, limits={}, figures={}) for day in range(5)
    ])  # fmt: skip
    assert await pace_samples.forget_before(house.pool, AT + timedelta(days=3), at_most=2) == 2
    assert await pace_samples.forget_before(house.pool, AT + timedelta(days=3)) == 1
    left = await pace_samples.between(house.pool, project.id, AT, AT + timedelta(days=9), 9)
    assert [one.began_at for one in left] == [AT + timedelta(days=3), AT + timedelta(days=4)]
