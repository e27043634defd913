"""What is different between two versions of a script: part by part, word by word where it is a text. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from typing import Any

from campaigns.scripts.document import ScriptDocument


class Change(StrEnum):
    """What became of a part."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MOVED = "moved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One part that is not the same. `before` and `after` are values of the document (None: it was not there); for a move, places from 1 on."""

    place: str
    change: Change
    before: Any = None
    after: Any = None


def differences(before: ScriptDocument, after: ScriptDocument) -> list[Difference]:
    """All of them, in the order of the document. Parts with a name are told apart by it, so one that was only moved is no removal and addition."""
    return list(_of(before.model_dump(mode="json"), after.model_dump(mode="json"), ""))


def _of(before: Any, after: Any, place: str) -> Iterator[Difference]:
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping) and not place.endswith(".when"):
        yield from _by_name(before, after, place)
    elif (left := _named(before)) is not None and (right := _named(after)) is not None and (left or right):
        yield from _by_name(left, right, place)
        yield from _moved([name for name in left if name in right], [name for name in right if name in left], place)
    else:
        yield Difference(place=place, change=Change.CHANGED, before=before, after=after)


def _by_name(before: Mapping[str, Any], after: Mapping[str, Any], place: str) -> Iterator[Difference]:
    for name in dict.fromkeys((*before, *after)):
        here = f"{place}.{name}".lstrip(".")
        if name not in after:
            yield Difference(place=here, change=Change.REMOVED, before=before[name])
        elif name not in before:
            yield Difference(place=here, change=Change.ADDED, after=after[name])
        else:
            yield from _of(before[name], after[name], here)


def _moved(before: Sequence[str], after: Sequence[str], place: str) -> Iterator[Difference]:
    stayed = {
        name
        for block in SequenceMatcher(a=before, b=after, autojunk=False).get_matching_blocks()
        for name in before[block.a : block.a + block.size]
    }
    for name in after:
        if name not in stayed:
            here = f"{place}.{name}"
            yield Difference(place=here, change=Change.MOVED, before=before.index(name) + 1, after=after.index(name) + 1)  # fmt: skip


def _named(value: Any) -> dict[str, Any] | None:
    """A list of parts by their names (options: codes); None when it is none."""
    if not isinstance(value, list):
        return None
    named = {str(one.get("name") or one.get("code") or ""): one for one in value if isinstance(one, Mapping)}
    return named if len(named) == len(value) and "" not in named else None
