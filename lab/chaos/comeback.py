"""Kills a part and brings it back; says how long the engine was not at work, and what the machine needed for the like."""

from __future__ import annotations

import asyncio
import contextlib
import time
from uuid import UUID

from dialer.domain.errors import WaihuError
from dialer.live.control import RemoteEngine
from lab.chaos import machine
from lab.chaos.invariants import Violation
from lab.chaos.plan import Victim
from lab.chaos.tally import Back
from lab.errors import NotReady
from lab.floor import Floor
from lab.softphone import SoftphoneFailed
from lab.waiting import wait_until

ADOPTED_S = 5.0
_PATIENCE_S = 60.0  # longer than any bound: so that what is late can be told from what never comes
_NOT_YET = frozenset({"asterisk", "lease", "database", "journal"})


class Comeback:
    """Kills and brings back."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._engine = RemoteEngine(f"http://127.0.0.1:{floor.ports.control}", floor.control_token, timeout_s=2)
        self.project_id: UUID | None = None

    async def close(self) -> None:
        """Let go of the engine."""
        await self._engine.close()

    def kill(self, victim: Victim) -> None:
        """SIGKILL."""
        match victim:
            case Victim.ENGINE:
                self._floor.waihu.kill()
            case Victim.ASTERISK:
                self._floor.node.kill()
            case Victim.POSTGRES:
                self._floor.postgres.kill()
            case Victim.REDIS:
                self._floor.redis.kill()

    async def bring_back(self, victim: Victim) -> tuple[Back, list[Violation]]:
        """Start it, wait for the engine. Of a service the time counts from when it answers again; of the engine from its start."""
        if victim is Victim.ASTERISK:
            await self._silence_makes_them_hang_up()
            await self._floor.node.revive()
        elif victim is Victim.POSTGRES:
            await self._floor.postgres.start()
        beside: asyncio.Task[machine.Reference] | None = None
        began = time.monotonic()
        if victim is Victim.ENGINE:
            await self._floor.waihu.start()
            beside = asyncio.get_running_loop().create_task(machine.measure(), name="reference")
        elif victim is Victim.REDIS:
            await self._floor.redis.start()
        try:
            await wait_until(self._at_work, timeout_s=_PATIENCE_S, what="the engine at work")
        except NotReady:
            detail = f"{victim}: {self._floor.waihu.log_tail()[-600:]}"
            if not self._floor.waihu.running:
                await self._floor.waihu.start()
            return Back(seconds=time.monotonic() - began, reference=await beside if beside else None), [
                Violation(promise=3, what="the engine did not come back", detail=detail)
            ]
        seconds = time.monotonic() - began
        if beside is None and seconds > ADOPTED_S:
            beside = asyncio.get_running_loop().create_task(machine.measure(), name="reference")
        back = Back(seconds=seconds, reference=await beside if beside is not None else None)
        return back, too_late(victim, back)

    async def _silence_makes_them_hang_up(self) -> None:
        """What agents do when their line has gone dead; their telephones have heard no BYE."""
        for phone in self._floor.phones.phones.values() if self._floor.phones else ():
            for _ in range(len(phone.calls)):
                with contextlib.suppress(SoftphoneFailed):
                    await phone.hang_up()

    async def _at_work(self) -> bool:
        """The engine says that nothing keeps it from dialling: lease, Asterisk and what was alive are in its hands."""
        assert self.project_id is not None  # noqa: S101  # nothing is killed before there is work
        try:
            answer = await self._engine.explain_project(self.project_id)
        except WaihuError:
            return False
        return answer.get("why") not in _NOT_YET


def too_late(victim: Victim, back: Back) -> list[Violation]:
    """Promise 3: what is live is adopted within 5 s.

    On a machine that was shown, in the same seconds, to need a multiple of the time for the same start of an interpreter, within that
    multiple of 5 s; on a free machine the bound is the 5 s.
    """
    if back.seconds <= machine.stretched(ADOPTED_S, back.reference):
        return []
    return [Violation(promise=3, what="adopted too late", detail=f"{victim}: {back}")]
