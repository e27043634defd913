"""One committed attempt onto the wire, once. The answer may be missing: then its fate is unknown, and it is never sent again."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from campaigns.claim import ClaimedLead
from campaigns.errors import CampaignError
from campaigns.numbers import for_trunk
from campaigns.projects import Project, Trunk
from dialer.asterisk.ami import actions
from dialer.asterisk.ami.actions import Action
from dialer.asterisk.ami.client import AmiClient
from dialer.asterisk.ami.errors import ActionFailed, NotSent, OutcomeUnknown
from dialer.asterisk.ami.text import caller_id, pjsip_number
from dialer.domain.call_table import CallEvent
from dialer.domain.pacing import Mode
from dialer.engine.budgets import Budgets
from dialer.engine.calls import Calls
from dialer.engine.clock import Clock
from dialer.engine.config import EngineConfig
from dialer.engine.detection import detects
from dialer.engine.floor import Call

_log = structlog.get_logger(__name__)


class Sending:
    """Originates. `on_unknown` is told of attempts whose fate must be found out."""

    def __init__(
        self,
        config: EngineConfig,
        calls: Calls,
        budgets: Budgets,
        ami: AmiClient,
        clock: Clock,
        lease_held: Callable[[], bool],
    ) -> None:
        self._config = config
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

    async def send(self, call: Call, project: Project, trunk: Trunk) -> None:
        """Originate. Nothing is raised: what became of it is in the call's state."""
        try:
            action = self._originate(call, project, trunk)
        except (NotSent, CampaignError) as error:
            _log.error("A number cannot be dialled", attempt_id=str(call.attempt_id), error_id=error.error_id)
            self._calls.apply(call, CallEvent.REFUSED)
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

    def _originate(self, call: Call, project: Project, trunk: Trunk) -> Action:
        return actions.originate(
            channel=pjsip_number(for_trunk(call.number, trunk.number_format), trunk.endpoint),
            channel_id=call.channel_id,
            context="waihu-customer",
            ring_timeout_s=project.ring_timeout_s,
            caller_id=caller_id(for_trunk(call.caller_number, trunk.number_format)),
            variables={
                "WAIHU_ATTEMPT": call.attempt_id.hex,
                "WAIHU_PROJECT": project.id.hex,
                "WAIHU_RECORD": call.attempt_id.hex if project.record_calls else "",
                "WAIHU_WAIT_MS": str(project.agent_wait_ms),
                "WAIHU_SAFE_HARBOUR": project.safe_harbour,
                "WAIHU_DETECT": "amd" if call.detects else "",
            },
        )

    def _free_caller_number(self, call: Call) -> None:
        self._budgets.free(call.caller_number)
