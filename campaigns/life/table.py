"""The life of a project as a table: (life, step) → what the step is there. Pure; docs/life-cycle.md is drawn from it.

A step is a *move* to the next life, a *repeat* (it is so already: nothing changes), or *refused*, with what to do instead. Every pair is
decided, or the table does not load. A project is dialled in `trial` and in `formal`, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final

from campaigns.states import ProjectState, Stage


class Life(StrEnum):
    """Where a project is in its life: its `state`, told apart by its `stage`; the words of `project_steps`."""

    DRAFT = "draft"
    TRIAL = "trial"  # 试呼: the sample is dialled
    TRIAL_PAUSED = "trial_paused"
    TRIAL_STOPPED = "trial_stopped"
    REVIEW = "review"  # the figures of the trial are frozen, the client looks at them
    FORMAL = "formal"  # 正式外呼
    PAUSED = "paused"
    STOPPED = "stopped"  # 停呼整改
    COMPLETED = "completed"
    SETTLED = "settled"
    ARCHIVED = "archived"


class Step(StrEnum):
    """What a person (or a stop rule) does to a project."""

    START = "start"  # a project without sign-offs
    BEGIN_TRIAL = "begin_trial"
    CLOSE_TRIAL = "close_trial"
    GO_FORMAL = "go_formal"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    LIFT = "lift"
    COMPLETE = "complete"
    REOPEN = "reopen"
    SETTLE = "settle"
    ARCHIVE = "archive"


class Kind(Enum):
    """What a step is in a life."""

    MOVE = "move"
    REPEAT = "repeat"
    REFUSED = "refused"


_L, _S = Life, Step

MOVES: Final[dict[tuple[Life, Step], Life]] = {
    (_L.DRAFT, _S.START): _L.FORMAL,
    (_L.DRAFT, _S.BEGIN_TRIAL): _L.TRIAL,
    (_L.DRAFT, _S.ARCHIVE): _L.ARCHIVED,
    (_L.TRIAL, _S.CLOSE_TRIAL): _L.REVIEW,
    (_L.TRIAL, _S.PAUSE): _L.TRIAL_PAUSED,
    (_L.TRIAL, _S.STOP): _L.TRIAL_STOPPED,
    (_L.TRIAL_PAUSED, _S.RESUME): _L.TRIAL,
    (_L.TRIAL_PAUSED, _S.CLOSE_TRIAL): _L.REVIEW,
    (_L.TRIAL_PAUSED, _S.STOP): _L.TRIAL_STOPPED,
    (_L.TRIAL_STOPPED, _S.LIFT): _L.TRIAL_PAUSED,
    (_L.REVIEW, _S.BEGIN_TRIAL): _L.TRIAL,
    (_L.REVIEW, _S.GO_FORMAL): _L.FORMAL,
    (_L.FORMAL, _S.PAUSE): _L.PAUSED,
    (_L.FORMAL, _S.STOP): _L.STOPPED,
    (_L.PAUSED, _S.RESUME): _L.FORMAL,
    (_L.PAUSED, _S.STOP): _L.STOPPED,
    (_L.PAUSED, _S.BEGIN_TRIAL): _L.TRIAL,
    (_L.STOPPED, _S.LIFT): _L.PAUSED,
    (_L.COMPLETED, _S.REOPEN): _L.PAUSED,
    (_L.COMPLETED, _S.SETTLE): _L.SETTLED,
    (_L.SETTLED, _S.ARCHIVE): _L.ARCHIVED,
    **{(life, _S.COMPLETE): _L.COMPLETED for life in (_L.TRIAL_PAUSED, _L.TRIAL_STOPPED, _L.REVIEW, _L.FORMAL, _L.PAUSED, _L.STOPPED)},
}  # fmt: skip

REPEATS: Final[frozenset[tuple[Life, Step]]] = frozenset({
    (_L.FORMAL, _S.START), (_L.FORMAL, _S.RESUME), (_L.FORMAL, _S.GO_FORMAL),
    (_L.TRIAL, _S.RESUME), (_L.TRIAL, _S.BEGIN_TRIAL),
    (_L.TRIAL_PAUSED, _S.PAUSE), (_L.PAUSED, _S.PAUSE),
    (_L.TRIAL_STOPPED, _S.STOP), (_L.STOPPED, _S.STOP),
    (_L.REVIEW, _S.CLOSE_TRIAL), (_L.COMPLETED, _S.COMPLETE), (_L.SETTLED, _S.SETTLE), (_L.ARCHIVED, _S.ARCHIVE),
})  # fmt: skip

_LIFT_FIRST: Final = "Lift the stop first: say what was changed."
_RESUME: Final = "It has begun already: resume it."
_NO_TRIAL: Final = "There is no trial under way."
_NOT_DIALLED: Final = "It is not dialled, so there is nothing to halt."
_NO_STOP: Final = "It is not stopped for correction."
_OVER: Final = "It is over: reopen it first."
_BOOKS_CLOSED: Final = "It is settled: make a new project for more calls."
_GONE: Final = "It is archived: make a new project."
_TRIAL_FIRST: Final = "Begin its trial first, or start it when it has no sign-offs."
_CLOSE_FIRST: Final = "Close the trial first: its figures are frozen then."
_COMPLETE_FIRST: Final = "Complete it first."
_SETTLE_FIRST: Final = "Settle it first."

_ALL: Final = tuple(Step)
REFUSALS: Final[dict[tuple[Life, Step], str]] = {
    **{(_L.DRAFT, step): _TRIAL_FIRST for step in (_S.GO_FORMAL, _S.RESUME)},
    (_L.DRAFT, _S.CLOSE_TRIAL): _NO_TRIAL,
    **{(_L.DRAFT, step): _NOT_DIALLED for step in (_S.PAUSE, _S.STOP, _S.COMPLETE)},
    (_L.DRAFT, _S.LIFT): _NO_STOP,
    (_L.DRAFT, _S.REOPEN): _TRIAL_FIRST,
    (_L.DRAFT, _S.SETTLE): _COMPLETE_FIRST,
    **{(life, _S.START): _RESUME for life in (_L.TRIAL, _L.TRIAL_PAUSED, _L.PAUSED)},
    (_L.REVIEW, _S.START): "The client looks at the trial: go formal, or begin another trial.",
    **{(life, _S.START): _LIFT_FIRST for life in (_L.TRIAL_STOPPED, _L.STOPPED)},
    **{(life, _S.RESUME): _LIFT_FIRST for life in (_L.TRIAL_STOPPED, _L.STOPPED)},
    (_L.REVIEW, _S.RESUME): "The trial is closed: go formal, or begin another trial.",
    (_L.TRIAL_PAUSED, _S.BEGIN_TRIAL): "This trial is not closed: resume it, or close it first.",
    **{(life, _S.BEGIN_TRIAL): _LIFT_FIRST for life in (_L.TRIAL_STOPPED, _L.STOPPED)},
    (_L.FORMAL, _S.BEGIN_TRIAL): "Pause it first.",
    (_L.TRIAL_STOPPED, _S.CLOSE_TRIAL): _LIFT_FIRST,
    **{(life, _S.CLOSE_TRIAL): _NO_TRIAL for life in (_L.FORMAL, _L.PAUSED, _L.STOPPED)},
    **{(life, _S.GO_FORMAL): _CLOSE_FIRST for life in (_L.TRIAL, _L.TRIAL_PAUSED)},
    **{(life, _S.GO_FORMAL): _LIFT_FIRST for life in (_L.TRIAL_STOPPED, _L.STOPPED)},
    (_L.PAUSED, _S.GO_FORMAL): _RESUME,
    **{(life, _S.PAUSE): "It is stopped already, which is more." for life in (_L.TRIAL_STOPPED, _L.STOPPED)},
    **{(_L.REVIEW, step): _NOT_DIALLED for step in (_S.PAUSE, _S.STOP)},
    **{(life, _S.LIFT): _NO_STOP for life in (_L.TRIAL, _L.TRIAL_PAUSED, _L.REVIEW, _L.FORMAL, _L.PAUSED)},
    (_L.TRIAL, _S.COMPLETE): "Pause the trial first, or close it.",
    **{(life, _S.REOPEN): "It is not over." for life in (_L.TRIAL, _L.TRIAL_PAUSED, _L.TRIAL_STOPPED, _L.REVIEW, _L.FORMAL, _L.PAUSED, _L.STOPPED)},
    **{(life, _S.SETTLE): _COMPLETE_FIRST for life in (_L.TRIAL, _L.TRIAL_PAUSED, _L.TRIAL_STOPPED, _L.REVIEW, _L.FORMAL, _L.PAUSED, _L.STOPPED)},
    **{(life, _S.ARCHIVE): _COMPLETE_FIRST for life in (_L.TRIAL, _L.TRIAL_PAUSED, _L.TRIAL_STOPPED, _L.REVIEW, _L.FORMAL, _L.PAUSED, _L.STOPPED)},
    (_L.COMPLETED, _S.ARCHIVE): _SETTLE_FIRST,
    **{(_L.COMPLETED, step): _OVER for step in (_S.START, _S.BEGIN_TRIAL, _S.CLOSE_TRIAL, _S.GO_FORMAL, _S.PAUSE, _S.RESUME, _S.STOP, _S.LIFT)},
    **{(_L.SETTLED, step): _BOOKS_CLOSED for step in _ALL if step not in {_S.SETTLE, _S.ARCHIVE}},
    **{(_L.ARCHIVED, step): _GONE for step in _ALL if step is not _S.ARCHIVE},
}  # fmt: skip

LEADING: Final = frozenset({"project_manager", "admin"})
PLANNING: Final = LEADING | {"supervisor", "technical_lead"}
WHO: Final[dict[Step, frozenset[str]]] = {
    _S.START: PLANNING,
    _S.BEGIN_TRIAL: LEADING,
    _S.CLOSE_TRIAL: LEADING,
    _S.GO_FORMAL: LEADING,
    _S.PAUSE: PLANNING | {"team_leader"},
    _S.RESUME: PLANNING,
    _S.STOP: PLANNING | {"team_leader", "qa"},
    _S.LIFT: LEADING,
    _S.COMPLETE: LEADING,
    _S.REOPEN: LEADING,
    _S.SETTLE: LEADING | {"general_manager"},
    _S.ARCHIVE: LEADING | {"technical_lead"},
}
"""Roles by step. A stop rule may stop and nothing else."""

DIALLED: Final = frozenset({Life.TRIAL, Life.FORMAL})
HALTED: Final = frozenset({Life.TRIAL_STOPPED, Life.STOPPED})

_PARTS: Final[dict[Life, tuple[ProjectState, Stage | None]]] = {
    _L.DRAFT: (ProjectState.DRAFT, None),
    _L.TRIAL: (ProjectState.RUNNING, Stage.TRIAL),
    _L.TRIAL_PAUSED: (ProjectState.PAUSED, Stage.TRIAL),
    _L.TRIAL_STOPPED: (ProjectState.STOPPED, Stage.TRIAL),
    _L.REVIEW: (ProjectState.REVIEW, Stage.TRIAL),
    _L.FORMAL: (ProjectState.RUNNING, Stage.FORMAL),
    _L.PAUSED: (ProjectState.PAUSED, Stage.FORMAL),
    _L.STOPPED: (ProjectState.STOPPED, Stage.FORMAL),
    _L.COMPLETED: (ProjectState.COMPLETED, None),
    _L.SETTLED: (ProjectState.SETTLED, None),
    _L.ARCHIVED: (ProjectState.ARCHIVED, None),
}


def life_of(state: ProjectState, stage: Stage) -> Life:
    """The life a row's two words stand for."""
    return _OF[state, stage]


def parts_of(life: Life, stage: Stage) -> tuple[ProjectState, Stage]:
    """The two words of a row in this life; where the stage makes no difference it stays as it was."""
    state, own = _PARTS[life]
    return state, own or stage


_OF: Final = {
    (state, stage): life for life, (state, own) in _PARTS.items() for stage in ((own,) if own else tuple(Stage))
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a step is in a life, the life after it, and for a refusal what to do."""

    kind: Kind
    life: Life
    instead: str = ""


def check(
    lives: Iterable[Life],
    steps: Iterable[Step],
    moves: Mapping[tuple[Life, Step], Life],
    repeats: Iterable[tuple[Life, Step]],
    refusals: Mapping[tuple[Life, Step], str],
) -> dict[tuple[Life, Step], Answer]:
    """The whole table. ValueError names the first pairs that are undecided, or decided twice."""
    steps, repeats = tuple(steps), frozenset(repeats)
    table: dict[tuple[Life, Step], Answer] = {}
    wrong: list[str] = []
    for life in lives:
        for step in steps:
            pair = (life, step)
            decisions = (pair in moves) + (pair in repeats) + (pair in refusals)
            if decisions != 1:
                wrong.append(f"{life}/{step} decided {decisions} times")
            elif pair in moves:
                table[pair] = Answer(Kind.MOVE, moves[pair])
            elif pair in repeats:
                table[pair] = Answer(Kind.REPEAT, life)
            else:
                table[pair] = Answer(Kind.REFUSED, life, refusals[pair])
    if wrong:
        raise ValueError("life of a project: " + ", ".join(wrong[:10]))
    return table


TABLE: Final = check(Life, Step, MOVES, REPEATS, REFUSALS)


def diagram() -> str:
    """The moves as a Mermaid diagram, for docs/life-cycle.md."""
    arrows: dict[tuple[Life, Life], list[str]] = {}
    for (life, step), target in MOVES.items():
        arrows.setdefault((life, target), []).append(step.value)
    lines = [
        f"    {life} --> {target}: {', '.join(arrows[life, target])}"
        for life in Life
        for target in Life
        if (life, target) in arrows
    ]
    return "\n".join(["```mermaid", "stateDiagram-v2", "    [*] --> draft", *lines, "```"])
