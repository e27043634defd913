"""What is wrong with a questionnaire is found, by code and place, and nothing is made up."""

from __future__ import annotations

from typing import Any

import pytest

from campaigns.questionnaires.checking import check
from tests.campaigns.questionnaires.builders import choice, findings, found, number, questionnaire, said, yes_no


def test_a_sound_questionnaire_has_no_findings() -> None:
    quotas = [{"name": "young", "when": said("age", 30, "<"), "limit": 50, "full": "thanks"}]
    assert not found(
        yes_no("free", next=[{"when": said("free", "no"), "to": "screen_out"}]),
        number("age"),
        choice("why", when=said("age", 18, ">=")),
        {"kind": "statement", "name": "thanks", "text": "Thank you."},
        quotas=quotas,
    )


@pytest.mark.parametrize(
    ("questions", "quotas", "expected"),
    [
        ([choice("a"), choice("a")], [], ("name_twice", "questions[1].name")),
        ([choice("end")], [], ("name_reserved", "questions[0].name")),
        ([choice("a", "x", "x")], [], ("option_twice", "questions.a.options[1].code")),
        ([number("a", lowest=5, highest=4)], [], ("range_empty", "questions.a")),
        ([number("a", lowest="0.2", highest="0.9")], [], ("range_empty", "questions.a")),
        ([choice("a", next=[{"to": "nowhere"}])], [], ("target_unknown", "questions.a.next[0].to")),
        ([choice("a", next=[{"when": {"op": "="}, "to": "end"}])], [], ("condition_malformed", "questions.a.next[0].when")),
        ([choice("a", next=[{"when": said("a", "z"), "to": "end"}])], [], ("reference_unknown", "questions.a.next[0].when.value")),
        ([choice("a", when=said("b", "a")), choice("b")], [], ("refers_ahead", "questions.a.when")),
        ([choice("a", when=said("a", "a"))], [], ("refers_ahead", "questions.a.when")),
        ([choice("a", next=[{"to": "c"}]), choice("b"), choice("c")], [], ("unreachable", "questions.b")),
        ([yes_no("a"), yes_no("b", when={"all": [said("a", "yes"), said("a", "no")]})], [], ("unreachable", "questions.b")),
        ([number("a"), yes_no("b", when=said("a", 100, ">"))], [], ("unreachable", "questions.b")),
        ([choice("a"), choice("b", next=[{"to": "a"}])], [], ("endless", "questions.a.next")),
        ([choice("a", next=[{"to": "b"}, {"to": "end"}]), choice("b")], [], ("branch_dead", "questions.a.next[1]")),
        (
            [number("a", next=[{"when": said("a", 50, ">="), "to": "end"}, {"when": said("a", 60, ">"), "to": "end"}])],
            [],
            ("branch_dead", "questions.a.next[1]"),
        ),
        ([number("a")], [{"name": "q", "when": said("a", 7), "limit": 0}], ("quota_impossible", "quotas.q.limit")),
        ([number("a")], [{"name": "q", "when": said("a", 101), "limit": 5}], ("quota_impossible", "quotas.q")),
        (
            [yes_no("a", next=[{"when": said("a", "yes"), "to": "b"}, {"to": "c"}]), yes_no("b", next=[{"to": "end"}]), yes_no("c")],
            [{"name": "q", "when": {"all": [said("b", "yes"), said("c", "yes")]}, "limit": 5}],
            ("quota_impossible", "quotas.q"),
        ),
        ([yes_no("a"), yes_no("b")], [{"name": "q", "when": said("b", "yes"), "limit": 1, "full": "a"}], ("endless", "questions.a.next")),
    ],
)  # fmt: skip
def test_a_fault_is_found_with_its_code_and_place(
    questions: list[dict[str, Any]], quotas: list[dict[str, Any]], expected: tuple[str, str]
) -> None:
    assert expected in found(*questions, quotas=quotas)
    assert all(one.sentence for one in findings(*questions, quotas=quotas))


def test_contradictions_across_several_questions_and_the_lead_are_seen() -> None:
    rich = {"custom": "余额", "op": ">=", "value": 100}
    ask = [
        yes_no("a", when=rich),
        yes_no("b", when={"all": [said("a", "yes"), {"custom": "余额", "op": "<", "value": 50}]}),
    ]
    assert found(*ask) == [("unreachable", "questions.b")]
    assert not found(ask[0], yes_no("b", when={"all": [said("a", "yes"), {"custom": "余额", "op": "<", "value": 150}]}))


@pytest.mark.parametrize(("low", "high", "decimals", "can_be"), [(40, 42, 0, True), (41, 42, 0, False), (41, 42, 1, True)])  # fmt: skip
def test_what_lies_between_two_thresholds_is_looked_at(low: int, high: int, decimals: int, can_be: bool) -> None:
    between = {"all": [said("a", low, ">"), said("a", high, "<")]}
    assert (not found(number("a", decimals=decimals), yes_no("b", when=between))) == can_be


def test_parts_of_a_text_are_told_apart_from_the_whole() -> None:
    starts = {"field": "name", "op": "starts", "value": "王"}
    holds_li = {"field": "name", "op": "contains", "value": "李"}
    assert not found(yes_no("a", when={"all": [starts, holds_li]}))
    assert found(yes_no("a", when={"all": [starts, {"field": "name", "op": "=", "value": "李王"}]}))


def test_too_many_cases_are_said_to_be_undecided_and_not_passed_over() -> None:
    every = {"any": [said(f"q{at}", "yes") for at in range(30)]}
    many = questionnaire(*(yes_no(f"q{at}") for at in range(30)), yes_no("last", when=every))
    checked, _ = check(many, budget=1000)
    assert [(one.code, one.remark) for one in checked.findings] == [("undecided", True)]


def test_what_no_longer_matters_costs_nothing() -> None:
    chain = [yes_no("q0"), *(yes_no(f"q{at}", when=said(f"q{at - 1}", "yes")) for at in range(1, 200))]
    checked, explored = check(questionnaire(*chain), budget=2000)
    assert checked.findings == ()
    assert explored is not None
    assert explored.decided
