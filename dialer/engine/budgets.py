"""What trunks, caller numbers and the node can take: calls at once, new calls a second and an hour; and which number is used least.

How many calls one project could place now is its `Room`: each bound by name, the smallest counts. Times are monotonic seconds and
come in as arguments; everything is counted as it happens, nothing is searched.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from campaigns.caller_numbers import CallerNumber, choose
from campaigns.projects import Project, Trunk
from campaigns.states import CallerNumberState
from dialer.db.nodes import NO_LIMITS
from dialer.domain.pacing import Limit
from dialer.engine.floor import Floor
from dialer.engine.trunk_health import TrunkHealth

_BURST_S = 0.1  # a carrier counts over a second: we spread what we place over it
_HOUR_S = 3_600.0
_NODE = "node"
NO_BOUND = 1_000_000


@dataclass(frozen=True, slots=True)
class Room:
    """How many calls each budget still allows a project."""

    bounds: tuple[tuple[Limit, int], ...]

    @property
    def smallest(self) -> tuple[int, Limit]:
        """The bound that counts; of equals the first."""
        limit, count = min(self.bounds, key=lambda bound: bound[1])
        return count, limit

    @property
    def because(self) -> tuple[tuple[str, float], ...]:
        """The bounds by name, for people who ask."""
        return tuple((f"room_{limit.value}", float(count)) for limit, count in self.bounds if count < NO_BOUND)


class Budgets:
    """Rates and uses of all trunks, caller numbers and of the node."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._tokens: dict[UUID | str, tuple[float, float]] = {}
        self._reserved: Counter[UUID] = Counter()
        self._uses: OrderedDict[str, int] = OrderedDict()
        self._last_hour: dict[str, deque[float]] = {}
        self.node = NO_LIMITS
        self.health = TrunkHealth()

    def room(self, project: Project, trunk: Trunk, at_s: float) -> Room:
        """What bounds this project's calls now, whatever the others want."""
        tries = self.health.tries(trunk.id, at_s)
        channels, rate = self.node_left(at_s)
        return Room((
            (Limit.TRUNK_CHANNELS, self.channels_left(trunk)),
            (Limit.CPS, self.calls_now(trunk, at_s)),
            (Limit.CALLER_NUMBER_LIMIT, self.caller_numbers_left(project.caller_numbers, trunk.id, at_s)),
            (Limit.NODE, min(channels, rate)),
            (Limit.TRUNK_FAILING, NO_BOUND if tries is None else tries),
        ))  # fmt: skip

    # --- trunks and the node ---

    def channels_left(self, trunk: Trunk) -> int:
        """Channels that are not in use."""
        return max(0, trunk.max_channels - self._floor.on_trunk(trunk.id) - self._reserved[trunk.id])

    def calls_now(self, trunk: Trunk, at_s: float) -> int:
        """How many calls the trunk's rate allows at this moment."""
        return self._whole(trunk.id, trunk.max_cps, at_s)

    def node_left(self, at_s: float) -> tuple[int, int]:
        """Channels of the node that are not in use, and how many calls its rate allows at this moment."""
        most, rate = self.node.max_channels, self.node.max_cps
        channels = NO_BOUND if most is None else max(0, most - len(self._floor.calls) - self._reserved.total())
        return channels, NO_BOUND if rate is None else self._whole(_NODE, rate, at_s)

    @contextmanager
    def reserved(self, trunk: Trunk, calls: int) -> Iterator[None]:
        """Channels for calls that are being claimed: nobody else may count on them meanwhile."""
        self._reserved[trunk.id] += calls
        try:
            yield
        finally:
            self._reserved[trunk.id] -= calls

    def spend(self, trunk: Trunk, calls: int, at_s: float) -> None:
        """So many calls are placed now."""
        self._spend(trunk.id, trunk.max_cps, calls, at_s)
        if self.node.max_cps is not None:
            self._spend(_NODE, self.node.max_cps, calls, at_s)
        if calls:
            self.health.tried(trunk.id, at_s)

    def wait_s(self, trunk: Trunk, at_s: float) -> float:
        """When the next call is allowed by the rates of trunk and node."""
        missing = (1 - self._refill(trunk.id, trunk.max_cps, at_s)) / float(trunk.max_cps)
        if self.node.max_cps is not None:
            missing = max(missing, (1 - self._refill(_NODE, self.node.max_cps, at_s)) / float(self.node.max_cps))
        return max(0.0, missing)

    # --- caller numbers ---

    def caller_numbers_left(self, listed: Iterable[CallerNumber], trunk_id: UUID, at_s: float) -> int:
        """How many calls the active numbers of a list allow together."""
        left = [self._left(one, at_s) for one in listed if _usable(one, trunk_id)]
        return min(NO_BOUND, sum(left)) if left else NO_BOUND  # having none at all is said by another word

    def caller_number(self, listed: Sequence[CallerNumber], trunk_id: UUID, at_s: float) -> str | None:
        """The caller number for the next call; noted as used at once, given back with `unused`. None: nothing may be dialled."""
        chosen = choose([one for one in listed if self._left(one, at_s) > 0], self._uses, trunk_id)
        if chosen is None:
            return None
        if chosen.max_cps is not None:
            self._spend(chosen.number, chosen.max_cps, 1, at_s)
        self.take(chosen.number, at_s)
        return chosen.number

    def take(self, number: str, at_s: float) -> None:
        """A call with this caller number has begun."""
        self._uses[number] = self._uses.get(number, 0) + 1
        self._uses.move_to_end(number)
        if (hour := self._last_hour.get(number)) is not None:
            hour.append(at_s)

    def found(self, number: str) -> None:
        """A call with this caller number lives that another run of ours began; the books of its hour have it."""
        self._uses[number] = self._uses.get(number, 0) + 1

    def free(self, number: str) -> None:
        """A call with this caller number is over."""
        if self._uses.get(number, 0) > 0:
            self._uses[number] -= 1

    def unused(self, number: str) -> None:
        """The call for which it was chosen was not placed."""
        self.free(number)
        if hour := self._last_hour.get(number):
            hour.pop()

    def hours_unknown(self, listed: Iterable[CallerNumber]) -> set[str]:
        """Numbers with an hourly limit whose last hour is not known yet: until it is, they are not used."""
        return {one.number for one in listed if one.max_per_hour is not None and one.number not in self._last_hour}

    def hour_was(self, number: str, ages_s: Iterable[float], at_s: float) -> None:
        """The calls of the last hour, as the books have them."""
        self._last_hour[number] = deque(sorted(at_s - age_s for age_s in ages_s))

    def _left(self, one: CallerNumber, at_s: float) -> int:
        left = NO_BOUND
        if one.max_channels is not None:
            left = min(left, one.max_channels - self._uses.get(one.number, 0))
        if one.max_cps is not None:
            left = min(left, self._whole(one.number, one.max_cps, at_s))
        if one.max_per_hour is not None:
            hour = self._last_hour.get(one.number)
            if hour is None:
                return 0
            while hour and hour[0] <= at_s - _HOUR_S:
                hour.popleft()
            left = min(left, one.max_per_hour - len(hour))
        return max(0, left)

    # --- rates ---

    def _whole(self, key: UUID | str, rate: Decimal, at_s: float) -> int:
        return max(0, int(self._refill(key, rate, at_s) + 1e-9))

    def _spend(self, key: UUID | str, rate: Decimal, calls: int, at_s: float) -> None:
        self._tokens[key] = (self._refill(key, rate, at_s) - calls, at_s)

    def _refill(self, key: UUID | str, per_second: Decimal, at_s: float) -> float:
        rate = float(per_second)
        most = max(1.0, rate * _BURST_S)
        tokens, since = self._tokens.get(key, (most, at_s))
        return min(most, tokens + (at_s - since) * rate)


def _usable(one: CallerNumber, trunk_id: UUID) -> bool:
    return one.state is CallerNumberState.ACTIVE and one.trunk_id == trunk_id
