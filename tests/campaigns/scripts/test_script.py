"""A script as agents read it: the example of the documentation, its texts, its clauses, its objection answers, and two versions side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from campaigns.errors import BadInput
from campaigns.questionnaires.flow import Lead, Status, way
from campaigns.scripts.checking import Script, problems_of, script_of
from campaigns.scripts.differences import Change, differences
from campaigns.scripts.document import ScriptDocument
from campaigns.scripts.rendering import missing, search, visible, words
from tests.campaigns.questionnaires.builders import choice, yes_no

EXAMPLE = json.loads(
    (Path(__file__).resolve().parents[3] / "lab" / "data" / "insurance-script.json").read_text(encoding="utf-8")
)
WANG = Lead(fields={"name": "王芳", "city": "南京"}, custom={"产品": "百万医疗"})
NONE: frozenset[str] = frozenset()


def document(**changes: Any) -> ScriptDocument:
    """The example, changed."""
    return ScriptDocument.model_validate({**EXAMPLE, **changes})


def small(**parts: Any) -> ScriptDocument:
    """A script of these parts alone."""
    return ScriptDocument.model_validate({"title": "t", **parts})


@pytest.fixture(scope="module")
def script() -> Script:
    return script_of(document())


def test_the_example_of_the_documentation_has_no_faults() -> None:
    assert [(one.code, one.place) for one in problems_of(document()) if not one.remark] == []


def test_texts_speak_to_the_lead_and_of_what_was_answered(script: Script) -> None:
    so_far = way(script.flow, {"is_person": "yes", "interested": "yes", "plan": "plus"}, WANG)
    say = words(script, WANG, so_far)
    assert say("{客户姓名}，关于{产品}").text == "王芳，关于百万医疗"
    assert say("{到期日}") == say("{ 到期日 }")
    assert (say("{到期日}").text, say("{到期日}").missing) == ("〔到期日〕", ("到期日",))
    assert say("到期日是{到期日|近期}").text == "到期日是近期"
    assert words(script, Lead(), so_far)("{客户姓名}").text == "先生/女士"
    assert say("{{花括号}}").text == "{花括号}"


def test_what_a_lead_brings_along_becomes_nothing_but_text(script: Script) -> None:
    hostile = Lead(fields={"name": "{产品}\n<b>\u202e{{x}}\0" + "长" * 900})
    said = words(script, hostile, way(script.flow, {}, hostile))("您好{客户姓名}！")
    assert said.text.startswith("您好{产品} <b> {{x}} 长")
    assert said.missing == ()
    assert len(said.text) < 600


def test_sections_come_and_go_with_what_is_answered(script: Script) -> None:
    assert visible(script, WANG, way(script.flow, {}, WANG)) == {"opening"}
    warm = way(script.flow, {"is_person": "yes", "interested": "yes"}, WANG)
    assert visible(script, WANG, warm) == {"opening", "product", "risk_notice", "cooling_off"}
    renewing = Lead(custom={"到期日": "2026-12-01"})
    assert visible(script, renewing, way(script.flow, {}, renewing)) == {"opening", "renewal"}


def test_a_disposition_waits_for_questions_clauses_and_selections_that_it_needs(script: Script) -> None:
    answers: dict[str, Any] = {"is_person": "yes", "interested": "yes", "age": "40", "health": ["none"]}

    def still(disposition: str, read: frozenset[str] = NONE) -> tuple[Any, Any, Any]:
        here = way(script.flow, answers, WANG)
        found = missing(script, disposition, WANG, here, answers, NONE, read)
        return found.questions, found.selections, found.clauses

    assert still("agreed")[0] == ("plan", "members", "understanding", "confirm")
    assert still("busy_now") == ((), (), ())
    answers |= {"plan": "basic", "understanding": {"waiting": "clear", "cooling": "clear"}, "confirm": "yes"}
    assert way(script.flow, answers, WANG).at == "satisfaction"
    assert still("agreed") == ((), ("intention",), ("risk_notice", "cooling_off"))
    answers |= {"intention": "a", "satisfaction": None}
    assert still("agreed", frozenset({"risk_notice", "cooling_off"})) == ((), (), ())
    assert way(script.flow, answers, WANG).status is Status.COMPLETE


def test_objections_are_found_by_keyword_first(script: Script) -> None:
    every = script.document.objections
    assert [one.name for one in search(every, "诈骗")] == ["fraud"]
    assert next(one.name for one in search(every, "保险")) == "has_insurance"
    assert [one.name for one in search(every, "ＡＢＣ")] == []
    assert len(search(every, "  ")) == len(every)


@pytest.mark.parametrize(
    ("parts", "code", "place"),
    [
        ({"sections": [{"name": "a", "title": "A", "text": "您好{姓名}"}]}, "reference_unknown", "sections.a.text"),
        ({"sections": [{"name": "a", "title": "A", "text": "您好{姓名"}]}, "braces_unpaired", "sections.a.text"),
        ({"sections": [{"name": "a", "title": "A", "text": "x"}] * 2}, "name_twice", "sections[1].name"),
        ({"sections": [{"name": "a", "title": "A", "text": "x", "when": {"answer": "q", "op": "empty"}}]}, "reference_unknown", "sections.a.when.answer"),
        (
            {
                "sections": [{"name": "a", "title": "A", "text": "x", "when": {"all": [{"answer": "q", "op": "=", "value": v} for v in ("yes", "no")]}}],
                "questionnaire": {"questions": [yes_no("q")]},
            },
            "section_dead",
            "sections.a.when",
        ),
        ({"objections": [{"name": "a", "title": "A", "answer": "{谁}"}]}, "reference_unknown", "objections.a.answer"),
        ({"questionnaire": {"questions": [choice("q")]}, "selections": [{"name": "q", "label": "Q", "options": [{"code": "a", "label": "A"}]}]}, "name_twice", "selections[0].name"),
        ({"variables": {"q": {"field": "name"}}, "questionnaire": {"questions": [choice("q")]}}, "name_twice", "variables.q"),
        ({"questionnaire": {"questions": [choice("q", when={"custom": "额", "op": "=", "value": v}) if v else choice("p", when={"custom": "额", "op": "=", "value": "x"}) for v in (1, 0)]}}, "kinds_mixed", "custom.额"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_script_is_found(parts: dict[str, Any], code: str, place: str) -> None:
    assert (code, place) in [(one.code, one.place) for one in problems_of(small(**parts))]


def test_an_answer_that_may_not_be_there_yet_is_remarked_on_unless_something_stands_in_for_it() -> None:
    asks = [yes_no("a", optional=True), {**yes_no("b"), "text": "You said {a}."}]
    assert [(one.code, one.remark) for one in problems_of(small(questionnaire={"questions": asks}))] == [
        ("answer_uncertain", True)
    ]
    asks[1]["text"] = "You said {a|nothing}."
    assert problems_of(small(questionnaire={"questions": asks})) == []


def test_a_script_that_cannot_be_gone_through_is_never_used() -> None:
    with pytest.raises(BadInput) as refused:
        script_of(small(questionnaire={"questions": [yes_no("a", next=[{"to": "a"}])]}))
    assert refused.value.error_id == "script_invalid"
    assert refused.value.detail["findings"][0]["code"] == "endless"  # type: ignore[index]


@pytest.mark.parametrize("variable", [{}, {"field": "name", "custom": "x"}, {"field": "number"}, {"field": "name", "sql": "x"}])  # fmt: skip
def test_a_variable_is_a_known_field_or_a_column_and_never_a_number_to_dial(variable: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        small(variables={"x": variable})


def test_two_versions_are_compared_part_by_part() -> None:
    after = json.loads(json.dumps(EXAMPLE))
    after["title"] = "新版"
    after["sections"][3]["text"] = "改过的风险提示"
    del after["objections"][0]
    after["objections"].insert(0, after["objections"].pop())
    after["questionnaire"]["questions"][4]["options"].append({"code": "vip", "label": "尊享版"})
    after["questionnaire"]["quotas"][0]["limit"] = 100
    found = {
        (one.place, one.change): (one.before, one.after)
        for one in differences(document(), ScriptDocument.model_validate(after))
    }
    assert found[("title", Change.CHANGED)] == ("住院医疗险电话销售", "新版")
    assert found[("sections.risk_notice.text", Change.CHANGED)][1] == "改过的风险提示"
    assert found[("objections.no_time", Change.REMOVED)][0]["title"] == "客户说没时间"
    assert found[("objections.number_source", Change.MOVED)] == (3, 1)
    assert found[("questionnaire.questions.plan.options.vip", Change.ADDED)][1]["label"] == "尊享版"
    assert found[("questionnaire.quotas.family_plans.limit", Change.CHANGED)] == (200, 100)
    assert len(found) == 6
    assert differences(document(), document()) == []
