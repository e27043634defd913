"""How fast recordings are streamed over HTTP, rights and a committed audit row for each range included, beside nginx on the same file in the same run.

1 MB ranges from random places of a file that is in memory, over 8 connections. Bounds: half of nginx; sealed recordings 0.9 of plain ones.
The same as plain, but sent by nginx after our audit row (X-Accel-Redirect), is shown.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import uvloop
from aiohttp import web

from campaigns.sql import Pool
from dialer.db import identities
from dialer.live.feed import Feed
from dialer.web.access import TOKEN_PREFIX, hash_of
from dialer.web.app import create_app
from dialer.web.deps import WebDeps, WebSettings
from lab.nginx import Nginx
from lab.ports import free_port
from recorder.archive.erasing import ArchiveKeys
from recorder.file_keys import FileKeys
from recorder.keyring import KeySource
from recorder.sealing import SealingSink, new_seal
from tests.benchmarks.database import a_database
from tests.builders import a_user
from tests.recorder.builders import PROJECT, a_project, an_attempt

SIZE, SPAN, CONNECTIONS, COUNT, ROUNDS = 64_000_000, 1_000_000, 8, 40, 3
NGINX_BOUND, SEALED_BOUND = 0.5, 0.9
TOKEN = TOKEN_PREFIX + "benchmark"  # of a database that is gone with the run
NOW = datetime(2026, 3, 10, tzinfo=UTC)
SOUND = os.urandom(1_000_000) * (SIZE // 1_000_000)


async def measured(port: int, path: str) -> float:
    """MB/s of one round."""
    words = ["127.0.0.1", port, path, TOKEN, SIZE, SPAN, COUNT, CONNECTIONS]
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.range_client", *map(str, words), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await client.communicate()
    return float(out)


async def a_recording(pool: Pool, keys: FileKeys, store: Path, number: int, *, sealed: bool) -> UUID:
    """A stored recording."""
    call, content, key = await an_attempt(pool, number), SOUND, None
    if sealed:
        seal, out = new_seal(call), io.BytesIO()
        sink = SealingSink(out, seal)
        sink.write(SOUND)
        sink.finish()
        content = out.getvalue()
        async with pool.acquire() as conn:
            key = await keys.wrap(conn, PROJECT, seal, at=NOW)
    await asyncio.to_thread((store / f"{number}.opus").write_bytes, content)
    recording: UUID = await pool.fetchval(
        "insert into recordings (attempt_id, project_id, state, path, sha256, bytes, duration_ms, started_at, ended_at, project_key_id, wrapped_key, "
        "content_sha256, content_bytes) values ($1, $2, 'stored', $3, $4, $5, 1, $6, $6, $7, $8, $9, $10) returning id",
        call, PROJECT, f"{number}.opus", hashlib.sha256(content).digest(), len(content), NOW, key and key.project_key_id, key and key.wrapped,
        hashlib.sha256(SOUND).digest(), SIZE,
    )  # fmt: skip
    return recording


async def serving(deps: WebDeps) -> tuple[web.AppRunner, int]:
    """The application on a port."""
    runner, port = web.AppRunner(create_app(deps), access_log=None), free_port()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner, port


async def measure(folder: Path) -> int:
    """Print a line for each figure; how many missed."""
    async with a_database() as pool:
        return await _measure(pool, folder)


async def _measure(pool: Pool, folder: Path) -> int:
    store, source = folder / "store", KeySource(path=folder / "recording.keys")
    store.mkdir()
    source.make("bench")
    keys = FileKeys(source)
    await a_project(pool)
    user = await a_user(pool, role="qa", login="bench")
    await identities.create_token(pool, user_id=user, name="bench", token_hash=hash_of(TOKEN), now=NOW, expires_at=None)
    plain, sealed = [await a_recording(pool, keys, store, number, sealed=number == 2) for number in (1, 2)]

    def deps(settings: WebSettings) -> WebDeps:
        return WebDeps(
            pool=pool, database_url="", redis=None, engine=cast("Any", None), feed=Feed("bench"), store_dir=store, file_keys=keys, archive_keys=ArchiveKeys(path=store.parent / "archive.keys", keys=keys),
            upload_dir=folder / "uploads", archive_dir=folder / "archive", settings=settings,
        )  # fmt: skip

    ours, port = await serving(deps(WebSettings()))
    behind, behind_port = await serving(deps(WebSettings(accel_prefix="/kept")))
    nginx = Nginx(
        folder,
        f"location /bare/ {{ alias {store}/; }} location /kept/ {{ internal; alias {store}/; }} location / {{ proxy_pass http://127.0.0.1:{behind_port}; }}",
    )
    await nginx.start()
    of = {
        "nginx": (nginx.port, "/bare/1.opus"),
        "plain": (port, f"/api/v1/recordings/{plain}/audio"),
        "sealed": (port, f"/api/v1/recordings/{sealed}/audio"),
        "by nginx": (nginx.port, f"/api/v1/recordings/{plain}/audio"),
    }
    best = dict.fromkeys(of, 0.0)
    for _ in range(ROUNDS):
        for name, where in of.items():
            best[name] = max(best[name], await measured(*where))
    await nginx.stop()
    for runner in (ours, behind):
        await runner.cleanup()
    lines = [
        ("Streaming 1 MB ranges", "plain", "nginx", NGINX_BOUND),
        ("Streaming 1 MB ranges, sealed", "sealed", "plain", SEALED_BOUND),
        ("Streaming 1 MB ranges, sent by nginx", "by nginx", "nginx", None),
    ]
    missed = 0
    for name, what, bound, wanted in lines:
        ratio = best[what] / best[bound]
        held = wanted is None or ratio >= wanted
        missed += not held
        said = f"{bound} {best[bound]:.0f} MB/s ({'shown' if wanted is None else f'>= {wanted}'})"
        print(f"{name} | {best[what]:.0f} MB/s | {said} | {ratio:.2f} | {'ok' if held else 'MISSED'}", flush=True)
    return missed


def main() -> int:
    """0 when every bound is held."""
    runs = Path(__file__).resolve().parents[2] / ".run" / "bench"
    runs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=runs) as folder:
        return int(uvloop.run(measure(Path(folder))) > 0)


if __name__ == "__main__":
    sys.exit(main())
