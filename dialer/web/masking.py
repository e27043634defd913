"""Numbers on their way out. Where a project masks numbers nobody sees them: not in a field, not inside another text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import phonenumbers

from campaigns.masking import mask

SEPARATORS = r"[\s\-.()/]*"


def shown(number: str, *, masked: bool) -> str:
    """The number as a person may see it."""
    return mask(number) if masked else number


def scrubbed(text: str, number: str, *, masked: bool) -> str:
    """A text (a note, a cell of an import) without the number in it, in whatever way it is written."""
    if not masked or not text:
        return text
    return _pattern(number).sub(mask(number), text)


def scrubbed_fields(fields: Mapping[str, Any], number: str, *, masked: bool) -> dict[str, Any]:
    """The same for all cells of a lead, names of columns too."""
    return {
        scrubbed(str(name), number, masked=masked): _scrub(value, number, masked=masked)
        for name, value in fields.items()
    }


def _scrub(value: object, number: str, *, masked: bool) -> object:
    if isinstance(value, str):
        return scrubbed(value, number, masked=masked)
    if isinstance(value, bool | None):
        return value
    if isinstance(value, int | float):
        text = scrubbed(str(value), number, masked=masked)
        return value if text == str(value) else text
    if isinstance(value, Mapping):
        return scrubbed_fields(value, number, masked=masked)
    if isinstance(value, list):
        return [_scrub(one, number, masked=masked) for one in value]
    return value


def without_numbers(value: Any) -> Any:
    """Any JSON value with whatever could be a telephone number masked: for texts of which we do not know whose number they may hold."""
    if isinstance(value, str):
        return value if _NO_NUMBER.fullmatch(value) else _LIKE_A_NUMBER.sub(_masked_match, value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return value if abs(value) < 10**9 else without_numbers(str(value))
    if isinstance(value, Mapping):
        return {without_numbers(str(name)): without_numbers(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [without_numbers(one) for one in value]
    return value


def _masked_match(found: re.Match[str]) -> str:
    return mask("+" + re.sub(r"[^0-9]", "", found[0]))


# Ten digits and more, as people write numbers; ids and moments are not.
_LIKE_A_NUMBER = re.compile(r"(?<![0-9A-Za-z])\+?\(?[0-9](?:[\s\-.()/]{0,3}[0-9]){9,17}(?![0-9A-Za-z])")
_NO_NUMBER = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.+Z-]+")


@lru_cache(maxsize=2000)
def _pattern(number: str) -> re.Pattern[str]:
    """The number's own digits with whatever stands between them; with or without the country's code before them."""
    digits = number.lstrip("+")
    try:
        national = phonenumbers.national_significant_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        national = digits
    country = digits[: len(digits) - len(national)] if digits.endswith(national) else ""
    prefix = rf"(?:(?:\+|00)?{SEPARATORS}{SEPARATORS.join(country)}{SEPARATORS})?" if country else ""
    return re.compile(prefix + SEPARATORS.join(map(re.escape, national)))
