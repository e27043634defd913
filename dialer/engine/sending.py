"""Committed attempts onto the wire, each once, after the last gate. The answer may be missing: then its fate is unknown, and it is never sent again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import asyncpg
import structlog

from campaigns.abandonment import agent_wait_ms
from campaigns.caller_numbers.identity import identity_of
from campaigns.caller_numbers.last_gate import may_go
from campaigns.claim import ClaimedLead
from campaigns.errors import CampaignError
from campaigns.numbers import for_trunk
from campaigns.projects import Project
from campaigns.states import CallerNumberState
from campaigns.trunks import Trunk
from dialer.asterisk.ami import actions
from dialer.asterisk.ami.actions import Action
from dialer.asterisk.ami.client import AmiClient
from dialer.asterisk.ami.errors import ActionFailed, NotSent, OutcomeUnknown
from dialer.asterisk.ami.text import anonymous_caller_id, caller_id, pjsip_number
from dialer.db.pool import LOST
from dialer.domain.call_table import CallEvent
from dialer.domain.pacing import Mode
from dialer.engine.budgets import Budgets
from dialer.engine.calls import Calls
from dialer.engine.clock import Clock
from dialer.engine.config import EngineConfig
from dialer.engine.detection import detects
from dialer.engine.floor import Call
from dialer.engine.projects import Projects

_log = structlog.get_logger(__name__)
_CANNOT_BE_ASKED: tuple[type[Exception], ...] = (*LOST, asyncpg.PostgresError)


class Sending:
    """Originates. `on_unknown` is told of attempts whose fate must be found out."""

    def __init__(
        self,
        config: EngineConfig,
        pool: asyncpg.Pool,
        projects: Projects,
        calls: Calls,
        budgets: Budgets,
        ami: AmiClient,
        clock: Clock,
        lease_held: Callable[[], bool],
    ) -> None:
        self._config = config
        self._pool = pool
        self._projects = projects
        self._calls = calls
        self._budgets = budgets
        self._ami = ami
        self._clock = clock
        self._lease_held = lease_held
        self.on_unknown: list[Callable[[], None]] = []
        calls.on_ended.append(self._free_caller_number)

    def begin(self, project: Project, claimed: ClaimedLead, mode: Mode) -> Call:
        """The live call of an attempt that is committed."""
        call = Call(
            attempt_id=claimed.attempt_id,
            project_id=project.id,
            lead_id=claimed.lead_id,
            number=claimed.number,
            name=claimed.name,
            fields=claimed.fields,
            mode=mode,
            trunk_id=claimed.trunk_id,
            caller_number=claimed.caller_number,
            created_at=claimed.created_at,
            placed_s=self._clock.monotonic(),
            detects=detects(project, mode),
        )
        self._calls.add(call)
        return call

    async def send(self, calls: Sequence[Call], project: Project, trunk: Trunk) -> None:
        """Originate them, those whose caller number may still be shown. Nothing is raised: what became of each is in its state."""
        may_be_shown = await self._last_gate(calls, project, trunk)
        await asyncio.gather(*(self._send(call, project, trunk, may_be_shown) for call in calls))

    async def _last_gate(self, calls: Sequence[Call], project: Project, trunk: Trunk) -> frozenset[str]:
        numbers = {call.caller_number for call in calls}
        try:
            async with self._pool.acquire(timeout=2) as conn:
                return await may_go(
                    conn, project.id, trunk.id, numbers, diversion=trunk.diversion, now=self._clock.now()
                )
        except _CANNOT_BE_ASKED as error:
            _log.warning("The last gate could not be asked, so nothing is dialled", error=type(error).__name__)
            return frozenset()

    async def _send(self, call: Call, project: Project, trunk: Trunk, may_be_shown: frozenset[str]) -> None:
        try:
            action = originate(call, project, trunk)
        except (NotSent, CampaignError) as error:
            _log.error("A number cannot be dialled", attempt_id=str(call.attempt_id), error_id=error.error_id)
            self._calls.apply(call, CallEvent.REFUSED)
            return
        if call.caller_number not in may_be_shown or not self._listed_here(call):
            _log.warning("A caller number was withdrawn before its call went out", attempt_id=str(call.attempt_id))
            self._calls.apply(call, CallEvent.NOT_SENT)
            return
        if call.canceled:
            self._calls.apply(call, CallEvent.NOT_SENT)
            return
        if not self._lease_held():
            # We were stopped for a while between the claim and now: another engine may own the node.
            self._calls.apply(call, CallEvent.NOT_SENT)
            return
        self._calls.apply(call, CallEvent.SENT)
        try:
            await self._ami.send(action, action_id=call.channel_id, deadline_s=self._config.action_deadline_s)
        except NotSent:
            self._calls.apply(call, CallEvent.NOT_SENT)
        except ActionFailed as error:
            _log.warning("Asterisk refused a call", attempt_id=str(call.attempt_id), reason=error.message)
            self._calls.apply(call, CallEvent.REFUSED)
        except OutcomeUnknown as error:
            _log.warning("The fate of a call is unknown", attempt_id=str(call.attempt_id), error_id=error.error_id)
            call.fate_unknown = True
            for tell in self.on_unknown:
                tell()

    def _listed_here(self, call: Call) -> bool:
        """By the list this engine knows at this moment: whoever changes it has our word before they answer."""
        project = self._projects.find(call.project_id)
        return project is not None and any(
            one.number == call.caller_number and one.trunk_id == call.trunk_id and one.state is CallerNumberState.ACTIVE
            for one in project.caller_numbers
        )

    def _free_caller_number(self, call: Call) -> None:
        self._budgets.free(call.caller_number)


def originate(call: Call, project: Project, trunk: Trunk) -> Action:
    """What Asterisk is told. Errors: NotSent (UnsafeText) and CampaignError for numbers that cannot be written."""
    identity = identity_of(call.caller_number, trunk)
    return actions.originate(
        channel=pjsip_number(for_trunk(call.number, trunk.number_format), trunk.endpoint),
        channel_id=call.channel_id,
        context="waihu-customer",
        ring_timeout_s=project.ring_timeout_s,
        caller_id=caller_id(identity.from_number) if identity.from_number else anonymous_caller_id(),
        sip_headers=identity.headers,
        variables={
            "WAIHU_ATTEMPT": call.attempt_id.hex,
            "WAIHU_PROJECT": project.id.hex,
            "WAIHU_RECORD": call.attempt_id.hex if project.record_calls else "",
            "WAIHU_WAIT_MS": str(agent_wait_ms(project, call.created_at)),
            "WAIHU_SAFE_HARBOUR": project.safe_harbour,
            "WAIHU_DETECT": "amd" if call.detects else "",
        },
    )
