"""An agent goes through a branching script on a call of the real Asterisk, over the API: the result waits until it is done, the clauses have their places in the recording."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from aiohttp.test_utils import TestServer

from campaigns.scripts.document import ScriptDocument
from dialer.domain.commands import HangUp
from dialer.domain.states import AgentState
from dialer.web.app import create_app
from dialer.web.deps import WebDeps, WebSettings
from dialer.web.passwords import Passwords
from lab import script_reader
from lab.api_client import ApiClient, ApiRefused
from recorder.archive.erasing import ArchiveKeys
from recorder.file_keys import FileKeys
from recorder.keyring import KeySource
from tests.campaigns.scripts.builders import in_use
from tests.system.engine.conftest import Floor

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]
SCRIPT = Path(__file__).resolve().parents[3] / "lab" / "data" / "insurance-script.json"


def clock() -> datetime:
    """The machine's, as the engine's."""
    return datetime.now(UTC)  # noqa: TID251  # a person's clock beside the engine's


@asynccontextmanager
async def the_desk(floor: Floor, folder: Path) -> AsyncIterator[str]:
    """The API beside the engine, as `waihu serve` has it."""
    engine = floor.engine
    deps = WebDeps(
        pool=floor.pool, database_url=floor.database_url, redis=None, engine=engine, feed=engine.feed, explain=engine, store_dir=folder, archive_dir=folder,
        file_keys=(keys := FileKeys(KeySource(path=folder / "recording.keys"))), archive_keys=ArchiveKeys(path=folder / "archive.keys", keys=keys), upload_dir=folder, settings=WebSettings(), clock=clock,
    )  # fmt: skip
    server = TestServer(create_app(deps))
    await server.start_server()
    try:
        yield str(server.make_url("")).rstrip("/")
    finally:
        await server.close()


async def test_an_agent_goes_through_a_branching_script_and_only_then_gives_the_result(
    floor: Floor, tmp_path: Path
) -> None:
    await floor.start()
    project = await floor.project(wrap_up_limit_s=60)
    document = ScriptDocument.model_validate(json.loads(SCRIPT.read_text(encoding="utf-8")))
    await in_use(floor.pool, project, document, now=clock() - timedelta(seconds=1))
    agent_id = await floor.agent(project)
    passwords = Passwords()
    hashed = await passwords.hash("long enough")
    login = await floor.pool.fetchval("update users u set password_hash = $2 from agents a where a.user_id = u.id and a.id = $1 returning u.login", agent_id, hashed)  # fmt: skip
    passwords.close()
    await floor.lead(project, name="王芳", fields={"产品": "百万医疗"})
    call = await floor.talking(agent_id)
    attempt_id = str(call.attempt_id)
    async with the_desk(floor, tmp_path) as url, ApiClient(url) as api:
        await api.log_in(login, "long enough")
        begun = await api.get("/desk/me/script")
        assert (begun["attempt_id"], begun["question"]["text"]) == (attempt_id, "请问您就是王芳本人吗？")
        wanted = {"is_person": True, "interested": True, "age": 40, "health": ["none"], "plan": "family"}
        done = await script_reader.go_through(api, attempt_id, Random(1), wanted | {"confirm": "yes"})
        assert [step["name"] for step in done["steps"]] == [
            "is_person", "interested", "age", "health", "plan", "members", "understanding", "confirm", "satisfaction",
        ]  # fmt: skip
        assert (done["status"], done["missing"]) == ("complete", {})
        assert call.answered_at is not None
        since_answer_ms = (clock() - call.answered_at) / timedelta(milliseconds=1)
        places = [one["read_at_ms"] for one in done["sections"] if one["must_read_before"]]
        assert len(places) == 2
        assert all(0 < place <= since_answer_ms for place in places)
        await api.put("/desk/me/script/answers/intention", {"attempt_id": attempt_id, "answer": None})
        await floor.engine.execute(HangUp(agent_id=agent_id))
        await floor.becomes(agent_id, AgentState.WRAP_UP)
        with pytest.raises(ApiRefused) as refused:
            await api.post("/desk/me/wrap-up", {"disposition": "agreed"})
        assert (refused.value.status, refused.value.error_id) == (409, "selection_required")
        await script_reader.go_through(api, attempt_id, Random(1))
        await api.post("/desk/me/wrap-up", {"disposition": "agreed"})
    [row] = await floor.ended(1)
    assert row["disposition"] == "agreed"
    assert await floor.pool.fetchval("select status from script_calls where attempt_id = $1", call.attempt_id) == "complete"  # fmt: skip
    assert await floor.pool.fetchval("select taken from script_quotas where cell = 'family_plans'") == 1
