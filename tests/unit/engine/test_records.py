"""What is found in Asterisk's call records, and how far back their silence means that there was no call."""

from __future__ import annotations

import os
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from dialer.asterisk.conf_dir import asterisk_conf
from dialer.domain.ids import call_channel, uuid7
from dialer.engine import records
from dialer.engine.records import Records, read_records

NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=3)


class CallRecords:
    """`calls.csv` and `hangups.csv` in folders that nobody has touched for long."""

    def __init__(self, directory: Path) -> None:
        self.cdr_file = directory / "cdr-custom" / "calls.csv"
        self.hangups_file = directory / "cel-custom" / "hangups.csv"
        for file in (self.cdr_file, self.hangups_file):
            file.parent.mkdir()
            file.touch()
        self.touched(LONG_AGO)

    def touched(self, at: datetime) -> None:
        """When a file was last made, renamed or deleted."""
        for path in (*self.cdr_file.parent.iterdir(), self.cdr_file.parent):
            os.utime(path, (at.timestamp(), at.timestamp()))

    def ended(self, at: datetime, *, lasted_s: float = 30, before_hold_s: float | None = None, cause: int = 16) -> UUID:
        """A call has ended; `before_hold_s`: its first segment, which ended when it was put on hold."""
        attempt_id = uuid7(at - timedelta(seconds=lasted_s + (before_hold_s or 0)), os.urandom(10))
        began = at - timedelta(seconds=lasted_s)
        if before_hold_s is not None:
            self._line(attempt_id, began - timedelta(seconds=before_hold_s), began)
        self._line(attempt_id, began, at)
        with self.hangups_file.open("a") as file:
            file.write(f'"{at.timestamp():.6f}","{call_channel(attempt_id)}","x","{{""hangupcause"":{cause}}}"\n')
        return attempt_id

    def rotated(self, at: datetime) -> None:
        """As logrotate does it, with `create`."""
        for file in (self.cdr_file, self.hangups_file):
            for number in (2, 1, 0):
                old = file.with_name(f"{file.name}.{number}") if number else file
                if old.exists():
                    old.rename(file.with_name(f"{file.name}.{number + 1}"))
            file.touch()
            os.utime(file, (at.timestamp(), at.timestamp()))
            os.utime(file.parent, (at.timestamp(), at.timestamp()))

    def rotate(self, *, bytes_: int, keep: int) -> None:
        """As an installation does it."""
        script = asterisk_conf() / "rotate-records"
        words = ["sh", str(script), str(self.cdr_file.parents[1]), str(bytes_), str(keep)]
        subprocess.run(words, check=True, timeout=30)

    def read(self, *attempts: UUID, since: datetime) -> Records:
        return read_records(self.cdr_file, attempts, not_before=since)

    def _line(self, attempt_id: UUID, began: datetime, ended: datetime) -> None:
        channel = call_channel(attempt_id)
        times = [f"{moment.timestamp():.6f}" for moment in (began, began, ended)]
        columns = [
            channel,
            channel,
            "1",
            *times,
            "ANSWERED",
            "",
            "",
            attempt_id.hex,
            "bridged_end",
            "",
            "",
            "x",
            "",
            "",
        ]
        with self.cdr_file.open("a") as file:
            file.write(",".join(f'"{column}"' for column in columns) + "\n")


@pytest.fixture
def asterisk(tmp_path: Path) -> CallRecords:
    return CallRecords(tmp_path)


def ago(**time: float) -> datetime:
    return NOW - timedelta(**time)


def test_call_is_found_behind_one_that_was_on_hold_and_ended_later(asterisk: CallRecords) -> None:
    wanted = asterisk.ended(ago(seconds=20), cause=17)
    asterisk.ended(ago(seconds=5), lasted_s=600, before_hold_s=300)
    record = asterisk.read(wanted, since=ago(minutes=2)).get(wanted)
    assert record is not None
    assert (record.ended_at, record.cause) == (ago(seconds=20), 17)


def test_all_segments_of_a_held_call_are_one_record(asterisk: CallRecords) -> None:
    asterisk.ended(ago(hours=2))
    wanted = asterisk.ended(ago(seconds=5), lasted_s=600, before_hold_s=300)
    record = asterisk.read(wanted, since=ago(seconds=901 + 60)).get(wanted)
    assert record is not None
    assert (record.answered_at, record.ended_at) == (ago(seconds=905), ago(seconds=5))


def test_reading_ends_at_the_first_call_that_ended_before(asterisk: CallRecords) -> None:
    wanted = asterisk.ended(ago(hours=3))
    asterisk.ended(ago(hours=2))
    asterisk.ended(ago(seconds=5))
    found = asterisk.read(wanted, since=ago(hours=1))
    assert (found.get(wanted), found.whole_since) == (None, ago(hours=2))


def test_call_is_found_in_the_files_that_were_rotated(asterisk: CallRecords) -> None:
    oldest = asterisk.ended(ago(hours=3), cause=18)
    asterisk.rotated(ago(hours=2))
    older = asterisk.ended(ago(hours=1))
    asterisk.rotated(ago(minutes=30))
    found = asterisk.read(oldest, older, since=ago(hours=4))
    assert set(found.found) == {oldest, older}
    assert found.found[oldest].cause == 18


def test_file_that_was_rotated_and_is_not_written_yet_hides_nothing(asterisk: CallRecords) -> None:
    wanted = asterisk.ended(ago(minutes=5))
    asterisk.rotated(ago(minutes=1))
    asterisk.cdr_file.unlink()
    assert asterisk.read(wanted, since=ago(minutes=6)).get(wanted) is not None


def test_older_call_in_a_rotated_file_proves_that_nothing_is_missing(asterisk: CallRecords) -> None:
    asterisk.ended(ago(hours=2))
    asterisk.rotated(ago(minutes=1))
    assert asterisk.read(UUID(int=1), since=ago(hours=1)).reach_back_to(ago(hours=1))


def test_file_that_is_new_says_nothing_of_the_time_before_it(asterisk: CallRecords) -> None:
    asterisk.touched(ago(minutes=5))
    asterisk.ended(ago(minutes=2))
    found = asterisk.read(UUID(int=1), since=ago(hours=1))
    assert found.reach_back_to(ago(minutes=5))
    assert not found.reach_back_to(ago(minutes=6))


def test_file_that_was_emptied_says_nothing_of_the_time_before(asterisk: CallRecords) -> None:
    os.utime(asterisk.cdr_file, (ago(minutes=5).timestamp(),) * 2)
    assert not asterisk.read(UUID(int=1), since=ago(hours=1)).reach_back_to(ago(minutes=6))


def test_empty_file_in_an_old_folder_says_that_there_was_no_call(asterisk: CallRecords) -> None:
    assert asterisk.read(UUID(int=1), since=ago(hours=1)).reach_back_to(ago(hours=1))


def test_folder_without_any_file_says_that_there_was_no_call(asterisk: CallRecords) -> None:
    asterisk.cdr_file.unlink()
    asterisk.touched(LONG_AGO)
    assert asterisk.read(UUID(int=1), since=ago(hours=1)).reach_back_to(ago(hours=1))


@pytest.mark.parametrize("why", ["another name", "no folder", "a folder"])
def test_records_that_cannot_be_read_say_nothing(asterisk: CallRecords, why: str) -> None:
    match why:
        case "another name":
            asterisk.cdr_file.rename(asterisk.cdr_file.with_name("master.csv"))
            asterisk.touched(LONG_AGO)
        case "no folder":
            asterisk.cdr_file.unlink()
            asterisk.cdr_file.parent.rmdir()
        case _:
            asterisk.cdr_file.unlink()
            asterisk.cdr_file.mkdir()
            asterisk.touched(LONG_AGO)
    found = asterisk.read(UUID(int=1), since=ago(hours=1))
    assert (found.found, found.whole_since) == ({}, None)


def test_records_too_large_to_be_read_say_how_far_they_were_read(
    asterisk: CallRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    for minutes in range(50, 0, -1):
        asterisk.ended(ago(minutes=minutes))
    monkeypatch.setattr(records, "MAX_BYTES", 2_000)
    found = asterisk.read(UUID(int=1), since=ago(hours=1))
    assert found.whole_since is not None
    assert ago(minutes=20) < found.whole_since < ago(minutes=2)
    assert not found.reach_back_to(ago(hours=1))


def test_rotation_while_asterisk_writes_loses_no_call(asterisk: CallRecords) -> None:
    written: list[UUID] = []
    over = threading.Event()

    def write() -> None:
        while not over.is_set():
            written.append(asterisk.ended(ago(minutes=1)))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(20):
            asterisk.rotate(bytes_=1, keep=30)
    finally:
        over.set()
        writer.join()
    assert len(list(asterisk.cdr_file.parent.iterdir())) > 10
    found = asterisk.read(*written, since=ago(hours=1)).found
    assert set(found) == set(written)
    assert {record.cause for record in found.values()} == {16}


def test_rotation_begins_at_a_size_and_keeps_so_many(asterisk: CallRecords) -> None:
    calls = []
    for _ in range(4):
        calls.append(asterisk.ended(ago(minutes=1)))
        asterisk.rotate(bytes_=100, keep=2)
    asterisk.ended(ago(minutes=1))
    asterisk.rotate(bytes_=100_000, keep=2)
    for file in (asterisk.cdr_file, asterisk.hangups_file):
        assert {one.name for one in file.parent.iterdir()} == {file.name, f"{file.name}.1", f"{file.name}.2"}
    assert set(asterisk.read(*calls, since=ago(hours=1)).found) == set(calls[2:])
