"""What the tests of the recorder share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.recorder.archive.house import House

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]


@pytest.fixture
def archive(pool: Pool, tmp_path: Path) -> House:
    return House(pool=pool, root=tmp_path)
