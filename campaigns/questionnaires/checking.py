"""What is wrong with a questionnaire, before anybody is asked. Each finding has a stable code, its place in the document, and says what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from campaigns.conditions import Malformed
from campaigns.questionnaires.comparing import Kind, Of, Parsed, Subject, Unknown, atoms, parse
from campaigns.questionnaires.exploring import BUDGET, Explored, explore
from campaigns.questionnaires.flow import START, Cell, Flow
from campaigns.questionnaires.questions import (
    ENDS,
    Choice,
    Choices,
    Day,
    Matrix,
    Number,
    Option,
    Question,
    Questionnaire,
    Rule,
    Scale,
    Statement,
)
from campaigns.questionnaires.texts import problems_of_text
from campaigns.ways import circle, reached


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is wrong. A `remark` is only said; anything else must be mended before the document is used."""

    code: str
    place: str
    sentence: str
    remark: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a look at a questionnaire found. `flow` is there when it can be walked: nothing is unknown and no way leads in a circle."""

    findings: tuple[Finding, ...]
    flow: Flow | None


def flow_of(questionnaire: Questionnaire) -> tuple[Flow | None, list[Finding]]:
    """Read the conditions and ways of a questionnaire; no flow when one of them cannot be gone."""
    found: list[Finding] = []
    questions: dict[str, Question] = {}
    for at, question in enumerate(questionnaire.questions):
        if question.name in questions:
            found.append(Finding(code="name_twice", place=f"questions[{at}].name", sentence=f"There is another {question.name!r}: rename one."))  # fmt: skip
        if question.name in ENDS:
            found.append(Finding(code="name_reserved", place=f"questions[{at}].name", sentence=f"{question.name!r} means the end of the way: choose another name."))  # fmt: skip
        questions.setdefault(question.name, question)
        found += _of_question(question, f"questions.{question.name}")
    reader = _Reader(questions, found)
    when = {name: reader.condition(one.when, f"questions.{name}.when") for name, one in questions.items()}
    rules = {name: tuple(reader.rules(one.next, f"questions.{name}.next")) for name, one in questions.items()}
    cells = tuple(reader.cells(questionnaire))
    order = tuple(questions)
    flow = Flow(questions=questions, order=order, when=when, rules=rules, cells=cells)
    if any(not one.remark for one in found):
        return None, found
    if round_trip := circle(flow.ways):
        way = " → ".join(round_trip)
        found.append(Finding(code="endless", place=f"questions.{round_trip[0]}.next", sentence=f"The questions lead round in a circle: {way}. Let a way lead forward only."))  # fmt: skip
        return None, found
    return flow, found


def check(questionnaire: Questionnaire, watched: Mapping[str, Parsed] | None = None, budget: int = BUDGET) -> tuple[Checked, Explored | None]:  # fmt: skip
    """All that is wrong with a questionnaire, and what was found out on its ways. `watched`: see `exploring.explore`."""
    flow, found = flow_of(questionnaire)
    if flow is None:
        return Checked(findings=tuple(found), flow=None), None
    found += _looking_ahead(flow)
    if any(not one.remark for one in found):
        return Checked(findings=tuple(found), flow=flow), None
    explored = explore(flow, watched or {}, budget)
    found += _never(flow, explored) if explored.decided else [_undecided()]
    return Checked(findings=tuple(found), flow=flow), explored


def texts_of(question: Question) -> Iterator[tuple[str, str]]:
    """The texts of a question in which something may be put, with their names."""
    yield "text", question.text
    yield "hint", question.hint


def uncertain(flow: Flow, known: Iterable[str]) -> Iterator[Finding]:
    """What is wrong with the texts of questions. `known`: the variables there are."""
    before = _always_before(flow)
    variables = set(known)
    for name, question in flow.questions.items():
        for part, text in texts_of(question):
            place = f"questions.{name}.{part}"
            yield from text_findings(text, place, {*variables, *_named(flow)})
            for reference, fallback in problems_of_text(text).references:
                if reference in flow.questions and reference not in before[name] and fallback is None:
                    yield Finding(code="answer_uncertain", place=place, sentence=f"{reference!r} may not be answered when this is said: write {{{reference}|what to say instead}}.", remark=True)  # fmt: skip


def text_findings(text: str, place: str, known: set[str]) -> Iterator[Finding]:
    """Braces that are not in pairs, and names that nothing has."""
    looked = problems_of_text(text)
    if looked.stray:
        yield Finding(code="braces_unpaired", place=place, sentence="A brace stands alone: write {name}, or {{ and }} for the braces themselves.")  # fmt: skip
    for reference, _ in looked.references:
        if reference not in known:
            yield Finding(code="reference_unknown", place=place, sentence=f"There is no variable and no question {reference!r}: declare it under variables.")  # fmt: skip


def twice(options: Iterable[Option], place: str) -> Iterator[Finding]:
    """Codes that occur twice."""
    seen = set[str]()
    for at, option in enumerate(options):
        if option.code in seen:
            yield Finding(code="option_twice", place=f"{place}[{at}].code", sentence=f"There is another {option.code!r}: rename one.")  # fmt: skip
        seen.add(option.code)


def mixed(conditions: Iterable[Parsed | None]) -> Iterator[Finding]:
    """Columns that are compared as a number here and as a text there."""
    kinds: dict[Subject, set[Kind]] = {}
    for condition in conditions:
        for atom in atoms(condition):
            if atom.subject.of is Of.CUSTOM and atom.kind is not Kind.THERE:
                kinds.setdefault(atom.subject, set()).add(atom.kind)
    for subject, found in kinds.items():
        if len(found) > 1:
            yield Finding(code="kinds_mixed", place=f"custom.{subject.name}", sentence=f"The column {subject.name!r} is compared with a number in one place and with a text in another: choose one.")  # fmt: skip


class _Reader:
    """Reads conditions; what cannot be read becomes a finding."""

    def __init__(self, questions: Mapping[str, Question], found: list[Finding]) -> None:
        self._questions = questions
        self._found = found

    def condition(self, condition: object, place: str) -> Parsed | None:
        return None if condition is None else read(condition, place, self._questions, self._found.append)

    def rules(self, rules: tuple[Rule, ...], place: str) -> Iterator[tuple[Parsed | None, str]]:
        always = None
        for at, rule in enumerate(rules):
            self._target(rule.to, f"{place}[{at}].to")
            if always is not None:
                self._found.append(Finding(code="branch_dead", place=f"{place}[{at}]", sentence=f"The way before it ({always + 1}) is always taken: put this one before it, or take it out."))  # fmt: skip
            always = at if rule.when is None and always is None else always
            yield self.condition(rule.when, f"{place}[{at}].when"), rule.to

    def cells(self, questionnaire: Questionnaire) -> Iterator[Cell]:
        seen = set[str]()
        for at, quota in enumerate(questionnaire.quotas):
            place = f"quotas.{quota.name}"
            if quota.name in seen:
                self._found.append(Finding(code="name_twice", place=f"quotas[{at}].name", sentence=f"There is another quota {quota.name!r}: rename one."))  # fmt: skip
            seen.add(quota.name)
            if quota.limit == 0:
                self._found.append(Finding(code="quota_impossible", place=f"{place}.limit", sentence="It has no place at all: give a limit, or lead these people away with a branch."))  # fmt: skip
            self._target(quota.full, f"{place}.full")
            when = self.condition(quota.when, f"{place}.when")
            if when is not None:
                asks = frozenset(atom.subject.name for atom in atoms(when) if atom.subject.of is Of.ANSWER)
                yield Cell(name=quota.name, when=when, limit=quota.limit, full=quota.full, asks=asks)

    def _target(self, to: str, place: str) -> None:
        if to not in self._questions and to not in ENDS:
            self._found.append(Finding(code="target_unknown", place=place, sentence=f"There is no question {to!r}: name one, or end, or screen_out."))  # fmt: skip


def read(condition: object, place: str, questions: Mapping[str, Question], tell: Callable[[Finding], None]) -> Parsed | None:  # fmt: skip
    """A condition, or None when it cannot be read; then the finding is told."""
    try:
        return parse(condition, place, questions)
    except Unknown as error:
        tell(Finding(code="reference_unknown", place=error.path, sentence=f"{error.why[0].upper()}{error.why[1:]}"))
    except Malformed as error:
        tell(Finding(code="condition_malformed", place=error.path, sentence=f"{error.why[0].upper()}{error.why[1:]}"))
    return None


def _of_question(question: Question, place: str) -> Iterator[Finding]:
    empty = False
    match question:
        case Statement():
            return
        case Choice():
            yield from twice(question.options, f"{place}.options")
        case Choices():
            yield from twice(question.options, f"{place}.options")
            together = max(1, sum(not one.exclusive for one in question.options))
            empty = question.at_least > min(question.at_most, together)
        case Matrix():
            yield from twice(question.rows, f"{place}.rows")
            yield from twice(question.columns, f"{place}.columns")
        case Number():
            step = Decimal(1).scaleb(-question.decimals)
            highest = (question.highest / step).to_integral_value(ROUND_FLOOR) * step
            empty = highest < question.lowest
        case Scale():
            empty = question.lowest >= question.highest
        case Day():
            empty = question.earliest > question.latest
    if empty:
        yield Finding(code="range_empty", place=place, sentence="No answer fits between its bounds: widen them.")


def _looking_ahead(flow: Flow) -> Iterator[Finding]:
    """Conditions that speak of an answer which can never be there yet."""
    ways = flow.ways
    behind = {name: reached(ways, name) for name in flow.order}
    for name in (one for one in flow.order if one in reached(ways, START)):
        before = {one for one in flow.order if one != name and name in behind[one]}
        conditions = [(flow.when[name], "when", before)]
        conditions += [(when, f"next[{at}].when", before | {name}) for at, (when, _) in enumerate(flow.rules[name])]
        for condition, part, there in conditions:
            speaks = {atom.subject.name for atom in atoms(condition) if atom.subject.of is Of.ANSWER}
            for ahead in sorted(speaks - there):
                yield Finding(code="refers_ahead", place=f"questions.{name}.{part}", sentence=f"{ahead!r} never comes before this: ask it earlier, or compare with another.")  # fmt: skip


def _never(flow: Flow, explored: Explored) -> Iterator[Finding]:
    for name in flow.order:
        if name not in explored.questions:
            yield Finding(code="unreachable", place=f"questions.{name}", sentence="Whatever is answered, nobody comes to this question: lead a way to it, mend the conditions before it, or take it out.")  # fmt: skip
            continue
        for at in range(len(flow.rules[name])):
            if (name, at) not in explored.rules:
                yield Finding(code="branch_dead", place=f"questions.{name}.next[{at}]", sentence="Whatever is answered, this way is never taken: its condition cannot hold here, or one before it always does.")  # fmt: skip
    for cell in flow.cells:
        if cell.name not in explored.cells:
            yield Finding(code="quota_impossible", place=f"quotas.{cell.name}", sentence="Whatever is answered, nobody belongs to it: its questions are never all answered, or not so.")  # fmt: skip


def _undecided() -> Finding:
    return Finding(code="undecided", place="questions", sentence="Too many comparisons look far back: whether every question and branch can come was not decided. Let fewer conditions speak of the same early answers.", remark=True)  # fmt: skip


def _always_before(flow: Flow) -> dict[str, set[str]]:
    """For each question those that are answered on every way to it (passed over, skipped and jumped from do not count)."""
    ways = flow.ways
    everything = set(flow.order)
    before = {name: set(everything) for name in flow.order}
    before[START] = set()
    changed = True
    while changed:
        changed = False
        for name in (START, *flow.order):
            sure = {name} if name and flow.when[name] is None and not getattr(flow.questions[name], "optional", True) else set[str]()  # fmt: skip
            for after in ways[name]:
                if after in before and not before[after] <= (now := before[name] | sure):
                    before[after] &= now
                    changed = True
    return before


def _named(flow: Flow) -> Iterator[str]:
    return (name for name, question in flow.questions.items() if not isinstance(question, Statement))
