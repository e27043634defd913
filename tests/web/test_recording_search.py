"""Recordings are found by what their calls were, newest first, and by nothing that a project masks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.db.recording_search import Ids, Wanted, search, statement
from dialer.domain.roles import Role
from tests.builders import NOON, a_lead, a_project, an_attempt
from tests.web.conftest import House

NUMBERS = ("+8613812345678", "+8613812345679", "+8613812345680", "+8613912345678")


async def recordings(house: House, count: int = 4, **settings: Any) -> tuple[UUID, list[UUID]]:
    """Stored recordings of a project's calls; the project, and the recordings, oldest first."""
    project = await a_project(house.pool, **settings)
    made = []
    for number in NUMBERS[:count]:
        lead = await a_lead(house.pool, project.id, number=number)
        attempt = await an_attempt(house.pool, project, lead)
        made.append(
            await house.pool.fetchval(
                "insert into recordings (attempt_id, lead_id, project_id, state, path, sha256, bytes, duration_ms, started_at, ended_at, "
                "agent_ms, dead_air_ms, longest_silence_ms, talk_over_ms, talk_overs, longest_monologue_ms) "
                "values ($1, $2, $3, 'stored', 'a', sha256('a'), 5, 60000, $4, $4, 1, 0, 0, 0, 0, 1) returning id",
                attempt.attempt_id, lead, project.id, NOON,
            )
        )  # fmt: skip
        await house.pool.execute("delete from live_attempts")
    return project.id, made


async def change(house: House, recording: UUID, **columns: Any) -> None:
    """Set columns of a recording."""
    for name, value in columns.items():
        await house.pool.execute(f"update recordings set {name} = $2 where id = $1", recording, value)


async def found(house: House, **query: Any) -> Sequence[str]:
    """Ids that a listener finds."""
    listener = await house.person(Role.QA)
    return [one["id"] for one in (await listener.get("/recordings", **query))["items"]]


async def test_the_newest_call_comes_first_page_by_page(house: House) -> None:
    await recordings(house)
    newest = await house.pool.fetch("select id from recordings order by attempt_id desc")
    listener = await house.person(Role.QA)
    first = await listener.get("/recordings", limit=3)
    rest = await listener.get("/recordings", limit=3, cursor=first["next"])
    assert [one["id"] for one in (*first["items"], *rest["items"])] == [str(row["id"]) for row in newest]
    assert rest["next"] is None


@pytest.mark.parametrize(
    ("columns", "query"),
    [
        ({"disposition": "sale"}, {"disposition": "sale"}),
        ({"duration_ms": 5000}, {"longest_ms": 5000}),
        ({"duration_ms": 90_000}, {"shortest_ms": 90_000}),
        ({"customer_ms": 0}, {"customer_spoke": "false"}),
        ({"customer_ms": 1}, {"customer_spoke": "true"}),
        ({"dead_air_ms": 9000}, {"dead_air_from_ms": 9000}),
        ({"talk_over_ms": 4000}, {"talk_over_from_ms": 3000}),
        ({"longest_monologue_ms": 70_000}, {"monologue_from_ms": 60_000}),
        ({"agent_first_word_ms": 2500}, {"first_word_from_ms": 2000}),
        ({"faults": [{"fault": "clipped", "side": "agent"}]}, {"fault": "clipped"}),
        ({"note": "客户想退订短信"}, {"text": "退订"}),
        ({"note": "Wants the CONTRACT by mail"}, {"text": "contract"}),
        ({"tags": ["vip"]}, {"tag": "vip"}),
        ({"state": "missing", "reason": "legs_never_came"}, {"state": "missing"}),
    ],
)  # fmt: skip
async def test_each_filter_finds_the_one_recording_it_means(
    house: House, columns: dict[str, Any], query: dict[str, Any]
) -> None:
    project, made = await recordings(house, 3)
    reason = columns.pop("reason", None)
    if reason:
        await change(house, made[1], reason=reason)
    await change(house, made[1], **columns)
    assert await found(house, project_id=project, **query) == [str(made[1])]


async def test_a_span_of_time_is_that_of_the_answer(house: House) -> None:
    _, made = await recordings(house, 3)
    placed = await house.pool.fetchval("select min(created_at) from attempts")
    for minutes, recording in enumerate(made):
        await change(house, recording, started_at=placed + timedelta(minutes=minutes))
    between = {
        "since": (placed + timedelta(seconds=30)).isoformat(),
        "until": (placed + timedelta(seconds=90)).isoformat(),
    }
    assert await found(house, **between) == [str(made[1])]
    assert await found(house, until=between["since"]) == [str(made[0])]
    assert await found(house, since=between["until"]) == [str(made[2])]


async def test_a_number_is_found_whole_as_people_write_it_and_never_by_its_parts(house: House) -> None:
    _, made = await recordings(house)
    assert await found(house, number="138 1234 5679") == [str(made[1])]
    listener = await house.person(Role.QA)
    assert (await listener.ask("GET", "/recordings", number="5679")).status == 422
    [shown] = (await listener.get("/recordings", number="13812345679"))["items"]
    assert shown["number"] == "+86138****5679"


async def test_a_number_in_a_note_is_masked_with_the_number(house: House) -> None:
    project, made = await recordings(house, 1)
    await change(house, made[0], note="call back on 13812345678 please")
    [shown] = (await (await house.person(Role.QA)).get("/recordings", project_id=project))["items"]
    assert "12345678" not in shown["note"]


async def test_the_result_and_the_note_of_a_call_follow_into_its_recording(house: House) -> None:
    _, made = await recordings(house, 1)
    await house.pool.execute("update attempts set disposition = 'sale', note = '已成交'")
    row = await house.pool.fetchrow("select disposition, note, number from recordings where id = $1", made[0])
    assert row is not None
    assert tuple(row) == ("sale", "已成交", NUMBERS[0])


async def test_tags_are_set_with_an_audit_row_and_found(house: House) -> None:
    _, made = await recordings(house, 2)
    listener = await house.person(Role.QA)
    tagged = await listener.do("PUT", f"/recordings/{made[0]}/tags", {"tags": ["训练", "成交", "成交"]})
    assert tagged["tags"] == sorted({"训练", "成交"})
    assert await found(house, tag="成交") == [str(made[0])]
    [row] = await house.audited("recording_tagged")
    assert (row["user_id"], row["subject_id"]) == (listener.user_id, str(made[0]))


async def test_a_search_in_thousands_of_rows_reads_the_index_of_its_filter(house: House) -> None:
    """The plan, not the clock: no query of a screen reads the table from end to end."""
    project, made = await recordings(house, 1)
    async with house.pool.acquire() as conn, conn.transaction():
        await conn.execute("set local session_replication_role = replica")
        await conn.execute(
            """insert into recordings (attempt_id, project_id, state, path, sha256, bytes, duration_ms, started_at, number, disposition, note, tags)
               select (lpad(to_hex(1770000000000 + i * 1000), 12, '0') || '7abc8' || lpad(to_hex(i), 15, '0'))::uuid, gen_random_uuid(), 'stored', 'a',
                      sha256('a'), 5, 60000, to_timestamp(1770000000 + i), '+86' || i, 'sale', 'note ' || i, '{}' from generate_series(1, 5000) i"""
        )
    await house.pool.execute("analyze recordings")
    for wanted in (
        Wanted(project_id=project),
        Wanted(number=NUMBERS[0]),
        Wanted(text="退订"),
        Wanted(tag="vip"),
        Wanted(project_id=project, disposition="sale"),
        Wanted(agent_id=project),
        Wanted(project_id=project, dead_air_from_ms=9),
    ):
        sql, arguments = statement(wanted, Ids(), limit=51)
        plan = "\n".join(row[0] for row in await house.pool.fetch("explain " + sql, *arguments))
        assert "Seq Scan on recordings" not in plan, f"{wanted}\n{plan}"
    assert made


DAYS_AGO = (0, 0.001, 3, 6.999, 7, 7.001, 8, 40, 62.999, 63, 64, 400, 500, 900, 4000)


async def test_words_of_all_years_come_newest_first_page_by_page_and_none_is_passed_over(house: House) -> None:
    """They are looked for stretch by stretch; neither a page nor a span knows of it."""
    project = await a_project(house.pool)
    async with house.pool.acquire() as conn, conn.transaction():
        await conn.execute("set local session_replication_role = replica")
        for number, days in enumerate(DAYS_AGO):
            placed = NOON - timedelta(days=days)
            await conn.execute(
                """insert into recordings (attempt_id, project_id, state, path, sha256, bytes, duration_ms, started_at, number, note, tags)
                   select (left(uuid7_floor($1)::text, 14) || '7abc-8000-' || lpad(to_hex($2::bigint), 12, '0'))::uuid, $3, 'stored', 'a', sha256('a'), 5, 60000,
                          $1::timestamptz + interval '9 minutes', '+86' || $2::bigint, 'says 退订 again', '{}'""",
                placed, number, project.id,
            )  # fmt: skip
        every = [
            row["attempt_id"] for row in await conn.fetch("select attempt_id from recordings order by attempt_id desc")
        ]
        for size in (1, 2, 5, 100):
            paged, before = [], None
            while rows := await search(conn, Wanted(text="退订"), before=before, limit=size):
                assert len(rows) <= size
                paged += [row.attempt_id for row in rows]
                before = paged[-1]
            assert paged == every, size
        for since, until in ((0, 8), (7, 63.5), (3, 5000), (64, 900), (4500, 5000), (-9, -5)):
            wanted = Wanted(text="退订", since=NOON - timedelta(days=until), until=NOON - timedelta(days=since))
            within = [one for one, days in zip(every, DAYS_AGO, strict=True) if since < days - 0.00625 <= until]
            assert [row.attempt_id for row in await search(conn, wanted, before=None, limit=100)] == within, (
                since,
                until,
            )


@given(st.builds(Wanted, text=st.text(min_size=2), shortest_ms=st.integers(0, 9), tag=st.text()))
def test_whatever_is_asked_becomes_an_argument_and_never_a_part_of_the_statement(wanted: Wanted) -> None:
    sql, arguments = statement(wanted, Ids(), limit=1)
    assert sql == statement(Wanted(text="a", shortest_ms=1, tag="b"), Ids(), limit=1)[0]
    assert arguments[:2] == [wanted.tag, wanted.text]


async def test_the_table_of_recordings_can_be_looked_after_without_a_search_path(house: House) -> None:
    """As autovacuum does it; before, every one of its rounds ended in an error."""
    await recordings(house)
    async with house.pool.acquire() as conn, conn.transaction():
        await conn.execute("set local search_path = ''")
        await conn.execute("analyze public.recordings")
        terms = await conn.fetchval("select public.recording_terms('ab', '{vip}', null, null)")
    assert terms is None or "tag vip" in terms
