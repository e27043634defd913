"""Names, room, retries and the walk over the spool."""

from __future__ import annotations

import os
import threading
from datetime import date
from pathlib import Path
from uuid import UUID

import pytest

from recorder.errors import FileGone
from recorder.paths import attempt_of, leg_paths, locate, master_path
from recorder.retry import back_off_s
from recorder.room import RoomWatch
from recorder.space import Floors, Free, daily_bytes, judge_room, measure
from recorder.spool import SpoolWalk
from tests.recorder.builders import attempt_id, now, settings, until

FLOORS = Floors(spool_bytes=100, store_bytes=1000)


@pytest.mark.parametrize(
    ("spool", "store", "refused", "was_blocked", "reason"),
    [
        (100, 1000, "", False, ""),
        (99, 1000, "", False, "spool_full"),
        (100, 999, "", False, "store_full"),
        (None, 1000, "", False, "spool_missing"),
        (100, None, "", False, "store_unwritable"),
        (100, 1000, "store_full", False, "store_full"),
        (109, 1100, "", True, "spool_full"),  # 10 % above the floor, or dialling would flutter
        (110, 1099, "", True, "store_full"),
        (110, 1100, "", True, ""),
    ],
)
def test_room(spool: int | None, store: int | None, refused: str, was_blocked: bool, reason: str) -> None:
    room = judge_room(Free(spool_bytes=spool, store_bytes=store), FLOORS, refused=refused, was_blocked=was_blocked)
    assert (room.blocked, room.reason) == (bool(reason), reason)


def test_days_left_count_down_to_the_floor() -> None:
    room = judge_room(Free(spool_bytes=100, store_bytes=11_000), FLOORS, bytes_a_day=2000)
    assert room.days_left == 5.0
    assert judge_room(Free(spool_bytes=100, store_bytes=11_000), FLOORS).days_left is None
    assert daily_bytes(100, 43_200) == 200
    assert daily_bytes(0, 43_200) is None


def test_room_is_measured_on_the_real_disk_and_a_missing_place_blocks(tmp_path: Path) -> None:
    assert not measure(tmp_path, tmp_path, floors=FLOORS).blocked
    assert measure(tmp_path / "none", tmp_path, floors=FLOORS).reason == "spool_missing"
    assert measure(tmp_path, tmp_path, floors=Floors(spool_bytes=1 << 62, store_bytes=0)).reason == "spool_full"


def test_back_off_doubles_and_is_bounded() -> None:
    assert [back_off_s(n, first_s=0.5, longest_s=3) for n in (0, 1, 2, 3, 4, 10_000)] == [0.5, 0.5, 1, 2, 3, 3]


def test_names_are_made_of_our_ids_only() -> None:
    call, project = attempt_id(5), UUID(int=7)
    assert [path.name for path in leg_paths(Path("/spool"), call)] == [f"{call.hex}-r.wav", f"{call.hex}-t.wav"]
    assert master_path(date(2026, 3, 9), project, call) == f"2026/03/09/{project}/{call.hex}.opus"


@pytest.mark.parametrize(
    "name", ["x.wav", f"{'g' * 32}-r.wav", f"{'a' * 32}-x.wav", f"{'a' * 32}-r.wav.part", f"../{'a' * 32}-r.wav"]
)
def test_what_is_no_leg_belongs_to_no_attempt(name: str) -> None:
    assert attempt_of(name) is None
    assert attempt_of(f"{'a' * 32}-r.wav") == UUID("a" * 32)


@pytest.mark.parametrize("relative", ["/etc/passwd", "../x", "2026/../../x", ""])
def test_a_ledger_path_never_leaves_the_store(relative: str) -> None:
    with pytest.raises(FileGone):
        locate(Path("/store"), relative)
    assert locate(Path("/store"), "2026/a.opus") == Path("/store/2026/a.opus")


def test_a_walk_in_small_steps_sees_every_call_each_time_round(tmp_path: Path) -> None:
    calls = {attempt_id(number) for number in range(25)}
    for call in calls:
        for leg in leg_paths(tmp_path, call):
            leg.touch()
    (tmp_path / "poisoned").mkdir()
    walk = SpoolWalk(tmp_path)
    for _ in range(2):
        seen: set[UUID] = set()
        rounds, ended = 0, False
        while not ended:
            found, ended = walk.next_attempts(7)
            assert len(found) <= 7
            seen |= found
            rounds += 1
        assert seen == calls
        assert rounds == 51 // 7 + 1


async def test_a_store_that_hangs_stops_dialling_in_time_and_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = settings(tmp_path, space_timeout_s=0.2)
    watch = RoomWatch(None, of, now)  # type: ignore[arg-type]  # looking asks no database
    await watch.look()
    assert not watch.room.blocked
    answers, asked = threading.Event(), list[Path]()
    statvfs = os.statvfs

    def hung(place: Path) -> os.statvfs_result:
        if place == of.store_dir:
            asked.append(place)
            assert answers.wait(30)
        return statvfs(place)

    monkeypatch.setattr("recorder.space.os.statvfs", hung)
    for _ in range(3):
        await watch.look()
        assert (watch.room.blocked, watch.room.reason) == (True, "store_unwritable")
    assert len(asked) == 1
    answers.set()
    await until(lambda: _looked(watch), "the store to be there again")


async def _looked(watch: RoomWatch) -> bool:
    await watch.look()
    return not watch.room.blocked
