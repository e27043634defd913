"""Whatever questionnaire is written and whatever is answered: those that pass the check end, every question of theirs can come, and nothing breaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations, product
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from campaigns.errors import BadInput
from campaigns.questionnaires.answers import accepted, fits
from campaigns.questionnaires.checking import check, flow_of
from campaigns.questionnaires.comparing import Of, atoms
from campaigns.questionnaires.flow import Flow, Lead, Way, asked, way
from campaigns.questionnaires.questions import (
    ENDS,
    Asking,
    Choice,
    Choices,
    Matrix,
    Questionnaire,
    Statement,
    YesNo,
)
from tests.campaigns.questionnaires.builders import choice, options, said, yes_no

KINDS: dict[str, dict[str, Any]] = {
    "choice": {"options": options("a", "b", "c")},
    "choices": {"options": [*options("a", "b"), {"code": "none", "label": "-", "exclusive": True}]},
    "yes_no": {},
    "scale": {"lowest": 1, "highest": 3},
    "number": {"lowest": 0, "highest": 2},
    "matrix": {"rows": options("r", "s"), "columns": options("x", "y")},
    "statement": {},
}
COLUMN = "金额"
# Conditions compare with 0, 1 and 2; what lies between two of them is another answer again.
CELLS: tuple[str | None, ...] = (None, "", "-1", "0", "0.5", "1", "1.5", "2", "3", "words")
NAMES: tuple[str | None, ...] = (None, "", "王", "李", "王李", "李王", "赵")


def comparisons(kinds: Mapping[str, str]) -> st.SearchStrategy[dict[str, Any]]:
    """Comparisons with these questions and with the lead."""
    leaves = [
        st.builds(lambda op, value: {"custom": COLUMN, "op": op, "value": value}, st.sampled_from(["=", "!=", "<", ">="]), st.integers(0, 2)),
        st.builds(lambda op, value: {"field": "name", "op": op, "value": value}, st.sampled_from(["=", "!=", "starts", "contains"]), st.sampled_from(["王", "李"])),
    ]  # fmt: skip
    for name, kind in kinds.items():
        if kind == "choice":
            leaves.append(
                st.builds(said, st.just(name), st.sampled_from(["a", "b", "c"]), st.sampled_from(["=", "!="]))
            )
        elif kind == "choices":
            leaves.append(st.builds(said, st.just(name), st.sampled_from(["a", "b", "none"]), st.just("contains")))
        elif kind == "yes_no":
            leaves.append(st.builds(said, st.just(name), st.sampled_from(["yes", "no"])))
        elif kind in {"scale", "number"}:
            leaves.append(st.builds(said, st.just(name), st.integers(0, 3), st.sampled_from(["=", "<", ">=", "!="])))
        elif kind == "matrix":
            row = st.sampled_from(["r", "s"])
            leaves.append(
                st.builds(
                    lambda name, value, row: said(name, value, row=row), st.just(name), st.sampled_from(["x", "y"]), row
                )
            )
    return st.one_of(leaves)


def conditions(kinds: Mapping[str, str]) -> st.SearchStrategy[dict[str, Any]]:
    """Conditions of a few comparisons."""
    leaf = comparisons(kinds)
    pair = st.lists(leaf, min_size=1, max_size=2)
    return st.one_of(
        leaf, leaf, pair.map(lambda parts: {"all": parts}), pair.map(lambda parts: {"any": parts}), leaf.map(lambda one: {"not": one})
    )  # fmt: skip


@st.composite
def documents(draw: st.DrawFn, *, forward: bool = True) -> dict[str, Any]:
    """Small questionnaires; `forward`: conditions speak of what came before, and ways lead on."""
    count = draw(st.integers(1, 5))
    names = [f"q{at}" for at in range(count)]
    kinds = {name: draw(st.sampled_from(sorted(KINDS))) for name in names}
    questions = []
    for at, name in enumerate(names):
        before = {one: kinds[one] for one in (names[:at] if forward else names)}
        targets = [*(names[at + 1 :] if forward else names), *sorted(ENDS)]
        one: dict[str, Any] = {"kind": kinds[name], "name": name, "text": "?", **KINDS[kinds[name]]}
        if kinds[name] != "statement":
            one["optional"] = draw(st.booleans())
            one["required_before"] = ["agreed"] if draw(st.booleans()) else []
        if draw(st.integers(0, 2)) == 0:
            one["when"] = draw(conditions(before))
        own = {**before, name: kinds[name]}
        rule = st.builds(lambda when, to: {"when": when, "to": to}, conditions(own), st.sampled_from(targets))
        one["next"] = draw(st.lists(rule, max_size=2))
        questions.append(one)
    cell = st.builds(
        lambda when, full: {"when": when, "limit": 3, "full": full}, conditions(kinds), st.sampled_from([names[-1], *sorted(ENDS)])
    )  # fmt: skip
    quotas = [{"name": f"c{at}", **one} for at, one in enumerate(draw(st.lists(cell, max_size=2)))]
    return {"questions": questions, "quotas": quotas}


def every_answer(question: Asking) -> Iterator[Any]:
    """All that may be answered, one by one."""
    given: list[Any]
    match question:
        case Choice():
            given = [one.code for one in question.options]
        case YesNo():
            given = ["yes", "no"]
        case Choices():
            codes = [one.code for one in question.options]
            given = [list(some) for size in range(1, len(codes) + 1) for some in combinations(codes, size)]
        case Matrix():
            rows = [row.code for row in question.rows]
            given = [
                dict(zip(rows, some, strict=True))
                for some in product([one.code for one in question.columns], repeat=len(rows))
            ]
        case _:
            given = list(range(-1, 5))
    for one in [None, *given]:
        try:
            yield accepted(question, one)
        except BadInput:
            continue


def every_way(flow: Flow, lead: Lead, full: frozenset[str]) -> Iterator[Way]:
    """All ways that answers can lead, each when it waits and when it is over."""
    waiting: list[dict[str, Any]] = [{}]
    while waiting:
        answers = waiting.pop()
        here = way(flow, answers, lead, full)
        yield here
        assert len(here.steps) <= len(flow.order), "a way ends"
        if here.at is not None:
            question = flow.questions[here.at]
            assert not isinstance(question, Statement)
            waiting += [{**answers, here.at: one} for one in every_answer(question)]


def spoken_of(flow: Flow) -> frozenset[str]:
    """What conditions know of the lead."""
    conditions = [*flow.when.values(), *(when for rules in flow.rules.values() for when, _ in rules)]
    conditions += [cell.when for cell in flow.cells]
    return frozenset(atom.subject.name for one in conditions for atom in atoms(one) if atom.subject.of is not Of.ANSWER)


def by_hand(flow: Flow, spoken_of: frozenset[str]) -> tuple[set[str], set[str]]:
    """The questions that come and the quotas that somebody belongs to, found by asking everybody everything."""
    questions, cells = set[str](), set[str]()
    names = [cell.name for cell in flow.cells]
    fulls = [frozenset(some) for size in range(len(names) + 1) for some in combinations(names, size)]
    for cell, name, full in product(
        CELLS if COLUMN in spoken_of else CELLS[:1], NAMES if "name" in spoken_of else NAMES[:1], fulls
    ):
        for here in every_way(flow, Lead(fields={"name": name}, custom={COLUMN: cell}), full):
            questions |= {step.name for step in here.steps} | ({here.at} if here.at else set())
            cells |= {*here.cells, *([here.turned_away] if here.turned_away else [])}
    return questions, cells


FEW = settings(max_examples=40, suppress_health_check=list(HealthCheck))


@FEW
@given(documents())
def test_what_the_check_says_of_every_question_and_quota_is_what_asking_everybody_shows(
    document: dict[str, Any],
) -> None:
    checked, explored = check(Questionnaire.model_validate(document))
    assume(explored is not None)
    assert explored is not None
    assert checked.flow is not None
    assert explored.decided
    questions, cells = by_hand(checked.flow, spoken_of(checked.flow))
    assert (explored.questions, explored.cells) == (questions, cells)
    found = {one.place for one in checked.findings if one.code in {"unreachable", "quota_impossible"}}
    assert found == {f"questions.{name}" for name in checked.flow.order if name not in questions} | {
        f"quotas.{cell.name}" for cell in checked.flow.cells if cell.name not in cells
    }


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(documents(forward=False), st.data())
def test_every_questionnaire_is_either_refused_or_ends_whatever_is_answered(
    document: dict[str, Any], data: st.DataObject
) -> None:
    flow, found = flow_of(Questionnaire.model_validate(document))
    if flow is None:
        assert any(not one.remark for one in found)
        return
    lead = Lead(fields={"name": data.draw(st.sampled_from(NAMES))}, custom={COLUMN: data.draw(st.sampled_from(CELLS))})
    full = frozenset(cell.name for cell in flow.cells if data.draw(st.booleans()))
    answers: dict[str, Any] = {}
    for _ in range(len(flow.order) + 1):
        here = way(flow, answers, lead, full)
        if here.at is None:
            break
        question = flow.questions[here.at]
        assert not isinstance(question, Statement)
        answers[here.at] = data.draw(st.sampled_from(list(every_answer(question))))
    else:
        pytest.fail("it did not end")


PLANTS: dict[str, tuple[dict[str, Any], str]] = {
    "a question behind a contradiction": (
        {"questions": [yes_no("p"), choice("x", when={"all": [said("p", "yes"), said("p", "no")]})]},
        "unreachable",
    ),
    "a question that is jumped over": ({"questions": [choice("p", next=[{"to": "end"}]), choice("x")]}, "unreachable"),
    "a way back": ({"questions": [yes_no("p"), yes_no("x", next=[{"when": said("x", "no"), "to": "p"}])]}, "endless"),
    "a branch that another covers": (
        {"questions": [choice("p", next=[{"when": said("p", ["a", "b"], "in"), "to": "end"}, {"when": said("p", "a"), "to": "x"}]), choice("x")]},
        "branch_dead",
    ),
    "a quota for nobody": (
        {"questions": [yes_no("p")], "quotas": [{"name": "nobody", "when": {"all": [said("p", "yes"), said("p", "no")]}, "limit": 9}]},
        "quota_impossible",
    ),
    "a question that is not there": ({"questions": [choice("p", when=said("gone", "a"))]}, "reference_unknown"),
    "a way to nowhere": ({"questions": [choice("p", next=[{"to": "gone"}])]}, "target_unknown"),
}  # fmt: skip


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(documents(), st.sampled_from(sorted(PLANTS)))
def test_a_fault_planted_in_a_sound_questionnaire_is_always_found(document: dict[str, Any], plant: str) -> None:
    sound, explored = check(Questionnaire.model_validate(document))
    assume(not sound.findings and explored is not None)
    fault, code = PLANTS[plant]
    planted = {
        "questions": [*fault["questions"], *document["questions"]],
        "quotas": [*document["quotas"], *fault.get("quotas", [])],
    }
    found, _ = check(Questionnaire.model_validate(planted))
    assert code in {one.code for one in found.findings}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(documents(), st.dictionaries(st.sampled_from([f"q{at}" for at in range(5)]), JSON), JSON, JSON)
def test_answers_of_any_kind_break_nothing(
    document: dict[str, Any], answers: dict[str, Any], cell: Any, name: Any
) -> None:
    flow, _ = flow_of(Questionnaire.model_validate(document))
    assume(flow is not None)
    assert flow is not None
    lead = Lead(fields={"name": name}, custom={COLUMN: cell})
    here = way(flow, answers, lead)
    assert here.at not in answers or not fits(flow.questions[str(here.at)], answers[str(here.at)])
    asked(flow, "agreed", answers, lead, frozenset())
    for question in flow.questions.values():
        for one in answers.values():
            try:
                kept = accepted(question, one)
            except BadInput:
                continue
            assert fits(question, kept)
