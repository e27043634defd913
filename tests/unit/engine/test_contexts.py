"""What a project dials in: its hour, its trunk, and the list that most of its leads come from."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

from campaigns.claim import ClaimedLead
from dialer.engine.contexts import Contexts
from tests.campaigns.test_gates import PROJECT, TRUNK

NOON_UTC = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


def leads(import_id: UUID | None, count: int) -> list[ClaimedLead]:
    return [
        ClaimedLead(
            attempt_id=uuid4(), lead_id=n, number="+8613800000000", name="", fields={}, caller_number="+861088880001", trunk_id=TRUNK.id,
            created_at=NOON_UTC, import_id=import_id,
        )
        for n in range(count)
    ]  # fmt: skip


def test_the_hour_is_that_of_the_projects_zone_and_a_list_is_said_when_one_is_dialled() -> None:
    contexts = Contexts()
    assert contexts.of(PROJECT, NOON_UTC) == (("hour", "20"), ("trunk", TRUNK.id.hex))
    first = uuid4()
    contexts.claimed(PROJECT.id, leads(first, 3))
    assert dict(contexts.of(PROJECT, NOON_UTC))["list"] == first.hex
    assert dict(contexts.of(replace(PROJECT, id=uuid4()), NOON_UTC)).keys() == {"hour", "trunk"}


def test_a_few_leads_of_another_list_do_not_make_it_another_one_and_many_make_it_mixed() -> None:
    contexts = Contexts()
    first, second = uuid4(), uuid4()
    contexts.claimed(PROJECT.id, leads(first, 45) + leads(second, 4) + leads(first, 1))
    assert dict(contexts.of(PROJECT, NOON_UTC))["list"] == first.hex
    contexts.claimed(PROJECT.id, leads(second, 20) + leads(first, 1))
    assert dict(contexts.of(PROJECT, NOON_UTC))["list"] == "mixed"
    contexts.claimed(PROJECT.id, leads(second, 50))
    assert dict(contexts.of(PROJECT, NOON_UTC))["list"] == second.hex
    contexts.keep_only([])
    assert "list" not in dict(contexts.of(PROJECT, NOON_UTC))
