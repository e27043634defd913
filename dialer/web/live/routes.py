"""The live feed: first the full state, then numbered changes. A client that misses a number asks for the full state again.

The floor never waits for a screen: a client that is too slow gets the full state again, one that is dead is closed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any

import orjson
import structlog
from aiohttp import WSCloseCode, WSMsgType, web
from pydantic import ValidationError

from dialer.domain.errors import Unavailable, WaihuError
from dialer.web.access import check_origin
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.errors import HttpError
from dialer.web.live.types import Ask
from dialer.web.live.view import View
from dialer.web.roles import EVERYBODY

log = structlog.get_logger(__name__)
SEND_S = 10.0  # a client that takes nothing for so long is closed
WORDS_PER_MINUTE = 60  # a client that asks more often is closed
LARGEST_WORD = 1024


class Closed(Exception):  # not an error: the client is gone, or has to go
    """The connection ends."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@operation(
    "GET",
    "/live",
    roles=EVERYBODY,
    summary="The live feed (WebSocket)",
    status=101,
    media="application/json",
    timeout_s=0,
)
async def live(call: Call) -> web.StreamResponse:
    """Messages: `full`, then `change` with n = 1, 2, ...; a gap means: send {"ask": "full"}. Pages need a session and our own origin."""
    if call.identity.token_id is None:
        check_origin(call.request, call.deps.settings, required=True)
    if len(call.parts.screens) >= call.deps.settings.live_clients:
        raise Unavailable("live_full", "Too many screens follow the live feed: close some.")
    socket = web.WebSocketResponse(
        heartbeat=call.deps.settings.live_ping_s, max_msg_size=LARGEST_WORD, timeout=SEND_S, compress=False
    )
    if not socket.can_prepare(call.request).ok:
        raise HttpError(
            426,
            "websocket_expected",
            "This is a WebSocket: connect with ws:// or wss://.",
            headers={"Upgrade": "websocket"},
        )
    await socket.prepare(call.request)
    call.parts.screens.add(socket)
    try:
        await Client(call, socket).follow()
    finally:
        call.parts.screens.discard(socket)
    return socket


class Client:
    """One screen."""

    def __init__(self, call: Call, socket: web.WebSocketResponse) -> None:
        self._call = call
        self._socket = socket
        self._view = View(call.identity, call.parts.masks)
        self._sending = asyncio.Lock()
        self._n = -1
        self._epoch: object = None
        self._seq = -1

    async def follow(self) -> None:
        """Until either side ends it."""
        code, reason = int(WSCloseCode.OK), "bye"
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._talk(), name="live-talk")
                group.create_task(self._listen(), name="live-listen")
                group.create_task(self._check(), name="live-check")
        except* Closed as ends:
            first = ends.exceptions[0]
            if isinstance(first, Closed):
                code, reason = first.code, first.reason
        except* Exception:  # the rim: the head is out, so all that can be said is that it ends
            log.exception("a live connection failed")
            code, reason = WSCloseCode.INTERNAL_ERROR, "failed"
        await self._socket.close(code=code, message=reason.encode())

    async def _talk(self) -> None:
        """The full state, then every change this client may know of."""
        async with self._call.deps.feed.subscribe(self._call.deps.settings.live_queue) as changes:
            await self._send_full()
            async for change in changes:
                async with self._sending:
                    missed = bool(change.get("gap")) or change["epoch"] != self._epoch or change["seq"] > self._seq + 1
                    if not missed:
                        await self._send_change(change)
                if missed:
                    await self._send_full()
        raise Closed(WSCloseCode.GOING_AWAY, "the feed has ended")

    async def _listen(self) -> None:
        """What the client asks."""
        loop = asyncio.get_running_loop()
        asked: deque[float] = deque(maxlen=WORDS_PER_MINUTE)
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                raise Closed(WSCloseCode.UNSUPPORTED_DATA, "text only")
            try:
                Ask.model_validate_json(message.data, strict=True)
            except ValidationError:
                raise Closed(WSCloseCode.POLICY_VIOLATION, 'say {"ask": "full"}') from None
            if len(asked) == WORDS_PER_MINUTE and loop.time() - asked[0] < 60:
                raise Closed(WSCloseCode.POLICY_VIOLATION, "asks too often")
            asked.append(loop.time())
            await self._send_full()
        raise Closed(WSCloseCode.OK, "bye")

    async def _check(self) -> None:
        """Whether this client may still look, and which projects show numbers."""
        call = self._call
        loop = asyncio.get_running_loop()
        next_look = loop.time() + call.deps.settings.live_ping_s
        while True:
            await asyncio.sleep(min(call.deps.settings.live_ping_s, call.parts.masks.MAX_AGE_S))
            await call.parts.masks.refresh()
            if loop.time() < next_look:
                continue
            next_look = loop.time() + call.deps.settings.live_ping_s
            try:
                identity = await call.parts.access.identify(call.request, call.deps.clock(), survives=True, touch=False)
            except WaihuError as error:
                raise Closed(WSCloseCode.POLICY_VIOLATION, error.error_id) from None
            if identity is None or identity.role != call.identity.role or identity.agent_id != call.identity.agent_id:
                raise Closed(WSCloseCode.POLICY_VIOLATION, "your role has changed, connect again")

    async def _send_full(self) -> None:
        async with self._sending:
            await self._call.parts.masks.refresh()
            picture = self._call.deps.feed.snapshot()
            self._epoch, self._seq = picture["epoch"], picture["seq"]
            await self._send(
                {"type": "full", "epoch": str(picture["epoch"]), "state": self._view.full(picture["state"])}
            )

    async def _send_change(self, change: Mapping[str, Any]) -> None:
        if change["seq"] <= self._seq:
            return  # in the full state already
        self._seq = change["seq"]
        shown = self._view.change(change)
        if shown is not None:
            await self._send({"type": "change", **shown})

    async def _send(self, message: dict[str, Any]) -> None:
        self._n += 1
        try:
            async with asyncio.timeout(SEND_S):
                await self._socket.send_str(orjson.dumps({**message, "n": self._n}).decode())
        except (TimeoutError, ConnectionError):
            raise Closed(WSCloseCode.GOING_AWAY, "too slow") from None
