"""What the process of an import is told."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, SecretStr, field_serializer

from campaigns.importing.options import ImportOptions


class Job(BaseModel):
    """One file for one project: to be taken, or only looked at."""

    what: Literal["import", "preview"] = "import"
    database_url: SecretStr
    project_id: UUID
    path: Path
    reject_dir: Path
    file_name: str
    options: ImportOptions
    user_id: UUID | None

    @field_serializer("database_url", when_used="json")
    def _as_it_is(self, url: SecretStr) -> str:
        return url.get_secret_value()
