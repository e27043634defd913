"""Texts with names in them: `{姓名}` or `{姓名|这位朋友}`; `{{` and `}}` are the braces themselves. What is put in is never read again."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MAX_VALUE: Final = 500
_PIECE: Final = re.compile(r"\{\{|\}\}|\{([^{}|\n]{1,100})(?:\|([^{}]{0,500}))?\}|[{}]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What is in a text: its references with what is said in their place (None: nothing was given), and whether a brace stands alone."""

    references: tuple[tuple[str, str | None], ...]
    stray: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A text to be read out. `missing`: the names for which there was neither a value nor a word in its place; they stand in 〔〕."""

    text: str
    missing: tuple[str, ...]


def problems_of_text(text: str) -> Looked:
    """Look at a text."""
    pieces = list(_PIECE.finditer(text))
    references = tuple((piece[1].strip(), piece[2]) for piece in pieces if piece[1] is not None)
    return Looked(references=references, stray=any(piece[0] in {"{", "}"} for piece in pieces))


def render(text: str, value: Callable[[str], str]) -> Rendered:
    """Put values into a text, in one pass. `value` gives "" for what is not there."""
    missing: list[str] = []

    def piece(found: re.Match[str]) -> str:
        if found[1] is None:
            return {"{{": "{", "}}": "}"}.get(found[0], found[0])
        name = found[1].strip()
        if said := _tame(value(name)):
            return said
        if found[2] is not None:
            return found[2]
        missing.append(name)
        return f"〔{name}〕"

    return Rendered(text=_PIECE.sub(piece, text), missing=tuple(dict.fromkeys(missing)))


def _tame(value: str) -> str:
    """One line of reasonable length, without characters that change what stands around it."""
    kept = (
        char if unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} else " " for char in value[:MAX_VALUE]
    )
    return "".join(kept).strip()
