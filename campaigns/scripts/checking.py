"""What is wrong with a version of a script, all of it at once; and the script that can be used when nothing is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from campaigns.errors import BadInput
from campaigns.questionnaires.checking import Finding, check, flow_of, mixed, read, text_findings, twice, uncertain
from campaigns.questionnaires.comparing import Parsed
from campaigns.questionnaires.exploring import BUDGET
from campaigns.questionnaires.flow import Flow
from campaigns.questionnaires.questions import Choice, Choices, Statement
from campaigns.scripts.document import ScriptDocument, Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A version that nothing is wrong with, its conditions read. `shown_when`: of the sections that have a condition."""

    document: ScriptDocument
    flow: Flow
    shown_when: Mapping[str, Parsed]
    selections: Mapping[str, Choice | Choices]


def problems_of(document: ScriptDocument, budget: int = BUDGET) -> list[Finding]:
    """All that is wrong with a version, and remarks. Takes up to a second of a core: not for an event loop."""
    found = list(_names(document))
    watched = _shown_when(document, found)
    checked, explored = check(document.questionnaire, watched, budget)
    found += checked.findings
    if checked.flow is not None:
        flow = checked.flow
        conditions = [*watched.values(), *flow.when.values(), *(cell.when for cell in flow.cells)]
        found += mixed([*conditions, *(when for rules in flow.rules.values() for when, _ in rules)])
        found += uncertain(flow, document.variables)
    if explored is not None and explored.decided:
        found += [
            Finding(code="section_dead", place=f"sections.{name}.when", sentence="Whatever is answered, it is never shown: mend its condition or take it out.")
            for name in watched
            if name not in explored.watched
        ]  # fmt: skip
    found += _texts(document)
    return found


def script_of(document: ScriptDocument) -> Script:
    """A version ready to be used. Errors: BadInput `script_invalid` when a way cannot be gone; published versions never raise it."""
    found: list[Finding] = []
    flow, problems = flow_of(document.questionnaire)
    shown_when = _shown_when(document, found)
    if flow is None or found:
        raise refusal([*problems, *found])
    selections = {one.name: question_of(one) for one in document.selections}
    return Script(document=document, flow=flow, shown_when=shown_when, selections=selections)


def refusal(found: list[Finding]) -> BadInput:
    """What to raise when there are faults."""
    faults = [one for one in found if not one.remark]
    said = [{"code": one.code, "place": one.place, "sentence": one.sentence} for one in faults]
    return BadInput("script_invalid", f"{faults[0].place}: {faults[0].sentence} See the findings.", findings=said[:50])


def question_of(selection: Selection) -> Choice | Choices:
    """A selection list as the question it is: the same answers, the same checks."""
    given: dict[str, Any] = {
        "name": selection.name,
        "text": selection.label,
        "options": selection.options,
        "optional": True,
    }
    return Choices(kind="choices", **given) if selection.several else Choice(kind="choice", **given)


def _shown_when(document: ScriptDocument, found: list[Finding]) -> dict[str, Parsed]:
    questions = {one.name: one for one in document.questionnaire.questions}
    parsed = {
        one.name: read(one.when, f"sections.{one.name}.when", questions, found.append)
        for one in document.sections
        if one.when is not None
    }
    return {name: condition for name, condition in parsed.items() if condition is not None}


def _names(document: ScriptDocument) -> Iterator[Finding]:
    asked = [one.name for one in document.questionnaire.questions]
    for part, names in (
        ("sections", [one.name for one in document.sections]),
        ("objections", [one.name for one in document.objections]),
        ("selections", [one.name for one in document.selections]),
    ):
        for at, name in enumerate(names):
            if name in names[:at] or (part == "selections" and name in asked):
                yield Finding(code="name_twice", place=f"{part}[{at}].name", sentence=f"There is another {name!r}: rename one.")  # fmt: skip
    for name in document.variables:
        if name in asked:
            yield Finding(code="name_twice", place=f"variables.{name}", sentence=f"A question is named {name!r} too: rename one.")  # fmt: skip
    for selection in document.selections:
        yield from twice(selection.options, f"selections.{selection.name}.options")


def _texts(document: ScriptDocument) -> Iterator[Finding]:
    asked = {one.name for one in document.questionnaire.questions if not isinstance(one, Statement)}
    known = {*document.variables, *asked}
    for section in document.sections:
        yield from text_findings(section.text, f"sections.{section.name}.text", known)
    for objection in document.objections:
        yield from text_findings(objection.answer, f"objections.{objection.name}.answer", known)
