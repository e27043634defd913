"""The web application, put together from its features."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version

from aiohttp import WSCloseCode, web

from campaigns.imports import forget_rejects
from dialer.db import identities
from dialer.web import access, guard
from dialer.web.agents import routes as agents
from dialer.web.api import Operation, operations_of, serve
from dialer.web.archive import routes as archive
from dialer.web.audit import routes as audit
from dialer.web.call import Call
from dialer.web.callbacks import routes as callbacks
from dialer.web.caller_numbers import certificates
from dialer.web.caller_numbers import health as caller_number_health
from dialer.web.caller_numbers import routes as caller_numbers
from dialer.web.calls import routes as calls
from dialer.web.consents import routes as consents
from dialer.web.deps import DEPS, WebDeps
from dialer.web.desk import routes as desk
from dialer.web.desk import script as desk_script
from dialer.web.devices import routes as devices
from dialer.web.do_not_call import routes as do_not_call
from dialer.web.docs import routes as docs
from dialer.web.errors import DATABASE_AWAY
from dialer.web.health import routes as health
from dialer.web.imports import routes as imports
from dialer.web.leads import routes as leads
from dialer.web.life import daily_logs
from dialer.web.life import routes as life
from dialer.web.life import watching as life_watching
from dialer.web.live import routes as live
from dialer.web.localities import routes as localities
from dialer.web.openapi import document
from dialer.web.pace import routes as pace
from dialer.web.parts import PARTS, make_parts
from dialer.web.projects import abandonment
from dialer.web.projects import routes as projects
from dialer.web.projects import settings as project_settings
from dialer.web.projects import trial as project_trial
from dialer.web.qa import routes as qa
from dialer.web.recordings import exports as recording_exports
from dialer.web.recordings import listening
from dialer.web.recordings import routes as recordings
from dialer.web.reports import routes as reports
from dialer.web.retention import routes as retention
from dialer.web.rules import routes as rules
from dialer.web.scripts import projects as project_scripts
from dialer.web.scripts import routes as scripts
from dialer.web.session import routes as session
from dialer.web.simulations import routes as simulations
from dialer.web.supply import routes as supply
from dialer.web.surveys import routes as surveys
from dialer.web.teams import routes as teams
from dialer.web.tokens import routes as tokens
from dialer.web.trunks import routes as trunks
from dialer.web.users import routes as users
from dialer.web.why import gates as why_gates
from dialer.web.why import routes as why

FEATURES = (
    session,
    users,
    tokens,
    projects,
    abandonment,
    project_settings,
    project_trial,
    life,
    life_watching,
    daily_logs,
    surveys,
    scripts,
    project_scripts,
    trunks,
    caller_numbers,
    certificates,
    caller_number_health,
    agents,
    teams,
    devices,
    desk,
    desk_script,
    leads,
    imports,
    do_not_call,
    consents,
    localities,
    supply,
    callbacks,
    calls,
    recordings,
    listening,
    recording_exports,
    qa,
    retention,
    archive,
    reports,
    rules,
    why,
    why_gates,
    pace,
    simulations,
    live,
    health,
    audit,
)
SWEEP_EVERY_S = 600
FLUSH_EVERY_S = 5


def all_operations() -> list[Operation]:
    """Every operation of the API."""
    return operations_of(FEATURES)


def create_app(deps: WebDeps) -> web.Application:
    """The application; it connects to nothing until it is started."""
    parts = make_parts(deps)
    operations = all_operations()
    parts.document = document(operations, _version())
    app = web.Application(
        middlewares=[guard.answer_errors(parts.measures)], client_max_size=deps.settings.body_limit_bytes
    )
    app[DEPS] = deps
    app[PARTS] = parts
    for one in operations:
        app.router.add_route(one.method, one.full_path, _handler(one))
    docs.add(app)
    health.add(app)
    app.on_response_prepare.append(guard.add_headers)
    app.on_shutdown.append(_close_screens)
    app.cleanup_ctx.append(_running)
    return app


def _handler(one: Operation) -> guard.Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        deps, parts = request.app[DEPS], request.app[PARTS]
        now = deps.clock()
        timeout_s = deps.settings.request_timeout_s if one.timeout_s is None else one.timeout_s
        async with asyncio.timeout(timeout_s) if timeout_s else nullcontext():
            caller = None
            if one.roles is not None:
                caller = await parts.access.identify(request, now, survives=one.survives, rechecked=one.rechecks)
            access.check_same_site(request, caller, deps.settings)
            address = access.address_of(request, deps.settings)
            return await serve(
                one, Call(request=request, deps=deps, parts=parts, caller=caller, address=address, now=now)
            )

    handle.waihu_name = one.name  # type: ignore[attr-defined]
    return handle


async def _close_screens(app: web.Application) -> None:
    for screen in list(app[PARTS].screens):
        await screen.close(code=WSCloseCode.GOING_AWAY, message=b"the server ends")


async def _running(app: web.Application) -> AsyncIterator[None]:
    deps, parts = app[DEPS], app[PARTS]
    deps.upload_dir.mkdir(parents=True, exist_ok=True)
    parts.tasks.start(_keep_house(app), "web-housekeeping")
    yield
    await parts.tasks.stop()
    parts.open_files.close()
    await parts.desk_audit.flush()
    parts.passwords.close()


async def _keep_house(app: web.Application) -> None:
    """Write audit rows that had to wait; now and then, sweep."""
    deps, parts = app[DEPS], app[PARTS]
    next_sweep = 0.0
    while True:
        loop_time = asyncio.get_running_loop().time()
        if parts.desk_audit.waiting:
            await parts.desk_audit.flush()
        if loop_time >= next_sweep:
            next_sweep = loop_time + SWEEP_EVERY_S
            try:
                await sweep(deps)
            except DATABASE_AWAY:
                next_sweep = loop_time + FLUSH_EVERY_S
        await asyncio.sleep(FLUSH_EVERY_S)


async def sweep(deps: WebDeps) -> None:
    """Forget sessions that have ended, and reject files nobody fetched for too long. Errors: those of `DATABASE_AWAY`."""
    now = deps.clock()
    async with asyncio.timeout(5), deps.pool.acquire() as conn:
        await identities.end_expired(conn, now=now, seen_after=access.idle_since(deps.settings, now))
        await forget_rejects(conn, deps.upload_dir, before=now - timedelta(days=deps.settings.reject_days))


def _version() -> str:
    try:
        return version("waihu")
    except PackageNotFoundError:
        return "0"
