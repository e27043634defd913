"""What a trunk can take: channels, and new calls a second; and which caller number is used least."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from uuid import UUID

from campaigns.caller_numbers import CallerNumber, choose
from campaigns.projects import Trunk
from dialer.engine.floor import Floor
from dialer.engine.trunk_health import TrunkHealth

_BURST_S = 0.1  # a carrier counts over a second: we spread what we place over it


class Budgets:
    """Rates and uses of all trunks. Times are monotonic seconds and come in as arguments."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._tokens: dict[UUID, tuple[float, float]] = {}
        self._uses: OrderedDict[str, int] = OrderedDict()
        self.health = TrunkHealth()

    def channels_left(self, trunk: Trunk) -> int:
        """Channels that are not in use."""
        return max(0, trunk.max_channels - self._floor.on_trunk(trunk.id))

    def calls_now(self, trunk: Trunk, at_s: float) -> int:
        """How many calls the rate allows at this moment."""
        return int(self._refill(trunk, at_s) + 1e-9)

    def spend(self, trunk: Trunk, calls: int, at_s: float) -> None:
        """So many calls are placed now."""
        self._tokens[trunk.id] = (self._refill(trunk, at_s) - calls, at_s)
        if calls:
            self.health.tried(trunk.id, at_s)

    def wait_s(self, trunk: Trunk, at_s: float) -> float:
        """When the next call is allowed."""
        missing = 1 - self._refill(trunk, at_s)
        return max(0.0, missing / float(trunk.max_cps))

    def caller_number(self, listed: Iterable[CallerNumber], trunk_id: UUID) -> str | None:
        """The caller number for the next call; noted as used at once, given back with `free`. None: nothing may be dialled."""
        chosen = choose(tuple(listed), self._uses, trunk_id)
        if chosen is None:
            return None
        self.take(chosen.number)
        return chosen.number

    def take(self, number: str) -> None:
        """A call with this caller number has begun."""
        self._uses[number] = self._uses.get(number, 0) + 1
        self._uses.move_to_end(number)

    def free(self, number: str) -> None:
        """A call with this caller number is over, or was not placed."""
        if self._uses.get(number, 0) > 0:
            self._uses[number] -= 1

    def _refill(self, trunk: Trunk, at_s: float) -> float:
        rate = float(trunk.max_cps)
        most = max(1.0, rate * _BURST_S)
        tokens, since = self._tokens.get(trunk.id, (most, at_s))
        return min(most, tokens + (at_s - since) * rate)
