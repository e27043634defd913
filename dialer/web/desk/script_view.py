"""A call's script as its agent sees it: in the words of this customer, without a number that the project masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from campaigns.leads import Lead
from campaigns.questionnaires.answers import shown as in_words
from campaigns.questionnaires.flow import Step
from campaigns.questionnaires.questions import (
    Choice,
    Choices,
    Day,
    Matrix,
    Number,
    Option,
    Question,
    Scale,
    Statement,
    Text,
    YesNo,
)
from campaigns.questionnaires.texts import Rendered
from campaigns.scripts.rendering import missing, visible, words
from campaigns.scripts.responses import Response, known_of
from dialer.web.desk.script_types import (
    DeskOption,
    DeskQuestion,
    DeskScript,
    DeskSection,
    DeskSelection,
    DeskStep,
    StillMissing,
)
from dialer.web.masking import scrubbed, scrubbed_fields

Say = Callable[[str], Rendered]


def seen(response: Response, *, masked: bool) -> Lead | None:
    """The lead without its numbers in any text, where they are masked."""
    lead = response.lead
    if lead is None or not masked:
        return lead
    for number in (lead.number, *lead.other_numbers):
        lead = replace(
            lead,
            name=scrubbed(lead.name, number, masked=True),
            reference=lead.reference and scrubbed(lead.reference, number, masked=True),
            fields=scrubbed_fields(lead.fields, number, masked=True),
        )
    return lead


def view(response: Response, masked: bool) -> DeskScript:
    """All of it. What is shown depends on the lead as it is, what is said on the lead as the agent may see it."""
    script, here = response.script, response.way
    say = words(script, known_of(seen(response, masked=masked)), here)
    there = visible(script, known_of(response.lead), here)
    waiting = None if here.at is None else script.flow.questions[here.at]
    return DeskScript(
        attempt_id=response.attempt_id,
        script_id=response.script_id,
        version=response.version,
        trial=response.trial,
        title=script.document.title,
        sections=[_section(response, one.name, say) for one in script.document.sections if one.name in there],
        status=here.status.value,
        steps=[_step(response, step, say, masked=masked) for step in here.steps],
        question=None if waiting is None else _question(waiting, say),
        selections=[_selection(response, name) for name in script.selections],
        missing=_missing(response),
    )


def _section(response: Response, name: str, say: Say) -> DeskSection:
    section = next(one for one in response.script.document.sections if one.name == name)
    text, read = say(section.text), response.read.get(name)
    return DeskSection(
        name=name,
        title=section.title,
        text=text.text,
        missing=list(text.missing),
        must_read_before=list(section.must_read_before),
        read_at_ms=None if read is None else read.offset_ms,
    )


def _step(response: Response, step: Step, say: Say, *, masked: bool) -> DeskStep:
    question = response.script.flow.questions[step.name]
    kept: Any = scrubbed_fields({"": step.answered}, response.number, masked=masked)[""] if masked else step.answered
    return DeskStep(name=step.name, text=say(question.text).text, answer=kept, said=in_words(question, kept))


def _selection(response: Response, name: str) -> DeskSelection:
    selection = next(one for one in response.script.document.selections if one.name == name)
    return DeskSelection(
        name=name,
        label=selection.label,
        several=selection.several,
        options=_options(selection.options),
        required_before=list(selection.required_before),
        answer=response.answers.get(name),
    )


def _missing(response: Response) -> dict[str, StillMissing]:
    lead, read = known_of(response.lead), frozenset(response.read)
    found = {}
    for disposition in sorted(response.script.document.dispositions()):
        still = missing(response.script, disposition, lead, response.way, response.answers, response.full, read)
        if still.questions or still.selections or still.clauses:
            found[disposition] = StillMissing(
                questions=list(still.questions), selections=list(still.selections), clauses=list(still.clauses)
            )
    return found


def _question(question: Question, say: Say) -> DeskQuestion | None:
    if isinstance(question, Statement):
        return None
    text = say(question.text)
    bounds: dict[str, Any] = {}
    match question:
        case Choice():
            bounds = {"options": _options(question.options)}
        case Choices():
            bounds = {"options": _options(question.options), "at_least": question.at_least, "at_most": question.at_most}
        case YesNo():
            named = (("yes", question.yes), ("no", question.no))
            bounds = {"options": [DeskOption(code=code, label=label, exclusive=False) for code, label in named]}
        case Number():
            bounds = {"lowest": f"{question.lowest:f}", "highest": f"{question.highest:f}", "decimals": question.decimals, "unit": question.unit}  # fmt: skip
        case Scale():
            ends = {"lowest_label": question.lowest_label, "highest_label": question.highest_label}
            bounds = {"lowest": str(question.lowest), "highest": str(question.highest), **ends}
        case Day():
            bounds = {"lowest": question.earliest.isoformat(), "highest": question.latest.isoformat()}
        case Text():
            bounds = {"at_most": question.at_most}
        case Matrix():
            bounds = {"options": _options(question.columns), "rows": _options(question.rows)}
    nothing: dict[str, Any] = {
        "options": [], "rows": [], "lowest": None, "highest": None, "lowest_label": "", "highest_label": "", "decimals": 0, "unit": "", "at_least": 1, "at_most": 1,
    }  # fmt: skip
    return DeskQuestion(
        name=question.name, kind=question.kind, text=text.text, missing=list(text.missing), hint=say(question.hint).text,
        optional=question.optional, **nothing | bounds,
    )  # fmt: skip


def _options(options: Sequence[Option]) -> list[DeskOption]:
    return [DeskOption(code=one.code, label=one.label, exclusive=one.exclusive) for one in options]
