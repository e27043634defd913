"""Listening in a real Chromium: what the recorder keeps, sealed or not, plays, seeks, is cut and is heard side by side, each request with its audit row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from playwright.async_api import Page, Route

from dialer.domain.roles import Role
from lab.waiting import wait_until
from tests.browser.conftest import becomes
from tests.recorder.builders import Running, a_project, an_attempt, put_legs, settings, speech, wav
from tests.web.conftest import House
from tests.web.test_listening import a_link

_PLAYER = Path(__file__).with_name("player.html")
LONG_S, SHORT_S = 900, 12  # what is long is not loaded as a whole, so that a jump asks for another range
Play = Callable[..., Awaitable[None]]


async def kept(house: House, tmp_path: Path, seconds: float, *, sealed: bool = True) -> UUID:
    """A recording as the recorder keeps it: the customer speaks in its first half, the agent in the second."""
    of = settings(tmp_path)
    await a_project(house.pool)
    call = await an_attempt(house.pool, talk_s=seconds)
    turn = speech(10.0)
    talk = np.resize(turn, round(seconds * 4000))
    quiet = np.zeros_like(talk)
    put_legs(of.spool_dir, call, wav(np.concatenate([talk, quiet])), wav(np.concatenate([quiet, talk])))
    async with Running(house.pool, of, keys=house.deps.file_keys if sealed else None) as recorder:
        recorder.signal(call)
        await recorder.settled(60)
    row = await house.pool.fetchrow("select id, state, wrapped_key from recordings where attempt_id = $1", call)
    assert row is not None
    assert (row["state"], row["wrapped_key"] is not None) == ("stored", sealed)
    recording: UUID = row["id"]
    return recording


@pytest.fixture
async def play(house: House, page: Page) -> Play:
    """Open the player on a path of the API, on a page of the same site, and press play."""

    async def give(route: Route) -> None:
        await route.fulfill(path=_PLAYER, content_type="text/html")

    async def start(path: str) -> None:
        await page.route("**/player", give)
        await page.goto(f"{house.base}/player#/api/v1{path}")
        await page.unroute("**/player")
        await page.click("#play")

    return start


async def sound(page: Page, what: str) -> Any:
    """Something of the player's audio element."""
    return await page.evaluate(f"document.querySelector('audio').{what}")


async def plays_on(page: Page, *, until_s: float) -> None:
    """It plays up to a moment without an error, and goes on."""
    await becomes(page, f"(a => a.error || a.currentTime >= {until_s})(document.querySelector('audio'))")
    assert await sound(page, "error && document.querySelector('audio').error.message") is None
    assert not await sound(page, "paused")


async def heard_bytes(house: House) -> list[tuple[int, int, int]]:
    """First byte, end and size of what was asked for, from the audit rows."""
    rows = await house.audited("recording_listened")
    return [(*row["detail"]["bytes"][0], row["detail"]["of"]) for row in rows]


@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "plain"])
async def test_a_kept_recording_plays_and_plays_on_from_where_the_listener_jumps(
    house: House, page: Page, play: Play, tmp_path: Path, sealed: bool
) -> None:
    recording = await kept(house, tmp_path, LONG_S, sealed=sealed)
    path, _ = await a_link(house, tmp_path, recording)
    await play(path)
    await plays_on(page, until_s=0.5)
    assert await sound(page, "duration") == pytest.approx(LONG_S, abs=0.2)
    before = len(await heard_bytes(house))
    await page.evaluate(f"document.querySelector('audio').currentTime = {LONG_S / 2}")
    await plays_on(page, until_s=LONG_S / 2 + 0.5)
    asked = (await heard_bytes(house))[before:]
    assert any(0.4 < first / size < 0.6 for first, _, size in asked), asked
    rows = await house.audited("recording_listened")
    assert {row["subject_id"] for row in rows} == {str(recording)}
    assert all(row["detail"]["by_link"] for row in rows)


async def test_mp3_plays_and_plays_on_from_where_the_listener_jumps(
    house: House, page: Page, play: Play, tmp_path: Path
) -> None:
    path, _ = await a_link(house, tmp_path, await kept(house, tmp_path, SHORT_S), media="mp3")
    await play(path)
    await plays_on(page, until_s=0.5)
    assert await sound(page, "duration") == pytest.approx(SHORT_S, abs=0.2)
    await page.evaluate(f"document.querySelector('audio').currentTime = {SHORT_S / 2}")
    await plays_on(page, until_s=SHORT_S / 2 + 0.5)


async def test_either_side_is_heard_alone(house: House, page: Page, play: Play, tmp_path: Path) -> None:
    path, _ = await a_link(house, tmp_path, await kept(house, tmp_path, SHORT_S))
    await play(path)
    for button, at_s, audible in (
        ("both", 0, (True, False)),
        ("customer", 1, (True, False)),
        ("agent", 2, (False, False)),
        ("both", SHORT_S / 2, (False, True)),
        ("agent", SHORT_S / 2 + 1, (False, True)),
        ("customer", SHORT_S / 2 + 2, (False, False)),
    ):
        await page.click(f"#{button}")
        await page.evaluate(f"document.querySelector('audio').currentTime = {at_s}")
        loudest = [0.0, 0.0]

        async def louder(loudest: list[float] = loudest, until_s: float = at_s + 0.9) -> bool:
            loudest[:] = np.maximum(loudest, await page.evaluate("levels()"))
            return bool(await sound(page, "currentTime") > until_s)

        await wait_until(louder, timeout_s=20, what="a second of sound to be heard")
        assert tuple(level > 0.02 for level in loudest) == audible, (button, at_s, loudest)


@pytest.mark.parametrize("media", ["opus", "wav"])
async def test_a_clip_by_time_plays_and_is_as_long_as_it_was_asked_for(
    house: House, page: Page, play: Play, tmp_path: Path, media: str
) -> None:
    recording, listener = await kept(house, tmp_path, SHORT_S), await house.person(Role.QA)
    await page.context.set_extra_http_headers(listener.headers())
    await play(f"/recordings/{recording}/clip?start_ms=2000&end_ms=5500&media={media}&why=dispute")
    await plays_on(page, until_s=0.5)
    assert await sound(page, "duration") == pytest.approx(3.5, abs=0.05)
    await becomes(page, "document.querySelector('audio').ended")
    rows = await house.audited("recording_clipped")
    assert {tuple(row["detail"]["ms"]) for row in rows} == {(2000, 5500)}


async def test_a_link_opened_by_itself_is_a_player(house: House, page: Page, tmp_path: Path) -> None:
    path, _ = await a_link(house, tmp_path, await kept(house, tmp_path, SHORT_S))
    await page.goto(f"{house.base}/api/v1{path}")
    await becomes(page, "document.querySelector('video').currentTime > 0.5")  # it begins by itself
    assert await page.evaluate("document.querySelector('video').duration") == pytest.approx(SHORT_S, abs=0.2)


async def test_a_link_that_is_over_plays_nothing(house: House, page: Page, tmp_path: Path, play: Play) -> None:
    path, _ = await a_link(house, tmp_path, await kept(house, tmp_path, SHORT_S), valid_s=60)
    house.clock.ahead = timedelta(seconds=61)
    await play(path)
    await becomes(page, "document.querySelector('audio').error")
    assert await sound(page, "error.code") == 4  # MEDIA_ERR_SRC_NOT_SUPPORTED
    assert await house.audited("recording_listened") == []
