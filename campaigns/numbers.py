"""Telephone numbers as people write them, turned into E.164 or refused with a reason. Nothing is guessed."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from campaigns.errors import BadInput

E164: Final = re.compile(r"\+[1-9][0-9]{4,14}")
"""What is stored and dialled (ITU-T E.164: at most 15 digits)."""


class NumberKind(StrEnum):
    """What kind of line a number is, as far as the number says."""

    MOBILE = "mobile"
    FIXED = "fixed"
    FIXED_OR_MOBILE = "fixed_or_mobile"
    TOLL_FREE = "toll_free"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneNumber:
    """A number that may be dialled as far as its form goes."""

    e164: str
    kind: NumberKind
    extension: str = ""


_KINDS: Final = {
    PhoneNumberType.MOBILE: NumberKind.MOBILE,
    PhoneNumberType.FIXED_LINE: NumberKind.FIXED,
    PhoneNumberType.FIXED_LINE_OR_MOBILE: NumberKind.FIXED_OR_MOBILE,
    PhoneNumberType.TOLL_FREE: NumberKind.TOLL_FREE,
}
_NEVER: Final = {PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST}

_SEPARATORS: Final = re.compile(r"[\s\u200b-\u200f\u202a-\u202e\u2060\ufeff().\-/_\u2010-\u2015]+")
_DIALLABLE: Final = re.compile(r"\+?[0-9]+")
_LONGEST_TEXT: Final = 40


@lru_cache(maxsize=16)
def _plain_mobile(region: str) -> tuple[re.Pattern[str], str] | None:
    """The pattern of a region's own mobile numbers, with its country code: most of a list is of these, and takes a tenth of the time."""
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    if region != "CN" or metadata is None or metadata.mobile is None or metadata.mobile.national_number_pattern is None:
        return None  # elsewhere prefixes and shared ranges make a short cut unsafe
    return re.compile(
        rf"(?:\+86|0086|86)?({metadata.mobile.national_number_pattern})", re.ASCII
    ), f"+{metadata.country_code}"


def normalise(text: str, region: str = "CN") -> PhoneNumber:
    """The number in `text`, read as someone in `region` (ISO 3166) would dial it.

    Spaces, hyphens, dots, brackets, full-width digits, +86, 0086, a leading 0 and the apostrophe of spreadsheets are understood. Extensions, several
    numbers and digits with letters are refused, not guessed; in the cells of lists, `read_cell` understands more.
    Errors: BadInput `number_empty`, `number_invalid`, `number_emergency`, `number_premium`.
    """
    plain = _plain_mobile(region)
    if plain is not None and (fast := plain[0].fullmatch(text)) is not None:
        return PhoneNumber(e164=plain[1] + fast[1], kind=NumberKind.MOBILE)
    if len(text) > _LONGEST_TEXT:
        raise BadInput("number_invalid", "This is too long for a telephone number.")
    digits = _SEPARATORS.sub("", unicodedata.normalize("NFKC", text).removeprefix("'"))
    if not digits:
        raise BadInput("number_empty", "There is no number here.")
    if not _DIALLABLE.fullmatch(digits) or not digits.isascii():
        raise BadInput("number_invalid", "This is not one telephone number; write digits only, one number in a cell.")
    if plain is not None and (fast := plain[0].fullmatch(digits)) is not None:
        return PhoneNumber(e164=plain[1] + fast[1], kind=NumberKind.MOBILE)
    return _parse(digits, region)


MAX_NUMBERS: Final = 10
"""In one cell."""

_POINT_ZERO: Final = re.compile(r"(\+?[0-9]{5,15})\.0{1,2}")
_EXPONENT: Final = re.compile(r"([0-9])\.?([0-9]*)e\+?([0-9]{1,2})", re.IGNORECASE)
_EXTENSION: Final = re.compile(
    r"(.*[0-9)])\s*(?:ext\.?|extension|x|#|转|轉|分机|分機|转分机)\s*[:.]?\s*([0-9]{1,6})", re.IGNORECASE
)
_DASHED_EXTENSION: Final = re.compile(r"(\(?0[0-9]{2,3}\)?[-\s]?[0-9]{7,8})-([0-9]{1,6})")
_BETWEEN: Final = re.compile(r"\s*(?:[,;、|/\\\n]|或|\bor\b|\s{2,})\s*", re.IGNORECASE)


def read_cell(text: str, region: str = "CN") -> tuple[PhoneNumber, ...]:
    """The numbers in a cell of a list, in their order, each once: one as a rule, up to `MAX_NUMBERS`.

    Beyond what `normalise` understands: extensions (`010-88886666转801`, `ext 801`, `010-88886666-801`), several numbers (between `,` `;` `/` `、` `|`,
    lines, or spaces where each part is a whole number), and what spreadsheets make of numbers (`13800138000.0`, `1.3800138000E+10`). A number that a
    spreadsheet has cut (`1.38E+10`) is refused: its digits are gone. One part that is no number refuses the whole cell.
    Errors: BadInput as `normalise`; `number_rounded`, `numbers_too_many`.
    """
    plain = _plain_mobile(region)
    if plain is not None and (fast := plain[0].fullmatch(text)) is not None:
        return (PhoneNumber(e164=plain[1] + fast[1], kind=NumberKind.MOBILE),)
    if len(text) > _LONGEST_TEXT * MAX_NUMBERS:
        raise BadInput("number_invalid", "This is too long for a telephone number.")
    given = unicodedata.normalize("NFKC", text).strip().removeprefix("'").strip()
    try:
        return (_one(given, region),)
    except BadInput as error:
        parts = [part for part in _BETWEEN.split(given) if part]
        if len(parts) < 2:
            parts = given.split()
        if len(parts) < 2 or error.error_id not in {"number_invalid", "number_rounded"}:
            raise
        if len(parts) > MAX_NUMBERS:
            raise BadInput("numbers_too_many", f"A cell holds at most {MAX_NUMBERS} numbers.") from None
    found: dict[str, PhoneNumber] = {}
    for place, part in enumerate(parts, 1):
        try:
            number = _one(part, region)
        except BadInput as error:
            raise BadInput(
                error.error_id, f"Number {place} of the {len(parts)} in this cell: {error.message}"
            ) from None
        found.setdefault(number.e164, number)
    return tuple(found.values())


def _one(text: str, region: str) -> PhoneNumber:
    if (whole := _POINT_ZERO.fullmatch(text)) is not None:
        return normalise(whole[1], region)
    if (exponent := _EXPONENT.fullmatch(text)) is not None:
        digits, places = exponent[1] + exponent[2], int(exponent[3]) + 1
        if len(digits) < places:
            raise BadInput(
                "number_rounded",
                "The spreadsheet has cut this number and its last digits are gone; format the column as text and send the list again.",
            )
        if not digits[places:].strip("0"):
            return normalise(digits[:places], region)
    for pattern in (_EXTENSION, _DASHED_EXTENSION):
        if (parts := pattern.fullmatch(text)) is not None:
            number = normalise(parts[1], region)
            return PhoneNumber(e164=number.e164, kind=number.kind, extension=parts[2])
    return normalise(text, region)


def _parse(digits: str, region: str) -> PhoneNumber:
    if phonenumbers.is_emergency_number(digits, region):
        raise BadInput("number_emergency", "Emergency numbers are never dialled.")
    if digits.startswith("00"):
        digits = (
            "+" + digits[2:]
        )  # the international prefix of most countries; some regions write another one, + always works
    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException as error:
        raise BadInput("number_invalid", "This is not a telephone number.") from error
    if not phonenumbers.is_valid_number(number):
        raise BadInput("number_invalid", "There is no such number in its country's numbering plan.")
    kind = phonenumbers.number_type(number)
    if kind in _NEVER:
        raise BadInput("number_premium", "Premium-rate and shared-cost numbers are never dialled.")
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    if not E164.fullmatch(e164):
        raise BadInput("number_invalid", "This number cannot be written as E.164.")
    return PhoneNumber(e164=e164, kind=_KINDS.get(kind, NumberKind.OTHER))


def kind_of(e164: str) -> NumberKind:
    """What kind of line a number in E.164 form is, whether or not it would be taken into a list."""
    plain = _plain_mobile("CN")
    if plain is not None and plain[0].fullmatch(e164) is not None:
        return NumberKind.MOBILE
    try:
        return _KINDS.get(phonenumbers.number_type(phonenumbers.parse(e164)), NumberKind.OTHER)
    except phonenumbers.NumberParseException:
        return NumberKind.OTHER


def for_trunk(e164: str, number_format: str) -> str:
    """A stored number as a trunk wants it: `e164` (+8613...), `digits` (8613...), `national` (13..., 010...; foreign numbers with 00).

    Only digits and a leading + come out. Errors: BadInput `number_invalid` when `e164` is not one, `number_format_unknown`.
    """
    if not E164.fullmatch(e164):
        raise BadInput("number_invalid", "This is not a number in E.164 form.")
    match number_format:
        case "e164":
            return e164
        case "digits":
            return e164[1:]
        case "national":
            return _national(e164)
        case _:
            raise BadInput(
                "number_format_unknown",
                "A trunk takes numbers as e164, digits or national.",
                number_format=number_format,
            )


def _national(e164: str, home_country_code: int = 86) -> str:
    number = phonenumbers.parse(e164)
    if number.country_code != home_country_code:
        return "00" + e164[1:]
    return re.sub(r"[^0-9]", "", phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL))
