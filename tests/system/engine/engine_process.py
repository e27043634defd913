"""An engine in a process of its own, for tests that kill it."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

from dialer.db.pool import create_pool
from dialer.engine import Engine, EngineConfig


async def main() -> None:
    settings = json.loads(os.environ["ENGINE_CONFIG"])
    settings["cdr_file"] = Path(settings["cdr_file"])
    engine = Engine(EngineConfig(**settings), await create_pool(os.environ["ENGINE_DATABASE"], max_size=6))
    await engine.start()
    await engine.wait_lost()


if __name__ == "__main__":
    asyncio.run(main())
