"""Which recordings go on which volume, which copies are read again, and which steps a volume and a copy may take."""

from __future__ import annotations

import random
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.archive.media import (
    NAMEPLATE_SECTORS,
    SECTOR,
    SECTORS,
    Medium,
    correction_sectors,
    fits,
    room_bytes,
    weight_bytes,
)
from recorder.archive.planner import Candidate, plan
from recorder.archive.sampling import Disc, due, sample_size
from recorder.archive.states import (
    COPY_MOVES,
    VOLUME_MOVES,
    CopyEvent,
    CopyState,
    VolumeEvent,
    VolumeState,
    after,
    diagram,
)
from recorder.errors import ArchiveError

TODAY = date(2026, 6, 1)
ROOM = 1_000_000


def candidate(number: int, *, size: int = 100_000, year: int = 2030, project: int = 1, age: int = 5) -> Candidate:
    return Candidate(
        recording_id=UUID(int=number), project_id=UUID(int=project), expiry_year=year, day=TODAY - timedelta(days=age), bytes=size, row_bytes=6 * 1024,
    )  # fmt: skip


def planned(*candidates: Candidate, wait: int = 30) -> list[tuple[int, ...]]:
    batches = plan(candidates, Medium.BD, today=TODAY, wait=timedelta(days=wait), room=ROOM)
    return [tuple(one.int for one in batch.recordings) for batch in batches]


def test_a_volume_holds_one_project_and_one_year_of_expiry() -> None:
    mixed = (candidate(1), candidate(2, year=2031), candidate(3, project=2), candidate(4))
    assert planned(*mixed, wait=-1) == [(1, 4), (2,), (3,)]


def test_a_volume_that_is_not_full_waits_until_its_oldest_is_old() -> None:
    few = [candidate(n, age=n) for n in range(1, 4)]
    assert planned(*few) == []
    assert planned(*few, candidate(9, age=31)) == [(9, 3, 2, 1)]


def test_a_full_volume_is_built_at_once_and_the_rest_waits() -> None:
    assert planned(*(candidate(n) for n in range(1, 12))) == [tuple(range(1, 10))]


def test_a_recording_larger_than_a_volume_stays_in_the_store() -> None:
    assert planned(candidate(1, size=2 * ROOM), candidate(2), wait=-1) == [(2,)]


@given(
    sizes=st.lists(st.integers(1, 300_000), max_size=60),
    years=st.lists(st.integers(2026, 2028), min_size=60, max_size=60),
)
def test_nothing_is_planned_twice_left_out_or_too_much_for_its_volume(sizes: list[int], years: list[int]) -> None:
    candidates = [candidate(n, size=size, year=years[n]) for n, size in enumerate(sizes)]
    batches = plan(candidates, Medium.BD, today=TODAY, wait=timedelta(days=-1), room=ROOM)
    chosen = [one for batch in batches for one in batch.recordings]
    assert sorted(chosen) == [one.recording_id for one in candidates]
    for batch in batches:
        of_batch = [one for one in candidates if one.recording_id in set(batch.recordings)]
        assert sum(weight_bytes(one.bytes, one.row_bytes) for one in of_batch) <= ROOM
        assert {one.expiry_year for one in of_batch} == {batch.expiry_year}


@pytest.mark.parametrize("medium", Medium)
def test_a_full_volume_fits_its_medium_with_its_error_correction(medium: Medium) -> None:
    data = room_bytes(medium) // SECTOR + 4 * 1024
    assert correction_sectors(data) + 16 + NAMEPLATE_SECTORS <= SECTORS[medium]
    assert fits(medium, data * SECTOR)
    assert not fits(medium, SECTORS[medium] * SECTOR)


def test_every_volume_can_come_to_an_end_and_nothing_leaves_one() -> None:
    for state in VolumeState:
        leads_on = {target for (source, _), target in VOLUME_MOVES.items() if source is state}
        assert bool(leads_on) is (state not in {VolumeState.SEALED, VolumeState.VOID})
    assert not [event for (state, event) in COPY_MOVES if state is CopyState.DESTROYED]
    assert after(VOLUME_MOVES, VolumeState.CHECKED, VolumeEvent.COPIES_VERIFIED, "it") is VolumeState.SEALED
    with pytest.raises(ArchiveError, match="W000001 is planned") as caught:
        after(VOLUME_MOVES, VolumeState.PLANNED, VolumeEvent.COPIES_VERIFIED, "Volume W000001")
    assert caught.value.error_id == "archive_step_refused"


def test_the_guide_draws_the_tables_as_they_are() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "discs.md").read_text(encoding="utf-8")
    assert diagram(VOLUME_MOVES) in guide
    assert diagram(COPY_MOVES) in guide


def test_only_reading_makes_a_copy_good() -> None:
    ways = {event for (_, event), target in COPY_MOVES.items() if target is CopyState.VERIFIED}
    assert ways == {CopyEvent.VERIFIED}


@pytest.mark.parametrize(("lot", "size"), [(0, 0), (1, 1), (10, 9), (100, 20), (1000, 22)])
def test_a_sample_is_as_large_as_it_takes_to_see_a_bad_tenth(lot: int, size: int) -> None:
    assert sample_size(lot, bad_share=0.1, confidence=0.9) == size


def test_a_sample_of_that_size_does_find_it() -> None:
    chance, lot = random.Random(3), 200
    size = sample_size(lot, bad_share=0.1, confidence=0.9)
    seen = sum(any(disc < lot // 10 for disc in chance.sample(range(lot), size)) for _ in range(4000))
    assert 0.89 < seen / 4000 < 0.94


def disc(number: int, *, days: int, batch: str = "2025 cellar") -> Disc:
    return Disc(copy_id=UUID(int=number), batch=batch, verified_on=TODAY - timedelta(days=days))


def test_every_copy_is_read_again_within_a_year_and_a_sample_sooner() -> None:
    discs = [disc(n, days=200) for n in range(1, 41)] + [disc(50, days=365), disc(51, days=10)]
    chosen = due(discs, today=TODAY, chance=random.Random(1))
    assert chosen[0] == UUID(int=50)
    assert UUID(int=51) not in chosen
    assert len(chosen) == sample_size(42, bad_share=0.1, confidence=0.9) - 1  # the one that was read lately counts
    assert chosen == due(discs, today=TODAY, chance=random.Random(1))  # it can be drawn again
