"""A restart of Asterisk that is too quick to be told from the call before it."""

from __future__ import annotations

import pytest

from tests.integration.engine.conftest import Stage, stage

__all__ = ["stage"]

pytestmark = [pytest.mark.services, pytest.mark.faults]


async def test_call_on_the_wire_when_asterisk_was_restarted_in_the_same_second_is_not_placed_again(
    stage: Stage,
) -> None:
    await stage.start()
    project = await stage.project()
    [lead_id] = await stage.leads(project, 1)
    await stage.agent(project)
    call = await stage.call()
    await stage.asterisk.stop()
    stage.asterisk.started_at = call.created_at.replace(microsecond=0)  # as Asterisk says it
    await stage.asterisk.start()
    row = await stage.ended_row(call.attempt_id)
    assert row["outcome"] == "failed"
    lead = await stage.pool.fetchrow("select attempts, next_at from leads where id = $1", lead_id)
    assert lead is not None
    assert lead["attempts"] == 1
    assert lead["next_at"] > row["ended_at"]
    assert len(stage.asterisk.sent_calls()) == 1
