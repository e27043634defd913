"""The way through a questionnaire follows from the answers alone."""

from __future__ import annotations

from typing import Any

import pytest

from campaigns.errors import BadInput
from campaigns.questionnaires.answers import accepted, shown
from campaigns.questionnaires.flow import Lead, Status, asked, way
from campaigns.questionnaires.questions import Questionnaire
from tests.campaigns.questionnaires.builders import choice, flow, number, options, said, yes_no

NOBODY = Lead()


def test_answers_lead_on_and_a_changed_answer_leads_elsewhere() -> None:
    made = flow(
        yes_no("owner", next=[{"when": said("owner", "no"), "to": "screen_out"}]),
        choice("plan", next=[{"when": said("plan", "a"), "to": "age"}]),
        yes_no("why", when=said("plan", "b")),
        number("age"),
    )
    assert way(made, {}, NOBODY).at == "owner"
    assert way(made, {"owner": "yes"}, NOBODY).at == "plan"
    assert way(made, {"owner": "yes", "plan": "a"}, NOBODY).at == "age"
    assert way(made, {"owner": "yes", "plan": "b"}, NOBODY).at == "why"
    assert way(made, {"owner": "yes", "plan": "c"}, NOBODY).at == "age", "passed over"
    over = way(made, {"owner": "yes", "plan": "a", "age": "40", "why": "yes"}, NOBODY)
    assert (over.status, [step.name for step in over.steps]) == (Status.COMPLETE, ["owner", "plan", "age"])
    assert way(made, {"owner": "no", "plan": "a"}, NOBODY).status is Status.SCREENED_OUT


def test_an_answer_that_does_not_fit_its_question_is_asked_again() -> None:
    made = flow(choice("plan"), number("age"))
    for kept in ({"plan": "z"}, {"plan": 3}, {"plan": None}, {"plan": ["a"]}, {"plan": {"a": "b"}}):
        assert way(made, kept, NOBODY).at == "plan"


def test_a_full_quota_leads_away_and_counts_nothing_more() -> None:
    quotas = [
        {"name": "young", "when": said("age", 30, "<"), "limit": 5, "full": "bye"},
        {"name": "yes", "when": said("buys", "yes"), "limit": 5},
    ]
    bye = {"kind": "statement", "name": "bye", "text": "Thanks."}
    made = flow(number("age"), yes_no("buys"), bye, quotas=quotas)
    answers = {"age": "20", "buys": "yes"}
    assert way(made, answers, NOBODY).cells == ("young", "yes")
    away = way(made, answers, NOBODY, frozenset({"young"}))
    assert (away.status, away.turned_away, away.cells) == (Status.QUOTA_FULL, "young", ())
    assert [step.name for step in away.steps] == ["age", "bye"]
    assert way(made, {"age": "40", "buys": "yes"}, NOBODY, frozenset({"young"})).status is Status.COMPLETE


def test_a_disposition_names_what_must_be_asked_first_and_the_next_question_before_it() -> None:
    made = flow(
        yes_no("hears", next=[{"when": said("hears", "no"), "to": "end"}]),
        yes_no("agrees", required_before=["agreed"]),
        number("sum", required_before=["agreed"]),
    )
    none: frozenset[str] = frozenset()
    assert asked(made, "agreed", {}, NOBODY, none) == ["hears", "agrees", "sum"]
    assert asked(made, "agreed", {"hears": "yes"}, NOBODY, none) == ["agrees", "sum"]
    assert asked(made, "agreed", {"hears": "no"}, NOBODY, none) == []
    assert asked(made, "refused", {}, NOBODY, none) == []
    assert asked(made, "agreed", {"hears": "yes", "agrees": "yes", "sum": "5"}, NOBODY, none) == []


ASKED = Questionnaire.model_validate({
    "questions": [
        {"kind": "choices", "name": "some", "text": "?", "at_most": 2,
         "options": [*options("a", "b", "c"), {"code": "none", "label": "-", "exclusive": True}]},
        number("sum", decimals=2, lowest="-5", highest=1000, unit="元"),
        {"kind": "date", "name": "day", "text": "?", "earliest": "2026-01-01"},
        {"kind": "text", "name": "words", "text": "?", "at_most": 5, "optional": True},
        {"kind": "scale", "name": "score", "text": "?"},
        {"kind": "matrix", "name": "grid", "text": "?", "rows": options("r", "s"), "columns": options("x", "y")},
        yes_no("sure"),
    ]
})  # fmt: skip
QUESTIONS = {one.name: one for one in ASKED.questions}


@pytest.mark.parametrize(
    ("name", "given", "kept", "said"),
    [
        ("some", ["c", "a"], ["a", "c"], "A、C"), ("sum", "１２.50", "12.5", "12.5元"), ("sum", 0, "0", "0元"), ("sum", -0.0, "0", "0元"), ("sum", 1000, "1000", "1000元"),
        ("sum", 0.1, "0.1", "0.1元"), ("day", "2026-02-28", "2026-02-28", "2026-02-28"), ("words", " 好 ", "好", "好"), ("words", None, None, ""), ("score", 3, "3", "3"),
        ("grid", {"s": "x", "r": "y"}, {"r": "y", "s": "x"}, "R：Y；S：X"), ("sure", True, "yes", "是"), ("sure", "no", "no", "否"),
    ],
)  # fmt: skip
def test_an_answer_is_kept_in_one_form_and_shown_in_words(name: str, given: Any, kept: Any, said: str) -> None:
    assert accepted(QUESTIONS[name], given) == kept
    assert accepted(QUESTIONS[name], kept) == kept, "what is kept is an answer too"
    assert shown(QUESTIONS[name], kept) == said


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("some", []), ("some", ["a", "b", "c"]), ("some", ["a", "none"]), ("some", "a"), ("some", [["a"]]), ("sum", "abc"), ("sum", True), ("sum", "1.234"), ("sum", 10**400),
        ("sum", float("nan")), ("sum", float("inf")), ("sum", -6), ("sum", "1e3"), ("day", "2025-12-31"), ("day", "2026-02-30"), ("day", 20260228), ("words", "toolong"),
        ("words", "  "), ("words", "a\0"), ("words", "a\x1b"), ("score", 6), ("score", 2.5), ("grid", {"r": "x"}), ("grid", {"r": "x", "s": "z"}), ("grid", [1]), ("sure", None),
        ("sure", "maybe"), ("sure", 1),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_refused_with_the_question_named(name: str, given: Any) -> None:
    with pytest.raises(BadInput) as refused:
        accepted(QUESTIONS[name], given)
    assert (refused.value.error_id, refused.value.detail["question"]) == ("answer_invalid", name)
