"""Calling rules as the API shows and takes them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from pydantic import Field

from dialer.web.fields import In, Moment, Out

Word = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,39}$")]


class PackRef(In):
    """A version of a pack."""

    pack: Word
    version: Word


class ChosenPacks(In):
    """The packs of a project: all of them hold, the strictest wins."""

    packs: Annotated[list[PackRef], Field(max_length=20)]


class NewPack(In):
    """A pack of your own, as a TOML document (docs/calling-rules.md)."""

    document: Annotated[str, Field(min_length=1, max_length=65_536)]


class RuleLine(Out):
    """A line of a pack."""

    id: str
    kind: str
    says_en: str
    says_zh: str
    source: str
    url: str
    standing: str = Field(description="law, standard, notice, practice or to_be_confirmed.")
    effective_from: date | None
    effective_until: date | None
    modes: list[str] = Field(description="Modes of dialling it speaks of; none: all.")


class Pack(Out):
    """A rule pack. Have a lawyer confirm every line."""

    pack: str
    version: str
    title_en: str
    title_zh: str
    jurisdiction: str
    remark_en: str
    remark_zh: str
    effective_from: date | None
    effective_until: date | None
    shipped: bool = Field(description="Ships with the program.")
    rules: list[RuleLine]


class Packs(Out):
    """All packs that can be chosen."""

    packs: list[Pack]


class Document(Out):
    """A pack as it was written."""

    document: str


class AskDryRun(ChosenPacks):
    """Which packs to try, and as of when."""

    at: Moment | None = Field(default=None, description="Left out: now.")


class Change(Out):
    """So many leads that would go from one reason to another; `dialable`: nothing holds them."""

    before: str
    after: str
    leads: int


class DryRun(Out):
    """What other rule packs would change."""

    at: datetime
    shut: str | None = Field(description="Why the whole project would be shut; null: it would not.")
    newly_refused: int
    newly_allowed: int
    changes: list[Change]
