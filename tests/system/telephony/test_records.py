"""What Asterisk writes down about calls: the engine reads it after a restart."""

from __future__ import annotations

import asyncio
import csv
import json
import subprocess
from datetime import UTC, datetime, timedelta
from uuid import UUID

from dialer.asterisk.conf_dir import asterisk_conf
from dialer.engine.records import read_records
from lab.asterisk_node import AsteriskNode
from lab.carrier import Behaviour, number_for
from lab.softphone_bank import SoftphoneBank
from lab.waiting import wait_until
from tests.system.telephony.scene import SAFE_HARBOUR, Scene, bridge_with

COLUMNS = (
    "uniqueid", "linkedid", "sequence", "start", "answer", "end", "disposition", "hangup_cause", "sip", "attempt", "result",
    "seat", "recording", "channel", "dstchannel", "lastapp",
)  # fmt: skip


async def lines_of(node: AsteriskNode, attempt: str, *, at_least: int = 1) -> list[dict[str, str]]:
    def written() -> list[dict[str, str]]:
        if not node.cdr_file.exists():
            return []
        with node.cdr_file.open(encoding="utf-8", newline="") as file:
            rows = [dict(zip(COLUMNS, row, strict=True)) for row in csv.reader(file)]
        return [row for row in rows if row["uniqueid"] == f"call-{attempt}"]

    rows = await wait_until(lambda: written() if len(written()) >= at_least else [], timeout_s=5, what="call record")
    assert isinstance(rows, list)
    return rows


async def test_bridged_call_has_times_seat_result_and_recording(
    scene: Scene, softphones: SoftphoneBank, node: AsteriskNode
) -> None:
    seat = await scene.seat("agent-1")
    scene.answered = bridge_with(seat)
    attempt = await scene.place(number_for(Behaviour.HUMAN, ring_code=3, talk_code=5))
    await scene.result_of(attempt)
    rows = await lines_of(node, attempt, at_least=2)
    start, answer, end = float(rows[0]["start"]), float(rows[0]["answer"]), float(rows[-1]["end"])
    assert 0.2 <= answer - start <= 2.0
    assert 0.5 <= end - answer <= 3.0
    assert {row["disposition"] for row in rows} == {"ANSWERED"}
    assert {row["seat"] for row in rows} == {seat}
    assert {row["recording"] for row in rows} == {attempt}
    assert {row["attempt"] for row in rows} == {attempt}
    assert (rows[-1]["result"], rows[-1]["hangup_cause"]) == ("bridged_end", "16")


async def test_call_that_nobody_answered_is_written_down_too(scene: Scene, node: AsteriskNode) -> None:
    attempt = await scene.place(number_for(Behaviour.BUSY))
    await scene.end_of(f"call-{attempt}")
    (row,) = await lines_of(node, attempt)
    assert (row["disposition"], float(row["answer"]), row["recording"]) == ("BUSY", 0.0, "")


async def test_hang_up_cause_of_every_call_is_written_down(scene: Scene, node: AsteriskNode) -> None:
    causes = {Behaviour.BUSY: 17, Behaviour.VACANT: 1, Behaviour.REJECTED: 21, Behaviour.CONGESTION: 34}
    for behaviour, cause in causes.items():
        attempt = await scene.place(number_for(behaviour))
        await scene.end_of(f"call-{attempt}")

        def found(channel: str = f"call-{attempt}") -> list[int]:
            with node.hangups_file.open(encoding="utf-8", newline="") as file:
                return [json.loads(row[3])["hangupcause"] for row in csv.reader(file) if row[1] == channel]

        assert await wait_until(found, timeout_s=5, what="a line in hangups.csv") == [cause]


async def test_seats_and_devices_write_no_call_records(
    scene: Scene, softphones: SoftphoneBank, node: AsteriskNode
) -> None:
    seat = await scene.seat("agent-1")
    await scene.hang_up(seat)
    attempt = await scene.place(number_for(Behaviour.BUSY))
    await lines_of(node, attempt)
    assert seat not in {line.split(",")[0].strip('"') for line in node.cdr_file.read_text().splitlines()}


async def test_engine_learns_the_end_of_a_call_it_did_not_see(
    scene: Scene, softphones: SoftphoneBank, node: AsteriskNode
) -> None:
    began = datetime.now(UTC) - timedelta(seconds=5)  # noqa: TID251  # the machine's clock wrote the file
    seat = await scene.seat("agent-1")
    scene.answered = bridge_with(seat)
    bridged = await scene.place(number_for(Behaviour.HUMAN, talk_code=4))
    await scene.result_of(bridged)
    scene.answered = SAFE_HARBOUR
    lost = await scene.place(number_for(Behaviour.HUMAN, talk_code=9))
    await scene.result_of(lost)
    await lines_of(node, bridged, at_least=2)
    await lines_of(node, lost)
    records = read_records(node.cdr_file, [UUID(bridged), UUID(lost)], not_before=began).found
    assert (records[UUID(bridged)].bridged, records[UUID(bridged)].cause) == (True, 16)
    assert (records[UUID(lost)].bridged, records[UUID(lost)].safe_harbour) == (False, True)
    assert all(record.answered_at and record.ended_at for record in records.values())


async def test_asterisk_writes_on_into_a_new_file_when_its_records_were_rotated(
    scene: Scene, node: AsteriskNode
) -> None:
    began = datetime.now(UTC) - timedelta(seconds=5)  # noqa: TID251  # the machine's clock wrote the file
    attempts = []
    for _ in range(2):
        attempt = await scene.place(number_for(Behaviour.BUSY))
        await scene.end_of(f"call-{attempt}")
        await lines_of(node, attempt)
        attempts.append(UUID(attempt))
        words = ["sh", str(asterisk_conf() / "rotate-records"), str(node.log_dir), "1"]
        await asyncio.to_thread(subprocess.run, words, check=True)
    assert not node.cdr_file.exists()

    def causes() -> set[int | None]:
        return {one.cause for one in read_records(node.cdr_file, attempts, not_before=began).found.values()}

    await wait_until(lambda: causes() == {17}, timeout_s=5, what="both calls in the rotated files")
    assert len(read_records(node.cdr_file, attempts, not_before=began).found) == 2
