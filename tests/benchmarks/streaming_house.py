"""The application with recordings in its store, and an nginx over the same files, for the benchmarks of listening."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from aiohttp import web

from campaigns.sql import Pool
from dialer.db import identities
from dialer.live.feed import Feed
from dialer.main import memory
from dialer.web.access import TOKEN_PREFIX, hash_of
from dialer.web.api import PREFIX
from dialer.web.app import create_app
from dialer.web.deps import WebDeps, WebSettings
from dialer.web.recordings import links
from lab.nginx import Nginx
from lab.ports import free_port
from recorder.archive.erasing import ArchiveKeys
from recorder.file_keys import FileKeys
from recorder.keyring import KeySource
from recorder.sealing import SealingSink, new_seal
from tests.benchmarks.database import a_database
from tests.builders import a_user
from tests.recorder.builders import PROJECT, a_project, an_attempt

TOKEN = TOKEN_PREFIX + "benchmark"  # of a database that is gone with the run
NOW = datetime(2026, 3, 10, tzinfo=UTC)


@dataclass(kw_only=True)
class StreamingHouse:
    """What streams: `port` ours, `anew_port` ours where nothing that was heard is kept in memory, `behind_port` ours behind nginx, nginx itself with the files
    at /bare/ and us behind it at /.
    """

    pool: Pool
    store: Path
    keys: FileKeys
    user: UUID
    port: int = 0
    anew_port: int = 0
    behind_port: int = 0
    nginx: Nginx = field(init=False)

    async def recording(self, number: int, sound: bytes, *, sealed: bool) -> UUID:
        """A stored recording; its file is `<number>.opus`."""
        call, content, key = await an_attempt(self.pool, number), sound, None
        if sealed:
            seal, out = new_seal(call), io.BytesIO()
            sink = SealingSink(out, seal)
            sink.write(sound)
            sink.finish()
            content = out.getvalue()
            async with self.pool.acquire() as conn:
                key = await self.keys.wrap(conn, PROJECT, seal, at=NOW)
        await asyncio.to_thread((self.store / f"{number}.opus").write_bytes, content)
        recording: UUID = await self.pool.fetchval(
            "insert into recordings (attempt_id, project_id, state, path, sha256, bytes, duration_ms, started_at, ended_at, project_key_id, wrapped_key, "
            "content_sha256, content_bytes) values ($1, $2, 'stored', $3, $4, $5, 1, $6, $6, $7, $8, $9, $10) returning id",
            call, PROJECT, f"{number}.opus", hashlib.sha256(content).digest(), len(content), NOW, key and key.project_key_id, key and key.wrapped,
            hashlib.sha256(sound).digest(), len(sound),
        )  # fmt: skip
        return recording

    async def link(self, recording: UUID) -> str:
        """The path of a link to it, as the API makes them."""
        until = datetime.now(UTC) + timedelta(hours=1)  # noqa: TID251  # the application asks the machine's clock too
        link = links.Link(recording_id=recording, user_id=self.user, until=until, media="opus", why="bench")
        return f"{PREFIX}/recordings/by-link/{links.signed(link, (await self.keys.ring()).derive(links.PURPOSE))}"


@asynccontextmanager
async def a_streaming_house(folder: Path) -> AsyncIterator[StreamingHouse]:
    """All of it, running."""
    store, source = folder / "store", KeySource(path=folder / "recording.keys")
    store.mkdir()
    source.make("bench")
    async with a_database() as pool:
        await a_project(pool)
        user = await a_user(pool, role="qa", login="bench")
        await identities.create_token(
            pool, user_id=user, name="bench", token_hash=hash_of(TOKEN), now=NOW, expires_at=None
        )
        house = StreamingHouse(pool=pool, store=store, keys=FileKeys(source), user=user)
        runners = []
        ways = {
            "port": WebSettings(),
            "anew_port": WebSettings(heard_in_memory_bytes=0),
            "behind_port": WebSettings(accel_prefix="/kept"),
        }
        for name, settings in ways.items():
            runner, port = await _serving(house, folder, settings)
            runners.append(runner)
            setattr(house, name, port)
        house.nginx = Nginx(
            folder,
            f"location /bare/ {{ alias {store}/; }} location /kept/ {{ internal; alias {store}/; }} "
            f"location / {{ proxy_pass http://127.0.0.1:{house.behind_port}; }}",
        )
        await house.nginx.start()
        memory.settle()
        try:
            yield house
        finally:
            await house.nginx.stop()
            for runner in runners:
                await runner.cleanup()


async def _serving(house: StreamingHouse, folder: Path, settings: WebSettings) -> tuple[web.AppRunner, int]:
    """The application on a port."""
    deps = WebDeps(
        pool=house.pool, database_url="", redis=None, engine=cast("Any", None), feed=Feed("bench"), store_dir=house.store, file_keys=house.keys,
        archive_keys=ArchiveKeys(path=folder / "archive.keys", keys=house.keys), upload_dir=folder / "uploads", archive_dir=folder / "archive", settings=settings,
    )  # fmt: skip
    runner, port = web.AppRunner(create_app(deps), access_log=None), free_port()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner, port
