"""`waihu doctor` sees each dependency break: broken for real, and the finding says what to do."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from campaigns.rule_packs import PackRef, add_pack, choose
from campaigns.sql import Pool
from dialer.doctor import (
    CHECKS,
    Finding,
    Level,
    cdr,
    certificates,
    clock,
    codecs,
    directories,
    examine,
    faces,
    keeping,
    names,
    programs,
    rules,
)
from dialer.doctor import postgres as pg
from dialer.doctor import redis as redis_check
from dialer.doctor.asterisk import judge_agi, judge_rights
from dialer.settings import Settings
from lab.ports import free_port
from lab.postgres import Postgres
from lab.redis import Redis
from recorder.file_keys import FileKeys
from recorder.keyring import KeySource
from recorder.sealing import Seal
from tests.builders import NOON, a_project
from tests.campaigns.rules.test_loading import HEAD, RULE


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an installation of which nothing runs."""
    for name in ("spool", "store", "work", "cdr"):
        (tmp_path / name).mkdir()
    return Settings(
        database_url=f"postgresql://waihu@127.0.0.1:{free_port()}/waihu",
        redis_url=f"redis://127.0.0.1:{free_port()}/0",
        ami_port=free_port(), agi_port=free_port(), web_port=free_port(), control_port=free_port(),
        spool_dir=tmp_path / "spool", store_dir=tmp_path / "store", work_dir=tmp_path / "work", cdr_file=tmp_path / "cdr" / "waihu.csv",
    )  # fmt: skip


def the(findings: list[Finding], subject: str) -> Finding:
    return next(finding for finding in findings if finding.subject == subject)


def levels(findings: list[Finding]) -> set[Level]:
    return {finding.level for finding in findings}


async def test_everything_away_gives_a_finding_for_each_check_and_no_defect_of_the_doctor(settings: Settings) -> None:
    findings = [finding async for finding in examine(settings)]
    assert {"postgresql", "schema", "redis", "asterisk", "agi", "trunks"} <= {
        finding.subject for finding in findings if finding.level is not Level.OK
    }
    assert not [finding for finding in findings if "defect of the doctor" in finding.do]
    assert all(finding.do for finding in findings if finding.level is not Level.OK)


async def test_only_the_wanted_checks_are_made(settings: Settings) -> None:
    assert {finding.subject async for finding in examine(settings, only=frozenset({"python"}))} == {"python"}


async def test_check_that_breaks_is_a_finding_and_hides_no_other(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_settings: Settings) -> list[Finding]:
        raise RuntimeError("boom")

    monkeypatch.setitem(CHECKS, "redis", broken)
    findings = [finding async for finding in examine(settings, only=frozenset({"redis", "python"}))]
    assert "boom" in the(findings, "redis").seen
    assert the(findings, "python").level is Level.OK


# --- caller numbers


async def test_certificates_that_ran_out_or_soon_will_are_told_and_retired_numbers_are_not(
    settings: Settings, database_url: str, pool: Pool
) -> None:
    well = settings.model_copy(update={"database_url": database_url})
    today = await pool.fetchval("select (now() at time zone 'Asia/Shanghai')::date")
    assert levels(await certificates.of_caller_numbers(well)) == {Level.OK}
    owner = (await a_project(pool)).trunk
    assert owner is not None
    for number, ends_in, state in (
        ("+861088880001", 10, "active"),
        ("+861088880002", 200, "active"),
        ("+861088880003", -1, "active"),
        ("+861088880004", -1, "retired"),
    ):
        await pool.execute(
            "insert into caller_numbers (number, trunk_id, state, why, certified) values ($1, $2, $3, 'x', datemultirange(daterange($4, $5)))",
            number, owner.id, state, today - timedelta(days=300), today + timedelta(days=ends_in + 1),
        )  # fmt: skip
    over, soon = await certificates.of_caller_numbers(well)
    assert "+861088880003" in over.seen
    assert "+861088880004" not in over.seen
    assert f"+861088880001 ({today + timedelta(days=10)})" in soon.seen
    assert "+861088880002" not in soon.seen


# --- calling rules


async def test_packs_in_use_that_end_soon_or_have_are_told_with_the_projects_that_would_stand_still(
    settings: Settings, database_url: str, pool: Pool
) -> None:
    well = settings.model_copy(update={"database_url": database_url})
    today = await pool.fetchval("select (now() at time zone 'Asia/Shanghai')::date")
    assert levels(await rules.coming_to_an_end(well)) == {Level.OK}
    for name, days, state in (("autumn", 10, "running"), ("winter", -1, "paused"), ("spring", 90, "running"), ("gone", -1, "completed")):  # fmt: skip
        project = await a_project(pool, name=name)
        head = HEAD.replace('"mine"', f'"{name}"') + f"effective_until = {today + timedelta(days=days)}\n"
        async with pool.acquire() as conn:
            await add_pack(conn, head + RULE, now=NOON)
            await choose(conn, project.id, [PackRef(pack=name, version="1")], now=NOON)
        await pool.execute("update projects set state = $2 where id = $1", project.id, state)
    over, soon = await rules.coming_to_an_end(well)
    assert (over.level, soon.level) == (Level.FAULT, Level.WARNING)
    assert "winter@1" in over.seen
    assert f"autumn@1 runs out on {today + timedelta(days=10)}" in soon.seen
    assert "waihu rules use" in soon.do


# --- PostgreSQL and Redis


async def test_migrated_database_is_well(settings: Settings, database_url: str) -> None:
    well = settings.model_copy(update={"database_url": database_url})
    assert the(await pg.server(well), "postgresql").level is Level.OK
    assert levels(await pg.schema(well)) == {Level.OK}
    assert levels(await pg.clock_skew(well)) == {Level.OK}


async def test_cluster_that_does_not_sync_is_a_fault(settings: Settings, database_url: str) -> None:
    # The tests' own cluster runs without fsync, which is just what must be told in production.
    findings = await pg.server(settings.model_copy(update={"database_url": database_url}))
    assert any("fsync" in finding.seen and finding.level is Level.FAULT for finding in findings)


async def test_empty_database_is_told_to_migrate(settings: Settings, postgres: Postgres) -> None:
    findings = await pg.schema(settings.model_copy(update={"database_url": postgres.url_of("postgres")}))
    assert findings[0].level is Level.FAULT
    assert "waihu migrate" in findings[0].do


async def test_database_newer_than_the_program_is_told(settings: Settings, database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "insert into _yoyo_migration (migration_hash, migration_id, applied_at_utc) values ('x', '9999_from_the_future', now())"
    )
    await connection.close()
    findings = await pg.schema(settings.model_copy(update={"database_url": database_url}))
    assert "9999_from_the_future" in findings[0].seen
    assert findings[0].level is Level.FAULT


async def test_user_without_rights_is_a_fault(settings: Settings, database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("drop role if exists poor")
    await connection.execute("create role poor login password 'poor'; revoke create on schema public from public")
    url = database_url.replace(database_url.split("//")[1].split("@", maxsplit=1)[0], "poor:poor")
    findings = await pg.server(settings.model_copy(update={"database_url": url}))
    await connection.execute("drop owned by poor; drop role poor")
    await connection.close()
    assert any("may not create" in finding.seen and finding.level is Level.FAULT for finding in findings)


async def test_wrong_password_is_a_fault_and_does_not_show(settings: Settings, database_url: str) -> None:
    password = database_url.split("//")[1].split("@", maxsplit=1)[0].split(":")[1]
    findings = await pg.server(
        settings.model_copy(update={"database_url": database_url.replace(password, "wrong-secret")})
    )
    assert findings[0].level is Level.FAULT
    assert "wrong-secret" not in findings[0].seen


async def test_postgresql_that_hangs_is_a_fault_within_the_deadline(settings: Settings) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        hanging = settings.model_copy(
            update={"database_url": f"postgresql://waihu@127.0.0.1:{silent.getsockname()[1]}/waihu"}
        )
        async with asyncio.timeout(10):
            assert levels(await pg.server(hanging)) == {Level.FAULT}


@pytest.mark.parametrize(
    ("skew_s", "level"),
    [(0.01, Level.OK), (-0.8, Level.WARNING), (0.8, Level.WARNING), (-7.0, Level.FAULT), (60.0, Level.FAULT)],
)
def test_skewed_clock_is_judged_by_its_size(skew_s: float, level: Level) -> None:
    assert pg.judge_skew(skew_s).level is level


async def test_redis_is_seen_and_its_absence_is_only_a_warning(settings: Settings, redis: Redis) -> None:
    assert levels(await redis_check.server(settings.model_copy(update={"redis_url": redis.url}))) == {Level.OK}
    assert levels(await redis_check.server(settings)) == {Level.WARNING}
    wrong = redis.url.replace(":@", "@") if ":@" in redis.url else f"redis://127.0.0.1:{redis.port}/0"
    assert levels(await redis_check.server(settings.model_copy(update={"redis_url": wrong}))) == {Level.WARNING}


async def test_no_redis_is_a_choice(settings: Settings) -> None:
    assert levels(await redis_check.server(settings.model_copy(update={"redis_url": ""}))) == {Level.OK}


# --- the machine


async def test_old_python_is_a_fault(settings: Settings) -> None:
    assert levels(await programs.python_version(settings, version=(3, 10, 4))) == {Level.FAULT}
    assert levels(await programs.python_version(settings)) == {Level.OK}


async def test_installed_packages_are_well_and_a_missing_distribution_is_told(settings: Settings) -> None:
    assert levels(await programs.packages(settings)) == {Level.OK}
    assert levels(await programs.packages(settings, distribution="waihu-that-is-not-there")) == {Level.WARNING}


async def test_missing_directory_is_a_fault(settings: Settings) -> None:
    settings.spool_dir.rmdir()
    finding = the(await directories.rights_and_room(settings), "spool directory")
    assert finding.level is Level.FAULT
    assert "WAIHU_SPOOL_DIR" in finding.do


def test_directory_that_cannot_be_written_is_a_fault() -> None:
    # /proc refuses new files even to root.
    assert directories.judge("store", Path("/proc"), 0).level is Level.FAULT


def test_full_disk_is_a_fault_and_a_nearly_full_one_a_warning(tmp_path: Path) -> None:
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    assert directories.judge("store", tmp_path, free * 2).level is Level.FAULT
    assert directories.judge("store", tmp_path, free // 2).level is Level.WARNING
    assert directories.judge("store", tmp_path, free // 100).level is Level.OK


async def test_spool_and_store_on_one_file_system_are_told(settings: Settings) -> None:
    assert the(await directories.rights_and_room(settings), "spool and store").level is Level.WARNING


async def test_unknown_host_name_is_told_with_the_line_for_etc_hosts(settings: Settings) -> None:
    finding = (await names.own_host_name(settings, host="no-such-host.invalid"))[0]
    assert finding.level is not Level.OK
    assert "/etc/hosts" in finding.do


async def test_host_name_that_takes_seconds_is_a_fault(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(*_arguments: object, **_options: object) -> list[object]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(names, "GIVE_UP_S", 0.05)
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", slow)
    assert levels(await names.own_host_name(settings)) == {Level.FAULT}


async def test_unsynchronised_clock_is_a_warning(settings: Settings) -> None:
    assert levels(await clock.synchronised(settings, state=5)) == {Level.WARNING}
    assert levels(await clock.synchronised(settings, state=None)) == {Level.WARNING}
    assert levels(await clock.synchronised(settings, state=0)) == {Level.OK}
    assert levels(await clock.synchronised(settings)) <= {Level.OK, Level.WARNING}


async def test_unknown_zone_is_a_fault(settings: Settings) -> None:
    assert levels(await clock.zones(settings.model_copy(update={"zone": "Mars/Olympus"}))) == {Level.FAULT}
    assert levels(await clock.zones(settings)) == {Level.OK}


async def test_missing_encoder_is_a_fault(settings: Settings) -> None:
    assert levels(await codecs.encoder(settings)) == {Level.OK}
    assert levels(await codecs.encoder(settings, codec="libnothing")) == {Level.FAULT}


# --- call records


async def test_key_file_is_asked_for_only_once_something_was_sealed(
    settings: Settings, tmp_path: Path, database_url: str, pool: Pool
) -> None:
    well = settings.model_copy(
        update={"database_url": database_url, "recording_keys": tmp_path / "keys" / "recording.keys"}
    )
    assert levels(await keeping.master_keys(well)) == {Level.OK}
    source = KeySource(path=well.recording_keys)
    source.make("first")
    project = await a_project(pool)
    async with pool.acquire() as connection:
        seal = Seal(attempt_id=uuid4(), key=bytes(32))
        await FileKeys(source).wrap(connection, project.id, seal, at=datetime(2026, 3, 2, 9, tzinfo=UTC))
    assert "first in use" in the(await keeping.master_keys(well), "recording keys").seen

    well.recording_keys.rename(tmp_path / "away")
    missing = the(await keeping.master_keys(well), "recording keys")
    assert missing.level is Level.FAULT
    assert "backup" in missing.seen

    source.make("second")
    lacking = the(await keeping.master_keys(well), "recording keys")
    assert lacking.level is Level.FAULT
    assert "first" in lacking.seen

    well.recording_keys.chmod(0o644)
    assert "chmod 600" in the(await keeping.master_keys(well), "recording keys").seen


async def test_missing_archive_program_is_a_warning_that_names_it(settings: Settings) -> None:
    assert levels(await keeping.archive_programs(settings, programs=("sh",))) == {Level.OK}
    missing = the(await keeping.archive_programs(settings, programs=("sh", "no-such-burner")), "archive programs")
    assert missing.level is Level.WARNING
    assert "no-such-burner" in missing.seen
    assert "no-such-burner" in missing.do


def test_call_record_file_is_examined(tmp_path: Path) -> None:
    path = tmp_path / "waihu.csv"
    assert cdr.judge(tmp_path / "nowhere" / "waihu.csv").level is Level.FAULT
    assert cdr.judge(path).level is Level.WARNING
    path.write_text("")
    assert cdr.judge(path).level is Level.OK
    path.write_text('"call-1","2026-01-01","","2026-01-01","BUSY","17"\n')
    assert cdr.judge(path).level is Level.OK
    path.write_text("something else\n")
    assert cdr.judge(path).level is Level.FAULT


# --- ports


@pytest.fixture
def stranger() -> Iterator[int]:
    """A port on which a program listens that is not ours."""
    import subprocess
    import sys

    port = free_port()
    code = (
        f"import socket; s = socket.create_server(('127.0.0.1', {port})); print('up', flush=True); s.accept(); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield port
        child.kill()


async def test_free_ports_are_well(settings: Settings) -> None:
    assert levels(await faces.ports(settings)) == {Level.OK}


async def test_port_taken_by_another_program_is_a_fault_that_names_it(settings: Settings, stranger: int) -> None:
    finding = await faces.plain_port("agi port", "WAIHU_AGI_PORT", "127.0.0.1", stranger)
    assert finding.level is Level.FAULT
    assert "import socket" in finding.seen
    assert (await faces.web_port(settings.model_copy(update={"web_port": stranger}))).level is Level.FAULT


# --- what Asterisk says


def test_missing_and_surplus_rights_are_told() -> None:
    enough = dict.fromkeys(
        (
            "Originate",
            "Hangup",
            "AbsoluteTimeout",
            "Redirect",
            "Getvar",
            "Setvar",
            "Status",
            "CoreShowChannels",
            "CoreSettings",
        ),
        "",
    )
    assert levels(judge_rights(enough, "waihu")) == {Level.OK}
    assert levels(judge_rights(enough | {"Command": ""}, "waihu")) == {Level.WARNING}
    del enough["Originate"]
    assert "Originate" in judge_rights(enough, "waihu")[0].seen


def test_dialplan_that_asks_elsewhere_is_a_fault(settings: Settings) -> None:
    assert judge_agi(f"agi://127.0.0.1:{settings.agi_port}", settings).level is Level.OK
    assert judge_agi("agi://127.0.0.1:1", settings).level is Level.FAULT
    assert judge_agi(None, settings).level is Level.FAULT
    assert judge_agi(f"agi://10.0.0.9:{settings.agi_port}", settings).level is Level.WARNING
