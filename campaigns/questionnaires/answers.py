"""What may be answered to a question, and how an answer is kept.

| kind | kept as |
|---|---|
| choice, yes_no | the code (`yes`, `no`) |
| choices | the codes, in the order of the options |
| number, scale | a decimal text |
| date | `2026-11-25` |
| text | the text |
| matrix | row → column |

An optional question that was skipped has the answer None.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final, NoReturn

from campaigns.errors import BadInput
from campaigns.questionnaires.questions import (
    Choice,
    Choices,
    Day,
    Matrix,
    Number,
    Option,
    Question,
    Scale,
    Statement,
    Text,
    YesNo,
)

Answer = str | list[str] | dict[str, str] | None
_NUMBER: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,9})?")


def accepted(question: Question, given: Any) -> Answer:
    """The answer as it is kept. Errors: BadInput `answer_invalid`, with the question and what is expected."""
    if isinstance(question, Statement):
        _wrong(question, "it asks nothing")
    if given is None:
        return None if question.optional else _wrong(question, "it must be answered")
    match question:
        case Choice():
            return _code(question, question.options, given)
        case YesNo():
            return _code(question, (), {True: "yes", False: "no"}[given] if isinstance(given, bool) else given)
        case Choices():
            return _codes(question, given)
        case Number():
            return _number(question, given, question.lowest, question.highest, question.decimals)
        case Scale():
            return _number(question, given, Decimal(question.lowest), Decimal(question.highest), 0)
        case Day():
            return _day(question, given)
        case Text():
            return _words(question, given)
        case Matrix():
            return _rows(question, given)


def fits(question: Question, kept: Any) -> bool:
    """Whether this is an answer to the question as it is kept; False for what was answered to another version of it."""
    try:
        return accepted(question, kept) == (list(kept) if isinstance(kept, tuple) else kept)
    except BadInput:
        return False


def shown(question: Question, kept: Answer) -> str:
    """An answer in words: labels in place of codes."""
    match question:
        case Choice() if isinstance(kept, str):
            return _labels(question.options).get(kept, kept)
        case YesNo():
            return {"yes": question.yes, "no": question.no}.get(str(kept), "")
        case Choices() if isinstance(kept, Sequence):
            labels = _labels(question.options)
            return "、".join(labels.get(one, one) for one in kept)
        case Matrix() if isinstance(kept, Mapping):
            rows, columns = _labels(question.rows), _labels(question.columns)
            return "；".join(f"{rows.get(row, row)}：{columns.get(one, one)}" for row, one in kept.items())
        case Number() if isinstance(kept, str):
            return kept + question.unit
        case _:
            return kept if isinstance(kept, str) else ""


def _wrong(question: Question, why: str) -> NoReturn:
    raise BadInput("answer_invalid", f"{question.name}: {why}.", question=question.name)


def _labels(options: Sequence[Option]) -> dict[str, str]:
    return {one.code: one.label for one in options}


def _code(question: Question, options: Sequence[Option], given: object) -> str:
    codes = [one.code for one in options] or ["yes", "no"]
    if not isinstance(given, str) or given not in codes:
        _wrong(question, f"choose one of {', '.join(codes[:20])}")
    return given


def _codes(question: Choices, given: object) -> list[str]:
    known = {one.code: one for one in question.options}
    if not isinstance(given, list | tuple) or not all(isinstance(one, str) and one in known for one in given):
        _wrong(question, f"give a list of {', '.join(list(known)[:20])}")
    chosen = [code for code in known if code in given]
    if not question.at_least <= len(chosen) <= question.at_most:
        _wrong(question, f"choose {question.at_least} to {min(question.at_most, len(known))}")
    if len(chosen) > 1 and (alone := [code for code in chosen if known[code].exclusive]):
        _wrong(question, f"{alone[0]} excludes every other choice")
    return chosen


def _number(question: Question, given: object, lowest: Decimal, highest: Decimal, decimals: int) -> str:
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        _wrong(question, "give a number")
    if isinstance(given, str):
        text = unicodedata.normalize("NFKC", given[:60]).strip()
    elif not abs(given) < 10**15:
        text = ""
    else:
        text = format(Decimal(str(given)), "f")
    if not _NUMBER.fullmatch(text):
        _wrong(question, "give a number")
    value = Decimal(text)
    if not lowest <= value <= highest:
        _wrong(question, f"give a number from {lowest} to {highest}")
    if value != round(value, decimals):
        _wrong(question, f"at most {decimals} decimals" if decimals else "give a whole number")
    return format(value.quantize(Decimal(1).scaleb(-decimals)).normalize() + 0, "f")


def _day(question: Day, given: object) -> str:
    try:
        day = date.fromisoformat(given) if isinstance(given, str) else None
    except ValueError:
        day = None
    if day is None:
        _wrong(question, "give a date such as 2026-11-25")
    if not question.earliest <= day <= question.latest:
        _wrong(question, f"give a date from {question.earliest} to {question.latest}")
    return day.isoformat()


def _words(question: Text, given: object) -> str:
    text = given.strip() if isinstance(given, str) else ""
    if not text:
        _wrong(question, "write something")
    if len(text) > question.at_most:
        _wrong(question, f"at most {question.at_most} characters")
    if any(unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\t" for char in text):
        _wrong(question, "control characters are not allowed")
    return text


def _rows(question: Matrix, given: object) -> dict[str, str]:
    rows, columns = [one.code for one in question.rows], {one.code for one in question.columns}
    if not isinstance(given, Mapping) or set(given) != set(rows):
        _wrong(question, f"give a choice for each of {', '.join(rows[:20])}")
    if not all(isinstance(one, str) and one in columns for one in given.values()):
        _wrong(question, f"choose from {', '.join(sorted(columns)[:20])}")
    return {row: given[row] for row in rows}
