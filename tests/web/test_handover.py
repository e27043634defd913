"""An export for a client's key: two persons, every recording audited, opened with the age program that is nobody's of ours, bit for bit."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from dialer.domain.roles import Role
from lab.waiting import wait_until
from recorder.archive.iso import Iso
from tests.recorder.archive_builders import a_sealed_recording, a_stored_recording, sound_of
from tests.recorder.builders import PROJECT, a_project
from tests.web.client import Person
from tests.web.conftest import House


def a_client(folder: Path, name: str) -> tuple[Path, str]:
    """A client's key file and public key, made by age-keygen."""
    key = folder / f"{name}.key"
    subprocess.run(["age-keygen", "-o", str(key)], check=True, capture_output=True)
    return key, subprocess.run(
        ["age-keygen", "-y", str(key)], check=True, capture_output=True, text=True
    ).stdout.strip()


async def three_calls(house: House) -> dict[UUID, bytes]:
    """Two sealed recordings and one that is not, of one day; their sound."""
    await a_project(house.pool)
    await house.pool.execute("update projects set client = 'Pacific Insurance', name = '秋季 Autumn'")
    async with house.pool.acquire() as conn:
        await house.deps.file_keys.prepare(conn, at=house.clock())
    store, keys, at = house.deps.store_dir, house.deps.file_keys, house.clock() - timedelta(days=2)
    sounds = {}
    for number in (1, 2):
        call = await a_sealed_recording(house.pool, store, keys, number, at=at)
        sounds[call] = await sound_of(house.pool, store, keys, call)
    plain = await a_stored_recording(house.pool, store, 3, at=at)
    path = await house.pool.fetchval("select path from recordings where attempt_id = $1", plain)
    sounds[plain] = (store / path).read_bytes()
    return sounds


async def asked(house: House, person: Person, recipient: str) -> str:
    """A handover of the last days."""
    today = house.clock().date()
    body = {
        "project_id": str(PROJECT), "first_day": str(today - timedelta(days=4)), "last_day": str(today), "reason": "contract clause 9", "recipient": recipient,
    }  # fmt: skip
    return str((await person.do("POST", "/recording-exports", body))["id"])


async def approved(house: House, recipient: str) -> tuple[str, Person]:
    """Asked for by one, agreed to by another; the first is given."""
    one, other = await house.person(Role.PROJECT_MANAGER), await house.person(Role.QA)
    export = await asked(house, one, recipient)
    await other.do("POST", f"/recording-exports/{export}/approve")
    return export, one


def unpacked(image: bytes, folder: Path) -> Path:
    """The volume's files in a folder, as they are on it."""
    folder.mkdir()
    (folder / "image.iso").write_bytes(image)
    with Iso(folder / "image.iso") as iso:
        for path, entry in iso.walk():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(b"".join(iso.chunks(entry)))
    return folder


def opened(volume: Path, key: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """With the script that is on the volume, and the age program."""
    return subprocess.run(
        ["sh", str(volume / "data" / "open.sh"), str(key), str(target)], check=False, capture_output=True, text=True
    )


def run_in(folder: Path, *command: str) -> tuple[int, bytes]:
    """A program's exit code and what it wrote."""
    done = subprocess.run(command, check=False, cwd=folder, capture_output=True)
    return done.returncode, done.stdout


async def test_a_client_opens_its_volume_with_age_and_hears_what_was_recorded_bit_for_bit(
    house: House, tmp_path: Path
) -> None:
    sounds = await three_calls(house)
    key, recipient = a_client(tmp_path, "client")
    export, person = await approved(house, recipient)
    answer = await person.ask("GET", f"/recording-exports/{export}/volume")
    assert (
        answer.headers["Repr-Digest"] == f"sha-256=:{base64.b64encode(hashlib.sha256(answer.raw).digest()).decode()}:"
    )
    volume = unpacked(answer.raw, tmp_path / "volume")
    done = opened(volume, key, tmp_path / "opened")
    assert done.returncode == 0, done.stderr
    assert {call: (tmp_path / "opened" / "recordings" / f"{call.hex}.opus").read_bytes() for call in sounds} == sounds
    page = (tmp_path / "opened" / "index.html").read_text(encoding="utf-8")
    assert all(
        f"recordings/{call.hex}.opus" in page and hashlib.sha256(sound).hexdigest() in page
        for call, sound in sounds.items()
    )
    assert (tmp_path / "opened" / "index.xlsx").read_bytes().startswith(b"PK")
    assert run_in(volume, "sha256sum", "--check", "--quiet", "manifest-sha256.txt") == (0, b"")
    readme = (volume / "data" / "README.txt").read_text(encoding="utf-8")
    for text in (recipient, "Pacific Insurance", "秋季 Autumn", export, "打开方法", "How to open it"):
        assert text in readme


async def test_another_clients_key_opens_nothing_and_no_sound_or_number_lies_open_on_the_volume(
    house: House, tmp_path: Path
) -> None:
    sounds = await three_calls(house)
    _, recipient = a_client(tmp_path, "client")
    other, _ = a_client(tmp_path, "other")
    export, person = await approved(house, recipient)
    volume = unpacked((await person.ask("GET", f"/recording-exports/{export}/volume")).raw, tmp_path / "volume")
    assert opened(volume, other, tmp_path / "opened").returncode != 0
    for file in volume.rglob("*.age"):
        code, plain = run_in(volume, "age", "-d", "-i", str(other), str(file))
        assert (code != 0, plain) == (True, b"")
    image = (volume / "image.iso").read_bytes()
    numbers = [row["number"] for row in await house.pool.fetch("select number from attempts")]
    assert not [
        needle
        for needle in [*(sound[:64] for sound in sounds.values()), *(one.encode() for one in numbers)]
        if needle in image
    ]


async def test_a_handover_takes_two_persons_and_every_recording_on_it_is_an_audit_row(
    house: House, tmp_path: Path
) -> None:
    sounds = await three_calls(house)
    _, recipient = a_client(tmp_path, "client")
    one, other, third = [await house.person(Role.QA) for _ in range(3)]
    export = await asked(house, one, recipient)
    path = f"/recording-exports/{export}/volume"
    assert (await one.ask("GET", path)).error_id == "export_not_approved"
    assert (await one.ask("POST", f"/recording-exports/{export}/approve")).error_id == "export_needs_another_person"
    await other.do("POST", f"/recording-exports/{export}/approve")
    assert (await third.ask("GET", path)).error_id == "export_of_others"
    assert (await one.ask("GET", f"/recording-exports/{export}/zip")).error_id == "export_is_handover"
    assert await house.audited("recording_handed_over") == []
    image = (await one.ask("GET", path)).raw
    rows = await house.audited("recording_handed_over")
    assert {(row["user_id"], row["detail"]["call_id"], row["detail"]["recipient"]) for row in rows} == {
        (one.user_id, str(call), recipient) for call in sounds
    }
    [fetched] = await house.audited("recording_export_fetched")
    assert fetched["detail"]["image_sha256"] == hashlib.sha256(image).hexdigest()
    handovers = house.deps.archive_dir / "handovers"
    await wait_until(lambda: not list(handovers.iterdir()), timeout_s=10, what="nothing of it to stay with us")
    house.clock.ahead = timedelta(hours=25)
    assert (await (await house.session_of(one.user_id)).ask("GET", path)).error_id == "export_over"


async def test_what_is_not_all_there_is_not_handed_over(house: House, tmp_path: Path) -> None:
    sounds = await three_calls(house)
    _, recipient = a_client(tmp_path, "client")
    export, person = await approved(house, recipient)
    call = next(iter(sounds))
    path = house.deps.store_dir / await house.pool.fetchval("select path from recordings where attempt_id = $1", call)
    await house.pool.execute("update recordings set state = 'archived' where attempt_id = $1", call)
    assert (await person.ask("GET", f"/recording-exports/{export}/volume")).error_id == "export_not_in_store"
    await house.pool.execute("update recordings set state = 'stored' where attempt_id = $1", call)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert (await person.ask("GET", f"/recording-exports/{export}/volume")).error_id == "recording_file_altered"
    assert await house.audited("recording_handed_over") == []


@pytest.mark.parametrize(
    "recipient",
    ["", "age1nonsense", "AGE-SECRET-KEY-1QQPQQ", "ssh-ed25519 AAAAC3Nza", "age1" + "q" * 58],
)
async def test_what_is_no_public_key_is_refused_when_it_is_asked_for(house: House, recipient: str) -> None:
    await a_project(house.pool)
    person = await house.person(Role.QA)
    today = str(house.clock().date())
    body = {"project_id": str(PROJECT), "first_day": today, "last_day": today, "reason": "x", "recipient": recipient}
    assert (await person.ask("POST", "/recording-exports", body)).error_id == "recipient_invalid"
