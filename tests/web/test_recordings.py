"""Listening: with Range, with the right, and never before the audit row is committed."""

from __future__ import annotations

import base64
import hashlib
import io
import random
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import pytest

from dialer.domain.roles import Role
from recorder import file_keys
from recorder.keyring import KeySource
from recorder.ranges import parse_ranges
from recorder.sealing import CHUNK_BYTES, HEAD_BYTES, STRIDE, SealingSink, new_seal
from tests.builders import NOON, a_lead, a_project, an_attempt
from tests.web.conftest import House

SOUND = random.Random(7).randbytes(300_000)
SIZE = len(SOUND)


async def a_recording(
    house: House, *, sound: bytes = SOUND, mask_numbers: bool = True, number: str = "+8613812345678"
) -> UUID:
    """A stored recording with its file."""
    project = await a_project(house.pool, mask_numbers=mask_numbers)
    lead = await a_lead(house.pool, project.id, number=number)
    attempt = await an_attempt(house.pool, project, lead)
    path = house.deps.store_dir / "2026" / "a.opus"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(sound)
    recording_id: UUID = await house.pool.fetchval(
        "insert into recordings (attempt_id, lead_id, project_id, state, path, sha256, bytes, duration_ms, started_at, ended_at) "
        "values ($1, $2, $3, 'stored', '2026/a.opus', $4, $5, 1000, $6, $6) returning id",
        attempt.attempt_id, lead, project.id, hashlib.sha256(sound).digest(), len(sound), NOON,
    )  # fmt: skip
    return recording_id


@pytest.mark.parametrize(("wanted", "status", "expected", "content_range"), [
    (None, 200, (0, SIZE), None),
    ("bytes=0-", 206, (0, SIZE), f"bytes 0-{SIZE - 1}/{SIZE}"),
    ("bytes=0-0", 206, (0, 1), f"bytes 0-0/{SIZE}"),
    ("bytes=100-199", 206, (100, 200), f"bytes 100-199/{SIZE}"),
    ("bytes=-500", 206, (SIZE - 500, SIZE), f"bytes {SIZE - 500}-{SIZE - 1}/{SIZE}"),
    (f"bytes={SIZE - 1}-", 206, (SIZE - 1, SIZE), f"bytes {SIZE - 1}-{SIZE - 1}/{SIZE}"),
    ("bytes=250000-999999999", 206, (250_000, SIZE), f"bytes 250000-{SIZE - 1}/{SIZE}"),
    (f"bytes={SIZE}-", 416, (0, 0), f"bytes */{SIZE}"),
    ("bytes=-0", 416, (0, 0), f"bytes */{SIZE}"),
    ("bytes=5-2", 200, (0, SIZE), None),
    ("lines=1-2", 200, (0, SIZE), None),
    ("bytes=abc", 200, (0, SIZE), None),
    ("bytes=" + "9" * 5000 + "-", 200, (0, SIZE), None),
])  # fmt: skip
async def test_a_range_is_answered_as_rfc_9110_says(
    house: House, wanted: str | None, status: int, expected: tuple[int, int], content_range: str | None
) -> None:
    recording, listener = await a_recording(house), await house.person(Role.QA)
    answer = await listener.ask("GET", f"/recordings/{recording}/audio", headers={"Range": wanted} if wanted else {})
    assert (answer.status, answer.raw) == (status, SOUND[slice(*expected)])
    assert answer.headers.get("Content-Range") == content_range


async def test_several_ranges_come_in_parts(house: House) -> None:
    recording, listener = await a_recording(house), await house.person(Role.QA)
    answer = await listener.ask("GET", f"/recordings/{recording}/audio", headers={"Range": "bytes=0-9,100-109"})
    assert answer.status == 206
    assert answer.headers["Content-Type"].startswith("multipart/byteranges")
    assert SOUND[0:10] in answer.raw
    assert SOUND[100:110] in answer.raw


async def test_head_tells_length_and_tag_and_leaves_no_row(house: House) -> None:
    recording, listener = await a_recording(house), await house.person(Role.QA)
    answer = await listener.ask("HEAD", f"/recordings/{recording}/audio")
    assert (answer.status, answer.raw, answer.headers["Content-Length"]) == (200, b"", str(SIZE))
    assert answer.headers["ETag"] == f'"{hashlib.sha256(SOUND).hexdigest()}"'
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert await house.audited("recording_listened") == []


async def test_a_client_that_has_it_already_gets_no_sound_and_no_row(house: House) -> None:
    recording, listener = await a_recording(house), await house.person(Role.QA)
    tag = f'"{hashlib.sha256(SOUND).hexdigest()}"'
    answer = await listener.ask("GET", f"/recordings/{recording}/audio", headers={"If-None-Match": tag})
    assert (answer.status, answer.raw) == (304, b"")
    assert await house.audited("recording_listened") == []


async def test_each_listening_is_one_row_with_who_and_which_bytes(house: House) -> None:
    recording, listener = await a_recording(house), await house.person(Role.QA)
    part = await listener.ask("GET", f"/recordings/{recording}/audio", headers={"Range": "bytes=0-99"})
    whole = await listener.ask("GET", f"/recordings/{recording}/audio")
    assert [(one.status, len(one.raw)) for one in (part, whole)] == [(206, 100), (200, SIZE)]
    rows = await house.audited("recording_listened")
    assert [row["detail"]["bytes"] for row in rows] == [[[0, 100]], [[0, SIZE]]]
    assert {(row["user_id"], row["subject_id"]) for row in rows} == {(listener.user_id, str(recording))}


async def test_not_a_byte_is_heard_without_its_row(house: House) -> None:
    recording, listener = await a_recording(house), await house.person(Role.QA)
    await house.pool.execute(
        "create trigger full_disk before insert on audit_log for each row execute function refuse_change()"
    )
    answer = await listener.ask("GET", f"/recordings/{recording}/audio")
    assert answer.status >= 400
    assert SOUND[:16] not in answer.raw
    assert answer.body["error_id"]


async def test_the_row_is_committed_before_the_first_byte(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    from recorder.streaming import OpenRecording

    recording, listener = await a_recording(house), await house.person(Role.QA)
    rows_at_first_byte: list[int] = []
    read = OpenRecording.chunks

    async def watched(self: OpenRecording, parts: Any) -> Any:
        rows_at_first_byte.append(
            await house.pool.fetchval("select count(*) from audit_log where action = 'recording_listened'")
        )
        async for chunk in read(self, parts):
            yield chunk

    monkeypatch.setattr(OpenRecording, "chunks", watched)
    assert (await listener.ask("GET", f"/recordings/{recording}/audio")).raw == SOUND
    assert rows_at_first_byte == [1]


async def test_a_file_that_is_gone_is_said_plainly_and_is_no_listening(house: House) -> None:
    recording, listener = await a_recording(house), await house.person(Role.QA)
    (house.deps.store_dir / "2026" / "a.opus").unlink()
    answer = await listener.ask("GET", f"/recordings/{recording}/audio")
    assert (answer.status, answer.error_id) == (404, "recording_file_gone")
    assert await house.audited("recording_listened") == []


async def test_a_ledger_that_points_outside_the_store_opens_nothing(house: House) -> None:
    recording, listener = await a_recording(house), await house.person(Role.QA)
    for path in ("../../../../etc/passwd", "/etc/passwd"):
        await house.pool.execute("update recordings set path = $2 where id = $1", recording, path)
        answer = await listener.ask("GET", f"/recordings/{recording}/audio")
        assert answer.status in {404, 409}
        assert b"root:" not in answer.raw


async def test_a_call_without_sound_says_why(house: House) -> None:
    recording, listener = await a_recording(house), await house.person(Role.QA)
    await house.pool.execute(
        "update recordings set state = 'missing', reason = 'legs_missing' where id = $1", recording
    )
    answer = await listener.ask("GET", f"/recordings/{recording}/audio")
    assert answer.error_id == "recording_not_stored"
    assert answer.body["detail"]["reason"] == "legs_missing"


async def test_an_agent_hears_nothing(house: House) -> None:
    recording, agent = await a_recording(house), await house.person(Role.AGENT)
    answer = await agent.ask("GET", f"/recordings/{recording}/audio")
    assert answer.error_id == "role_not_allowed"


async def test_recordings_are_listed_with_their_call_and_a_masked_number(house: House) -> None:
    recording, listener = await a_recording(house), await house.person(Role.QA)
    [listed] = (await listener.get("/recordings"))["items"]
    assert listed["id"] == str(recording)
    assert listed["number"] == "+86138****5678"
    assert listed["sha256"] == hashlib.sha256(SOUND).hexdigest()


async def test_a_recording_tells_who_spoke_when_and_has_a_picture(house: House) -> None:
    recording, listener = await a_recording(house), await house.person(Role.QA)
    assert (await listener.get(f"/recordings/{recording}"))["talk"] is None
    missing = await listener.ask("GET", f"/recordings/{recording}/waveform")
    assert (missing.status, missing.error_id) == (404, "waveform_unknown")
    await house.pool.execute(
        "update recordings set customer_ms = 0, agent_ms = 700, agent_first_word_ms = 90, dead_air_ms = 0, longest_silence_ms = 200, "
        "talk_over_ms = 0, talk_overs = 0, longest_monologue_ms = 700, agent_db = -21.5 where id = $1", recording,
    )  # fmt: skip
    await house.pool.execute(
        "insert into recording_waveforms values ($1, 100, $2, $3)", recording, b"\x00\x00", b"\x05\xff"
    )
    talk = (await listener.get(f"/recordings/{recording}"))["talk"]
    assert (talk["customer_ms"], talk["customer_first_word_ms"], talk["agent_db"]) == (0, None, -21.5)
    wave = await listener.get(f"/recordings/{recording}/waveform")
    assert wave == {"each_ms": 100, "customer": [0, 0], "agent": [5, 255]}


async def test_a_recording_tells_where_it_was_paused_and_a_customer_who_was_not_heard_then_may_have_spoken(
    house: House,
) -> None:
    recording, listener, agent = await a_recording(house), await house.person(Role.QA), uuid4()
    pause = {"from_ms": 1500, "to_ms": 9000, "reason": "card_number", "note": "", "agent_id": str(agent), "ended_by": "agent",
             "started_at": "2026-03-09T09:30:01.5+00:00", "ended_at": "2026-03-09T09:30:09+00:00"}  # fmt: skip
    await house.pool.execute(
        "update recordings set pauses = $2, paused_ms = 7500, customer_ms = null, agent_ms = 700, dead_air_ms = 0, longest_silence_ms = 200, "
        "talk_over_ms = 0, talk_overs = 0, longest_monologue_ms = 700 where id = $1", recording, [pause],
    )  # fmt: skip
    found = await listener.get(f"/recordings/{recording}")
    assert (found["pauses"][0]["from_ms"], found["pauses"][0]["reason"], found["paused_ms"]) == (
        1500,
        "card_number",
        7500,
    )
    assert (found["talk"]["customer_ms"], found["talk"]["agent_ms"]) == (None, 700)
    for spoke in ("true", "false"):
        assert (await listener.get("/recordings", customer_spoke=spoke))["items"] == []


async def a_sealed_recording(house: House, root: Path) -> tuple[UUID, bytes]:
    """A recording that is sealed in the store, and its file."""
    recording = await a_recording(house)
    KeySource(path=root / "recording.keys").make("first")
    row = await house.pool.fetchrow("select attempt_id, project_id from recordings where id = $1", recording)
    assert row is not None
    seal, out = new_seal(row["attempt_id"]), io.BytesIO()
    sink = SealingSink(out, seal)
    sink.write(SOUND)
    sink.finish()
    async with house.pool.acquire() as conn:
        key = await house.deps.file_keys.wrap(conn, row["project_id"], seal, at=NOON)
    (house.deps.store_dir / "2026" / "a.opus").write_bytes(out.getvalue())
    await house.pool.execute(
        "update recordings set sha256 = $2, bytes = $3, content_sha256 = $4, content_bytes = $5, project_key_id = $6, wrapped_key = $7 where id = $1",
        recording, hashlib.sha256(out.getvalue()).digest(), len(out.getvalue()), hashlib.sha256(SOUND).digest(), SIZE,
        key.project_key_id, key.wrapped,
    )  # fmt: skip
    return recording, out.getvalue()


@pytest.mark.parametrize("wanted", [None, "bytes=0-0", "bytes=65535-65536", "bytes=-1", "bytes=100000-250000"])
async def test_a_sealed_recording_is_heard_like_any_other(house: House, tmp_path: Path, wanted: str | None) -> None:
    recording, file = await a_sealed_recording(house, tmp_path)
    listener = await house.person(Role.QA)
    answer = await listener.ask("GET", f"/recordings/{recording}/audio", headers={"Range": wanted} if wanted else {})
    spans = parse_ranges(wanted, SIZE) if wanted else None
    assert answer.raw == (SOUND[spans[0].start : spans[0].stop] if spans else SOUND)
    assert answer.headers["ETag"] == f'"{hashlib.sha256(SOUND).hexdigest()}"'
    assert SOUND[1000:1100] not in file


async def test_a_recording_whose_key_was_destroyed_is_gone_for_everybody(house: House, tmp_path: Path) -> None:
    recording, _ = await a_sealed_recording(house, tmp_path)
    listener = await house.person(Role.ADMIN)
    async with house.pool.acquire() as conn:
        assert await file_keys.destroy(conn, [recording], at=NOON) == 1
    answer = await listener.ask("GET", f"/recordings/{recording}/audio")
    assert (answer.status, answer.error_id) == (410, "recording_key_destroyed")
    assert await house.audited("recording_listened") == []


async def test_without_the_key_file_nothing_is_heard_and_it_is_said_what_to_do(house: House, tmp_path: Path) -> None:
    recording, _ = await a_sealed_recording(house, tmp_path)
    (tmp_path / "recording.keys").write_text(f"other {base64.b64encode(bytes(32)).decode()}")
    house.deps.file_keys.forget()
    answer = await (await house.person(Role.QA)).ask("GET", f"/recordings/{recording}/audio")
    assert (answer.status, answer.error_id) == (409, "recording_master_key_unknown")


async def test_damage_where_listening_begins_is_said_and_damage_further_on_breaks_off(
    house: House, tmp_path: Path
) -> None:
    recording, file = await a_sealed_recording(house, tmp_path)
    listener, path = await house.person(Role.QA), f"/recordings/{recording}/audio"
    damaged = bytearray(file)
    damaged[HEAD_BYTES + STRIDE + 9] ^= 1  # in the second of five chunks
    (house.deps.store_dir / "2026" / "a.opus").write_bytes(damaged)
    answer = await listener.ask("GET", path, headers={"Range": f"bytes={CHUNK_BYTES}-"})
    assert (answer.status, answer.error_id) == (409, "recording_file_altered")
    with pytest.raises(aiohttp.ClientPayloadError):
        await listener.ask("GET", path)
    after = f"bytes={2 * CHUNK_BYTES}-"
    assert (await listener.ask("GET", path, headers={"Range": after})).raw == SOUND[2 * CHUNK_BYTES :]
