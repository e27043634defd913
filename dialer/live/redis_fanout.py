"""The feed for web processes elsewhere: every change as JSON on the Redis channel `waihu:feed:<node>`.

Redis may be away at any time: then the changes of that time are not sent, and readers find the gap in `seq`.
"""

from __future__ import annotations

import asyncio
from collections import deque

import orjson
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from dialer.live.feed import Change, Feed

_log = structlog.get_logger(__name__)
_BATCH = 200


def channel_of(node: str) -> str:
    """The Redis channel of a node's feed."""
    return f"waihu:feed:{node}"


class RedisFanOut:
    """Sends what the feed says. At most `bound` changes wait; the oldest are dropped first (a gap in `seq`)."""

    def __init__(self, redis_url: str, feed: Feed, node: str, *, bound: int = 5000) -> None:
        self._redis: Redis = Redis.from_url(redis_url, socket_timeout=2, socket_connect_timeout=2)
        self._channel = channel_of(node)
        self._waiting: deque[Change] = deque(maxlen=bound)
        self._ready = asyncio.Event()
        self.sent = 0
        self.lost = 0
        feed.tap(self._put)

    async def run(self) -> None:
        """Send for ever; a dead Redis is logged once when lost and once when back."""
        is_up = True
        while True:
            await self._ready.wait()
            self._ready.clear()
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
                try:
                    async with self._redis.pipeline(transaction=False) as pipeline:
                        for change in batch:
                            pipeline.execute_command("PUBLISH", self._channel, orjson.dumps(change, default=str))
                        await pipeline.execute()
                except (TimeoutError, RedisError, OSError) as error:
                    self.lost += len(batch)
                    if is_up:
                        _log.warning("Redis is away, the feed is not fanned out", reason=type(error).__name__)
                    is_up = False
                    await asyncio.sleep(1)
                    continue
                self.sent += len(batch)
                if not is_up:
                    _log.info("Redis is back, the feed is fanned out")
                is_up = True

    async def close(self) -> None:
        """Close the connection."""
        await self._redis.aclose()

    def _put(self, change: Change) -> None:
        self._waiting.append(change)
        self._ready.set()
