"""The archive over HTTP: the ledger of discs, release and restore, each change with its audit row."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from dialer.domain.roles import Role
from recorder.archive.building import ArchiveSettings, Builder
from recorder.archive.copying import Copier
from recorder.archive.ledger import ArchiveLedger
from recorder.archive.media import Medium
from recorder.archive.rotation import Targets, rotate
from tests.recorder.archive.house import mask, no_audit
from tests.recorder.archive_builders import a_stored_recording, state_of
from tests.recorder.builders import PROJECT, a_project
from tests.web.conftest import House


async def a_sealed_volume(house: House, *, count: int = 2) -> list[UUID]:
    """Recordings of last year on a volume with two copies in folders."""
    await a_project(house.pool)
    at = house.clock() - timedelta(days=200)
    calls = [
        await a_stored_recording(house.pool, house.deps.store_dir, number, at=at) for number in range(1, count + 1)
    ]
    ledger = ArchiveLedger(pool=house.pool, clock=house.clock, by="test", audit=no_audit)
    settings = ArchiveSettings(archive_dir=house.deps.archive_dir, store_dir=house.deps.store_dir)

    async def nobody(*_: object) -> bool:
        return False

    report = await rotate(
        Builder(ledger=ledger, settings=settings, mask=mask, archive_keys=house.deps.archive_keys), Copier(ledger=ledger, settings=settings),
        Targets(places=(house.deps.archive_dir / "a", house.deps.archive_dir / "b")),
        ask=nobody, medium=Medium.FOLDER, today=house.clock().date(), wait=timedelta(days=30),
    )  # fmt: skip
    assert (report.sealed, report.problems, report.waiting) == (["W000001"], [], [])
    return calls


async def test_a_released_call_is_gone_from_the_store_and_comes_back_on_request(house: House) -> None:
    keeper = await house.person(Role.TECHNICAL_LEAD)
    calls = await a_sealed_volume(house)
    assert (await keeper.do("POST", "/archive/release", {"older_than_days": 300}))["recordings"] == 0
    done = await keeper.do("POST", "/archive/release", {"older_than_days": 100})
    assert (done["recordings"], done["more"]) == (2, False)
    assert [await state_of(house.pool, call) for call in calls] == ["archived", "archived"]
    assert [path for path in house.deps.store_dir.rglob("*") if path.is_file()] == []
    assert (await keeper.do("POST", f"/calls/{calls[0]}/restore"))["restored"] == 1
    assert await state_of(house.pool, calls[0]) == "stored"
    assert len(await house.audited("recordings_released")) == 1
    tiers = await keeper.get("/archive/space")
    assert (tiers["store_bytes"] > 0, tiers["archived_bytes"] > 0, tiers["not_on_volumes_bytes"]) == (True, True, 0)
    assert tiers["releasable_bytes"] == tiers["store_bytes"]
    [row] = await house.audited("recording_restored")
    assert row["detail"]["call"] == str(calls[0])


async def test_a_release_goes_past_what_is_held_and_says_whether_there_is_more(house: House) -> None:
    keeper = await house.person(Role.TECHNICAL_LEAD)
    calls = await a_sealed_volume(house, count=4)
    await keeper.do(
        "POST", "/retention/holds", {"project_id": str(PROJECT), "call_id": str(calls[0]), "reason": "court"}
    )
    tiers = await keeper.get("/archive/space")
    assert 0 < tiers["releasable_bytes"] < tiers["store_bytes"]
    done = await keeper.do("POST", "/archive/release", {"older_than_days": 0, "most": 1})
    assert (done["recordings"], done["more"]) == (1, True)
    assert [await state_of(house.pool, call) for call in calls[:2]] == ["stored", "archived"]
    done = await keeper.do("POST", "/archive/release", {"older_than_days": 0, "free_bytes": 1})
    assert (done["recordings"], done["more"]) == (1, False)
    done = await keeper.do("POST", "/archive/release", {"older_than_days": 0})
    assert (done["recordings"], done["more"]) == (1, False)


async def test_the_ledger_of_discs_knows_where_each_is_and_keeps_its_life(house: House) -> None:
    keeper = await house.person(Role.ADMIN)
    await a_sealed_volume(house)
    [volume] = await keeper.get("/archive/volumes")
    assert (volume["label"], volume["state"], volume["copies_wanted"]) == ("W000001", "sealed", 2)
    await keeper.do("PUT", "/archive/copies/W000001-1/place", {"custodian": "Li", "place": "safe 3"})
    await keeper.do("POST", "/archive/copies/W000001-1/lend", {"to": "the client"})
    assert (await keeper.do("POST", "/archive/release", {"older_than_days": 0}))["recordings"] == 0
    back = await keeper.do("POST", "/archive/copies/W000001-1/return")
    assert (back["state"], back["place"], back["lent_to"]) == ("written", "safe 3", None)
    await keeper.do("POST", "/archive/copies/W000001-2/lost", {"reason": "moved house"})
    another = await keeper.do("POST", "/archive/volumes/W000001/copies")
    assert (another["name"], another["state"]) == ("W000001-3", "wanted")
    history = await keeper.get("/archive/copies/W000001-1")
    assert [event["event"] for event in history["events"]] == ["written", "verified", "moved", "lent", "returned"]
    assert len(await house.audited("copy_lost")) == 1
    assert [copy["name"] for copy in await keeper.get("/archive/due")] == ["W000001-1"]  # it was away: who has read it?
    await house.pool.execute("update archive_copies set state = 'damaged' where number = 1")
    assert [copy["state"] for copy in await keeper.get("/archive/due")] == ["damaged"]
    await keeper.do("POST", "/archive/copies/W000001-1/lost", {"reason": "shredded"})
    assert await keeper.get("/archive/due") == []


async def test_the_plan_shows_what_a_run_would_build_and_changes_nothing(house: House) -> None:
    keeper = await house.person(Role.GENERAL_MANAGER)
    await a_project(house.pool)
    await a_stored_recording(house.pool, house.deps.store_dir, 1, at=house.clock() - timedelta(days=40))
    [planned] = await keeper.get("/archive/plan", medium="dvd")
    assert (planned["recordings"], planned["expiry_year"], planned["medium"]) == (1, 9999, "dvd")
    assert await keeper.get("/archive/volumes") == []


@pytest.mark.parametrize(
    ("method", "path", "error_id"),
    [
        ("GET", "/archive/volumes/W999999", "volume_unknown"),
        ("GET", "/archive/copies/W999999-1", "copy_unknown"),
        ("POST", "/archive/copies/W000001-1/return", "copy_not_lent"),
        ("POST", "/archive/volumes/W000001/give-up", "archive_step_refused"),
        ("POST", "/calls/018f0000-0000-4000-8000-0000000000ff/restore", "recording_not_archived"),
    ],
)
async def test_what_cannot_be_done_says_why(house: House, method: str, path: str, error_id: str) -> None:
    keeper = await house.person(Role.ADMIN)
    await a_sealed_volume(house, count=1)
    body = {"reason": "x"} if path.endswith("give-up") else None
    answer = await keeper.ask(method, path, body)
    assert answer.error_id == error_id
