"""How a command answers: a table for people, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Output:
    """Writes what a command found to standard output."""

    as_json: bool = False
    console: Console = field(default_factory=Console)

    def rows(self, rows: Sequence[Mapping[str, Any]], *, empty: str) -> None:
        """Several things of one kind; `empty` is the sentence when there are none."""
        if self.as_json:
            self._json(list(rows))
            return
        if not rows:
            self.console.print(empty)
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in rows[0]:
            table.add_column(name.replace("_", " "), overflow="fold")
        for row in rows:
            table.add_row(*(escape(_text(value)) for value in row.values()))
        self.console.print(table)

    def thing(self, thing: Mapping[str, Any]) -> None:
        """One thing with its properties."""
        if self.as_json:
            self._json(thing)
            return
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(style="bold")
        table.add_column(overflow="fold")
        for name, value in thing.items():
            table.add_row(name.replace("_", " "), escape(_text(value)))
        self.console.print(table)

    def done(self, sentence: str, **fields: Any) -> None:
        """What was done. `fields` are for programs."""
        if self.as_json:
            self._json({"done": sentence, **fields})
        else:
            self.console.print(escape(sentence), highlight=False, soft_wrap=True)

    @staticmethod
    def _json(value: Any) -> None:
        sys.stdout.buffer.write(
            orjson.dumps(
                value, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE
            )
        )
        sys.stdout.flush()


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_text(item)}" for name, item in value.items())
    return str(value)


def files_stay(count: int) -> str:
    """The end of a sentence about files that were to leave the store; empty where all of them have."""
    return f"; {count} files cannot be removed from the store: see its rights and its disk" if count else ""
