"""Other ways to listen: MP3, clips, links and an nginx in front; each of them by the same rules and with its audit row."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import av
import numpy as np
import pytest

from dialer.domain.roles import Role
from dialer.web.deps import WebSettings
from lab.nginx import Nginx
from recorder.keyring import KeySource
from recorder.master import make_master
from tests.recorder.builders import decoded, speech, wav
from tests.web.conftest import House
from tests.web.test_recordings import SIZE, SOUND, a_recording, a_sealed_recording


def a_master(root: Path, seconds: float = 6.0) -> bytes:
    """A real recording: the customer speaks in its first half, the agent in the second."""
    talk, quiet = speech(seconds / 2), speech(seconds / 2) * 0
    (root / "r.wav").write_bytes(wav(np.concatenate([talk, quiet])))
    (root / "t.wav").write_bytes(wav(np.concatenate([quiet, talk])))
    make_master(root / "r.wav", root / "t.wav", root / "m", expected_ms=None)
    return (root / "m").read_bytes()


async def test_why_is_in_the_audit_row_with_who_and_from_where(house: House) -> None:
    recording, listener = await a_recording(house), await house.person(Role.QA)
    await listener.ask("GET", f"/recordings/{recording}/audio", why="complaint 4711")
    [row] = await house.audited("recording_listened")
    assert row["detail"]["why"] == "complaint 4711"
    assert (row["user_id"], str(row["address"])) == (listener.user_id, "127.0.0.1")


async def test_mp3_is_the_same_sound_and_takes_ranges(house: House, tmp_path: Path) -> None:
    recording, listener = await a_recording(house, sound=a_master(tmp_path)), await house.person(Role.QA)
    whole = await listener.ask("GET", f"/recordings/{recording}/audio", media="mp3")
    assert whole.status == 200
    assert whole.headers["Content-Type"] == "audio/mpeg"
    with av.open(io.BytesIO(whole.raw), "r") as container:
        stream = container.streams.audio[0]
        sound = np.concatenate([frame.to_ndarray() for frame in container.decode(stream)], axis=1)
        assert (stream.codec_context.name, sound.shape[0]) == ("mp3float", 2)
        assert sound.shape[1] / stream.rate == pytest.approx(6.0, abs=0.2)
    half = sound.shape[1] // 2
    assert np.abs(sound[0, : half // 2]).mean() > 20 * np.abs(sound[0, half + half // 2 :]).mean()
    part = await listener.ask("GET", f"/recordings/{recording}/audio", media="mp3", headers={"Range": "bytes=100-199"})
    assert (part.status, part.raw) == (206, whole.raw[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(whole.raw)}"
    assert [row["detail"]["of"] for row in await house.audited("recording_listened")] == [len(whole.raw)] * 2


async def test_a_clip_says_in_its_tags_who_cut_it_and_in_the_audit_log_what(house: House, tmp_path: Path) -> None:
    recording, listener = await a_recording(house, sound=a_master(tmp_path)), await house.person(Role.QA)
    asked = {"start_ms": "1000", "end_ms": "3000", "why": "dispute"}
    opus = await listener.ask("GET", f"/recordings/{recording}/clip", query=asked)
    assert decoded(opus.raw).shape[1] == pytest.approx(2 * 48000, rel=0.02)
    login = await house.pool.fetchval("select login from users where id = $1", listener.user_id)
    with av.open(io.BytesIO(opus.raw), "r") as container:
        tags = {**container.metadata, **container.streams[0].metadata}
    said = {name.lower(): text for name, text in tags.items()}
    assert login in said["comment"]
    plain = await listener.ask(
        "GET", f"/recordings/{recording}/clip", query={**asked, "media": "wav", "leg": "customer"}
    )
    assert plain.headers["Content-Type"] == "audio/wav"
    assert login.encode() in plain.raw
    assert decoded(plain.raw).shape[0] == 1
    rows = await house.audited("recording_clipped")
    assert [(row["detail"]["ms"], row["detail"]["leg"], row["detail"]["why"]) for row in rows] == [
        ([1000, 3000], "both", "dispute"),
        ([1000, 3000], "customer", "dispute"),
    ]


async def test_a_clip_takes_ranges_of_one_and_the_same_file(house: House, tmp_path: Path) -> None:
    recording, listener = await a_recording(house, sound=a_master(tmp_path)), await house.person(Role.QA)
    asked = {"start_ms": "1000", "end_ms": "3000"}
    path = f"/recordings/{recording}/clip"
    whole = await listener.ask("GET", path, query=asked)
    house.clock.ahead = timedelta(seconds=5)  # cut anew its tags would tell another moment
    part = await listener.ask("GET", path, query=asked, headers={"Range": "bytes=-100"})
    assert (part.status, part.raw) == (206, whole.raw[-100:])
    size = len(whole.raw)
    assert part.headers["Content-Range"] == f"bytes {size - 100}-{size - 1}/{size}"
    rows = await house.audited("recording_clipped")
    assert [row["detail"]["bytes"] for row in rows] == [[[0, size]], [[size - 100, size]]]
    other = await house.person(Role.QA)
    theirs = await other.ask("GET", path, query=asked)
    login = await house.pool.fetchval("select login from users where id = $1", other.user_id)
    assert login.encode() in theirs.raw  # a clip is one listener's


async def test_a_clip_outside_the_recording_is_refused(house: House, tmp_path: Path) -> None:
    recording, listener = await a_recording(house, sound=a_master(tmp_path)), await house.person(Role.QA)
    for start, end, error in (
        (0, 700_000, "clip_out_of_bounds"),
        (5, 5, "clip_out_of_bounds"),
        (9000, 9500, "clip_after_end"),
    ):
        answer = await listener.ask("GET", f"/recordings/{recording}/clip", start_ms=start, end_ms=end)
        assert answer.error_id == error
    assert await house.audited("recording_clipped") == []


async def a_link(house: House, tmp_path: Path, recording: UUID, **asked: object) -> tuple[str, UUID]:
    """A link to a recording, as a path below the API's, and who made it."""
    if not (tmp_path / "recording.keys").exists():
        KeySource(path=tmp_path / "recording.keys").make("first")
    maker = await house.person(Role.QA)
    made = await maker.do("POST", f"/recordings/{recording}/links", {"why": "a second opinion", **asked})
    return made["path"].removeprefix("/api/v1"), maker.user_id


async def test_a_link_lets_listen_without_logging_in_and_is_audited_in_its_maker_s_name(
    house: House, tmp_path: Path
) -> None:
    path, maker = await a_link(house, tmp_path, await a_recording(house))
    answer = await house.nobody().ask("GET", path, headers={"Range": "bytes=10-19"})
    assert (answer.status, answer.raw) == (206, SOUND[10:20])
    [row] = await house.audited("recording_listened")
    assert (row["user_id"], row["detail"]["why"], row["detail"]["by_link"]) == (maker, "a second opinion", True)
    assert len(await house.audited("recording_link_made")) == 1


async def test_sound_may_be_loaded_by_the_browser_s_own_player_and_nothing_else_of_ours(
    house: House, tmp_path: Path
) -> None:
    path, _ = await a_link(house, tmp_path, await a_recording(house))
    assert "media-src 'self'" in (await house.nobody().ask("GET", path)).headers["Content-Security-Policy"]
    refused = await house.nobody().ask("GET", f"{path}x")
    assert "media-src" not in refused.headers["Content-Security-Policy"]


async def test_a_link_to_a_sealed_recording_opens_it(house: House, tmp_path: Path) -> None:
    recording, _ = await a_sealed_recording(house, tmp_path)
    path, _ = await a_link(house, tmp_path, recording)
    assert (await house.nobody().ask("GET", path)).raw == SOUND


async def test_a_link_ends(house: House, tmp_path: Path) -> None:
    path, _ = await a_link(house, tmp_path, await a_recording(house), valid_s=60)
    house.clock.ahead = timedelta(seconds=61)
    answer = await house.nobody().ask("GET", path)
    assert (answer.status, answer.error_id) == (403, "link_expired")


async def test_a_link_ends_with_its_maker_s_right_to_listen(house: House, tmp_path: Path) -> None:
    path, maker = await a_link(house, tmp_path, await a_recording(house))
    await house.pool.execute("update users set role = 'agent' where id = $1", maker)
    assert (await house.nobody().ask("GET", path)).error_id == "link_invalid"
    await house.pool.execute("update users set role = 'qa', disabled_at = now() where id = $1", maker)
    assert (await house.nobody().ask("GET", path)).error_id == "link_invalid"
    assert await house.audited("recording_listened") == []


async def test_no_changed_link_opens_anything(house: House, tmp_path: Path) -> None:
    path, _ = await a_link(house, tmp_path, await a_recording(house))
    front, token = path.rsplit("/", 1)
    for wrong in (
        token[:-2] + ("AA" if token[-2:] != "AA" else "BB"),
        "A" + token[1:],
        token.split(".")[0],
        "..",
        "a.b",
        "x" * 3000,
    ):
        answer = await house.nobody().ask("GET", f"{front}/{wrong}")
        assert answer.status in {400, 403, 404}
        assert SOUND[:16] not in answer.raw


async def test_an_agent_makes_no_link_and_cuts_no_clip(house: House) -> None:
    recording, agent = await a_recording(house), await house.person(Role.AGENT)
    assert (await agent.ask("POST", f"/recordings/{recording}/links", {})).error_id == "role_not_allowed"
    assert (
        await agent.ask("GET", f"/recordings/{recording}/clip", start_ms=0, end_ms=9)
    ).error_id == "role_not_allowed"


class TestBehindNginx:
    """X-Accel-Redirect: nginx sends what is not sealed, after our audit row."""

    @pytest.fixture
    def settings(self) -> WebSettings:
        return WebSettings(accel_prefix="/kept")

    @pytest.fixture
    async def front(self, house: House, tmp_path: Path) -> AsyncIterator[str]:
        locations = (
            f"location /kept/ {{ internal; alias {house.deps.store_dir}/; }} location / {{ proxy_pass {house.base}; }}"
        )
        nginx = Nginx(tmp_path, locations)
        await nginx.start()
        yield nginx.url
        await nginx.stop()

    async def test_it_sends_the_sound_after_the_audit_row(self, house: House, front: str) -> None:
        recording, listener = await a_recording(house), await house.person(Role.QA)
        url = f"{front}/api/v1/recordings/{recording}/audio"
        async with house.http.get(url, headers=listener.headers({"Range": "bytes=100-199"})) as answer:
            assert (answer.status, await answer.read()) == (206, SOUND[100:200])
            assert answer.headers["Content-Range"] == f"bytes 100-199/{SIZE}"
        [row] = await house.audited("recording_listened")
        assert row["detail"]["bytes"] == [[100, 200]]

    async def test_nobody_gets_at_the_store_past_us(self, house: House, front: str) -> None:
        await a_recording(house)
        async with house.http.get(f"{front}/kept/2026/a.opus") as answer:
            assert answer.status == 404

    async def test_what_is_sealed_is_opened_by_us(self, house: House, front: str, tmp_path: Path) -> None:
        recording, _ = await a_sealed_recording(house, tmp_path)
        listener = await house.person(Role.QA)
        async with house.http.get(f"{front}/api/v1/recordings/{recording}/audio", headers=listener.headers()) as answer:
            assert await answer.read() == SOUND
