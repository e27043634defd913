"""Importing a list in a test, and what came back of it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from campaigns.importing.options import ImportOptions
from campaigns.importing.run import ImportResult, import_file
from campaigns.projects import Project
from campaigns.sql import Pool


async def load(pool: Pool, project: Project, folder: Path, content: str | bytes, **options: Any) -> ImportResult:
    """Import a file; `progress` goes to the import, everything else is an option."""
    path = folder / "list.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    progress = options.pop("progress", None)
    return await import_file(
        pool, project_id=project.id, path=path, reject_dir=folder, options=ImportOptions(**options), progress=progress
    )


def given_back(result: ImportResult) -> list[dict[str, str]]:
    assert result.reject_path is not None
    with result.reject_path.open(encoding=result.encoding, newline="") as file:
        return list(csv.DictReader(file))
