"""Pulling recordings for QA: one listener each, and heard means listened to."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta
from typing import Any
from uuid import UUID

from dialer.domain.roles import Role
from tests.web.conftest import House
from tests.web.test_recording_search import change, recordings


async def a_sample(house: House, *, size: int = 4, **asked: Any) -> tuple[str, list[UUID]]:
    """A sample of a project's recordings; its id, and the recordings."""
    project, made = await recordings(house)
    qa = await house.person(Role.QA)
    body = {"name": "week 9", "size": size, "seed": "s", "population": {"project_id": str(project)}, **asked}
    return (await qa.do("POST", "/qa/samples", body))["id"], made


async def with_sound(house: House) -> None:
    """All recordings can be heard."""
    sound = b"some sound"
    (house.deps.store_dir / "a").write_bytes(sound)
    await house.pool.execute(
        "update recordings set sha256 = $1, bytes = $2", hashlib.sha256(sound).digest(), len(sound)
    )


async def test_a_sample_is_drawn_with_its_chances_and_an_audit_row(house: House) -> None:
    sample, made = await a_sample(house, size=2)
    qa = await house.person(Role.QA)
    of = await qa.get(f"/qa/samples/{sample}")
    items = (await qa.get(f"/qa/samples/{sample}/items"))["items"]
    assert (of["population"], of["size"], of["heard"], of["seed"]) == (4, 2, 0, "s")
    assert {(one["drawn"], one["population"]) for one in items} == {(2, 4)}
    assert {one["recording_id"] for one in items} <= {str(one) for one in made}
    assert len(await house.audited("qa_sample_drawn")) == 1


async def test_strata_are_what_was_asked_for(house: House) -> None:
    project, made = await recordings(house)
    for one in made[:2]:
        await change(house, one, disposition="sale")
    qa = await house.person(Role.QA)
    body = {"name": "a", "size": 2, "strata": ["disposition", "length"], "population": {"project_id": str(project)}}
    sample = (await qa.do("POST", "/qa/samples", body))["id"]
    items = (await qa.get(f"/qa/samples/{sample}/items"))["items"]
    assert sorted(one["stratum"] for one in items) == [" | 30 s to 2 min", "sale | 30 s to 2 min"]


async def test_only_stored_recordings_of_the_search_are_drawn(house: House) -> None:
    project, made = await recordings(house)
    await house.pool.execute("update recordings set state = 'missing', reason = 'x' where id = $1", made[0])
    await change(house, made[1], customer_ms=0)
    qa = await house.person(Role.QA)
    body = {"name": "a", "size": 9, "population": {"project_id": str(project), "customer_spoke": False}}
    sample = (await qa.do("POST", "/qa/samples", body))["id"]
    items = (await qa.get(f"/qa/samples/{sample}/items"))["items"]
    assert [one["recording_id"] for one in items] == [str(made[1])]
    nothing = await qa.ask("POST", "/qa/samples", {**body, "population": {"disposition": "never"}})
    assert nothing.error_id == "sample_empty"


async def test_no_two_listeners_get_the_same_recording_and_one_gets_their_own_again(house: House) -> None:
    sample, _ = await a_sample(house)
    listeners = [await house.person(Role.QA) for _ in range(5)]
    answers = await asyncio.gather(*(one.ask("POST", f"/qa/samples/{sample}/claim") for one in listeners))
    got = [answer.body["recording_id"] for answer in answers if answer.status == 200]
    while len(got) < 4:  # a row that was locked at that moment was passed over
        again = [await one.ask("POST", f"/qa/samples/{sample}/claim") for one in listeners]
        got = [answer.body["recording_id"] for answer in again if answer.status == 200]
        answers = again
    assert len(set(got)) == 4
    assert [answer.error_id for answer in answers if answer.status != 200] == ["sample_all_taken"]
    lucky = next(person for person, answer in zip(listeners, answers, strict=True) if answer.status == 200)
    first = await lucky.do("POST", f"/qa/samples/{sample}/claim")
    assert first == {**(await lucky.do("POST", f"/qa/samples/{sample}/claim")), "claimed_at": first["claimed_at"]}


async def test_a_recording_is_heard_only_by_who_claimed_it_and_listened(house: House) -> None:
    sample, _ = await a_sample(house)
    listener, other = await house.person(Role.QA), await house.person(Role.QA)
    recording = (await listener.do("POST", f"/qa/samples/{sample}/claim"))["recording_id"]
    heard = f"/qa/samples/{sample}/items/{recording}/heard"
    assert (await listener.ask("POST", heard)).error_id == "sample_item_not_heard"
    await with_sound(house)
    await other.ask("GET", f"/recordings/{recording}/audio")
    assert (await listener.ask("POST", heard)).error_id == "sample_item_not_heard"
    await listener.ask("GET", f"/recordings/{recording}/audio", why=f"sample {sample}")
    assert (await other.ask("POST", heard)).error_id == "sample_item_not_heard"
    assert (await listener.do("POST", heard))["heard_by"] == str(listener.user_id)
    assert (await listener.get(f"/qa/samples/{sample}"))["heard"] == 1


async def test_a_claim_is_given_back_or_runs_out(house: House) -> None:
    sample, _ = await a_sample(house, size=1)
    one, other = await house.person(Role.QA), await house.person(Role.QA)
    recording = (await one.do("POST", f"/qa/samples/{sample}/claim"))["recording_id"]
    assert (await other.ask("POST", f"/qa/samples/{sample}/claim")).error_id == "sample_all_taken"
    back = f"/qa/samples/{sample}/items/{recording}/claim"
    assert (await other.ask("DELETE", back)).error_id == "sample_item_not_claimed"
    await one.do("DELETE", back)
    assert (await other.do("POST", f"/qa/samples/{sample}/claim"))["recording_id"] == recording
    house.clock.ahead = timedelta(hours=1, minutes=59)
    assert (await one.ask("POST", f"/qa/samples/{sample}/claim")).error_id == "sample_all_taken"
    await house.pool.execute("update qa_sample_items set claimed_at = claimed_at - interval '5 minutes'")
    assert (await one.do("POST", f"/qa/samples/{sample}/claim"))["recording_id"] == recording


async def test_a_team_leader_listens_but_draws_no_sample(house: House) -> None:
    sample, _ = await a_sample(house, size=1)
    leader = await house.person(Role.TEAM_LEADER)
    body = {"name": "a", "size": 1, "population": {}}
    assert (await leader.ask("POST", "/qa/samples", body)).error_id == "role_not_allowed"
    assert (await leader.ask("POST", f"/qa/samples/{sample}/claim")).status == 200


async def test_a_recording_that_cannot_be_heard_stands_in_nobodys_way(house: House) -> None:
    sample, _ = await a_sample(house)
    qa = await house.person(Role.QA)
    first, *rest = [one["recording_id"] for one in (await qa.get(f"/qa/samples/{sample}/items"))["items"]]
    await house.pool.execute("update recordings set state = 'archived' where id = $1", UUID(first))
    claimed = [
        (await (await house.person(Role.QA)).do("POST", f"/qa/samples/{sample}/claim"))["recording_id"] for _ in rest
    ]
    assert claimed == rest
    of = await qa.get(f"/qa/samples/{sample}")
    assert (of["size"], of["heard"], of["gone"]) == (4, 0, 1)


async def test_what_was_given_back_comes_after_what_nobody_has_looked_at(house: House) -> None:
    sample, _ = await a_sample(house)
    qa = await house.person(Role.QA)
    order = [one["recording_id"] for one in (await qa.get(f"/qa/samples/{sample}/items"))["items"]]
    got = []
    for _ in range(5):
        got.append((await qa.do("POST", f"/qa/samples/{sample}/claim"))["recording_id"])
        await qa.do("DELETE", f"/qa/samples/{sample}/items/{got[-1]}/claim")
    assert got == [*order, order[0]]


async def test_claiming_again_does_not_undo_the_listening(house: House) -> None:
    sample, _ = await a_sample(house)
    qa = await house.person(Role.QA)
    recording = (await qa.do("POST", f"/qa/samples/{sample}/claim"))["recording_id"]
    await with_sound(house)
    assert (await qa.ask("GET", f"/recordings/{recording}/audio")).status == 200
    assert (await qa.do("POST", f"/qa/samples/{sample}/claim"))["recording_id"] == recording
    await qa.do("POST", f"/qa/samples/{sample}/items/{recording}/heard")
