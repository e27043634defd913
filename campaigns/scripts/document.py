"""How a version of a script is written: sections to read, a questionnaire, objection answers, selection lists, and the variables that stand in their texts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from campaigns.questionnaires.questions import (
    MAX_OPTIONS,
    Code,
    Condition,
    Document,
    Label,
    Line,
    Option,
    Prose,
    Questionnaire,
)

Column = Annotated[str, Field(min_length=1, max_length=200)]
FieldName = Literal["name", "reference", "province", "city", "carrier", "zone", "priority", "attempts"]


def _spoken(name: str) -> str:
    if not name.strip() or name != name.strip() or any(char in "{}|\n" for char in name):
        raise ValueError("a variable's name has no braces, no | and no space at its ends")
    return name


VariableName = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_spoken)]


class Variable(Document):
    """What stands for a name in a text: a field of the lead or a column of the client's list; `fallback` where that is empty."""

    field: FieldName | None = None
    custom: Column | None = None
    fallback: Line = ""

    @model_validator(mode="after")
    def _one_of_them(self) -> Variable:
        if (self.field is None) == (self.custom is None):
            raise ValueError("give either a field or a custom column")
        return self


class Section(Document):
    """Something to read. A clause is one that must be read before certain dispositions; when it was read is kept as a place in the recording."""

    name: Code
    title: Label
    text: Annotated[Prose, Field(min_length=1)]
    when: Condition = Field(default=None, description="It is shown while this holds.")
    must_read_before: tuple[Code, ...] = Field(default=(), max_length=100)


class Objection(Document):
    """What to say when a customer objects (应对话术)."""

    name: Code
    title: Label
    keywords: tuple[Label, ...] = Field(default=(), max_length=50)
    answer: Annotated[Prose, Field(min_length=1)]


class Selection(Document):
    """A list the agent ticks beside the conversation (点选区域)."""

    name: Code
    label: Label
    options: tuple[Option, ...] = Field(min_length=1, max_length=MAX_OPTIONS)
    several: bool = False
    required_before: tuple[Code, ...] = Field(default=(), max_length=100)


class ScriptDocument(Document):
    """A version of a script."""

    title: Label
    variables: dict[VariableName, Variable] = Field(default_factory=dict, max_length=100)
    sections: tuple[Section, ...] = Field(default=(), max_length=100)
    questionnaire: Questionnaire = Field(default_factory=Questionnaire)
    objections: tuple[Objection, ...] = Field(default=(), max_length=300)
    selections: tuple[Selection, ...] = Field(default=(), max_length=50)

    def dispositions(self) -> frozenset[str]:
        """The dispositions that something is required before."""
        named = [one.must_read_before for one in self.sections] + [one.required_before for one in self.selections]
        named += [question.required_before for question in self.questionnaire.asking()]
        return frozenset(code for codes in named for code in codes)
