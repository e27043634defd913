"""Imports as the API shows and takes them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from campaigns.importing.columns import KNOWN
from campaigns.importing.options import MAX_WINDOW_DAYS, Among, ImportOptions
from campaigns.numbers import NumberKind
from campaigns.states import LeadState
from dialer.web.fields import In, Line, Masked, Name, Out
from dialer.web.leads.export import ExportFormat

Column = Annotated[Line, Field(min_length=1, max_length=200)]


class ListQuery(In):
    """What is sent, which of its columns is what (when the headers do not say so), and the answers to what a file may ask."""

    file_name: Name
    number: Column | None = Field(default=None, description="Header of the column with the telephone number.")
    other_numbers: Column | None = Field(default=None, description="Header of the column with further numbers.")
    name: Column | None = Field(default=None, description="Header of the column with the person's name.")
    priority: Column | None = Field(default=None, description="Header of the column with the priority.")
    carrier: Column | None = Field(default=None, description="Header of the column with the carrier of ported numbers.")
    encoding: Annotated[Line, Field(max_length=20)] | None = Field(
        default=None, description="Of a CSV file, when it was asked for: utf-8, gb18030, big5 ..."
    )
    sheet: Column | None = Field(default=None, description="Name of the sheet, when a workbook has several.")
    header: bool = Field(default=True, description="false: the first line is a row; columns are called column 1 ...")
    unique_by: Column | None = Field(default=None, description="Header of a column that tells people apart.")

    def options(self, region: str, **more: Any) -> ImportOptions:
        """The same for `campaigns`."""
        mapping = {ours: theirs for ours in KNOWN if (theirs := getattr(self, ours)) is not None}
        return ImportOptions(
            mapping=mapping,
            region=region,
            encoding=self.encoding,
            sheet=self.sheet,
            has_header=self.header,
            unique_by=self.unique_by,
            **more,
        )


class ImportQuery(ListQuery):
    """How it is taken."""

    wait: bool = Field(default=True, description="Answer when it is done; false: as soon as it has begun.")
    among: Among = Field(default=Among.PROJECT, description="Where nobody of the list may be a lead already.")
    within_days: Annotated[int, Field(ge=1, le=MAX_WINDOW_DAYS)] | None = Field(
        default=None,
        description="Only leads of so many days count as there already (a number is never twice in a project).",
    )
    again: bool = Field(default=False, description="Take a file that was imported before once more.")
    remember: bool = Field(default=False, description="Keep the mapping for the client's next lists.")


class PreviewRow(Out):
    """A row as it would be taken, or why not."""

    line: int
    numbers: list[Masked]
    kinds: list[NumberKind] = Field(description="Of the numbers, in their order.")
    name: str
    fields: dict[str, Any]
    priority: int
    error_id: str | None
    reason: str
    column: str


class ListPreview(Out):
    """How a file would be read."""

    format: str
    size: int
    sha256: str
    encoding: str
    delimiter: str
    sheet: str
    header: list[str]
    mapping: dict[str, str] = Field(description="What is ours → header.")
    same_file: UUID | None = Field(description="The import of this very file, when there is one.")
    rows: list[PreviewRow]


class ExportQuery(In):
    """Which leads, and as what."""

    format: ExportFormat = ExportFormat.XLSX
    state: LeadState | None = None


class Undo(In):
    """How to take an import back."""

    undialled_only: bool = Field(default=False, description="Take only those back that were not dialled.")


class Import(Out):
    """An import."""

    id: UUID
    project_id: UUID
    file_name: str
    sha256: str
    format: str
    encoding: str = Field(description="Of a CSV file.")
    sheet: str = Field(description="Of a workbook.")
    state: Literal["running", "done", "failed", "undone"]
    accepted: int = Field(description="While it runs: so far.")
    rejected: int = Field(description="Their rows are in the reject file, with reasons.")
    error_id: str | None
    user_id: UUID | None
    created_at: datetime
    ended_at: datetime | None


class Undone(Out):
    """What was taken back."""

    leads: int
