"""Our own look into Asterisk, past the engine: which channels there are, and what happens to calls as it happens."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random
from uuid import UUID

from dialer.asterisk.ami import actions
from dialer.asterisk.ami.client import AmiClient, AmiConfig, Lost
from dialer.asterisk.ami.errors import AmiError
from dialer.asterisk.ami.message import Event
from dialer.domain.ids import attempt_of_channel, seat_of_channel
from lab.asterisk_node import AsteriskNode
from lab.chaos.plan import Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """What is alive: attempts with a customer's channel, those in a bridge, and agents with a seat (with the seats' channel ids)."""

    calls: frozenset[UUID]
    bridged: frozenset[UUID]
    seats: frozenset[str]
    agents: frozenset[UUID]


class Switchboard:
    """A session of our own, kept over deaths of Asterisk."""

    def __init__(self, node: AsteriskNode) -> None:
        config = AmiConfig(
            host=node.ami_host, port=node.ami_port, user=node.ami_user, secret=node.ami_secret, name="chaos"
        )
        self._ami = AmiClient(config, random=Random(0))  # jitter only
        self._waiting: dict[Moment, asyncio.Event] = {}
        self._steps: dict[UUID, str] = {}
        self._reader: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect and listen."""
        self._ami.start()
        await self._ami.wait_connected(20)
        self._reader = asyncio.get_running_loop().create_task(self._listen(), name="switchboard")

    async def stop(self) -> None:
        """Disconnect."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        await self._ami.close()

    async def channels(self) -> Channels | None:
        """What is alive; None while Asterisk cannot be asked."""
        try:
            events = await self._ami.fetch(actions.core_show_channels())
        except AmiError:
            return None
        calls, bridged, seats, agents = set(), set(), set(), set()
        for event in events:
            channel_id = event.get("Uniqueid")
            if (attempt := attempt_of_channel(channel_id)) is not None:
                calls.add(attempt)
                if event.get("BridgeId"):
                    bridged.add(attempt)
            elif (seat := seat_of_channel(channel_id)) is not None:
                seats.add(channel_id)
                agents.add(seat.agent_id)
        self._steps = {call: self._steps.get(call, "answered") for call in calls} | dict.fromkeys(bridged, "bridged")
        return Channels(
            calls=frozenset(calls), bridged=frozenset(bridged), seats=frozenset(seats), agents=frozenset(agents)
        )

    def steps(self) -> dict[UUID, str]:
        """Where each call is, as far as was heard; no question is asked, so that a kill can follow at once."""
        return dict(self._steps)

    async def wait_for(self, moment: Moment, timeout_s: float) -> bool:
        """Until it happens to some call; False when it does not in time."""
        happened = self._waiting.setdefault(moment, asyncio.Event())
        happened.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await happened.wait()
        except TimeoutError:
            return False
        return True

    async def _listen(self) -> None:
        async for item in self._ami.items():
            if isinstance(item, Event):
                self._heard(item)
            elif isinstance(item, Lost):
                self._steps.clear()

    def _heard(self, event: Event) -> None:
        attempt_id = attempt_of_channel(event.get("Uniqueid"))
        if attempt_id is None:
            return
        moment: Moment | None = None
        match event.name:
            case "Newstate":
                moment = {"Ringing": Moment.RINGING, "Up": Moment.ANSWERED}.get(event.get("ChannelStateDesc"))
            case "BridgeEnter":
                moment = Moment.BRIDGED
            case "BridgeLeave":
                self._steps[attempt_id] = "held or between bridges"
            case "Hangup":
                moment = Moment.HANG_UP
        if moment is Moment.HANG_UP:
            self._steps.pop(attempt_id, None)
        elif moment is not None:
            self._steps[attempt_id] = moment.value
        if moment is not None and moment in self._waiting:
            self._waiting[moment].set()
