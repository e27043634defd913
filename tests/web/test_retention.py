"""Retention over HTTP: policies, dates, holds, the dry run, deletion with its audit row and its proof."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from dialer.domain.roles import Role
from recorder.errors import KeysRefused
from tests.recorder.archive_builders import a_sealed_recording, a_stored_recording, sound_of, state_of
from tests.recorder.builders import PROJECT, a_project
from tests.web.conftest import House

POLICY = {"name": "six-months", "minima": [{"from": "call", "months": 6, "source": "the contract"}]}


async def a_recording(house: House, *, days_old: int, number: int = 1) -> UUID:
    await a_project(house.pool)
    at = house.clock() - timedelta(days=days_old)
    return await a_stored_recording(house.pool, house.deps.store_dir, number, at=at)


async def test_what_is_over_is_previewed_deleted_audited_and_proved(house: House) -> None:
    keeper = await house.person(Role.TECHNICAL_LEAD)
    old, new = await a_recording(house, days_old=400), await a_recording(house, days_old=10, number=2)
    await keeper.do("POST", "/retention/policies", POLICY)
    await keeper.do("PUT", f"/projects/{PROJECT}/retention", {"policy": "six-months"})
    preview = await keeper.get(f"/projects/{PROJECT}/retention")
    assert preview["recordings"] == {"expired": 1, "minimum": 1}
    assert [one["call_id"] for one in preview["going"]] == [str(old)]
    assert "the contract" in preview["going"][0]["sentence"]
    done = await keeper.do("POST", f"/projects/{PROJECT}/retention/expire", {})
    assert (done["recordings"], done["more"]) == (1, False)
    assert [await state_of(house.pool, call) for call in (old, new)] == ["deleted", "stored"]
    [row] = await house.audited("recordings_expired")
    assert (row["user_id"], row["detail"]["calls"]) == (keeper.user_id, [str(old)])
    [proof] = await keeper.get(f"/calls/{old}/removals")
    assert (proof["kind"], proof["policy_version"]) == ("expired", 1)
    assert proof["file_gone_at"]


async def test_a_hold_stops_deletion_until_it_is_lifted(house: House) -> None:
    keeper = await house.person(Role.ADMIN)
    call = await a_recording(house, days_old=400)
    await keeper.do("POST", "/retention/policies", POLICY)
    await keeper.do("PUT", f"/projects/{PROJECT}/retention", {"policy": "six-months"})
    hold = await keeper.do(
        "POST", "/retention/holds", {"project_id": str(PROJECT), "call_id": str(call), "reason": "suit"}
    )
    assert (await keeper.get(f"/projects/{PROJECT}/retention"))["recordings"] == {"on_hold": 1}
    assert (await keeper.do("POST", f"/projects/{PROJECT}/retention/expire", {}))["recordings"] == 0
    await keeper.do("POST", f"/retention/holds/{hold['id']}/lift", {"reason": "settled"})
    assert [one["lift_reason"] for one in await keeper.get("/retention/holds")] == ["settled"]
    assert (await keeper.do("POST", f"/projects/{PROJECT}/retention/expire", {}))["recordings"] == 1


async def test_a_projects_keys_go_only_when_all_of_it_is_over_and_nothing_is_on_hold(house: House) -> None:
    keeper = await house.person(Role.ADMIN)
    await a_project(house.pool)
    async with house.pool.acquire() as conn:
        await house.deps.file_keys.prepare(conn, at=house.clock())
    at = house.clock() - timedelta(days=400)
    call = await a_sealed_recording(house.pool, house.deps.store_dir, house.deps.file_keys, at=at)
    path, why = f"/projects/{PROJECT}/recording-keys/destroy", {"reason": "the contract is over"}
    assert (
        await keeper.ask("POST", path, why)
    ).error_id == "recording_keys_needed"  # nobody has said how long it is kept
    await keeper.do("POST", "/retention/policies", POLICY)
    await keeper.do("PUT", f"/projects/{PROJECT}/retention", {"policy": "six-months"})
    hold = await keeper.do("POST", "/retention/holds", {"project_id": str(PROJECT), "reason": "suit"})
    assert (await keeper.ask("POST", path, why)).error_id == "recording_keys_on_hold"
    await keeper.do("POST", f"/retention/holds/{hold['id']}/lift", {"reason": "settled"})
    assert await keeper.do("POST", path, why) == {"recordings": 1, "volumes": 0}
    with pytest.raises(KeysRefused):
        await sound_of(house.pool, house.deps.store_dir, house.deps.file_keys, call)
    [row] = await house.audited("recording_keys_destroyed")
    assert row["detail"]["reason"] == "the contract is over"


async def test_no_file_goes_without_its_audit_row(house: House) -> None:
    keeper = await house.person(Role.ADMIN)
    call = await a_recording(house, days_old=400)
    await keeper.do("POST", "/retention/policies", POLICY)
    await keeper.do("PUT", f"/projects/{PROJECT}/retention", {"policy": "six-months"})
    await house.pool.execute(
        "create trigger full_disk before insert on audit_log for each row execute function refuse_change()"
    )
    assert (await keeper.ask("POST", f"/projects/{PROJECT}/retention/expire", {})).status >= 400
    assert await state_of(house.pool, call) == "stored"
    assert any(path.is_file() for path in house.deps.store_dir.rglob("*.opus"))


@pytest.mark.parametrize(
    ("method", "path", "body", "error_id"),
    [
        ("POST", "/retention/policies", {"name": "x", "minima": [{"from": "call"}]}, "policy_invalid"),
        ("PUT", "/projects/{project}/retention", {"policy": "nothing"}, "policy_unknown"),
        ("POST", "/retention/holds/018f0000-0000-4000-8000-0000000000ff/lift", {"reason": "x"}, "hold_unknown"),
    ],
)
async def test_what_cannot_be_done_says_why(
    house: House, method: str, path: str, body: dict[str, Any], error_id: str
) -> None:
    keeper = await house.person(Role.ADMIN)
    await a_project(house.pool)
    answer = await keeper.ask(method, path.format(project=PROJECT), body)
    assert answer.error_id == error_id


async def test_a_date_at_the_end_of_the_calendar_keeps_what_it_is_of_and_stops_nothing(house: House) -> None:
    keeper = await house.person(Role.ADMIN)
    call = await a_recording(house, days_old=400)
    policy = {"name": "contract", "minima": [{"from": "contract_end", "years": 5, "source": "the law"}]}
    await keeper.do("POST", "/retention/policies", policy)
    await keeper.do("PUT", f"/projects/{PROJECT}/retention", {"policy": "contract"})
    date = {"basis": "contract_end", "day": "9999-12-31"}
    assert (await keeper.ask("PUT", f"/projects/{PROJECT}/business-dates", date)).error_id == "invalid_request"
    await house.pool.execute(  # stated before this was refused
        "insert into business_dates (project_id, basis, day) values ($1, 'contract_end', '9999-12-31')", PROJECT
    )
    assert (await keeper.get(f"/projects/{PROJECT}/retention"))["recordings"] == {"minimum": 1}
    assert (await keeper.ask("GET", "/archive/plan")).status == 200
    assert await state_of(house.pool, call) == "stored"


async def test_a_hold_or_a_date_of_a_call_that_does_not_exist_is_refused(house: House) -> None:
    keeper, nobody = await house.person(Role.ADMIN), "00000000-0000-0000-0000-000000000007"
    await a_recording(house, days_old=1)
    hold = {"project_id": str(PROJECT), "call_id": nobody, "reason": "suit"}
    assert (await keeper.ask("POST", "/retention/holds", hold)).error_id == "call_unknown"
    date = {"basis": "contract_end", "day": "2026-01-01", "call_id": nobody}
    assert (await keeper.ask("PUT", f"/projects/{PROJECT}/business-dates", date)).error_id == "call_unknown"
