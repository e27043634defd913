"""Disks without room, for real: nothing is lost, dialling is told, and the work goes on when there is room again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.recorder.full_disk import broken, seen_on_a_small_disk

pytestmark = [pytest.mark.services, pytest.mark.faults]


async def test_a_full_store_blocks_dialling_keeps_every_leg_and_goes_on_when_there_is_room(
    database_url: str, tmp_path: Path
) -> None:
    assert broken(await seen_on_a_small_disk(database_url, tmp_path, "store"), "store") == []


async def test_a_full_spool_blocks_dialling_and_is_worked_off(database_url: str, tmp_path: Path) -> None:
    assert broken(await seen_on_a_small_disk(database_url, tmp_path, "spool"), "spool") == []
