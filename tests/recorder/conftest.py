"""What the tests of the recorder share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from recorder.file_keys import FileKeys
from recorder.keyring import KeySource
from tests.recorder.archive.house import House

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]


@pytest.fixture
def archive(pool: Pool, tmp_path: Path) -> House:
    return House(pool=pool, root=tmp_path)


@pytest.fixture
def sealing(archive: House) -> House:
    """A house whose recordings are sealed."""
    source = KeySource(path=archive.root / "recording.keys")
    source.make("master-1")
    archive.keys = FileKeys(source)
    return archive
