"""What trunks, caller numbers and the node can take: calls at once, new calls a second and an hour; and which numbers are used least.

How many calls one project could place now is its `Room`: each bound by name, the smallest counts. Times are monotonic seconds and
come in as arguments; everything is counted as it happens, nothing is searched. Which of the offered numbers a call shows is for the claim to say, and the
caller numbers' days and cooling down are counted there.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from campaigns.caller_numbers.number import CallerNumber, Offer
from campaigns.caller_numbers.usable import why_not
from campaigns.projects import Project
from campaigns.trunks import Trunk
from dialer.db.nodes import NO_LIMITS
from dialer.domain.pacing import Limit
from dialer.engine.floor import Floor
from dialer.engine.node_load import NodeLoad
from dialer.engine.trunk_health import TrunkHealth

_BURST_S = 0.1  # a carrier counts over a second: we spread what we place over it
_HOUR_S = 3_600.0
_NODE, _LOAD = "node", "load"
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
        self._uses: dict[str, int] = {}
        self._last_use: dict[str, int] = {}
        self._turn = 0
        self._last_hour: dict[str, deque[float]] = {}
        self.claiming = asyncio.Lock()  # from the offers to what the claim took of them
        self.node = NO_LIMITS
        self.health = TrunkHealth()
        self.load = NodeLoad()

    def room(self, project: Project, trunk: Trunk, at_s: float, now: datetime) -> Room:
        """What bounds this project's calls now, whatever the others want."""
        tries = self.health.tries(trunk.id, at_s)
        channels, rate = self.node_left(at_s)
        return Room((
            (Limit.TRUNK_CHANNELS, self.channels_left(trunk)),
            (Limit.CPS, self.calls_now(trunk, at_s)),
            (Limit.CALLER_NUMBER_LIMIT, self.caller_numbers_left(project, trunk, at_s, now)),
            (Limit.NODE, min(channels, rate)),
            (Limit.NODE_LOAD, self.load_left(at_s)),
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

    def load_left(self, at_s: float) -> int:
        """How many calls the machine bears at this moment."""
        rate = self.load.max_cps
        return NO_BOUND if rate is None else self._whole(_LOAD, rate, at_s)

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
        if self.load.max_cps is not None:
            self._spend(_LOAD, self.load.max_cps, calls, at_s)
        if calls:
            self.load.placed(calls, at_s)
            self.health.tried(trunk.id, at_s)

    def wait_s(self, trunk: Trunk, at_s: float) -> float:
        """When the next call is allowed by the rates of trunk and node, and by the node's load."""
        rates = ((trunk.id, trunk.max_cps), (_NODE, self.node.max_cps), (_LOAD, self.load.max_cps))
        missing = [(1 - self._refill(key, rate, at_s)) / float(rate) for key, rate in rates if rate is not None]
        return max(0.0, *missing)

    # --- caller numbers ---

    def caller_numbers_left(self, project: Project, trunk: Trunk, at_s: float, now: datetime) -> int:
        """How many calls the numbers that a project may show allow together."""
        left = [self._left(one, at_s) for one in _usable(project, trunk, now)]
        return min(NO_BOUND, sum(left)) if left else NO_BOUND  # having none at all is said by another word

    def offers(self, project: Project, trunk: Trunk, at_s: float, now: datetime) -> tuple[Offer, ...]:
        """The numbers the next calls may show and how often, the longest unused first. What is used is told by `take`, before anybody else asks."""
        offers = [
            Offer(number=one.number, room=room, uses=self._uses.get(one.number, 0))
            for one in _usable(project, trunk, now)
            if (room := self._left(one, at_s)) > 0
        ]
        last_use = self._last_use
        return tuple(sorted(offers, key=lambda offer: last_use.get(offer.number, -1)))

    def take(self, project: Project, number: str, at_s: float) -> None:
        """A call with this caller number has begun."""
        self._uses[number] = self._uses.get(number, 0) + 1
        self._turn += 1
        self._last_use[number] = self._turn
        rate = next((one.max_cps for one in project.caller_numbers if one.number == number), None)
        if rate is not None:
            self._spend(number, rate, 1, at_s)
        if (hour := self._last_hour.get(number)) is not None:
            hour.append(at_s)

    def found(self, number: str) -> None:
        """A call with this caller number lives that another run of ours began; the books of its hour have it."""
        self._uses[number] = self._uses.get(number, 0) + 1

    def free(self, number: str) -> None:
        """A call with this caller number is over."""
        if self._uses.get(number, 0) > 0:
            self._uses[number] -= 1

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

    def _whole(self, key: UUID | str, rate: Decimal | float, at_s: float) -> int:
        return max(0, int(self._refill(key, rate, at_s) + 1e-9))

    def _spend(self, key: UUID | str, rate: Decimal | float, calls: int, at_s: float) -> None:
        self._tokens[key] = (self._refill(key, rate, at_s) - calls, at_s)

    def _refill(self, key: UUID | str, per_second: Decimal | float, at_s: float) -> float:
        rate = float(per_second)
        most = max(1.0, rate * _BURST_S)
        tokens, since = self._tokens.get(key, (most, at_s))
        return min(most, tokens + (at_s - since) * rate)


def _usable(project: Project, trunk: Trunk, now: datetime) -> Iterator[CallerNumber]:
    try:
        day = now.astimezone(ZoneInfo(project.zone)).date()
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return  # the gates say so
    for one in project.caller_numbers:
        if why_not(one, trunk_id=trunk.id, purpose=project.purpose, day=day, now=now) is None:
            yield one
