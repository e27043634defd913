"""Packs for tests: `a_pack(a_window(...), ...)` builds one without a file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from campaigns.rules.facts import Subject
from campaigns.rules.schema import Pack

PROJECT = UUID(int=7)
NOON = datetime(2026, 6, 1, 4, 0, tzinfo=UTC)
"""Noon in Shanghai, on a Monday."""

_EITHER = [{"allowed": True, "at": NOON}, {"allowed": False, "at": NOON}]


def a_line(kind: str, **given: Any) -> dict[str, Any]:
    """A line of a pack; its tests are not proved."""
    return {
        "id": f"{kind.replace('_', '-')}-line", "kind": kind, "says_en": "x", "says_zh": "x", "source": "x", "standing": "law", "test": _EITHER,
    } | given  # fmt: skip


def a_window(
    *spans: str, days: tuple[str, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun"), **given: Any
) -> Any:
    """A window of these spans."""
    return a_line("window", open=list(spans), days=list(days), **given)


def a_pack(*lines: dict[str, Any], pack: str = "test", **given: Any) -> Pack:
    """A pack of these lines, with ids of their places."""
    rules = [line | {"id": f"line-{place}"} for place, line in enumerate(lines, 1)]
    head = {
        "pack": pack,
        "version": "1",
        "jurisdiction": "XX",
        "title_en": "x",
        "title_zh": "x",
        "remark_en": "x",
        "remark_zh": "x",
    }
    return Pack.model_validate(head | {"rule": rules} | given)


def a_subject(**given: Any) -> Subject:
    """A number that nothing speaks against, at noon in Shanghai."""
    harmless: dict[str, Any] = {
        "now": NOON, "project_id": PROJECT, "client": "acme", "project_zone": "Asia/Shanghai", "mode": "progressive", "number": "+8613800000001",
        "zone": "Asia/Shanghai",
    }  # fmt: skip
    return Subject(**(harmless | given))
