"""What the process of an import is told."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from pydantic import BaseModel, SecretStr, field_serializer


class Job(BaseModel):
    """One file for one project."""

    database_url: SecretStr
    project_id: UUID
    path: Path
    reject_dir: Path
    file_name: str
    mapping: dict[str, str]
    region: str
    user_id: UUID | None

    @field_serializer("database_url", when_used="json")
    def _as_it_is(self, url: SecretStr) -> str:
        return url.get_secret_value()
