"""What Asterisk says, as it comes; and the rounds of reconciliation: after a start, a reconnect, a doubt, and now and then."""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from dialer.asterisk.ami.client import Connected, Lost, Resync
from dialer.domain.states import AgentState
from dialer.engine.config import EngineConfig
from dialer.engine.parts import Parts

_log = structlog.get_logger(__name__)

_AGAIN_S = 0.5
_SECOND_LOOK_S = 2.0


class Rounds:
    """`follow_events` and `run` go on for ever; `ask` brings the next round forward."""

    def __init__(self, config: EngineConfig, parts: Parts) -> None:
        self._config = config
        self._parts = parts
        self._asked = asyncio.Event()
        self._with_rows = True
        self.asterisk_up = False

    def ask(self, *, rows: bool) -> None:
        """Compare with Asterisk soon; `rows`: also with what is committed."""
        self._with_rows = self._with_rows or rows
        self._asked.set()

    async def follow_events(self) -> None:
        """Apply what Asterisk tells, until the session is closed for good."""
        parts = self._parts
        while items := await parts.ami.take():
            for item in items:
                match item:
                    case Connected() | Resync():
                        self.asterisk_up = parts.ami.connected is not None
                        self.ask(rows=isinstance(item, Connected))
                    case Lost():
                        self.asterisk_up = False
                    case _:
                        try:
                            parts.happenings.apply(item)
                        except Exception:  # noqa: BLE001 - one event must not stop those after it
                            _log.exception("An event could not be applied", ami_event=item.name)
            await asyncio.sleep(0)

    async def run(self) -> None:
        """One round after the other."""
        first = True
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._config.audit_every_s):
                    await self._asked.wait()
            asked = self._asked.is_set()
            self._asked.clear()
            if not self.asterisk_up:
                continue
            rows, self._with_rows = self._with_rows or first, False
            if await self._parts.reconcile.now(adopt=rows or not asked):
                first = False
                if rows:
                    # A call that ended between the listing and its adoption has told nobody.
                    self._parts.tasks.spawn("second look", self._look_again())
                if not self._parts.answering.adopted.is_set():
                    self._parts.answering.adopted.set()
                    self._after_adoption()
            else:
                self._with_rows = self._with_rows or rows
                await asyncio.sleep(_AGAIN_S)
                self._asked.set()
            if any(call.fate_unknown for call in self._parts.floor.calls.values()):
                await asyncio.sleep(_AGAIN_S)
                self._asked.set()

    async def _look_again(self) -> None:
        await asyncio.sleep(_SECOND_LOOK_S)
        self.ask(rows=False)

    def _after_adoption(self) -> None:
        """Agents who had no seat when we found them are called; Asterisk is told the devices it lacks."""
        parts = self._parts
        for agent in list(parts.floor.agents.values()):
            if agent.seat is None and agent.state in (AgentState.SEATING, AgentState.BREAK, AgentState.READY):
                if agent.state is AgentState.SEATING:
                    parts.seats.call_softphone(agent)
                else:
                    parts.agents.settle(agent)
        parts.tasks.spawn("provision devices", parts.provision.all())
        parts.placing.wake()
