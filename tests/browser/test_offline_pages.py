"""The pages that leave the house with recordings open by double click and play, without a network: on an archive volume and in a bundle."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from playwright.async_api import Page

from dialer.domain.roles import Role
from recorder.file_keys import FileKeys
from recorder.keyring import KeySource
from tests.browser.conftest import becomes
from tests.recorder.archive.house import House as Archive
from tests.recorder.archive.test_volumes import files_by_us
from tests.recorder.archive_builders import a_stored_recording
from tests.recorder.builders import Running, a_project, an_attempt, put_legs, settings, speech, wav
from tests.web.conftest import House
from tests.web.test_listening import a_master
from tests.web.test_recording_exports import asked, stored


async def unpacked(archive: Archive, into: Path) -> Path:
    """The page of a new volume, as it lies on a disc."""
    volume = await archive.checked()
    for path, content in files_by_us(archive.settings.image(volume.label)).items():
        (into / path).parent.mkdir(parents=True, exist_ok=True)
        (into / path).write_bytes(content)
    return into / "data" / "index.html"


async def plays(page: Page, which: str, *, seconds: float) -> None:
    """An audio element plays, and plays on from its middle."""
    await becomes(page, f"document.querySelector('{which}').currentTime > 0.3")
    duration = await page.evaluate(f"document.querySelector('{which}').duration")
    assert duration == pytest.approx(seconds, abs=0.2)
    await page.evaluate(f"document.querySelector('{which}').currentTime = {seconds / 2}")
    await becomes(page, f"document.querySelector('{which}').currentTime > {seconds / 2 + 0.3}")
    assert await page.evaluate(f"document.querySelector('{which}').error") is None


async def test_the_page_on_a_volume_finds_and_plays_a_call(archive: Archive, page: Page, tmp_path: Path) -> None:
    await a_project(archive.pool)
    sound = a_master(tmp_path)
    calls = [await a_stored_recording(archive.pool, archive.store, number, sound=sound) for number in (1, 2, 3)]
    await page.context.set_offline(True)
    await page.goto((await unpacked(archive, tmp_path / "disc")).as_uri())
    assert await page.locator("tr[data-row]").count() == 3
    await page.fill("#find", str(calls[1]))
    assert await page.locator("tr[data-row]").count() == 1
    await page.click("tr[data-row]")
    await plays(page, "#player", seconds=6)


async def test_the_page_on_a_volume_says_how_to_hear_what_is_sealed(
    archive: Archive, page: Page, tmp_path: Path
) -> None:
    archive.keys = FileKeys(KeySource(path=tmp_path / "recording.keys"))
    await a_project(archive.pool)
    of, call = settings(tmp_path), await an_attempt(archive.pool)
    put_legs(of.spool_dir, call, wav(speech(2.0)), wav(speech(2.0, seed=4)))
    async with Running(archive.pool, of, keys=archive.keys) as recorder:
        recorder.signal(call)
        await recorder.settled(20)
    await page.goto((await unpacked(archive, tmp_path / "disc")).as_uri())
    assert not await page.is_visible("#sealed")
    await page.click("tr[data-row]")
    assert "waihu archive restore" in await page.inner_text("#sealed")
    assert await page.evaluate("document.getElementById('player').currentSrc") == ""


async def test_the_index_of_a_bundle_plays_the_files_beside_it(house: House, page: Page, tmp_path: Path) -> None:
    project = await stored(house, tmp_path)
    await house.pool.execute("update recordings set disposition = '成交 #1' where disposition = 'sale'")
    one, other = await house.person(Role.QA), await house.person(Role.PROJECT_MANAGER)
    export = await asked(house, one, project, dispositions=["成交 #1"], pattern="{date}/{disposition}/{number} {time}")
    await other.do("POST", f"/recording-exports/{export}/approve")
    answer = await one.ask("GET", f"/recording-exports/{export}/zip")
    with zipfile.ZipFile(io.BytesIO(answer.raw)) as bundle:
        bundle.extractall(tmp_path / "bundle")
    await page.context.set_offline(True)
    await page.goto((tmp_path / "bundle" / "index.html").as_uri())
    assert await page.locator("audio").count() == 2
    await page.evaluate("void document.querySelector('audio').play()")
    await plays(page, "audio", seconds=6)
