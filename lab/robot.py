"""Robots that sit at the agents' desks: they use the API as people do, with seeded manners.

A robot logs in, sits down, hears of its calls by the live feed, talks (the lab's softphone does), hangs up or waits until the customer
does, wraps up with a result that fits what it heard, and takes breaks. When its desk is lost it comes back, as people do.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import aiohttp

from lab.api_client import RETRYABLE, ApiClient, ApiRefused
from lab.carrier.behaviour import Behaviour
from lab.script_reader import WAITS, go_through

_AGAIN_S = 0.5
_LONGEST_AGAIN_S = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How long and how often; seconds are means of log-normal distributions, shares are between 0 and 1."""

    talk_s: float = 6.0
    wrap_s: float = 1.5
    spread: float = 0.5
    break_share: float = 0.04
    break_s: float = 5.0
    hold_share: float = 0.05
    hold_s: float = 1.0
    pause_share: float = 0.0  # of conversations in which a card number is said
    pause_s: float = 1.5
    notices_machine_s: float = 1.0


HEARD: Mapping[Behaviour, Mapping[str, float]] = {
    Behaviour.VOICEMAIL: {"voicemail": 1.0},
    Behaviour.ONE_WAY_AUDIO: {"nothing_heard": 1.0},
    Behaviour.ANSWER_HANGUP: {"nothing_heard": 1.0},
}
PEOPLE: Mapping[str, float] = {
    "agreed": 0.2,
    "refused": 0.45,
    "not_the_person": 0.1,
    "busy_now": 0.15,
    "call_back": 0.07,
    "do_not_call": 0.03,
}
"""What agents choose: result → weight."""
_LATER = "busy_now"

DISPOSITIONS: list[dict[str, Any]] = [
    {"code": "agreed", "label_zh": "成功", "label_en": "Agreed", "effect": "final"},
    {"code": "refused", "label_zh": "拒绝", "label_en": "Refused", "effect": "final"},
    {"code": "not_the_person", "label_zh": "非本人", "label_en": "Not the person", "effect": "final"},
    {"code": "call_back", "label_zh": "预约回访", "label_en": "Call back", "effect": "callback"},
    {
        "code": "busy_now",
        "label_zh": "不方便接听",
        "label_en": "Not now",
        "effect": "retry",
        "retry_after_s": 4 * 3600,
    },
    {"code": "do_not_call", "label_zh": "拒绝来电", "label_en": "Do not call", "effect": "do_not_call"},
    {
        "code": "voicemail",
        "label_zh": "语音信箱",
        "label_en": "Voicemail",
        "effect": "retry",
        "retry_after_s": 2 * 3600,
    },
    {
        "code": "nothing_heard",
        "label_zh": "无声",
        "label_en": "Nothing heard",
        "effect": "retry",
        "retry_after_s": 2 * 3600,
    },
]
"""The results the robots know, as the API takes them."""


@dataclass(slots=True, kw_only=True)
class Notes:
    """What a robot has done, for the view and the summary."""

    state: str = "away"
    since: datetime | None = None
    calls: int = 0
    holds: int = 0
    pauses: int = 0
    breaks: int = 0
    hung_up: set[str] = field(default_factory=set)  # attempts that the robot has ended, or wanted to
    refused: Counter[str] = field(default_factory=Counter)
    dispositions: Counter[str] = field(default_factory=Counter)


class Robot:
    """One robot at one desk. `hears` tells what is at the other end of a lead's line, as ears would."""

    def __init__(
        self,
        url: str,
        *,
        login: str,
        password: str,
        agent_id: UUID,
        device_id: UUID,
        manners: Manners,
        random: Random,
        hears: Callable[[int | None], Behaviour | None],
    ) -> None:
        self.login = login
        self.agent_id = agent_id
        self.notes = Notes()
        self.leaving = False
        self._url = url
        self._password = password
        self._device_id = device_id
        self._manners = manners
        self._random = random
        self._hears = hears
        self._deed: asyncio.Task[None] | None = None
        self._doing: tuple[Any, ...] = ()
        self._goes_on_break = False
        self._logged_in = False

    async def work(self) -> None:
        """At the desk until cancelled; what breaks off is begun again. The browser stays open: its session outlives the server."""
        pause_s = _AGAIN_S
        async with ApiClient(self._url) as api:
            while True:
                began = asyncio.get_running_loop().time()
                try:
                    if not self._logged_in:
                        await api.log_in(self.login, self._password)
                        self._logged_in = True
                    await self._at_the_desk(api)
                except (ApiRefused, *RETRYABLE) as error:
                    self._refused(error)
                    if _is_logged_out(error):
                        self._logged_in = False
                finally:
                    self._drop_deed()
                    self.notes.state = "away"
                if asyncio.get_running_loop().time() - began > _LONGEST_AGAIN_S:
                    pause_s = _AGAIN_S
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_AGAIN_S)

    async def leave(self) -> None:
        """Go home: log out, after the present work if there is any."""
        self.leaving = True
        with contextlib.suppress(ApiRefused, *RETRYABLE):
            async with ApiClient(self._url) as api:
                await api.log_in(self.login, self._password)
                await api.post("/desk/me/logout")

    async def _at_the_desk(self, api: ApiClient) -> None:
        async with api.live() as messages:
            async for message in messages:
                if message["type"] == "full":
                    self._take(api, message["state"].get("agent", {}).get(str(self.agent_id)))
                elif message["kind"] == "agent" and message["key"] == str(self.agent_id):
                    self._take(api, message["value"])

    def _take(self, api: ApiClient, agent: Mapping[str, Any] | None) -> None:
        """The feed says what we are doing; begin what belongs to it, once."""
        agent = agent or {"state": "logged_out"}
        state = agent["state"]
        self.notes.state = state
        self.notes.since = datetime.fromisoformat(agent["since"]) if agent.get("since") else None
        doing: tuple[Any, ...] = (
            state,
            agent.get("attempt_id"),
            agent.get("since") if state in {"break", "logged_out"} else None,
        )
        if state == "talking":
            doing = (*doing, agent.get("call_state") == "held")
        if doing == self._doing and self._deed is not None and not self._deed.done():
            return
        self._drop_deed()
        self._doing = doing
        self._deed = asyncio.get_running_loop().create_task(
            self._do(api, state, agent), name=f"robot {self.login} {state}"
        )

    def _drop_deed(self) -> None:
        if self._deed is not None:
            self._deed.cancel()
            self._deed = None
        self._doing = ()

    async def _do(self, api: ApiClient, state: str, agent: Mapping[str, Any]) -> None:
        pause_s = _AGAIN_S
        while True:
            try:
                match state:
                    case "logged_out":
                        await self._sit_down(api)
                    case "break":
                        await self._end_break(api)
                    case "talking":
                        await self._talk(api, agent)
                    case "wrap_up":
                        await self._wrap_up(api, agent)
                return
            except (ApiRefused, *RETRYABLE) as error:
                # A refusal is mostly news that has overtaken us; if not, the same is tried again as a person would.
                self._refused(error)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_AGAIN_S)

    async def _sit_down(self, api: ApiClient) -> None:
        if not self.leaving:
            await api.post("/desk/me/login", {"device_id": self._device_id, "wanted": "ready"})

    async def _end_break(self, api: ApiClient) -> None:
        if self._goes_on_break:
            self._goes_on_break = False
            self.notes.breaks += 1
            await asyncio.sleep(self._about(self._manners.break_s))
        if not self.leaving:
            await api.post("/desk/me/ready")

    async def _talk(self, api: ApiClient, agent: Mapping[str, Any]) -> None:
        if agent.get("call_state") == "held":
            await asyncio.sleep(self._about(self._manners.hold_s))
            await api.post("/desk/me/resume")
            return
        heard = self._hears(agent.get("lead_id"))
        if heard is Behaviour.VOICEMAIL:
            await asyncio.sleep(self._about(self._manners.notices_machine_s))
        else:
            talk_s = self._about(self._manners.talk_s)
            if self._random.random() < self._manners.hold_share:
                await asyncio.sleep(talk_s / 2)
                self.notes.holds += 1
                await api.post("/desk/me/hold")
                return
            began = asyncio.get_running_loop().time()
            await self._read(api, str(agent.get("attempt_id")))
            if self._random.random() < self._manners.pause_share:
                await self._take_card_number(api)
            await asyncio.sleep(max(0.0, began + talk_s - asyncio.get_running_loop().time()))
        self.notes.hung_up.add(str(agent.get("attempt_id")))
        await api.post("/desk/me/hang-up")

    async def _take_card_number(self, api: ApiClient) -> None:
        """It is said only after the recording is paused."""
        await api.post("/desk/me/recording/pause", {"reason": "card_number"})
        self.notes.pauses += 1
        await asyncio.sleep(self._about(self._manners.pause_s))
        await api.post("/desk/me/recording/resume")

    async def _wrap_up(self, api: ApiClient, agent: Mapping[str, Any]) -> None:
        await asyncio.sleep(self._about(self._manners.wrap_s))
        heard = self._hears(agent.get("lead_id"))
        weights = HEARD.get(heard, PEOPLE) if heard else PEOPLE
        code = self._random.choices(list(weights), weights=list(weights.values()))[0]
        body: dict[str, Any] = {"disposition": code}
        if code == "call_back":
            body |= {"callback_at": datetime.now(UTC) + timedelta(hours=3), "note": "asked to be called later"}  # noqa: TID251  # a person looks at the clock
        if not self._goes_on_break and self._random.random() < self._manners.break_share:
            self._goes_on_break = True
            await api.post("/desk/me/break", {"reason": "rest"})
        try:
            await self._say(api, str(agent.get("attempt_id")), body)
        except asyncio.CancelledError:
            if self.notes.state not in {"wrap_up", "away"}:
                self._done(body["disposition"])  # the feed was faster than the answer: we are wrapped up
            raise
        self._done(body["disposition"])

    async def _read(self, api: ApiClient, attempt_id: str) -> None:
        """Go through the script, if the project has one and it can be had; the conversation does not hang on it."""
        try:
            await go_through(api, attempt_id, self._random)
        except (ApiRefused, *RETRYABLE) as error:
            if not (isinstance(error, ApiRefused) and error.error_id == "script_none"):
                self._refused(error)

    async def _say(self, api: ApiClient, attempt_id: str, body: dict[str, Any]) -> None:
        """Give the result; when the script is not done with, do what can still be done, and else say that they will be called again."""
        for again in (body["disposition"], _LATER):
            try:
                await api.post("/desk/me/wrap-up", body)
                return
            except ApiRefused as error:
                if error.error_id not in WAITS:
                    raise
            await self._read(api, attempt_id)
            body["disposition"] = again
        await api.post("/desk/me/wrap-up", body)

    def _done(self, code: str) -> None:
        self.notes.calls += 1
        self.notes.dispositions[code] += 1

    def _about(self, mean_s: float) -> float:
        """A log-normal time with this mean."""
        spread = self._manners.spread
        return self._random.lognormvariate(0.0, spread) * mean_s / math.exp(spread * spread / 2)

    def _refused(self, error: BaseException) -> None:
        self.notes.refused[error.error_id if isinstance(error, ApiRefused) else type(error).__name__] += 1


def _is_logged_out(error: BaseException) -> bool:
    """The session is worth nothing any more."""
    status = error.status if isinstance(error, (ApiRefused, aiohttp.WSServerHandshakeError)) else 0
    return status == 401
