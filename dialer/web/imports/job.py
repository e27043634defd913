"""What the process of an import is told, in JSON."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import BaseModel, Field, SecretStr, TypeAdapter, field_serializer

from campaigns.importing.consents import ConsentOptions
from campaigns.importing.options import ImportOptions
from campaigns.states import LeadState
from dialer.web.leads.export import ExportFormat


class Told(BaseModel):
    """What is true of every file."""

    database_url: SecretStr
    path: Path
    file_name: str
    user_id: UUID | None

    @field_serializer("database_url", when_used="json")
    def _as_it_is(self, url: SecretStr) -> str:
        return url.get_secret_value()


class Job(Told):
    """One file for one project: to be taken, to be looked at, or to be written. Or a block of numbers whose place is to be found out."""

    what: Literal["import", "preview", "export", "place"] = "import"
    project_id: UUID
    reject_dir: Path
    options: ImportOptions = ImportOptions()
    export_format: ExportFormat = ExportFormat.CSV
    export_state: LeadState | None = None
    block: str = ""


class ConsentJob(Told):
    """A file of consents, to be written down."""

    what: Literal["consents"] = "consents"
    options: ConsentOptions
    now: datetime


JOB: Final[TypeAdapter[Job | ConsentJob]] = TypeAdapter(Annotated[Job | ConsentJob, Field(discriminator="what")])
"""Reads either."""
