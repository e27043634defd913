"""Calls that we give up while they ring: the pacer placed too many, or a project is stopped now.

A customer may answer between the decision and its effect, so the channel is not hung up outright. Asterisk is given a time limit
that is over at once: a channel that rings ends by it; one that has been answered is led back to the question for an agent
(`T` in waihu-customer) and is served. What Asterisk has not been asked when the answer is heard is not asked any more.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog

from campaigns.projects import Project
from campaigns.rules.ruleset import limits
from dialer.asterisk.ami import actions
from dialer.asterisk.ami.client import AmiClient
from dialer.asterisk.ami.errors import ActionFailed, AmiError
from dialer.domain.states import CallState
from dialer.engine.clock import Clock
from dialer.engine.floor import Call
from dialer.engine.tasks import TaskSet

_log = structlog.get_logger(__name__)

_UNANSWERED = {CallState.COMMITTED, CallState.ORIGINATING, CallState.RINGING}
_MARK = "WAIHU_GIVING_UP"
_AT_ONCE_S = 0.001
_NO_CHANNEL_YET_S = (0.05, 0.1, 0.2, 0.4, 0.8)  # an Originate that Asterisk has taken becomes a channel a little later
_ANSWER_WAITS_S = 0.5


def give_up_after_s(project: Project, now: datetime) -> float | None:
    """How long a call of this project must ring before the pacer may give it up: the project's setting, or what its rule packs ask for if
    that is longer. None: never; neither is it when the rules cannot be evaluated.
    """
    if not project.cancel_after_s:
        return None
    try:
        today = now.astimezone(ZoneInfo(project.zone)).date()
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
    if project.rules.pack_refusal(today) is not None:
        return None
    return float(max(project.cancel_after_s, limits(project.rules, today, project.mode.value).ring_least_s))


class GivingUp:
    """Ends unanswered calls; their outcome is `canceled`, or `not_sent` when nothing was on the wire yet."""

    def __init__(self, ami: AmiClient, tasks: TaskSet, clock: Clock) -> None:
        self._ami = ami
        self._tasks = tasks
        self._clock = clock

    def rang_for(self, call: Call) -> float:
        """Seconds since the network said that it rings; 0 while it has not. A time that is not known has not passed."""
        return 0.0 if call.ringing_at is None else self._clock.monotonic() - call.ringing_s

    def begin(self, call: Call) -> bool:
        """Give it up; False when it is answered, over, or given up already."""
        if call.canceled or call.answered_at is not None or call.state not in _UNANSWERED:
            return False
        call.canceled = True
        call.giving_up = done = asyncio.get_running_loop().create_future()
        self._tasks.spawn(f"give up {call.attempt_id}", self._end(call, done))
        return True

    async def settled(self, call: Call) -> None:
        """Before an answer is told to the dialplan: what was asked of Asterisk about this call has been done, or is asked no more."""
        if call.giving_up is not None:
            await asyncio.wait({call.giving_up}, timeout=_ANSWER_WAITS_S)

    async def _end(self, call: Call, done: asyncio.Future[None]) -> None:
        try:
            call.canceled = await self._limit(call)
        except AmiError as error:
            call.canceled = False
            _log.info("A call could not be given up", attempt_id=str(call.attempt_id), error_id=error.error_id)
        finally:
            done.set_result(None)

    async def _limit(self, call: Call) -> bool:
        for pause_s in (*_NO_CHANNEL_YET_S, 0.0):
            if call.state not in _UNANSWERED:
                break
            try:
                if call.state is not CallState.COMMITTED:
                    await self._ami.send(actions.set_variable(call.channel_id, _MARK, "1"))
                    if call.state in _UNANSWERED:  # the reply may have taken its time
                        await self._ami.send(actions.absolute_timeout(call.channel_id, _AT_ONCE_S))
                        return True
                    await self._ami.send(actions.set_variable(call.channel_id, _MARK, "0"))
                    break
            except ActionFailed:
                pass
            await asyncio.sleep(pause_s)
        return call.state is CallState.ENDED
