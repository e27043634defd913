"""How a questionnaire is written: questions in their order, each with the ways on from it, and quotas."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MAX_QUESTIONS: Final = 300
MAX_OPTIONS: Final = 200
END: Final = "end"
SCREEN_OUT: Final = "screen_out"
ENDS: Final = frozenset({END, SCREEN_OUT})
"""Where a way may lead besides to questions: the questionnaire is complete, or is not for this person."""


def _plain(text: str) -> str:
    if any(unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\t" for char in text):
        raise ValueError("control characters other than line breaks and tabs are not allowed here")
    return text


def _one_line(text: str) -> str:
    if any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in text):
        raise ValueError("control characters and line breaks are not allowed here")
    return text


Code = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}$")]
Label = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_one_line)]
Line = Annotated[str, Field(max_length=500), AfterValidator(_one_line)]
Prose = Annotated[str, Field(max_length=10_000), AfterValidator(_plain)]
Amount = Annotated[Decimal, Field(max_digits=24, decimal_places=9, gt=-(10**15), lt=10**15)]
Condition = Annotated[
    dict[str, Any] | None,
    Field(description="all, any, not, or answer (or field, custom), op, value. See docs/scripts.md."),
]


class Document(BaseModel):
    """A part of a document as people write it: nothing unknown is taken."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Option(Document):
    """What can be chosen. `exclusive`: nothing else beside it ("none of these")."""

    code: Code
    label: Label
    exclusive: bool = False


class Rule(Document):
    """A way on: to a question, `end` or `screen_out`, when the condition holds (none: always)."""

    when: Condition = None
    to: Code


class _Question(Document):
    name: Code
    text: Annotated[Prose, Field(min_length=1, description="What is said; {name} is a variable or an answer.")]
    hint: Prose = Field(default="", description="For the agent only.")
    when: Condition = Field(default=None, description="It is passed over while this does not hold.")
    next: tuple[Rule, ...] = Field(
        default=(), max_length=50, description="The first that holds is the way on; none: the question after it."
    )


class _Asking(_Question):
    optional: bool = Field(default=False, description="May be skipped.")
    required_before: tuple[Code, ...] = Field(
        default=(), max_length=100, description="Dispositions that cannot be given while it is not answered."
    )


class Statement(_Question):
    """Something that is said, and nothing asked."""

    kind: Literal["statement"]


class Choice(_Asking):
    """One of several."""

    kind: Literal["choice"]
    options: tuple[Option, ...] = Field(min_length=1, max_length=MAX_OPTIONS)


class Choices(_Asking):
    """Any of several."""

    kind: Literal["choices"]
    options: tuple[Option, ...] = Field(min_length=1, max_length=MAX_OPTIONS)
    at_least: int = Field(default=1, ge=1, le=MAX_OPTIONS)
    at_most: int = Field(default=MAX_OPTIONS, ge=1, le=MAX_OPTIONS)


class Number(_Asking):
    """A number with at most so many decimals."""

    kind: Literal["number"]
    lowest: Amount = Decimal(-(10**15) + 1)
    highest: Amount = Decimal(10**15 - 1)
    decimals: int = Field(default=0, ge=0, le=9)
    unit: Line = ""


class Day(_Asking):
    """A date."""

    kind: Literal["date"]
    earliest: date = date(1900, 1, 1)
    latest: date = date(2199, 12, 31)


class Text(_Asking):
    """What somebody says, in words."""

    kind: Literal["text"]
    at_most: int = Field(default=500, ge=1, le=4000, description="Characters.")


class YesNo(_Asking):
    """Yes or no."""

    kind: Literal["yes_no"]
    yes: Label = "是"
    no: Label = "否"


class Scale(_Asking):
    """A whole number from one end to the other."""

    kind: Literal["scale"]
    lowest: int = Field(default=1, ge=-1000, le=1000)
    highest: int = Field(default=5, ge=-1000, le=1000)
    lowest_label: Line = ""
    highest_label: Line = ""


class Matrix(_Asking):
    """One of the columns for each row."""

    kind: Literal["matrix"]
    rows: tuple[Option, ...] = Field(min_length=1, max_length=50)
    columns: tuple[Option, ...] = Field(min_length=1, max_length=50)


Asking = Choice | Choices | Number | Day | Text | YesNo | Scale | Matrix
Question = Annotated[Statement | Asking, Field(discriminator="kind")]


class Quota(Document):
    """So many complete questionnaires of this kind and no more. Decided as soon as every question it speaks of is answered; full: the way on."""

    name: Code
    label: Line = ""
    when: dict[str, Any]
    limit: int = Field(ge=0, le=10**9)
    full: Code = SCREEN_OUT


class Questionnaire(Document):
    """Questions in their order (the first is where it begins), and quotas."""

    questions: tuple[Question, ...] = Field(default=(), max_length=MAX_QUESTIONS)
    quotas: tuple[Quota, ...] = Field(default=(), max_length=100)

    def asking(self) -> Iterator[Asking]:
        """The questions that have an answer."""
        for question in self.questions:
            if not isinstance(question, Statement):
                yield question
