"""The words of the enums are those of the database: whoever renames one must rename the other."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

import pytest

from campaigns.retry import DEFAULT_RETRY_RULES
from campaigns.states import DialMode, MachineDetection
from dialer.domain.outcomes import Outcome
from dialer.domain.pacing import Mode
from dialer.domain.roles import Role
from dialer.domain.states import AgentState, CallState

MIGRATIONS = Path(__file__).parents[3] / "dialer" / "db" / "migrations"


def words_of(table: str, column: str) -> set[str]:
    """The words of the last CHECK (column in (...)) on a table, over all migrations."""
    found: set[str] = set()
    for path in sorted(MIGRATIONS.glob("*.sql")):
        if "rollback" in path.name:
            continue
        for statement in re.split(r";\s*\n", path.read_text(encoding="utf-8")):
            if not re.search(rf"(?:create|alter) table {table}\b", statement):
                continue
            for listed in re.findall(rf"\b{column} in \(([^)]*)\)", statement):
                found = set(re.findall(r"'([a-z_]+)'", listed))
    return found


@pytest.mark.parametrize(
    ("table", "column", "words"),
    [
        ("attempts", "state", CallState),
        ("attempts", "mode", Mode),
        ("projects", "machine_detection", MachineDetection),
        ("projects", "mode", Mode),
        ("users", "role", Role),
    ],
)
def test_words_of_the_database_are_those_of_the_code(table: str, column: str, words: type[StrEnum]) -> None:
    assert words_of(table, column) == {word.value for word in words}


@pytest.mark.parametrize("table", ["agent_live", "agent_times"])
def test_states_of_agents_in_the_database_are_those_of_the_code(table: str) -> None:
    assert words_of(table, "state") == {state.value for state in AgentState} - {"logged_out"}


def test_modes_of_campaigns_and_pacing_are_the_same() -> None:
    assert {mode.value for mode in DialMode} == {mode.value for mode in Mode}


def test_outcomes_can_be_written_to_the_database() -> None:
    assert all(re.fullmatch(r"[a-z_]{1,40}", outcome.value) for outcome in Outcome)


def test_default_retry_rules_name_outcomes_that_exist() -> None:
    assert {rule.outcome for rule in DEFAULT_RETRY_RULES} <= {outcome.value for outcome in Outcome}
