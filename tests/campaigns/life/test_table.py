"""The life of a project as a table: complete, drawn in the docs, and no way round a trial or a signature."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.life.requirements import ALWAYS, CHECKS, SIGNED, USED, Requirement, required
from campaigns.life.table import DIALLED, TABLE, WHO, Kind, Life, Step, check, diagram, life_of, parts_of
from campaigns.states import ProjectState, Stage
from dialer.domain.roles import Role

PAGE = (Path(__file__).parents[3] / "docs" / "life-cycle.md").read_text(encoding="utf-8")


def test_every_pair_is_decided_and_an_undecided_one_is_named_when_the_table_is_made() -> None:
    assert set(TABLE) == {(life, step) for life in Life for step in Step}
    with pytest.raises(ValueError, match="draft/start decided 0 times"):
        check([Life.DRAFT], [Step.START], {}, (), {})
    with pytest.raises(ValueError, match="draft/start decided 2 times"):
        check([Life.DRAFT], [Step.START], {(Life.DRAFT, Step.START): Life.FORMAL}, [(Life.DRAFT, Step.START)], {})


def test_every_refusal_says_what_to_do_instead() -> None:
    assert all(answer.instead for answer in TABLE.values() if answer.kind is Kind.REFUSED)


def test_the_two_words_of_a_row_and_its_life_say_the_same() -> None:
    for life in Life:
        for stage in Stage:
            assert life_of(*parts_of(life, stage)) is life


def test_only_a_trial_and_a_formal_project_are_running() -> None:
    running = {life for life in Life if parts_of(life, Stage.FORMAL)[0] is ProjectState.RUNNING}
    assert running == DIALLED == {Life.TRIAL, Life.FORMAL}


@given(st.lists(st.sampled_from(list(Step)), max_size=40))
def test_no_order_of_steps_dials_a_stopped_project_before_its_stop_was_lifted(steps: list[Step]) -> None:
    life, stopped = Life.DRAFT, False
    for step in steps:
        life = TABLE[life, step].life
        if step is Step.STOP and life in {Life.STOPPED, Life.TRIAL_STOPPED}:
            stopped = True
        if step in {Step.LIFT, Step.COMPLETE} and life not in {Life.STOPPED, Life.TRIAL_STOPPED}:
            stopped = False
        assert not (stopped and life in DIALLED)


@given(st.lists(st.sampled_from(list(Step)), max_size=40))
def test_no_order_of_steps_comes_to_the_formal_run_without_a_step_that_asks_for_its_agreement(
    steps: list[Step],
) -> None:
    life, agreed = Life.DRAFT, False
    for step in steps:
        wanted = required(step, life, sign_offs=True)
        guards = {Requirement.SIGN_OFF_FORMAL, Requirement.FORMAL_AGREED, Requirement.TRIAL_FIRST}
        after = TABLE[life, step].life
        if after is Life.FORMAL and life is not Life.FORMAL:
            agreed = bool(guards & set(wanted))
            assert agreed, f"{life} {step}"
        life = after


@given(st.lists(st.sampled_from(list(Step)), max_size=40))
def test_whatever_was_done_a_project_that_was_begun_can_be_brought_to_its_archive(steps: list[Step]) -> None:
    life = Life.DRAFT
    for step in steps:
        life = TABLE[life, step].life
    for step in (Step.PAUSE, Step.COMPLETE, Step.SETTLE, Step.ARCHIVE):
        life = TABLE[life, step].life
    assert life is Life.ARCHIVED


def test_who_may_is_said_of_every_step_in_the_words_of_the_roles() -> None:
    assert set(WHO) == set(Step)
    assert {role for roles in WHO.values() for role in roles} <= {role.value for role in Role}


def test_every_requirement_can_be_looked_at_and_is_asked_for_by_some_step() -> None:
    asked = {one for of in (ALWAYS, SIGNED) for wanted in of.values() for one in wanted} | {Requirement.FORMAL_AGREED}
    assert asked == set(CHECKS) == set(Requirement) - {Requirement.STATE}
    assert all(any(f"sign_off_{kind.value}" == one for one in SIGNED[step]) for step, kind in USED.items())


def test_the_page_has_the_diagram_the_steps_and_the_requirements_of_the_table() -> None:
    assert diagram() in PAGE, "draw it again: python -c 'from campaigns.life.table import diagram; print(diagram())'"
    for step in Step:
        assert f"| `{step.value}` | {', '.join(sorted(WHO[step]))} |" in PAGE, step
    for requirement in Requirement:
        assert f"| `{requirement.value}` |" in PAGE, requirement
