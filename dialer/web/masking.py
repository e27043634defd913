"""Numbers on their way out. Where a project masks numbers nobody sees them: not in a field, not inside another text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import phonenumbers

from campaigns.masking import mask

_BETWEEN = r"[\W_]*"  # whatever stands between two digits of a number and is neither a digit nor a letter
_CHINESE = dict(zip("〇零一二三四五六七八九幺", "001234567891", strict=True))


def shown(number: str, *, masked: bool) -> str:
    """The number as a person may see it."""
    return mask(number) if masked else number


def scrubbed(text: str, number: str, *, masked: bool) -> str:
    """A text (a note, a cell of an import) without the number in it, in whatever way it is written."""
    if not masked or not text:
        return text
    return _replaced(_pattern(number), text, lambda _found: mask(number), spoken=True)


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
        return value if _NO_NUMBER.fullmatch(value) else _replaced(_LIKE_A_NUMBER, value, _masked_match)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return value if abs(value) < 10**9 else without_numbers(str(value))
    if isinstance(value, Mapping):
        return {without_numbers(str(name)): without_numbers(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [without_numbers(one) for one in value]
    return value


def _replaced(pattern: re.Pattern[str], text: str, by: Callable[[re.Match[str]], str], *, spoken: bool = False) -> str:
    """The text with what the pattern finds in its digits replaced, in whatever script the digits are; `spoken`: Chinese numerals too."""
    folded = text if text.isascii() else text.translate(_digits(spoken))  # digit for digit: as long as the text
    made, end = [], 0
    for found in pattern.finditer(folded):
        made += [text[end : found.start()], by(found)]
        end = found.end()
    return "".join([*made, text[end:]]) if made else text


@lru_cache
def _digits(spoken: bool) -> dict[int, str]:
    """Other scripts' digits as ours: full-width ones come from any Chinese keyboard."""
    decimal = {code: str(unicodedata.digit(chr(code))) for code in range(0x80, 0x20000) if chr(code).isdecimal()}
    return decimal | {ord(char): digit for char, digit in _CHINESE.items()} if spoken else decimal


def _masked_match(found: re.Match[str]) -> str:
    return mask("+" + re.sub(r"[^0-9]", "", found[0]))


# Ten digits and more, as people write numbers; ids and moments are not.
_LIKE_A_NUMBER = re.compile(
    r"(?<![0-9A-Za-z])\+?\(?[0-9](?:[\s\-.()/_·—–\u200b-\u200f]{0,3}[0-9]){9,17}(?![0-9A-Za-z])"
)
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
    prefix = rf"(?:(?:\+|00)?{_BETWEEN}{_BETWEEN.join(country)}{_BETWEEN})?" if country else ""
    return re.compile(prefix + _BETWEEN.join(map(re.escape, national)))
