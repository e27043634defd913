"""A crowd as the lab holds it: a child process with two SIP ports, one where customers answer and one where agents do."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.ports import free_port, free_range
from lab.process import ChildProcess
from lab.waiting import wait_until

_HOST = "127.0.0.1"
_SHARES = 4
_ANSWER_S = 2.0


class CrowdSilent(LabError):
    """The crowd's process did not answer."""

    error_id = "lab.crowd_silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What the parties in calls have heard since the last reset.

    hearing: parties that heard anything. gaps, missing: places where the sound did not go on, and packets that were not heard there.
    longest_silence_ms: between two packets at one party; own_lateness_ms: how late the crowd itself was to speak and listen.
    """

    customers: int
    agents: int
    hearing: int
    packets: int
    gaps: int
    missing: int
    longest_silence_ms: float
    own_lateness_ms: float


class Crowd:
    """`start`, place calls to its ports, `stop`. `places`: the most calls it takes at a time, of both kinds together."""

    def __init__(self, run_dir: Path, *, places: int) -> None:
        self.customers_port = free_port()
        self.agents_port = free_port()
        self._control_port = free_port()
        media = free_range(2 * _SHARES)
        order = {
            "host": _HOST,
            "sip_ports": [self.customers_port, self.agents_port],
            "control_port": self._control_port,
            "media_ports": list(media[::2]),
            "places_each": -(-places // _SHARES) + 1,
        }
        self.process = ChildProcess([sys.executable, "-m", "lab.crowd", json.dumps(order)], run_dir / "crowd.log")

    async def start(self) -> None:
        await self.process.start()
        await wait_until(self._answers, timeout_s=15, what=f"the crowd (log: {self.process.log_path})")

    async def stop(self) -> None:
        await self.process.stop()

    async def heard(self, *, reset: bool = False) -> Heard:
        """What was heard; with `reset`, counting begins anew."""
        return await self._say({"do": "reset" if reset else "tell"})

    async def leave(self, per_s: int) -> None:
        """Customers hang up, so many a second, until none is left."""
        await self._say({"do": "leave", "each_tick": max(1, per_s // 50)})

    async def _answers(self) -> bool:
        self.process.raise_if_ended()
        try:
            await self._say({"do": "tell"}, 0.2)
        except CrowdSilent:
            return False
        return True

    async def _say(self, command: dict[str, Any], timeout_s: float = _ANSWER_S) -> Heard:
        return Heard(**json.loads(await asyncio.to_thread(self._ask, json.dumps(command).encode(), timeout_s)))

    def _ask(self, command: bytes, timeout_s: float) -> bytes:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(timeout_s)
            asking.connect((_HOST, self._control_port))
            try:
                asking.send(command)
                return asking.recv(65_536)
            except OSError as error:
                raise CrowdSilent(f"the crowd did not answer: {error}") from error
