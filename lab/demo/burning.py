"""The day's recordings go to the archive, by the command an operator uses: planned, built, "burned" to two stdio discs, read again, sealed.

Then a call is brought back from a disc and compared with the store's file, bit for bit.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path
from typing import Any

from lab.command import waihu
from lab.demo.compare import Mismatch

_ONE = "select attempt_id, path from recordings where state = 'stored' order by attempt_id limit 1"
_VERIFIED = "select count(*) from recordings where state = 'stored' and verified_at is not null"


class Burning:
    """A volume of everything a demo has recorded."""

    def __init__(self, config: Path, store: Path, run_dir: Path) -> None:
        self._config = config
        self._store = store
        self._discs = run_dir / "discs"

    async def burn(self, connection: Any) -> tuple[dict[str, Any], list[Mismatch]]:
        """Do it; gives the figures, and what is not as it should be."""
        began = time.monotonic()
        self._discs.mkdir(parents=True, exist_ok=True)
        wanted = await connection.fetchval(_VERIFIED)
        drive = f"stdio:{self._discs}/{{name}}.iso"
        report = await waihu(self._config, "archive", "run", "--medium", "cd", "--wait-days", "-1", "--drive", drive)
        volumes = await waihu(self._config, "archive", "list")
        copies = await waihu(self._config, "archive", "copies")
        found: list[Mismatch] = [
            Mismatch(what="archive", attempt="", detail=str(problem)) for problem in report["problems"]
        ]
        burned = sum(volume["recordings"] for volume in volumes if volume["state"] == "sealed")
        if burned != wanted:
            found.append(
                Mismatch(what="archive", attempt="", detail=f"{burned} of {wanted} recordings are on sealed volumes")
            )
        if bad := [copy["name"] for copy in copies if copy["state"] != "verified"]:
            found.append(Mismatch(what="archive", attempt="", detail=f"copies that are not verified: {bad}"))
        if wanted and not found:
            found += await self._bring_one_back(connection, copies[0]["name"])
        figures = {
            "volumes": len(volumes),
            "recordings": burned,
            "copies": len(copies),
            "seconds": round(time.monotonic() - began, 1),
        }
        return figures, found

    async def _bring_one_back(self, connection: Any, copy: str) -> list[Mismatch]:
        row = await connection.fetchrow(_ONE)
        file, aside = self._store / row["path"], self._discs / "aside"
        await asyncio.to_thread(shutil.move, file, aside)
        await waihu(
            self._config, "archive", "restore", str(row["attempt_id"]), "--from", str(self._discs / f"{copy}.iso")
        )
        same = file.is_file() and await asyncio.to_thread(file.read_bytes) == await asyncio.to_thread(aside.read_bytes)
        return (
            []
            if same
            else [Mismatch(what="archive", attempt=row["attempt_id"].hex, detail="the restored file is another")]
        )
