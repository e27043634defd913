"""Questionnaires for tests, in few words."""

from __future__ import annotations

from typing import Any

from campaigns.questionnaires.checking import Finding, check
from campaigns.questionnaires.flow import Flow
from campaigns.questionnaires.questions import Questionnaire


def options(*codes: str) -> list[dict[str, Any]]:
    """Options labelled as they are coded."""
    return [{"code": code, "label": code.upper()} for code in codes]


def choice(name: str, *codes: str, **more: Any) -> dict[str, Any]:
    """A question with these options."""
    return {"kind": "choice", "name": name, "text": f"{name}?", "options": options(*(codes or ("a", "b", "c"))), **more}


def yes_no(name: str, **more: Any) -> dict[str, Any]:
    """Yes or no."""
    return {"kind": "yes_no", "name": name, "text": f"{name}?", **more}


def number(name: str, **more: Any) -> dict[str, Any]:
    """A number from 0 to 100."""
    return {"kind": "number", "name": name, "text": f"{name}?", "lowest": 0, "highest": 100, **more}


def said(name: str, value: Any, op: str = "=", **more: Any) -> dict[str, Any]:
    """A comparison with an answer."""
    return {"answer": name, "op": op, "value": value, **more}


def questionnaire(*questions: dict[str, Any], quotas: list[dict[str, Any]] | None = None) -> Questionnaire:
    """Of these questions."""
    return Questionnaire.model_validate({"questions": questions, "quotas": quotas or []})


def found(*questions: dict[str, Any], quotas: list[dict[str, Any]] | None = None) -> list[tuple[str, str]]:
    """Codes and places of all that is wrong."""
    return [(one.code, one.place) for one in findings(*questions, quotas=quotas)]


def findings(*questions: dict[str, Any], quotas: list[dict[str, Any]] | None = None) -> tuple[Finding, ...]:
    """All that is wrong."""
    return check(questionnaire(*questions, quotas=quotas))[0].findings


def flow(*questions: dict[str, Any], quotas: list[dict[str, Any]] | None = None) -> Flow:
    """A questionnaire that nothing is wrong with."""
    checked, _ = check(questionnaire(*questions, quotas=quotas))
    assert checked.findings == ()
    assert checked.flow is not None
    return checked.flow
