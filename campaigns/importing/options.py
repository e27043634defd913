"""What a person says about a list they send, beyond what the list says itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from campaigns.errors import BadInput

MAX_WINDOW_DAYS: Final = 3650


class Among(StrEnum):
    """Where else a person must not be for a row to be new."""

    PROJECT = "project"
    CLIENT = "client"  # all projects of the same client


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """How to read a list and what counts as there already.

    `mapping`: what is ours (`number`, `other_numbers`, `name`, `priority`) → header; without it, what was saved for the client, then the usual headers.
    `region`: where numbers without a country code belong (ISO 3166). `encoding` and `sheet`: answers to questions a file raised.
    `has_header`: without one the columns are called `column 1`, `column 2`, ...
    `unique_by`: header of a column that names the person (a client's own number for them): the same again is a duplicate, beside the same telephone number.
    `among`, `within_days`: duplicates are looked for in the project or in all projects of its client, and (None: ever) among leads of so many days.
    A number is never twice in a project, whatever its age. `again`: a file that was imported before may be imported again. `remember`: keep the mapping for the client.
    """

    mapping: Mapping[str, str] = field(default_factory=dict)
    region: str = "CN"
    encoding: str | None = None
    sheet: str | None = None
    has_header: bool = True
    unique_by: str | None = None
    among: Among = Among.PROJECT
    within_days: int | None = None
    again: bool = False
    remember: bool = False

    def __post_init__(self) -> None:
        if self.within_days is not None and not 1 <= self.within_days <= MAX_WINDOW_DAYS:
            raise BadInput("window_invalid", f"A window for duplicates has 1 to {MAX_WINDOW_DAYS} days.")
