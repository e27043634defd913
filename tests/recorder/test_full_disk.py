"""Disks without room, for real: nothing is lost, dialling is told, and the work goes on when there is room again."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.recorder.full_disk import CALLS

pytestmark = [pytest.mark.services, pytest.mark.faults]

_CHECKOUT = Path(__file__).resolve().parents[2]


async def seen_on_a_small_disk(url: str, root: Path, which: str) -> dict[str, Any]:
    """What the recorder in its own mount namespace saw."""
    process = await asyncio.create_subprocess_exec(
        "unshare",
        "--map-root-user",
        "--mount",
        sys.executable,
        "-m",
        "tests.recorder.full_disk",
        url,
        str(root),
        which,
        cwd=_CHECKOUT,
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(90):
        out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    seen: dict[str, Any] = json.loads(out.splitlines()[-1])
    return seen


async def test_a_full_store_blocks_dialling_keeps_every_leg_and_goes_on_when_there_is_room(
    database_url: str, tmp_path: Path
) -> None:
    seen = await seen_on_a_small_disk(database_url, tmp_path, "store")
    assert seen["reason"] == "store_full"
    assert 1 <= seen["stored_when_full"] < CALLS
    assert seen["stored_when_full"] + seen["calls_with_both_legs"] == CALLS
    assert seen["parts_when_full"] <= 1  # the one in work
    assert (seen["whole_at_last"], seen["parts_at_last"]) == (CALLS, 0)


async def test_a_full_spool_blocks_dialling_and_is_worked_off(database_url: str, tmp_path: Path) -> None:
    seen = await seen_on_a_small_disk(database_url, tmp_path, "spool")
    assert seen["first"] == "spool_full"
    assert seen["states"] == ["poisoned", "stored", "stored"]
    assert "header_repaired" in seen["cut_faults"]
    assert seen["set_aside"] == 2
