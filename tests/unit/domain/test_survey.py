"""Surveys as data: how a call goes through the steps, and that what is wrong with them is found before anybody is called."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.errors import BadInput
from campaigns.survey import Place, after, answer_at, begin, problems_of, survey_of

STEPS: dict[str, Any] = {
    "hello": {"kind": "play", "prompt": "hello", "next": "happy"},
    "happy": {
        "kind": "ask",
        "prompt": "happy",
        "choices": {"1": "bye", "2": "bye", "9": "remove", "0": "person"},
        "tries": 2,
        "otherwise": "bye",
    },
    "remove": {"kind": "opt_out", "prompt": "removed", "next": None},
    "person": {"kind": "agent", "otherwise": "bye"},
    "bye": {"kind": "play", "prompt": "bye", "next": None},
}


def a_survey(**changes: Any) -> Any:
    return survey_of({"start": "hello", "steps": STEPS | changes}, 1)


def test_a_call_goes_from_step_to_step_by_its_keys() -> None:
    survey = a_survey()
    asked = after(survey, begin(survey), "")
    assert asked == Place("happy")
    assert after(survey, Place("happy"), "9") == Place("remove")
    assert after(survey, Place("happy"), "0") == Place("person")
    assert after(survey, Place("person"), "") == Place("bye")
    assert after(survey, Place("remove"), "") is None
    assert after(survey, Place("bye"), "") is None


@pytest.mark.parametrize("key", ["", "7", "#"])
def test_silence_and_other_keys_are_asked_again_as_often_as_the_step_says(key: str) -> None:
    survey = a_survey()
    assert after(survey, Place("happy"), key) == Place("happy", 1)
    assert after(survey, Place("happy", 1), key) == Place("bye")
    assert [answer_at(survey, Place("happy", asked), key) for asked in (0, 1)] == [None, ""]


def test_a_choice_is_an_answer_and_a_prompt_is_none() -> None:
    survey = a_survey()
    assert answer_at(survey, Place("happy"), "2") == "2"
    assert answer_at(survey, Place("hello"), "2") is None


def test_a_survey_with_everything_in_order_has_no_problems() -> None:
    assert problems_of(a_survey(), {"hello", "happy", "removed", "bye"}) == []


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"lost": {"kind": "play", "prompt": "bye", "next": None}}, [("lost", "unreachable")]),
        ({"bye": {"kind": "play", "prompt": "bye", "next": "hello"}}, [("hello", "endless")]),
        ({"bye": {"kind": "play", "prompt": "bye", "next": "bye"}}, [("bye", "endless")]),
        ({"bye": {"kind": "play", "prompt": "bye", "next": "nowhere"}}, [("bye", "step_unknown")]),
        ({"bye": {"kind": "play", "prompt": "silence", "next": None}}, [("bye", "prompt_missing")]),
        ({"bye": {"kind": "play", "next": None}}, [("bye", "no_prompt")]),
        ({"bye": {"kind": "ask", "prompt": "bye"}}, [("bye", "no_choices")]),
    ],
)
def test_what_is_wrong_is_named_with_its_step(changes: dict[str, Any], found: list[tuple[str, str]]) -> None:
    problems = problems_of(a_survey(**changes), {"hello", "happy", "removed", "bye"})
    assert [(one.step, one.what) for one in problems] == found


def test_a_start_that_is_no_step_is_named() -> None:
    survey = survey_of({"start": "nowhere", "steps": STEPS}, 1)
    assert [(one.step, one.what) for one in problems_of(survey)] == [("nowhere", "start_unknown")]


@pytest.mark.parametrize("document", [{}, {"start": "a"}, {"start": "a", "steps": {"a": {"kind": "sing"}}}, {"start": "a", "steps": {"a": {"kind": "play", "colour": 1}}}])  # fmt: skip
def test_what_is_no_survey_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(BadInput) as refused:
        survey_of(document, 1)
    assert refused.value.error_id == "survey_malformed"


_NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
_TARGETS = st.one_of(st.none(), _NAMES)


@given(st.dictionaries(_NAMES, st.tuples(_TARGETS, _TARGETS), min_size=1), st.lists(st.sampled_from(["1", "2", ""])))
def test_every_call_through_a_survey_without_problems_ends(
    steps: dict[str, tuple[str | None, str | None]], keys: list[str]
) -> None:
    document = {
        name: {"kind": "ask", "prompt": "p", "choices": {"1": one}, "otherwise": other}
        for name, (one, other) in steps.items()
    }
    survey = survey_of({"start": "a", "steps": document}, 1)
    if problems_of(survey):
        return
    place: Place | None = begin(survey)
    for n in range(2 * len(document)):
        place = after(survey, place, keys[n % len(keys)] if keys else "") if place else None
    assert place is None
