"""Which column of a list is what, by its header or by what a person has said."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from campaigns.errors import BadInput
from campaigns.tables.table import IsHeader

MAX_COLUMNS: Final = 500
_LONGEST_HEADER: Final = 200

KNOWN: Final[Mapping[str, frozenset[str]]] = {
    "number": frozenset({
        "number", "phone", "phone number", "phone_number", "phonenumber", "mobile", "mobile number", "mobile_number", "mobile phone", "tel", "telephone",
        "cell", "cell phone", "手机", "手机号", "手机号码", "电话", "电话号码", "联系电话", "联系方式", "联系手机", "号码", "移动电话",
    }),
    "other_numbers": frozenset({
        "other number", "other numbers", "other phone", "alternate phone", "phone 2", "phone2", "其他号码", "其他电话", "备用电话", "备用号码", "备用手机", "电话2",
    }),
    "name": frozenset({"name", "full name", "full_name", "customer", "customer name", "customer_name", "姓名", "客户", "客户姓名", "客户名称", "联系人", "名字"}),
    "priority": frozenset({"priority", "优先级"}),
    "carrier": frozenset({"carrier", "运营商", "所属运营商", "携转运营商"}),
}  # fmt: skip
"""Which headers (lower case, half width) are understood without being told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Where things stand in a row: positions, and the others with the names they keep as fields. `reference`: the column that names the person."""

    header: tuple[str, ...]
    number: int
    other_numbers: int | None
    name: int | None
    priority: int | None
    carrier: int | None
    reference: int | None
    fields: tuple[tuple[int, str], ...]


def header_like(mappings: Iterable[Mapping[str, str]]) -> IsHeader:
    """Tells whether cells name the columns of a list: one is the telephone number, by its usual names or one of these mappings."""
    named = [mapping["number"] for mapping in mappings if "number" in mapping]

    def is_header(cells: Sequence[str]) -> bool:
        return any((cell := text.strip()) in named or _plain(cell) in KNOWN["number"] for text in cells)

    return is_header


def fitting(mappings: Iterable[Mapping[str, str]], header: Sequence[str]) -> Mapping[str, str]:
    """The first of these mappings whose columns are all there; empty when there is none."""
    return next((mapping for mapping in mappings if set(mapping.values()) <= set(header)), {})


def find_columns(
    header: Sequence[str], mapping: Mapping[str, str] | None = None, *, unique_by: str | None = None
) -> Columns:
    """Find the columns by their headers; `mapping` (ours, the keys of `KNOWN` → header) says what the file's headers do not.

    Errors: BadInput `header_without_number`, `header_ambiguous`, `header_duplicate`, `header_too_wide`, `header_broken`, `mapping_invalid`, `unique_by_unknown`.
    """
    names = tuple(name or f"column {place}" for place, name in enumerate(header, 1))
    _check_names(names)
    mapping = dict(mapping or {})
    wrong = next(
        (f"{ours}={theirs}" for ours, theirs in mapping.items() if ours not in KNOWN or theirs not in names), None
    )
    if wrong is not None:
        raise BadInput(
            "mapping_invalid",
            f"The mapping {wrong[:200]} names nothing of ours, or no column of the file.",
            columns=list(names),
        )
    found: dict[str, int] = {}
    for ours, known in KNOWN.items():
        places = (
            [names.index(mapping[ours])]
            if ours in mapping
            else [at for at, name in enumerate(names) if _plain(name) in known and name not in mapping.values()]
        )
        if len(places) > 1:
            raise BadInput(
                "header_ambiguous",
                f"Several columns could be the {ours}; say which one.",
                columns=[names[place] for place in places],
                wanted=ours,
            )
        if places:
            found[ours] = places[0]
    if "number" not in found and len(names) == 1 and names[0] == "column 1":
        found["number"] = 0
    if "number" not in found:
        raise BadInput(
            "header_without_number",
            "No column is known as the telephone number; say which one it is.",
            columns=list(names),
        )
    if unique_by is not None and unique_by not in names:
        raise BadInput(
            "unique_by_unknown", "The file has no column of this name to tell people apart by.", columns=list(names)
        )
    others = tuple((place, name) for place, name in enumerate(names) if place not in found.values())
    return Columns(
        header=names,
        number=found["number"],
        other_numbers=found.get("other_numbers"),
        name=found.get("name"),
        priority=found.get("priority"),
        carrier=found.get("carrier"),
        reference=None if unique_by is None else names.index(unique_by),
        fields=others,
    )


def _check_names(names: tuple[str, ...]) -> None:
    if len(names) > MAX_COLUMNS:
        raise BadInput(
            "header_too_wide", f"The file has {len(names)} columns; {MAX_COLUMNS} are accepted.", columns=len(names)
        )
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise BadInput(
            "header_duplicate", f"Two columns are called {double[:80]}; rename one of them.", column=double[:80]
        )
    if any("\0" in name or len(name) > _LONGEST_HEADER for name in names):
        raise BadInput("header_broken", "The first line cannot be read as the names of the columns.", line=1)


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().lower()
