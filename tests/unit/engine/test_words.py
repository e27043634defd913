"""Whatever holds a project, an agent or a lead back can be said in both languages."""

from __future__ import annotations

from enum import StrEnum

import pytest

from campaigns.gates import Gate
from campaigns.states import LeadState
from dialer.domain.pacing import Limit
from dialer.domain.states import AgentState
from dialer.engine import words


@pytest.mark.parametrize(
    ("table", "kinds"),
    [(words.LIMITS, Limit), (words.GATES, Gate), (words.AGENTS, AgentState), (words.LEADS, LeadState)],
)
def test_every_word_has_a_sentence_in_both_languages(table: dict[str, words.Words], kinds: type[StrEnum]) -> None:
    for kind in kinds:
        said = table[kind.value]
        assert said.en.endswith("."), kind
        assert said.zh.endswith("。"), kind
