"""The parts of `make chaos-recorder` in small, and that each of them sees what it is there to see."""

from __future__ import annotations

import io
import random
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest
from rich.console import Console

from lab.postgres import Postgres
from recorder.paths import leg_paths
from tests.recorder.builders import Running, a_project, settings
from tests.recorder.chaos import __main__ as command
from tests.recorder.chaos import failing_disk, flips, kills, ledger_operations, rotation
from tests.recorder.chaos.calls import Spool, all_kinds
from tests.recorder.chaos.figures import Figure, Plan
from tests.recorder.chaos.sectors import lost_sectors

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """A hundredth of a hundredth."""
    return Plan(run_dir=tmp_path / "run", seed=1, share=0.0001, say=lambda _: None)


def broken(figures: list[Figure]) -> list[str]:
    return [f"{figure.name}: {figure.figure}" for figure in figures if figure.kept is False]


@pytest.mark.faults
@pytest.mark.parametrize(
    "part",
    [
        kills.kill_the_intake,
        failing_disk.break_the_disk,
        rotation.kill_the_rotation,
        flips.flip_bits,
        ledger_operations.operate_on_the_ledger,
    ],
)
async def test_each_part_holds_in_small(part: kills.Part, postgres: Postgres, plan: Plan) -> None:
    assert broken(await part(plan, postgres)) == []


@pytest.mark.faults
async def test_a_file_that_goes_unlawfully_is_seen(
    postgres: Postgres, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recorder.releasable.may_release", lambda *_: "")
    assert broken(await ledger_operations.operate_on_the_ledger(replace(plan, share=0.03), postgres))


@pytest.mark.services
async def test_a_call_that_is_lost_doubled_or_torn_is_seen(pool: Pool, tmp_path: Path) -> None:
    of = settings(tmp_path, settle_s=0.1, legs_deadline_s=5.0)
    await a_project(pool)
    spool = Spool(pool, tmp_path, all_kinds(), random.Random(1))
    await spool.come(4, "whole")
    waiting, *_ = list(spool.calls)
    legs = [(leg, leg.read_bytes()) for leg in leg_paths(of.spool_dir, waiting)]
    for leg, _ in legs:
        leg.unlink()
    assert len((await spool.look()).lost) == 1
    for leg, content in legs:
        leg.write_bytes(content)
    async with Running(pool, of, keys=spool.keys) as recorder:
        await recorder.settled(20)
    found = await spool.close()
    found += await spool.read_all()
    assert (found.lost, found.doubled, found.torn) == ([], [], [])
    first, second, third, _ = sorted(of.store_dir.rglob("*.opus"))
    first.write_bytes(first.read_bytes()[:-1])
    second.unlink()
    third.with_suffix(".part").write_bytes(b"left over")
    found = await spool.read_all()
    assert (len(found.lost), len(found.doubled), len(found.torn)) == (0, 1, 2)


def test_a_broken_demand_is_an_exit_code() -> None:
    console = Console(file=io.StringIO())
    kept, lost = (
        Figure(name="a", figure="0", demand="0", kept=True),
        Figure(name="b", figure="1", demand="0", kept=False),
    )
    assert command._table(console, [("x", [kept], 1.0)], "t") == 0
    assert command._table(console, [("x", [kept, lost], 1.0)], "t") == 1


@pytest.mark.parametrize("pattern", ["scattered", "scratch", "beginning", "end", "comb", "two scratches"])
def test_two_sectors_in_a_hundred_are_lost_and_they_are_there(pattern: str, plan: Plan) -> None:
    for number in range(20):
        lost = lost_sectors(pattern, 1_000, plan, number)
        assert len(lost) == len(set(lost)) or pattern == "two scratches"
        assert 10 <= len(set(lost)) <= 20
        assert 0 <= min(lost) <= max(lost) < 1_000
