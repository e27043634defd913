"""Imports as the API shows and takes them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from dialer.web.fields import In, Line, Name, Out

Column = Annotated[Line, Field(min_length=1, max_length=200)]


class ImportQuery(In):
    """What is sent, and which of its columns is what (when the headers do not say so)."""

    file_name: Name
    wait: bool = Field(default=True, description="Answer when it is done; false: as soon as it has begun.")
    number: Column | None = Field(default=None, description="Header of the column with the telephone number.")
    name: Column | None = Field(default=None, description="Header of the column with the person's name.")
    priority: Column | None = Field(default=None, description="Header of the column with the priority.")


class Undo(In):
    """How to take an import back."""

    undialled_only: bool = Field(default=False, description="Take only those back that were not dialled.")


class Import(Out):
    """An import."""

    id: UUID
    project_id: UUID
    file_name: str
    sha256: str
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
