"""A store that runs full lets go of what verified discs have, and of nothing else; when nothing may go it says so and dialling stops."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from recorder import keeping, releasable
from recorder.keeping import Kept
from recorder.releasing import Releaser
from recorder.service import Recorder
from recorder.space import Floors, Room, Watermarks, bytes_to_release
from tests.recorder.archive.house import House, no_audit
from tests.recorder.archive_builders import recording_id, state_of
from tests.recorder.builders import PROJECT, now, settings, until

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]

FLOORS = Floors(spool_bytes=0, store_bytes=1000)
MARKS = Watermarks(low_days=3, enough_days=7)


@pytest.mark.parametrize(
    ("free", "reason", "days_left", "a_day", "wanted"),
    [
        (5000, "", 4.0, 1000.0, 0),
        (3500, "", 2.5, 1000.0, 4500),
        (1000, "", 0.0, 1000.0, 7000),
        (3500, "", None, None, 0),  # a day's use is not known yet
        (900, "store_full", None, None, 200),  # up to where dialling may start again
        (900, "store_full", 0.0, 1000.0, 7000),
        (900, "spool_full", None, None, 0),
    ],
)
def test_what_has_to_leave_is_counted_in_days(
    free: int, reason: str, days_left: float | None, a_day: float | None, wanted: int
) -> None:
    room = Room(blocked=bool(reason), reason=reason, spool_free_bytes=0, store_free_bytes=free, days_left=days_left)
    assert bytes_to_release(room, MARKS, FLOORS, bytes_a_day=a_day) == wanted
    never = Watermarks(low_days=0, enough_days=0)
    assert bytes_to_release(room, never, FLOORS, bytes_a_day=a_day) == 0


@pytest.mark.services
async def test_the_oldest_go_first_and_no_more_than_is_wanted(archive: House) -> None:
    calls = await archive.recordings(4)
    await archive.sealed()
    releaser = Releaser(archive.pool, archive.store, now, no_audit)
    assert await releaser.make_room(0) is False
    assert await releaser.make_room(60_000) is True  # two of some 40 kB
    assert [await state_of(archive.pool, call) for call in calls] == ["archived", "archived", "stored", "stored"]


@pytest.mark.services
async def test_the_oldest_under_hold_do_not_keep_younger_ones_from_leaving(archive: House) -> None:
    calls = await archive.recordings(6)
    await archive.sealed()
    for call in calls[:2]:
        async with archive.pool.acquire() as conn, conn.transaction():
            await keeping.place_hold(conn, PROJECT, "court", attempt_id=call, at=now(), by="test")
    releaser = Releaser(archive.pool, archive.store, now, no_audit)
    with capture_logs() as logs:
        assert await releaser.make_room(60_000) is True
    assert [await state_of(archive.pool, call) for call in calls] == ["stored"] * 2 + ["archived"] * 2 + ["stored"] * 2
    assert not any("nothing more may leave" in line["event"] for line in logs)


@pytest.mark.services
async def test_what_only_seems_to_be_free_to_leave_is_passed_over(
    archive: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = await archive.recordings(5)
    await archive.sealed()
    monkeypatch.setattr(releasable, "walk", partial(releasable.walk, count=2))
    refused = {await recording_id(archive.pool, call) for call in calls[:3]}
    right = releasable.on_good_copies

    async def stricter(conn: Any, kept: Sequence[Kept]) -> list[tuple[Kept, str]]:
        return [(one, why) for one, why in await right(conn, kept) if one.id not in refused]

    monkeypatch.setattr(releasable, "on_good_copies", stricter)
    assert await Releaser(archive.pool, archive.store, now, no_audit).make_room(60_000) is True
    assert [await state_of(archive.pool, call) for call in calls] == ["stored"] * 3 + ["archived"] * 2


@pytest.mark.services
async def test_a_recorder_whose_store_is_full_releases_what_discs_have_and_says_when_nothing_may_go(
    archive: House, pool: Pool, tmp_path: Path
) -> None:
    burned = await archive.recordings(3)
    await archive.sealed()
    unburned = await archive.recordings(2, first=10)
    audited: list[Any] = []

    async def audit(_conn: Any, kind: str, going: Sequence[Kept]) -> None:
        audited.append((kind, len(going)))

    of = settings(tmp_path, store_floor_bytes=1 << 60, release_every_s=0.1)  # no disk has so much free
    with capture_logs() as logs:
        recorder = Recorder(pool, of, clock=now, audit=audit)
        await recorder.start()

        async def said() -> bool:
            return any("nothing more may leave" in line["event"] for line in logs)

        await until(said, "the recorder to say that nothing more may go")
        assert recorder.room().blocked
        await recorder.stop()
    assert [await state_of(pool, call) for call in burned] == ["archived"] * 3
    assert [await state_of(pool, call) for call in unburned] == ["stored"] * 2
    assert audited == [("released", 3)]
    assert sum("nothing more may leave" in line["event"] for line in logs) == 1
