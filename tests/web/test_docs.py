"""docs/api.md is true: every error_id is in it, and nothing in it is invented."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from dialer.web.errors import CONSTRAINTS, HTTP_EXCEPTIONS

CHECKOUT = Path(__file__).resolve().parents[2]
RAISED = {
    "BadRequest", "NotAllowed", "NotFound", "Conflict", "Unavailable", "WaihuError", "HttpError", "unauthenticated", "json_error", "BadInput", "Missing",
    "Refused", "NotEvaluable", "FileGone", "BadClip", "StoreRefused", "BadLeg", "EncoderFailed", "SpoolInUse", "BadPolicy", "BadBundle", "KeysRefused", "ArchiveError", "Damaged", "_bad",
}  # fmt: skip
AN_ID = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+")


def raised_in(path: Path) -> Iterator[str]:
    """The error_ids that a file raises by name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = (
            node.func.id
            if isinstance(node.func, ast.Name)
            else node.func.attr
            if isinstance(node.func, ast.Attribute)
            else ""
        )
        if name in RAISED:
            for argument in node.args[:2]:
                if (
                    isinstance(argument, ast.Constant)
                    and isinstance(argument.value, str)
                    and AN_ID.fullmatch(argument.value)
                ):
                    yield argument.value


def all_raised() -> set[str]:
    """Of every package a client may hear from."""
    found = {
        one
        for package in ("dialer", "campaigns", "recorder")
        for path in (CHECKOUT / package).rglob("*.py")
        for one in raised_in(path)
    }
    return found | {error_id for error_id, _ in (*CONSTRAINTS.values(), *HTTP_EXCEPTIONS.values())}


def documented() -> set[str]:
    text = (CHECKOUT / "docs" / "api.md").read_text(encoding="utf-8")
    return set(re.findall(r"^\| `([a-z0-9_]+)` \|", text, re.MULTILINE))


def test_every_error_id_is_documented() -> None:
    missing = all_raised() - documented()
    assert not missing, f"add to docs/api.md: {sorted(missing)}"


def test_every_documented_error_id_is_somewhere_in_the_code() -> None:
    code = "\n".join(
        path.read_text(encoding="utf-8")
        for package in ("dialer", "campaigns", "recorder")
        for path in (CHECKOUT / package).rglob("*.py")
    )
    invented = {one for one in documented() if f'"{one}"' not in code and f"'{one}'" not in code}
    assert not invented, f"take out of docs/api.md: {sorted(invented)}"


def test_the_scan_sees_what_is_raised() -> None:
    assert {"role_not_allowed", "login_wrong", "number_invalid", "no_such_path", "login_taken"} <= all_raised()
