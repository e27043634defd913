"""Redis: reached, and allowed to forget."""

from __future__ import annotations

from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.exceptions import RedisError

from dialer.doctor.finding import Finding, ok, warning
from dialer.settings import Settings

_ANSWER_S = 3.0


async def server(settings: Settings) -> list[Finding]:
    """Redis answers. Its absence stops no call, only the live view of other processes: a warning, never a fault."""
    if not settings.redis_url:
        return [ok("redis", "none configured: one process serves everything")]
    url = urlsplit(settings.redis_url)
    where = f"{url.hostname}:{url.port or 6379}"
    client = Redis.from_url(settings.redis_url, socket_timeout=_ANSWER_S, socket_connect_timeout=_ANSWER_S)
    try:
        information = await client.info("server")
    except (RedisError, OSError) as error:
        return [
            warning(
                "redis",
                f"{where}: {error}",
                "Start Redis or correct WAIHU_REDIS_URL. Calls go on without it; live views of other processes and login limits across processes do not.",
            )
        ]
    finally:
        await client.aclose()
    return [ok("redis", f"Redis {information['redis_version']} at {where}")]
