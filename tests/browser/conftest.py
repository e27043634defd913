"""A real Chromium without a screen. `make test` sees to it that there is one: the distribution's, or where it has none Playwright's own."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, async_playwright

from lab.waiting import wait_until
from tests.recorder.conftest import archive
from tests.web.conftest import house, settings

__all__ = ["archive", "becomes", "house", "page", "settings"]

# A snap cannot read the files of a test: it is not among them.
_PROGRAMS = ("chromium-headless-shell", "chromium", "google-chrome-stable", "google-chrome")
_QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")


def installed() -> str | None:
    """The Chromium of the system; None: Playwright looks for its own, and says what to do where there is none."""
    found = (shutil.which(name) for name in _PROGRAMS)
    return next((path for path in found if path and not path.startswith("/snap/")), None)


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """An empty page of a fresh browser. What goes wrong in a page's script fails the test."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=installed(), args=list(_QUIET))
        page, faults = await browser.new_page(), []
        page.on("pageerror", lambda fault: faults.append(str(fault)))
        page.set_default_timeout(20_000)
        yield page
        await browser.close()
    assert faults == []


async def becomes(page: Page, condition: str) -> None:
    """Wait until a JavaScript condition is true. Not Playwright's own waiting: that is a script of the page, which our policies forbid."""

    async def true() -> bool:
        return bool(await page.evaluate(f"!!({condition})"))

    await wait_until(true, timeout_s=30, what=condition)
