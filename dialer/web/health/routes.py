"""Whether it works (`/healthz` for load balancers, `/api/v1/health` for people), and measures for a scraper (`/metrics`)."""

from __future__ import annotations

import asyncio
import hmac

from aiohttp import web
from prometheus_client import generate_latest
from redis.exceptions import RedisError

from dialer.domain.errors import NotAllowed
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.deps import DEPS, WebDeps
from dialer.web.errors import DATABASE_AWAY, unauthenticated
from dialer.web.health.types import Health
from dialer.web.parts import PARTS
from dialer.web.roles import EVERYBODY, OPERATORS

PATIENCE_S = 1.0


@operation("GET", "/health", roles=EVERYBODY, summary="What the system can reach", survives=True)
async def get_health(call: Call) -> Health:
    """Asked of this web process."""
    database, redis = await asyncio.gather(_database(call.deps), _redis(call.deps))
    return Health(
        status="ok" if database else "degraded", database="up" if database else "away",
        redis="not_used" if redis is None else "up" if redis else "away", version=call.parts.document["info"]["version"],
    )  # fmt: skip


def add(app: web.Application) -> None:
    """What is not below /api/v1."""
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/metrics", _metrics)


async def _healthz(request: web.Request) -> web.Response:
    """200 while the process serves and the database answers, else 503; says nothing else to strangers."""
    up = await _database(request.app[DEPS])
    return web.json_response({"status": "ok" if up else "degraded"}, status=200 if up else 503)


async def _metrics(request: web.Request) -> web.Response:
    """For a scraper with the metrics token, or a user's API token whose role may see it."""
    deps = request.app[DEPS]
    wanted = deps.settings.metrics_token
    sent = request.headers.get("Authorization", "")
    if not (wanted and hmac.compare_digest(sent.encode(), f"Bearer {wanted}".encode())):
        identity = await request.app[PARTS].access.identify(request, deps.clock(), survives=True)
        if identity is None:
            raise unauthenticated()
        if identity.role not in OPERATORS:
            raise NotAllowed(
                "role_not_allowed", "Your role does not include this: ask an administrator.", role=identity.role.value
            )
    return web.Response(
        body=generate_latest(deps.registry), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
    )


async def _database(deps: WebDeps) -> bool:
    try:
        async with asyncio.timeout(PATIENCE_S), deps.pool.acquire() as conn:
            return bool(await conn.fetchval("select true"))
    except DATABASE_AWAY:
        return False


async def _redis(deps: WebDeps) -> bool | None:
    if deps.redis is None:
        return None
    try:
        async with asyncio.timeout(PATIENCE_S):
            await deps.redis.ping()
        return True
    except (RedisError, OSError, TimeoutError):
        return False
