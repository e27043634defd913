"""Copies in a bucket with Object Lock, on a real S3: locked from the first moment, sent again only where it must be, read again, given back."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
import pytest
from botocore.exceptions import ClientError

from recorder import keeping
from recorder.archive import bucket as buckets
from recorder.archive.bucket import Bucket, Lock, Place, Stored
from recorder.archive.copying import Step
from recorder.archive.media import Medium
from recorder.archive.rebuilding import rebuild
from recorder.archive.rotation import Report, Targets, rotate
from recorder.archive.states import CopyState
from recorder.archive.volume import DiscCopy
from recorder.errors import ArchiveError
from recorder.file_keys import FileKeys
from recorder.keyring import KeySource
from tests.recorder.archive.house import House
from tests.recorder.archive_builders import a_sealed_recording, a_stored_recording, sound_of, state_of
from tests.recorder.builders import PROJECT, a_project

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]

pytestmark = pytest.mark.services


def today() -> datetime:
    """The machine's time: an S3 goes by its own clock."""
    return datetime.now(UTC)  # noqa: TID251  # as said


@pytest.fixture
def house(archive: House) -> House:
    archive.clock = today
    return archive


async def kept_for(house: House, *, years: int = 0, days: int = 0, lock: str = "governance") -> None:
    """The project's recordings are kept so long from the call on."""
    body = {"minima": [{"from": "call", "years": years, "days": days}], "lock": lock}
    async with house.pool.acquire() as conn, conn.transaction():
        await keeping.add_policy(conn, "policy", body, at=today(), by="test")
        await keeping.use_policy(conn, PROJECT, "policy", at=today(), by="test")


async def called(house: House, count: int = 2, *, sound_bytes: int = 40_000) -> list[UUID]:
    """Recordings of yesterday in the store."""
    await a_project(house.pool)
    at = today() - timedelta(days=1)
    return [
        await a_stored_recording(
            house.pool, house.store, number, at=at, sound=hashlib.shake_256(str(number).encode()).digest(sound_bytes)
        )
        for number in range(1, count + 1)
    ]


async def nobody(*_: object) -> bool:
    return False


async def rotated(house: House, *places: Place | Path) -> Report:
    return await rotate(
        house.builder(), house.copier(), Targets(places=places), ask=nobody, medium=Medium.FOLDER, today=today().date(), wait=timedelta(days=-1),
    )  # fmt: skip


def both(locked: Place) -> list[Place]:
    """Places for two copies."""
    return [Place(bucket=locked.bucket, prefix=f"{locked.prefix}/{name}") for name in "ab"]


def versions(s3: Any, locked: Place) -> list[Any]:
    """Everything that a test has put there."""
    return list(s3.list_object_versions(Bucket=locked.bucket, Prefix=f"{locked.prefix}/")["Versions"])


async def one_copy(house: House) -> DiscCopy:
    return (await house.ledger.copies())[0]


def lock_of(copy: DiscCopy) -> Lock:
    stored = Stored.at(copy.location or "")
    return Bucket(stored.bucket).lock_of(stored)


async def test_a_volume_goes_into_two_buckets_is_read_again_sealed_released_and_a_call_comes_back(
    house: House, s3: Any, locked: Place
) -> None:
    calls = await called(house, 3)
    await kept_for(house, years=5, lock="compliance")
    before = {path: path.read_bytes() for path in house.store.rglob("*.opus")}
    report = await rotated(house, *both(locked))
    assert (report.sealed, report.problems, report.waiting) == (["W000001"], [], [])
    for copy in await house.ledger.copies():
        assert (copy.state, copy.kind) == (CopyState.VERIFIED, "s3")
        lock = lock_of(copy)
        assert (lock.compliance, lock.held) == (True, False)
        assert lock.until is not None
        kept = await house.pool.fetchval("select max((started_at at time zone 'Asia/Shanghai')::date) from recordings")
        assert lock.until == datetime.fromisoformat(f"{kept.replace(year=kept.year + 5)}T00:00+08:00")
        stored = Stored.at(copy.location or "")
        with pytest.raises(ClientError, match="AccessDenied"):  # nobody deletes it, whoever asks
            s3.delete_object(Bucket=stored.bucket, Key=stored.key, VersionId=stored.version)
    assert await house.release(calls) == 3
    assert (await house.restorer().call(calls[1])).restored == 1
    assert (await house.restorer().volume("W000001")).restored == 2
    assert {path: path.read_bytes() for path in house.store.rglob("*.opus")} == before


async def test_one_call_is_read_out_of_a_bucket_without_fetching_the_volume(
    house: House, locked: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = await called(house, 4, sound_bytes=3_000_000)
    await rotated(house, *both(locked))
    await house.release(calls)
    read = 0
    read_at = Bucket.read_at

    def counting(self: Bucket, stored: Stored, start: int, count: int) -> bytes:
        nonlocal read
        read += count
        return read_at(self, stored, start, count)

    monkeypatch.setattr(Bucket, "read_at", counting)
    await house.restorer().call(calls[2])
    assert await state_of(house.pool, calls[2]) == "stored"
    assert read < 9_000_000


async def test_an_upload_that_was_broken_off_goes_on_where_it_was_and_a_whole_one_is_not_sent_again(
    house: House, s3: Any, locked: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "PART_BYTES", 5 << 20)
    image = tmp_path / "image"
    image.write_bytes(hashlib.shake_256(b"image").digest(12 << 20))
    sha256 = hashlib.sha256(image.read_bytes()).digest()
    lock = Lock(compliance=False, until=today() + timedelta(days=9), held=False)

    def killed(_bytes: int) -> None:
        raise KeyboardInterrupt

    def sent_by(bucket: Bucket, told: Callable[[int], None] = lambda _: None) -> list[int]:
        parts: list[int] = []
        buckets.client().meta.events.register(
            "provide-client-params.s3.UploadPart", lambda params, **_: parts.append(params["PartNumber"])
        )
        with suppress(KeyboardInterrupt):
            bucket.put(locked.key("x"), image, sha256, lock, told)
        return parts

    assert sent_by(Bucket(locked.bucket), killed) == [1]
    assert sent_by(Bucket(locked.bucket)) == [2, 3]
    assert sent_by(Bucket(locked.bucket)) == []
    [version] = versions(s3, locked)
    stored = Stored(bucket=locked.bucket, key=locked.key("x"), version=version["VersionId"])
    assert hashlib.sha256(b"".join(Bucket(locked.bucket).blocks(stored))).digest() == sha256
    assert Stored.at(stored.location) == stored


@pytest.mark.parametrize("step", [Step.SENT, Step.LEDGERED, Step.READ])
async def test_stopped_after_any_step_the_next_run_ends_it_with_one_object(
    house: House, s3: Any, locked: Place, step: Step
) -> None:
    await called(house)
    volume = await house.checked()
    place = locked

    def stop(done: Step) -> None:
        if done is step:
            raise KeyboardInterrupt

    async def bring_on(copier: Any) -> None:
        copy = await one_copy(house)
        if copy.state is CopyState.WANTED:
            copy = await copier.put_into_bucket(copy, place)
        if copy.state is CopyState.WRITTEN:
            await copier.verify(copy, Stored.at(copy.location or ""))

    with pytest.raises(KeyboardInterrupt):
        await bring_on(house.copier(stop))
    await bring_on(house.copier())
    copy = await one_copy(house)
    assert copy.state is CopyState.VERIFIED
    [version] = versions(s3, locked)
    assert (version["Key"], version["Size"]) == (locked.key(f"{volume.label}-1"), volume.image_bytes)


async def test_a_bucket_without_lock_is_refused_before_anything_is_built(house: House, s3: Any) -> None:
    await called(house)
    s3.create_bucket(Bucket="plain-bucket")
    for bucket, error_id in (("plain-bucket", "bucket_without_lock"), ("no-such-bucket", "bucket_unknown")):
        with pytest.raises(ArchiveError) as refused:
            await rotated(house, Place.of(f"s3://{bucket}/a"))
        assert refused.value.error_id == error_id
    assert await house.ledger.volumes() == []


async def test_wrong_credentials_and_an_endpoint_that_does_not_answer_are_told_apart(
    house: House, locked: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    buckets.client.cache_clear()
    with pytest.raises(ArchiveError) as refused:
        await rotated(house, locked)
    assert refused.value.error_id == "bucket_refused"
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    buckets.client.cache_clear()
    with pytest.raises(ArchiveError) as refused:
        await rotated(house, locked)
    assert refused.value.error_id == "bucket_unreachable"


@pytest.mark.parametrize("address", ["s3://", "s3://Bucket/x", "s3://bucket/../x y", "https://bucket"])
def test_what_is_no_bucket_is_refused(address: str) -> None:
    with pytest.raises(ArchiveError) as refused:
        Place.of(address)
    assert refused.value.error_id == "bucket_address_invalid"


async def test_a_legal_hold_is_mirrored_to_the_bucket_and_lifted_with_it(house: House, locked: Place) -> None:
    calls = await called(house)
    places = both(locked)
    await rotated(house, *places)
    async with house.pool.acquire() as conn, conn.transaction():
        hold = await keeping.place_hold(conn, PROJECT, "suit", attempt_id=calls[0], at=today(), by="test")
    assert (await rotated(house, *places)).problems == []
    assert [lock_of(copy).held for copy in await house.ledger.copies()] == [True, True]
    async with house.pool.acquire() as conn, conn.transaction():
        await keeping.lift_hold(conn, hold, "settled", at=today(), by="test")
    await rotated(house, *places)
    assert [lock_of(copy).held for copy in await house.ledger.copies()] == [False, False]
    events = [row["event"] for row in await house.ledger.history(await one_copy(house))]
    assert events == ["written", "verified", "held", "hold_lifted"]


async def test_a_hold_in_the_bucket_that_the_ledger_has_lost_is_never_lifted(house: House, locked: Place) -> None:
    await called(house)
    places = both(locked)
    await rotated(house, *places)
    async with house.pool.acquire() as conn, conn.transaction():
        await keeping.place_hold(conn, PROJECT, "a court", at=today(), by="test")
    await rotated(house, *places)
    # A backup of before the hold is put back.
    await house.pool.execute("truncate legal_holds")
    await house.pool.execute("alter table archive_copy_events disable trigger user")
    await house.pool.execute("delete from archive_copy_events where event = 'held'")
    assert ["hold_unknown" in one for one in (await rotated(house, *places)).problems] == [True, True]
    assert [lock_of(copy).held for copy in await house.ledger.copies()] == [True, True]
    async with house.pool.acquire() as conn, conn.transaction():
        hold = await keeping.place_hold(conn, PROJECT, "a court, again", at=today(), by="test")
    assert (await rotated(house, *places)).problems == []
    async with house.pool.acquire() as conn, conn.transaction():
        await keeping.lift_hold(conn, hold, "settled", at=today(), by="test")
    assert (await rotated(house, *places)).problems == []
    assert [lock_of(copy).held for copy in await house.ledger.copies()] == [False, False]


async def test_a_lock_is_prolonged_before_it_ends_and_never_shortened(house: House, locked: Place) -> None:
    await called(house)
    await kept_for(house, days=30)
    places = both(locked)
    await rotated(house, *places)
    first = lock_of(await one_copy(house))
    assert first.until is not None
    await kept_for(house, days=3)
    await rotated(house, *places)
    assert lock_of(await one_copy(house)) == first
    await kept_for(house, years=3)
    await rotated(house, *places)
    longer = lock_of(await one_copy(house))
    assert longer.until is not None
    assert longer.until - first.until > timedelta(days=1000)


async def test_what_nobody_has_set_an_end_for_is_locked_for_a_year_at_a_time(house: House, locked: Place) -> None:
    await called(house)
    await rotated(house, *both(locked))
    lock = lock_of(await one_copy(house))
    assert lock.until is not None
    assert timedelta(days=360) < lock.until - today() < timedelta(days=370)
    assert not lock.compliance


async def test_a_copy_leaves_its_bucket_only_when_its_day_is_over(house: House, s3: Any, locked: Place) -> None:
    await called(house)
    await rotated(house, *both(locked))
    first, second = await house.ledger.copies()
    with pytest.raises(ArchiveError) as refused:
        await house.copier().remove(first, "over")
    assert refused.value.error_id == "bucket_locked"
    assert (await house.ledger.copy(first.name)).state is CopyState.VERIFIED
    stored = Stored.at(second.location or "")
    s3.put_object_retention(
        Bucket=stored.bucket, Key=stored.key, VersionId=stored.version, BypassGovernanceRetention=True,
        Retention={"Mode": "GOVERNANCE", "RetainUntilDate": today() + timedelta(seconds=1)},
    )  # fmt: skip
    await asyncio.sleep(1.2)  # the server's clock, which nobody can be asked to turn
    assert (await house.copier().remove(second, "over")).state is CopyState.DESTROYED
    assert [one["Key"] for one in versions(s3, locked)] == [f"{locked.prefix}/a/W000001-1.iso"]


async def test_an_object_that_is_not_what_was_written_is_found_and_another_copy_gives_the_image_back(
    house: House, s3: Any, locked: Place
) -> None:
    await called(house)
    await rotated(house, *both(locked))
    first, second = await house.ledger.copies()
    stored = Stored.at(first.location or "")
    image = b"".join(Bucket(locked.bucket).blocks(stored))
    other = s3.put_object(Bucket=locked.bucket, Key=stored.key, Body=image[:-1] + b"?")["VersionId"]
    _, faults = await house.copier().verify(first, stored)  # a newer version over it changes nothing
    assert faults == ()
    location = Stored(bucket=stored.bucket, key=stored.key, version=other).location
    await house.pool.execute("update archive_copies set location = $2 where id = $1", first.id, location)
    damaged, faults = await house.copier().verify(await house.ledger.copy(first.name), Stored.at(location))
    assert (damaged.state, len(faults)) == (CopyState.DAMAGED, 1)
    gone = Stored(bucket=stored.bucket, key="b/elsewhere.iso", version=stored.version)
    await house.pool.execute("update archive_copies set location = $2 where id = $1", second.id, gone.location)
    _, faults = await house.copier().verify(await house.ledger.copy(second.name), gone)
    assert "does not have" in faults[0].problem
    volume = await house.ledger.volume(first.label)
    assert hashlib.sha256((await house.copier().image(volume)).read_bytes()).digest() == volume.image_sha256


async def test_the_database_and_the_store_lost_the_bucket_and_the_key_files_give_all_of_it_back(
    house: House, locked: Place
) -> None:
    source = KeySource(path=house.root / "recording.keys")
    source.make("master-1")
    house.keys = FileKeys(source)
    await a_project(house.pool)
    at = today() - timedelta(days=1)
    calls = [await a_sealed_recording(house.pool, house.store, house.keys, number, at=at) for number in (1, 2)]
    sounds = [await sound_of(house.pool, house.store, house.keys, call) for call in calls]
    await rotated(house, *both(locked))
    await house.pool.execute(
        "truncate projects, attempts, live_attempts, recordings, recording_project_keys, archive_volumes, archive_items, archive_copies, "
        "archive_copy_events cascade"
    )
    shutil.rmtree(house.store)
    images = Bucket(locked.bucket).images(f"{locked.prefix}/")
    assert [one.key.rpartition("/")[2] for one in images] == ["W000001-1.iso", "W000001-2.iso"]
    work = house.root / "work"
    done = await rebuild(
        house.ledger, images, work=work, signers=house.signers, keys=house.keys, archive_keys=house.archive_keys
    )
    assert [one.new for one in done] == [2, 0]
    assert list(work.iterdir()) == []
    assert (await house.restorer().volume("W000001")).restored == 2
    assert [await sound_of(house.pool, house.store, house.keys, call) for call in calls] == sounds
    for copy in await house.ledger.copies():
        assert (await house.copier().verify(copy, Stored.at(copy.location or "")))[1] == ()
