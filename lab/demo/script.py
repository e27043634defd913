"""The demo's script: an insurance telesales script with branches, clauses and lists to tick, published and used; and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from lab.api_client import ApiClient
from lab.demo.compare import Mismatch

DOCUMENT = Path(__file__).parents[1] / "data" / "insurance-script.json"
NAME = "百万医疗险"

_CALLS = "select status, count(*) as calls from script_calls group by status order by status"
_READ = "select count(*) from script_reads"
# Nothing is agreed to before the questions, clauses and lists that it needs are done with.
_UNFINISHED = """
select a.id from attempts a left join script_calls s on s.attempt_id = a.id
where a.disposition = 'agreed' and coalesce(s.status, 'open') = 'open' order by a.id
"""


async def use_script(admin: ApiClient, project_id: UUID) -> None:
    """Published, and used from the first call on."""
    script = await admin.post("/scripts", {"name": NAME})
    await admin.put(f"/scripts/{script['id']}/draft", orjson.loads(DOCUMENT.read_bytes()))
    published = await admin.post(f"/scripts/{script['id']}/publish")
    await admin.put(f"/projects/{project_id}/script", {"script_id": script["id"], "version": published["version"]})


async def gone_through(connection: Any) -> tuple[dict[str, int], list[Mismatch]]:
    """Calls by where their script ended, and how many clauses were read; agreements that came before their script's end."""
    figures = {row["status"]: row["calls"] for row in await connection.fetch(_CALLS)}
    figures["clauses_read"] = await connection.fetchval(_READ)
    unfinished = [
        Mismatch(what="agreed before the script was gone through", attempt=str(row["id"]), detail="")
        for row in await connection.fetch(_UNFINISHED)
    ]
    return figures, unfinished
