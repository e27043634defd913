"""The script of a call as the desk shows and takes it."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from dialer.web.fields import In, Out

Name = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}$")]


class DeskOption(Out):
    """What can be chosen."""

    code: str
    label: str
    exclusive: bool


class DeskSection(Out):
    """Something to read, with the lead's and the customer's words in it."""

    name: str
    title: str
    text: str
    missing: list[str] = Field(description="Variables without a value; they stand in 〔〕.")
    must_read_before: list[str]
    read_at_ms: int | None = Field(description="When it was read, after the recording began.")


class DeskQuestion(Out):
    """A question to ask now. Which of the bounds are there depends on its kind."""

    name: str
    kind: Literal["choice", "choices", "number", "date", "text", "yes_no", "scale", "matrix"]
    text: str
    missing: list[str]
    hint: str
    optional: bool
    options: list[DeskOption] = Field(description="Of a matrix: the columns; of yes_no: yes and no.")
    rows: list[DeskOption]
    lowest: str | None = Field(description="Number, scale or day.")
    highest: str | None
    lowest_label: str
    highest_label: str
    decimals: int
    unit: str
    at_least: int
    at_most: int = Field(description="Options, or characters of a text.")


class DeskStep(Out):
    """A question that was come to."""

    name: str
    text: str
    answer: Any = Field(description="Null: skipped, or nothing was asked.")
    said: str = Field(description="The answer in words.")


class DeskSelection(Out):
    """A list to tick."""

    name: str
    label: str
    several: bool
    options: list[DeskOption]
    required_before: list[str]
    answer: Any


class StillMissing(Out):
    """What a disposition waits for: names of questions (the next one first), selection lists and sections."""

    questions: list[str]
    selections: list[str]
    clauses: list[str]


class DeskScript(Out):
    """The script of the call in hand (or of the lead in preview: then nothing can be answered yet)."""

    attempt_id: UUID | None
    script_id: UUID
    version: int
    trial: bool
    title: str
    sections: list[DeskSection]
    status: Literal["open", "complete", "screened_out", "quota_full"]
    steps: list[DeskStep]
    question: DeskQuestion | None = Field(description="The next one; null: the questionnaire is over.")
    selections: list[DeskSelection]
    missing: dict[str, StillMissing] = Field(description="Disposition → what must be done first; those that may be given are not in it.")  # fmt: skip


class DeskObjection(Out):
    """What to say when a customer objects (应对话术)."""

    name: str
    title: str
    keywords: list[str]
    answer: str


class DeskObjections(Out):
    """Those that fit, those by keyword first."""

    objections: list[DeskObjection]


class SearchQuery(In):
    """What the customer says."""

    search: Annotated[str, Field(max_length=200, description="Words; none: all.")] = ""


class GivenAnswer(In):
    """An answer on a call. It may be sent again."""

    attempt_id: UUID = Field(description="The call it was given on: nothing is written to another one.")
    answer: Any = Field(description="A code, codes, a number, a date, a text, rows with columns; null: skipped, nothing ticked.")  # fmt: skip


class ReadOut(In):
    """A section was read out on a call, now."""

    attempt_id: UUID
