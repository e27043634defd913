"""A stage for telephone calls: places them as the engine would, answers the dialplan's questions as the test says, keeps every event."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self
from uuid import uuid4

from agi.routes import AgiRequest, Routes
from agi.server import AgiServer, AgiServerConfig
from agi.session import AgiSession
from dialer.asterisk.ami import actions
from dialer.asterisk.ami.client import AmiClient
from dialer.asterisk.ami.errors import ActionFailed
from dialer.asterisk.ami.events import BridgeEnter, Hangup, OriginateResponse, UserEvent, view
from dialer.asterisk.ami.message import Event
from dialer.asterisk.ami.text import caller_id, pjsip_endpoint, pjsip_number
from lab.asterisk_node import AsteriskNode
from lab.waiting import wait_until
from tests.system.conftest import ami_config

Answer = Mapping[str, str]
Decide = Callable[[AgiRequest], Answer | Awaitable[Answer]]

SAFE_HARBOUR: Answer = {"WAIHU_ACTION": "safe_harbour"}
HANG_UP: Answer = {"WAIHU_ACTION": "hangup"}


def bridge_with(seat: str) -> Answer:
    return {"WAIHU_ACTION": "bridge", "WAIHU_SEAT": seat}


class Scene:
    """`answered` and `redirected` are what the two AGI routes answer: set them before the call."""

    def __init__(self, node: AsteriskNode, *, agi: bool = True) -> None:
        self.node = node
        self.answered: Answer | Decide = SAFE_HARBOUR
        self.redirected: Answer | Decide = SAFE_HARBOUR
        self.questions: list[AgiRequest] = []
        self.events: list[Event] = []
        self.ami = AmiClient(ami_config(node), random=random.Random(7))
        self.agi = AgiServer(
            Routes({"/call/answered": self._on_answered, "/call/redirected": self._on_redirected}),
            AgiServerConfig(host="127.0.0.1", port=node.agi_port, drain_s=0.1),
        )
        self._with_agi = agi
        self._seats: list[str] = []
        self._calls: list[str] = []
        self._stack = AsyncExitStack()
        self._collector: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.ami)
        await self.ami.wait_connected(10.0)
        self._collector = asyncio.get_running_loop().create_task(self._collect(), name="events of the scene")
        if self._with_agi:
            await self.agi.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self.ami.connected is not None:
                for channel in [*self._calls, *self._seats]:
                    if not self.ended(channel):
                        await self.hang_up(channel)
        finally:
            if self._with_agi:
                await self.agi.stop()
            await self._stack.aclose()
            if self._collector is not None:
                self._collector.cancel()

    async def place(
        self,
        number: str,
        *,
        attempt: str | None = None,
        record: str | None = None,
        wait_ms: str = "500",
        safe_harbour: str = "",
        ring_timeout_s: float = 20.0,
        caller: str = "02168001234",
        name: str = "",
        variables: Mapping[str, str] | None = None,
        trunk: str = "carrier",
    ) -> str:
        """Originate as the engine does; gives back the attempt. The channel's id is call-<attempt>."""
        attempt = attempt or uuid4().hex
        self._calls.append(f"call-{attempt}")
        await self.ami.send(
            actions.originate(
                channel=pjsip_number(number, trunk),
                channel_id=f"call-{attempt}",
                context="waihu-customer",
                ring_timeout_s=ring_timeout_s,
                caller_id=caller_id(caller, name),
                variables={
                    "WAIHU_ATTEMPT": attempt,
                    "WAIHU_PROJECT": "spring",
                    "WAIHU_RECORD": attempt if record is None else record,
                    "WAIHU_WAIT_MS": wait_ms,
                    "WAIHU_SAFE_HARBOUR": safe_harbour,
                    **(variables or {}),
                },
            )
        )
        return attempt

    async def seat(self, device: str, *, wait_s: float = 10.0) -> str:
        """Originate an agent's seat; back when it waits for its first customer."""
        seat = f"seat-{uuid4().hex}-{uuid4().hex[:8]}"
        await self.ring_seat(device, seat)
        await self.idle(seat, times=1, timeout_s=wait_s)
        return seat

    async def ring_seat(self, device: str, seat: str) -> None:
        if seat not in self._seats:
            self._seats.append(seat)
        await self.ami.send(
            actions.originate(
                channel=pjsip_endpoint(device),
                channel_id=seat,
                context="waihu-seat",
                ring_timeout_s=10.0,
                caller_id=caller_id("1000"),
                variables={},
            )
        )

    async def idle(self, seat: str, *, times: int, timeout_s: float = 10.0) -> None:
        """Wait until the seat has said so many times that it is idle."""
        await wait_until(
            lambda: sum(said.headers.get("Seat") == seat for said in self.said("WaihuSeat")) >= times,
            timeout_s=timeout_s,
            what=f"{seat} idle for the {times}. time",
        )

    async def hang_up(self, channel: str) -> None:
        if self.ended(channel):
            return
        try:
            await self.ami.send(actions.hangup(channel))
        except ActionFailed:
            return  # it has just ended, or was never there
        await self.end_of(channel)

    async def hold(self, attempt: str) -> None:
        await self.ami.send(actions.redirect(f"call-{attempt}", context="waihu-hold"))

    async def resume(self, attempt: str, label: str = "resume") -> None:
        await self.ami.send(actions.redirect(f"call-{attempt}", context="waihu-customer", priority=label))

    async def end_of(self, channel: str, *, timeout_s: float = 15.0) -> Hangup:
        """The Hangup of a channel, given by its id."""

        def found() -> Hangup | None:
            return next((seen for seen in self._views(Hangup) if seen.channel_id == channel), None)

        ended = await wait_until(found, timeout_s=timeout_s, what=f"end of {channel}")
        assert ended is not None
        return ended

    async def outcome_of(self, attempt: str, *, timeout_s: float = 15.0) -> tuple[OriginateResponse, Hangup]:
        ended = await self.end_of(f"call-{attempt}", timeout_s=timeout_s)
        return await self.response_to(f"call-{attempt}"), ended

    async def response_to(self, channel: str, *, timeout_s: float = 5.0) -> OriginateResponse:
        """The OriginateResponse for a channel id. It is all that comes when not even a channel could be made."""

        def found() -> OriginateResponse | None:
            return next((seen for seen in self._views(OriginateResponse) if seen.channel_id == channel), None)

        response = await wait_until(found, timeout_s=timeout_s, what=f"OriginateResponse for {channel}")
        assert response is not None
        return response

    async def result_of(self, attempt: str, *, timeout_s: float = 15.0) -> list[str]:
        """All results that the dialplan told of an attempt, once its channel is gone."""
        await self.end_of(f"call-{attempt}", timeout_s=timeout_s)
        return [said.headers["Result"] for said in self.said("WaihuResult") if said.headers.get("Attempt") == attempt]

    async def bridged(self, attempt: str, seat: str, *, timeout_s: float = 10.0) -> None:
        """Wait until customer and seat are in one bridge."""

        def together() -> bool:
            bridges: dict[str, set[str]] = {}
            for seen in self._views(BridgeEnter):
                bridges.setdefault(seen.bridge_id, set()).add(seen.channel_id)
            return any({f"call-{attempt}", seat} <= members for members in bridges.values())

        await wait_until(together, timeout_s=timeout_s, what=f"{attempt} bridged with {seat}")

    def ended(self, channel: str) -> bool:
        return any(seen.channel_id == channel for seen in self._views(Hangup))

    def said(self, name: str) -> list[UserEvent]:
        return [seen for seen in self._views(UserEvent) if seen.name == name]

    def routes(self) -> list[str]:
        return [question.path for question in self.questions]

    async def channels(self) -> list[str]:
        """Ids of all channels that Asterisk has now."""
        return [event.get("Uniqueid") for event in await self.ami.fetch(actions.core_show_channels())]

    async def no_channels(self) -> None:
        async def none_left() -> bool:
            return not await self.channels()

        await wait_until(none_left, timeout_s=5.0, what="no channel left")

    def _views(self, kind: type) -> list:  # type: ignore[type-arg]
        return [seen for event in self.events if isinstance(seen := view(event), kind)]

    async def _collect(self) -> None:
        async for item in self.ami.items():
            if isinstance(item, Event):
                self.events.append(item)

    async def _on_answered(self, session: AgiSession, request: AgiRequest) -> None:
        await self._decide(self.answered, session, request)

    async def _on_redirected(self, session: AgiSession, request: AgiRequest) -> None:
        await self._decide(self.redirected, session, request)

    async def _decide(self, decision: Answer | Decide, session: AgiSession, request: AgiRequest) -> None:
        self.questions.append(request)
        answer = decision(request) if callable(decision) else decision
        if isinstance(answer, Awaitable):
            answer = await answer
        for name, value in answer.items():
            await session.set_variable(name, value)
