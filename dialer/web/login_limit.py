"""How often logging in may be tried: a sliding window per name and address, per name, and per address.

Redis counts for all web processes together. When it is away, each process counts for itself: nobody is let off, nobody is locked out.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import datetime

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from dialer.web.errors import HttpError

log = structlog.get_logger(__name__)

WINDOW_S = 300
PER_NAME_AND_ADDRESS = 5
PER_NAME = 30  # from everywhere: a guesser with many addresses; loose, so that nobody can lock another out easily
PER_ADDRESS = 100  # a whole floor may come from one address
NAMES_KEPT = 20_000
AWAY_S = 2.0  # how long Redis is left alone after a failure

# One step for all counters: refuse when any is full, else count in all. Returns 0, or the milliseconds to wait.
SCRIPT = """
local now, window, member = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
for i, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - window)
  if redis.call('ZCARD', key) >= tonumber(ARGV[3 + i]) then
    local oldest = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    return math.max(1, tonumber(oldest[2]) + window - now)
  end
end
for _, key in ipairs(KEYS) do
  redis.call('ZADD', key, now, member)
  redis.call('PEXPIRE', key, window)
end
return 0
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One counted try; given back when it was the right password."""

    keys: tuple[str, ...]
    member: str


class LoginLimit:
    """Counts tries to log in."""

    def __init__(self, redis: Redis | None) -> None:
        self._redis = redis
        self._here: OrderedDict[str, deque[tuple[float, str]]] = OrderedDict()
        self._away_until = float("-inf")
        self._lost = False

    async def count(self, login: str, address: str | None, now: datetime) -> Attempt:
        """Count a try before the password is looked at. Errors: 429 `too_many_logins` with how long to wait."""
        at_ms = now.timestamp() * 1000
        name, place = _digest(login.lower()), _digest(address or "")
        limits = {f"{name}:{place}": PER_NAME_AND_ADDRESS, f"name:{name}": PER_NAME, f"address:{place}": PER_ADDRESS}
        attempt = Attempt(keys=tuple(f"waihu:login:{key}" for key in limits), member=secrets.token_hex(8))
        wait_ms = await self._count_in_redis(attempt, list(limits.values()), at_ms)
        if wait_ms is None:
            wait_ms = self._count_here(attempt, list(limits.values()), at_ms)
        if wait_ms > 0:
            wait_s = max(1, round(wait_ms / 1000))
            raise HttpError(
                429,
                "too_many_logins",
                f"Too many tries to log in: wait {wait_s} s.",
                headers={"Retry-After": str(wait_s)},
                retry_after_s=wait_s,
            )
        return attempt

    async def forgive(self, attempt: Attempt, now: datetime) -> None:
        """It was the right password: the try does not count."""
        for key in attempt.keys:
            kept = self._here.get(key)
            if kept:
                self._here[key] = deque(one for one in kept if one[1] != attempt.member)
        if self._redis is None or now.timestamp() < self._away_until:
            return
        try:
            for key in attempt.keys:
                await self._redis.zrem(key, attempt.member)
        except (RedisError, OSError) as error:
            self._redis_lost(error, now.timestamp())

    async def _count_in_redis(self, attempt: Attempt, limits: list[int], at_ms: float) -> float | None:
        if self._redis is None or at_ms / 1000 < self._away_until:
            return None
        try:
            wait_ms = float(await self._redis.eval(
                SCRIPT, len(attempt.keys), *attempt.keys, str(at_ms), str(WINDOW_S * 1000), attempt.member, *map(str, limits),
            ))  # fmt: skip
        except (RedisError, OSError) as error:
            self._redis_lost(error, at_ms / 1000)
            return None
        if self._lost:
            self._lost = False
            log.info("redis is back, logins are counted for all processes together")
        return wait_ms

    def _count_here(self, attempt: Attempt, limits: list[int], at_ms: float) -> float:
        window_ms = WINDOW_S * 1000
        for key, limit in zip(attempt.keys, limits, strict=True):
            kept = self._here.setdefault(key, deque())
            self._here.move_to_end(key)
            while kept and kept[0][0] <= at_ms - window_ms:
                kept.popleft()
            if len(kept) >= limit:
                return max(1.0, kept[0][0] + window_ms - at_ms)
        for key in attempt.keys:
            self._here[key].append((at_ms, attempt.member))
        while len(self._here) > NAMES_KEPT:
            self._here.popitem(last=False)
        return 0

    def _redis_lost(self, error: Exception, now_s: float) -> None:
        self._away_until = now_s + AWAY_S
        if not self._lost:
            self._lost = True
            log.warning("redis is away, logins are counted in this process", error=type(error).__name__)


def _digest(text: str) -> str:
    """Names and addresses do not lie about in Redis in clear."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
