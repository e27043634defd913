"""Bulk exports take two persons; each recording in one is an audit row, and says in its tags for whom it is."""

from __future__ import annotations

import hashlib
import io
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import av
import pytest

from dialer.domain.roles import Role
from tests.builders import NOON
from tests.web.client import Person
from tests.web.conftest import House
from tests.web.test_listening import a_master
from tests.web.test_recording_search import recordings


async def stored(house: House, tmp_path: Path) -> str:
    """A project with four real recordings of one day, two of them sales; its id."""
    project, made = await recordings(house)
    sound = a_master(tmp_path)
    (house.deps.store_dir / "a").write_bytes(sound)
    await house.pool.execute(
        "update recordings set sha256 = $1, bytes = $2, attempt_id = attempt_id, started_at = $3",
        hashlib.sha256(sound).digest(), len(sound), await house.pool.fetchval("select min(created_at) from attempts"),
    )  # fmt: skip
    await house.pool.execute("update recordings set disposition = 'sale' where id = any($1)", made[:2])
    return str(project)


async def asked(house: House, person: Person, project: str, **more: Any) -> str:
    """An export of the day of the calls."""
    day = await house.pool.fetchval("select min(created_at at time zone 'Asia/Shanghai')::date from attempts")
    body = {"project_id": project, "first_day": str(day), "last_day": str(day), "reason": "court order 7", **more}
    return str((await person.do("POST", "/recording-exports", body))["id"])


async def test_two_persons_make_an_export_and_every_file_says_for_whom(house: House, tmp_path: Path) -> None:
    project = await stored(house, tmp_path)
    one, other = await house.person(Role.QA), await house.person(Role.PROJECT_MANAGER)
    export = await asked(house, one, project, dispositions=["sale"], pattern="{date}/{number}")
    assert (await one.ask("GET", f"/recording-exports/{export}/zip")).error_id == "export_not_approved"
    assert (await one.ask("POST", f"/recording-exports/{export}/approve")).error_id == "export_needs_another_person"
    await other.do("POST", f"/recording-exports/{export}/approve")
    assert (await other.ask("POST", f"/recording-exports/{export}/approve")).error_id == "export_approved_already"
    answer = await one.ask("GET", f"/recording-exports/{export}/zip")
    login = await house.pool.fetchval("select login from users where id = $1", one.user_id)
    with zipfile.ZipFile(io.BytesIO(answer.raw)) as archive:
        assert archive.testzip() is None
        files = [name for name in archive.namelist() if name.endswith(".opus")]
        assert len(files) == 2
        assert {"index.html", "index.xlsx"} <= set(archive.namelist())
        assert "12345678" not in "".join(archive.namelist())
        with av.open(io.BytesIO(archive.read(files[0])), "r") as container:
            said = {name.lower(): text for name, text in container.streams[0].metadata.items()}
            assert login in said["comment"]
            assert export in said["comment"]
    rows = await house.audited("recording_exported")
    assert {(row["user_id"], row["detail"]["why"], row["detail"]["export"]) for row in rows} == {
        (one.user_id, "court order 7", export)
    }
    assert len(rows) == 2


async def test_every_file_that_leaves_is_noted_with_its_hash_and_each_fetch_has_a_mark_of_its_own(
    house: House, tmp_path: Path
) -> None:
    project = await stored(house, tmp_path)
    one, other = await house.person(Role.QA), await house.person(Role.PROJECT_MANAGER)
    export = await asked(house, one, project, dispositions=["sale"])
    await other.do("POST", f"/recording-exports/{export}/approve")
    left = {}
    for person in (one, other):
        answer = await person.ask("GET", f"/recording-exports/{export}/zip")
        with zipfile.ZipFile(io.BytesIO(answer.raw)) as archive:
            files = [archive.read(name) for name in archive.namelist() if name.endswith(".opus")]
        left[person.user_id] = {hashlib.sha256(file).digest() for file in files}
    rows = await house.pool.fetch(
        "select c.sha256, m.user_id, m.export_id, m.reason from recording_copies c join recording_marks m on m.id = c.mark_id"
    )
    assert {who: {row["sha256"] for row in rows if row["user_id"] == who} for who in left} == left
    assert {(str(row["export_id"]), row["reason"]) for row in rows} == {(export, "court order 7")}
    assert len(rows) == 4
    with pytest.raises(Exception, match="append-only"):
        await house.pool.execute("update recording_marks set actor = 'somebody else'")


async def test_nobody_else_fetches_it_and_nobody_after_a_day(house: House, tmp_path: Path) -> None:
    project = await stored(house, tmp_path)
    one, other, third = [await house.person(Role.QA) for _ in range(3)]
    export = await asked(house, one, project)
    await other.do("POST", f"/recording-exports/{export}/approve")
    assert (await third.ask("GET", f"/recording-exports/{export}/zip")).error_id == "export_of_others"
    house.clock.ahead = timedelta(hours=25)
    again = await house.session_of(one.user_id)
    assert (await again.ask("GET", f"/recording-exports/{export}/zip")).error_id == "export_over"
    assert await house.audited("recording_exported") == []


async def test_the_database_itself_refuses_one_person_as_both(house: House, tmp_path: Path) -> None:
    project = await stored(house, tmp_path)
    one = await house.person(Role.QA)
    await asked(house, one, project)
    with pytest.raises(Exception, match="recording_exports_check"):
        await house.pool.execute("update recording_exports set approved_by = requested_by, approved_at = $1", NOON)


@pytest.mark.parametrize("role", [Role.TEAM_LEADER, Role.AGENT, Role.NETWORK])
async def test_who_may_not_export_does_not_even_ask(house: House, role: Role) -> None:
    person = await house.person(role)
    answer = await person.ask("POST", "/recording-exports", {})
    assert answer.error_id == "role_not_allowed"


async def test_a_missing_file_leaves_a_zip_that_does_not_open(house: House, tmp_path: Path) -> None:
    project = await stored(house, tmp_path)
    one, other = await house.person(Role.QA), await house.person(Role.QA)
    export = await asked(house, one, project)
    await other.do("POST", f"/recording-exports/{export}/approve")
    (house.deps.store_dir / "a").unlink()
    with pytest.raises(Exception, match=r"payload|closed|disconnected|incomplete|not enough"):
        await one.ask("GET", f"/recording-exports/{export}/zip")


async def test_nobody_takes_a_part_of_an_export_for_the_whole(house: House, tmp_path: Path) -> None:
    project = await stored(house, tmp_path)
    await house.pool.execute("update recordings set state = 'archived' where disposition = 'sale'")
    asker, other = await house.person(Role.QA), await house.person(Role.SUPERVISOR)
    export = await asked(house, asker, project)
    await other.do("POST", f"/recording-exports/{export}/approve")
    answer = await asker.ask("GET", f"/recording-exports/{export}/zip")
    assert (answer.status, answer.error_id) == (409, "export_not_in_store")


async def test_days_that_are_none_are_refused_when_they_are_asked_for(house: House, tmp_path: Path) -> None:
    project = await stored(house, tmp_path)
    asker = await house.person(Role.QA)
    for first, last in (("2026-03-11", "2026-03-10"), ("0001-01-01", "2026-03-10"), ("2026-03-10", "9999-12-31")):
        body = {"project_id": project, "first_day": first, "last_day": last, "reason": "x"}
        assert (await asker.ask("POST", "/recording-exports", body)).status == 422
