"""Carries out operations of the API for one command: the same checks, the same audit rows, the same word to the engine, no HTTP.

Whoever can start this command with the database's password may do everything; the audit log names the user of the machine.
"""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar, cast
from uuid import UUID

import asyncpg
from aiohttp import web
from pydantic import BaseModel, ValidationError

from dialer.db.pool import Pool, close_pool, create_pool
from dialer.domain.errors import BadRequest, NotFound
from dialer.domain.roles import Role
from dialer.live.feed import Feed
from dialer.settings import Settings, load_settings
from dialer.web.api import Operation
from dialer.web.call import Call
from dialer.web.configure import archive_keys, file_keys, web_settings
from dialer.web.deps import WebDeps
from dialer.web.errors import of_database, of_validation
from dialer.web.identity import Identity
from dialer.web.parts import Parts, make_parts
from dialer.web.remote_engines import Engines

T = TypeVar("T")
NOBODY = UUID(int=0)

_BY_NAME = {
    "project": "select id from projects where name = $1",
    "trunk": "select id from trunks where name = $1",
    "agent": "select id from agents where number = $1",
    "team": "select id from teams where name = $1",
    "user": "select id from users where lower(login) = lower($1)",
    "script": "select id from scripts where name = $1",
    "caller-number": "select id from caller_numbers where number = $1",
}

_LISTED = {"script": "scripts"}


def now() -> datetime:
    """The clock of the command line."""
    return datetime.now(UTC)  # noqa: TID251  # the one clock of this program


def actor() -> str:
    """Who does it, for the audit log."""
    return f"command line ({getpass.getuser()})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """An open house: pool, settings, and what the API's operations stand on."""

    pool: Pool
    settings: Settings
    deps: WebDeps
    parts: Parts

    async def do(
        self,
        operation: Operation,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        **path: Any,
    ) -> Any:
        """Carry out one operation; gives its response model. Errors: those of the API."""
        arguments: dict[str, Any] = dict(path)
        if operation.body is not None:
            arguments["body"] = _checked(
                operation.body, {name: value for name, value in (body or {}).items() if value is not None}
            )
        if operation.query is not None:
            arguments["query"] = _checked(
                operation.query, {name: value for name, value in (query or {}).items() if value is not None}
            )
        identity = Identity(user_id=NOBODY, login=actor(), display_name=actor(), role=Role.ADMIN, agent_id=None)
        call = Call(
            request=cast("web.Request", None),
            deps=self.deps,
            parts=self.parts,
            caller=identity,
            address=None,
            now=now(),
        )
        try:
            return await operation.handler(call, **arguments)
        except asyncpg.PostgresError as error:
            raise of_database(error) or error from error

    async def all(
        self, operation: Operation, *, query: Mapping[str, Any] | None = None, limit: int = 1000, **path: Any
    ) -> list[Any]:
        """The items of a paged list, page by page, at most `limit`."""
        items: list[Any] = []
        cursor = None
        while True:
            page = await self.do(operation, query={**(query or {}), "cursor": cursor, "limit": min(limit, 500)}, **path)
            items += page.items
            cursor = page.next
            if cursor is None or len(items) >= limit:
                return items[:limit]

    async def id_of(self, kind: str, given: str) -> UUID:
        """The id of what a person named: an id, or a name (agents: 工号, users: login). NotFound `<kind>_unknown`."""
        try:
            return UUID(given)
        except ValueError:
            found = await self.pool.fetchval(_BY_NAME[kind], given)
        if found is None:
            raise NotFound(
                f"{kind.replace('-', '_')}_unknown",
                f"There is no {kind} {given!r}. See: waihu {_LISTED.get(kind, kind)} list",
            )
        return UUID(str(found))


def _checked(model: type[BaseModel], values: Mapping[str, Any]) -> BaseModel:
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise of_validation(error, "argument") from None


@asynccontextmanager
async def _open() -> AsyncIterator[Office]:
    settings = load_settings()
    pool = await create_pool(settings.database_url, application_name="waihu cli", max_size=3)
    try:
        engines = Engines(pool, settings.control_token.get_secret_value())
        deps = WebDeps(
            pool=pool,
            database_url=settings.database_url,
            redis=None,
            engine=engines,
            feed=Feed("cli"),
            explain=cast("Any", engines),
            store_dir=settings.store_dir,
            archive_dir=settings.archive_dir,
            file_keys=file_keys(settings),
            archive_keys=archive_keys(settings),
            upload_dir=settings.work_dir,
            settings=web_settings(settings),
            clock=now,
        )
        parts = make_parts(deps)
        try:
            yield Office(pool=pool, settings=settings, deps=deps, parts=parts)
        finally:
            await engines.close()
            await parts.tasks.stop()
            parts.passwords.close()
    finally:
        await close_pool(pool)


def in_office(work: Callable[[Office], Awaitable[T]]) -> T:
    """Open the house, do the work, close it."""

    async def session() -> T:
        async with _open() as office:
            return await work(office)

    return asyncio.run(session())


def shown(thing: BaseModel, *names: str) -> dict[str, Any]:
    """The fields of a response, or some of them."""
    values = thing.model_dump(mode="json")
    return {name: values[name] for name in names} if names else values


def uuid_of(given: str, what: str) -> UUID:
    """An id that was typed. BadRequest `id_invalid`."""
    try:
        return UUID(given)
    except ValueError:
        raise BadRequest("id_invalid", f"{given!r} is no id of {what}: it looks like 0192f0c1-....") from None
