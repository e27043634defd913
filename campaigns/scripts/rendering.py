"""What an agent reads: the texts of a script with the lead and the answers in them, the question that waits, what is still missing. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from campaigns.questionnaires.answers import shown
from campaigns.questionnaires.comparing import holds
from campaigns.questionnaires.flow import Lead, Way, asked
from campaigns.questionnaires.texts import Rendered, render
from campaigns.scripts.checking import Script
from campaigns.scripts.document import Objection


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What a disposition waits for: questions (the next one first), selection lists, clauses."""

    questions: tuple[str, ...]
    selections: tuple[str, ...]
    clauses: tuple[str, ...]


def words(script: Script, lead: Lead, way: Way) -> Callable[[str], Rendered]:
    """Puts variables and answers into texts. `lead` as this agent may see it: where numbers are masked, so are they in the texts."""
    variables = script.document.variables
    said = {step.name: step.answered for step in way.steps}

    def value(name: str) -> str:
        if (variable := variables.get(name)) is not None:
            given = lead.fields.get(variable.field) if variable.field else lead.custom.get(variable.custom or "")
            return ("" if given is None else str(given)).strip() or variable.fallback
        question = script.flow.questions.get(name)
        return shown(question, said[name]) if question is not None and name in said else ""

    return lambda text: render(text, value)


def visible(script: Script, lead: Lead, way: Way) -> frozenset[str]:
    """The sections that are shown now."""
    test = way.test(lead)
    return frozenset(one.name for one in script.document.sections if holds(script.shown_when.get(one.name), test))


def missing(
    script: Script, disposition: str, lead: Lead, way: Way, answers: Mapping[str, Any], full: frozenset[str], read: frozenset[str]
) -> Missing:  # fmt: skip
    """What is still to be asked, ticked and read before a disposition can be given. `read`: the clauses that were."""
    there = visible(script, lead, way)
    return Missing(
        questions=tuple(asked(script.flow, disposition, answers, lead, full)),
        selections=tuple(
            one.name
            for one in script.document.selections
            if disposition in one.required_before and answers.get(one.name) is None
        ),
        clauses=tuple(
            one.name
            for one in script.document.sections
            if disposition in one.must_read_before and one.name in there and one.name not in read
        ),
    )


def search(objections: Sequence[Objection], text: str) -> list[Objection]:
    """The objections that fit what the agent types: every word is in the keywords, the title or the answer; those by keyword first, none typed: all."""
    wanted = [_folded(word) for word in text.split()]

    def rank(one: Objection) -> int | None:
        keywords, title, answer = _folded(" ".join(one.keywords)), _folded(one.title), _folded(one.answer)
        for at, known in enumerate((keywords, f"{keywords} {title}", f"{keywords} {title} {answer}")):
            if all(word in known for word in wanted):
                return at
        return None

    ranked = [(place, at, one) for at, one in enumerate(objections) if (place := rank(one)) is not None]
    return [one for _, _, one in sorted(ranked, key=lambda found: found[:2])]


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
