"""Robots: their manners are seeded, and what they choose fits what they heard and what the project knows."""

from __future__ import annotations

from random import Random
from statistics import mean
from uuid import UUID

import pytest

from campaigns.questionnaires.answers import accepted
from campaigns.questionnaires.texts import render
from campaigns.scripts.checking import script_of
from campaigns.scripts.document import ScriptDocument
from dialer.web.desk.script_view import _question as view_of
from lab.demo.script import DOCUMENT
from lab.robot import DISPOSITIONS, HEARD, PEOPLE, Manners, Robot
from lab.script_reader import made_up


def a_robot(seed: int) -> Robot:
    return Robot(
        "http://127.0.0.1:1",
        login="a",
        password="b",
        agent_id=UUID(int=1),
        device_id=UUID(int=2),
        manners=Manners(),
        random=Random(seed),
        hears=lambda _lead: None,
    )


def test_times_are_seeded_and_have_the_wanted_mean() -> None:
    first, same, other = (a_robot(seed) for seed in (1, 1, 2))
    times = [first._about(4.0) for _ in range(5000)]
    assert times == [same._about(4.0) for _ in range(5000)]
    assert times[0] != other._about(4.0)
    assert mean(times) == pytest.approx(4.0, rel=0.05)


def test_a_robot_can_answer_every_question_of_the_demos_script() -> None:
    script = script_of(ScriptDocument.model_validate_json(DOCUMENT.read_bytes()))
    for question in script.document.questionnaire.asking():
        asked = view_of(question, lambda text: render(text, lambda _name: ""))
        assert asked is not None
        for seed in range(20):
            accepted(question, made_up(asked.model_dump(mode="json"), Random(seed)))


def test_every_result_a_robot_may_choose_is_one_the_project_knows() -> None:
    known = {disposition["code"] for disposition in DISPOSITIONS}
    chosen = set(PEOPLE) | {code for weights in HEARD.values() for code in weights}
    assert chosen == known
