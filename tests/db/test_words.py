"""The database and the program use the same words: every enum equals the check of its column."""

from __future__ import annotations

import re
from enum import StrEnum

import pytest

from campaigns import states
from campaigns.life.requirements import SignOffKind
from campaigns.life.stop_rules import RuleKind
from campaigns.life.table import Life, Step
from campaigns.life.watching import AlarmKind
from campaigns.questionnaires.flow import Status
from campaigns.sql import Pool
from dialer.db.simulations import SimulationState
from dialer.domain.pacing.contract import AtLimit, Period
from dialer.domain.pauses import PauseEnd, PauseReason
from dialer.domain.roles import Role
from dialer.domain.states import AgentState, CallState
from recorder.archive.media import Medium
from recorder.archive.states import CopyState, VolumeState
from recorder.ledger import RecordingState
from recorder.removals import Kind
from recorder.retention.policy import Basis

pytestmark = pytest.mark.services
_LOGGED_IN = [state for state in AgentState if state is not AgentState.LOGGED_OUT]


@pytest.mark.parametrize(
    ("table", "column", "words"),
    [
        ("attempts", "state", CallState),
        ("attempts", "mode", states.DialMode),
        ("agent_live", "state", _LOGGED_IN),
        ("agent_times", "state", _LOGGED_IN),
        ("projects", "state", states.ProjectState),
        ("projects", "stage", states.Stage),
        ("projects", "mode", states.DialMode),
        ("project_steps", "step", Step),
        ("project_steps", "to_life", Life),
        ("sign_offs", "kind", SignOffKind),
        ("stop_rules", "kind", RuleKind),
        ("project_alarms", "kind", AlarmKind),
        ("dispositions", "meaning", states.Meaning),
        ("projects", "abandonment_period", states.AbandonmentPeriod),
        ("projects", "abandonment_period", Period),
        ("projects", "abandonment_at_limit", states.AtAbandonmentLimit),
        ("projects", "abandonment_at_limit", AtLimit),
        ("leads", "state", states.LeadState),
        ("imports", "state", states.ImportState),
        ("script_calls", "status", Status),
        ("caller_numbers", "state", states.CallerNumberState),
        ("dispositions", "effect", states.Effect),
        ("users", "role", Role),
        ("recordings", "state", RecordingState),
        ("recording_removals", "kind", Kind),
        ("business_dates", "basis", [basis for basis in Basis if basis is not Basis.CALL]),
        ("archive_volumes", "medium", Medium),
        ("archive_volumes", "state", VolumeState),
        ("archive_copies", "state", CopyState),
        ("simulations", "state", SimulationState),
        ("recording_pauses", "reason", PauseReason),
        ("recording_pauses", "ended_by", PauseEnd),
    ],
)
async def test_the_check_of_a_column_has_the_words_of_its_enum(
    pool: Pool, table: str, column: str, words: type[StrEnum] | list[StrEnum]
) -> None:
    definition = await pool.fetchval(
        """select pg_get_constraintdef(c.oid) from pg_constraint c
           join pg_attribute a on a.attrelid = c.conrelid and c.conkey = array[a.attnum]
           where c.conrelid = $1::text::regclass and c.contype = 'c' and a.attname = $2""",
        table,
        column,
    )
    assert set(re.findall(r"'([a-z0-9_]+)'", definition)) == {word.value for word in words}
