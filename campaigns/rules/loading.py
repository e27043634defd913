"""Reading a rule pack, and proving it: schema, then every line against its own test vectors. Errors name the line of the file."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, Final
from uuid import UUID

from pydantic import ValidationError

from campaigns.errors import BadInput
from campaigns.rules.facts import PastCall, Subject
from campaigns.rules.judge import judge
from campaigns.rules.ruleset import combine
from campaigns.rules.schema import AnyLine, Blind, Pack, Registry, Vector

MAX_BYTES: Final = 64 * 1024
_SHIPPED: Final = files("campaigns.rules")
_SOMEBODY: Final = UUID(int=1)


def read_pack(text: str) -> Pack:
    """The pack in a TOML document, proved by its vectors.

    Errors: BadInput `rule_pack_malformed` (with `line`, and `rule` where it is about one), `rule_pack_untrue` (a line does not do what its test says).
    """
    if len(text.encode()) > MAX_BYTES:
        raise BadInput("rule_pack_malformed", f"A rule pack has at most {MAX_BYTES // 1024} KiB.", line=None)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInput("rule_pack_malformed", f"This is not TOML: {error}.", line=None) from error
    try:
        pack = Pack.model_validate(document)
    except ValidationError as error:
        raise _malformed(text, document, error) from error
    prove(pack, text)
    return pack


def prove(pack: Pack, text: str = "") -> None:
    """Hold every line against its vectors. Errors: BadInput `rule_pack_untrue`."""
    for place, rule in enumerate(combine([pack]).rules):
        for number, vector in enumerate(rule.line.test, 1):
            refusal = judge(rule.line, rule.calendar, subject_of(vector, rule.line))
            if (refusal is None) is not vector.allowed:
                said = refusal.reason if refusal else "it passes"
                raise BadInput(
                    "rule_pack_untrue",
                    f"Rule {rule.line.id}: test {number} expects it to {'allow' if vector.allowed else 'forbid'} the call, but: {said}",
                    line=line_of_rule(text, place),
                    rule=rule.line.id,
                )


def subject_of(vector: Vector, line: AnyLine) -> Subject:
    """The situation a vector describes."""
    zone = vector.zone
    lists = {}
    if isinstance(line, Registry) and vector.list_age is not None:
        lists = {line.category: vector.at - vector.list_age}
    past = tuple(
        PastCall(
            at=vector.at - ago,
            project_id=_SOMEBODY,
            client="",
            answered_at=vector.at - ago,
            abandoned_at=vector.at - ago,
        )
        for ago in vector.before
    )
    return Subject(
        now=vector.at,
        project_id=_SOMEBODY,
        client="",
        project_zone=zone or "UTC",
        mode=line.modes[0] if line.modes else "progressive",
        number=vector.number,
        zone=zone,
        region=vector.region if vector.region is not None or not isinstance(line, Blind) else "",
        attempts=vector.attempts,
        past=past,
        consents=frozenset({getattr(line, "scope", "")}) if vector.consent else frozenset(),
        lists=lists,
        ring_s=vector.ring_s,
        abandoned=vector.abandoned,
        answered=vector.answered,
    )


def line_of_rule(text: str, place: int) -> int | None:
    """The line of the file at which the rule at `place` (from 0) begins."""
    found = [number for number, line in enumerate(text.splitlines(), 1) if line.strip() == "[[rule]]"]
    return found[place] if place < len(found) else None


def _malformed(text: str, document: dict[str, Any], error: ValidationError) -> BadInput:
    problems = error.errors(include_url=False, include_context=False)
    # Of the forms a value may have, the last is the one that says most about what is wrong with it.
    first = [one for one in problems if one["loc"][:3] == problems[0]["loc"][:3]][-1]
    at = first["loc"]
    rule, line = None, 1
    if len(at) > 1 and at[0] == "rule" and isinstance(at[1], int):
        line = line_of_rule(text, at[1]) or 1
        rules = document.get("rule")
        known = rules[at[1]] if isinstance(rules, list) and at[1] < len(rules) else {}
        rule = known.get("id") if isinstance(known, dict) else None
    where = ".".join(str(part) for part in at if not (isinstance(part, str) and part == known_kind(document, at)))
    message = first["msg"].removeprefix("Value error, ")
    return BadInput("rule_pack_malformed", f"Line {line}, {where or 'the pack'}: {message}.", line=line, rule=rule)


def known_kind(document: dict[str, Any], at: tuple[int | str, ...]) -> str | None:
    """The kind that pydantic writes into the path of an error, which is no part of the file."""
    try:
        return str(document[str(at[0])][at[1]]["kind"])
    except (KeyError, IndexError, TypeError):
        return None


@cache
def shipped() -> dict[tuple[str, str], str]:
    """The documents of the packs that ship with the program: (pack, version) → TOML."""
    found = {}
    calendars = {
        entry.name.removesuffix(".toml"): entry.read_text(encoding="utf-8")
        for entry in (_SHIPPED / "calendars").iterdir()
        if entry.name.endswith(".toml")
    }
    for entry in sorted((_SHIPPED / "packs").iterdir(), key=lambda entry: entry.name):
        if not entry.name.endswith(".toml"):
            continue
        text = entry.read_text(encoding="utf-8")
        head = tomllib.loads(text)
        calendar = calendars.get(str(head["jurisdiction"]).lower())
        found[(str(head["pack"]), str(head["version"]))] = text if calendar is None else f"{text}\n{calendar}"
    return found
