"""Audit rows of listening that are committed together: each is judged for itself, and nobody hears a byte before their own."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import pytest

from campaigns.sql import Pool
from dialer.db import hearing
from dialer.db.audit_trail import Entry
from dialer.db.hearing import Heard, Listener, SoundRow
from dialer.db.sql import Connection
from dialer.domain.roles import Role
from tests.web.conftest import House
from tests.web.test_recordings import a_recording

NOW = datetime(2026, 3, 10, tzinfo=UTC)


async def the_sound(pool: Pool, recording: UUID) -> SoundRow:
    async with pool.acquire() as conn:
        row = await hearing.sound(conn, recording)
    assert row is not None
    return row


def heard(row: SoundRow, *, user: UUID | None, login: str, why: str) -> Heard:
    entry = Entry(
        at=NOW, user_id=user, actor=f"{login} (token)", address="127.0.0.1", action="recording_listened", subject_type="recording", subject_id=str(row.id), detail={"why": why}
    )  # fmt: skip
    return Heard(entry=entry, row=row, listener=Listener(login=login, roles=frozenset({"qa", "supervisor"})))


async def test_each_of_many_rows_is_written_only_where_its_recording_and_its_listener_still_are_what_they_were(
    house: House,
) -> None:
    kept, gone = [await the_sound(house.pool, await a_recording(house, number=f"+861381234567{n}")) for n in range(2)]
    await house.pool.execute("update recordings set state = 'archived' where id = $1", gone.id)
    may, may_not = [await house.person(role) for role in (Role.QA, Role.AGENT)]
    logins = [await house.pool.fetchval("select login from users where id = $1", one.user_id) for one in (may, may_not)]
    [first, second] = [(one.user_id, login) for one, login in zip((may, may_not), logins, strict=True)]
    async with house.pool.acquire() as conn:
        written = await hearing.note(
            conn,
            [
                heard(kept, user=first[0], login=first[1], why="first"),
                heard(gone, user=first[0], login=first[1], why="gone"),
                heard(kept, user=second[0], login=second[1], why="may not"),
                heard(kept, user=first[0], login="renamed", why="renamed"),
                heard(kept, user=None, login="nobody", why="nobody"),
                heard(kept, user=first[0], login=first[1], why="last"),
            ],
        )
    assert written == [True, False, False, False, False, True]
    assert [row["detail"]["why"] for row in await house.audited("recording_listened")] == ["first", "last"]


async def test_fifty_listeners_at_once_are_a_row_each_and_hear_nothing_before_it(house: House) -> None:
    recording, listener = await a_recording(house), await house.person(Role.QA)
    async with asyncio.TaskGroup() as group, house.pool.acquire() as conn, conn.transaction():
        await conn.execute("lock table audit_log in share mode")  # no row can be committed
        asking = [
            group.create_task(listener.ask("GET", f"/recordings/{recording}/audio", why=f"{n}")) for n in range(50)
        ]
        done, _ = await asyncio.wait(asking, timeout=0.5)
        assert not done
    answers = [one.result() for one in asking]
    assert {answer.status for answer in answers} == {200}
    rows = await house.audited("recording_listened")
    assert sorted(row["detail"]["why"] for row in rows) == sorted(str(n) for n in range(50))


async def test_one_row_that_cannot_be_written_keeps_no_other_listener_from_hearing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording, listener = await a_recording(house), await house.person(Role.QA)
    note = hearing.note

    async def refusing(conn: Connection, lot: list[Heard]) -> list[bool]:
        if any(one.entry.detail["why"] == "7" for one in lot):
            raise asyncpg.DataError("what the database cannot read")
        return await note(conn, lot)

    monkeypatch.setattr(hearing, "note", refusing)
    answers = await asyncio.gather(
        *(listener.ask("GET", f"/recordings/{recording}/audio", why=f"{n}") for n in range(20))
    )
    assert [n for n, answer in enumerate(answers) if answer.status != 200] == [7]
    assert len(await house.audited("recording_listened")) == 19


@pytest.mark.parametrize(
    ("statement", "sizes"), [(hearing.NOTE_ONE, [1]), (hearing.NOTE_LOT, [2, 3, 4, 5])], ids=["one", "lot"]
)
async def test_the_statement_is_planned_once_for_all_times(house: House, statement: str, sizes: list[int]) -> None:
    recording, listener = await a_recording(house), await house.person(Role.QA)
    row = await the_sound(house.pool, recording)
    login = await house.pool.fetchval("select login from users where id = $1", listener.user_id)
    async with house.pool.acquire() as conn:
        for size in sizes * (20 // len(sizes)):
            rows = [heard(row, user=listener.user_id, login=login, why=f"{n}") for n in range(size)]
            assert all(await hearing.note(conn, rows))
        [plans] = await conn.fetch(
            "select generic_plans, custom_plans from pg_prepared_statements where statement = $1", statement
        )
    assert plans["generic_plans"] >= 10, plans
