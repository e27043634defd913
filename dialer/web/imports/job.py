"""What the process of an import is told."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, SecretStr, field_serializer

from campaigns.importing.options import ImportOptions
from campaigns.states import LeadState
from dialer.web.leads.export import ExportFormat


class Job(BaseModel):
    """One file for one project: to be taken, to be looked at, or to be written. Or a block of numbers whose place is to be found out."""

    what: Literal["import", "preview", "export", "place"] = "import"
    database_url: SecretStr
    project_id: UUID
    path: Path
    reject_dir: Path
    file_name: str
    options: ImportOptions = ImportOptions()
    export_format: ExportFormat = ExportFormat.CSV
    export_state: LeadState | None = None
    block: str = ""
    user_id: UUID | None

    @field_serializer("database_url", when_used="json")
    def _as_it_is(self, url: SecretStr) -> str:
        return url.get_secret_value()
