"""The one way an operation of the API is declared. Validation, access and the OpenAPI document all come from the declaration.

    @operation("POST", "/projects", roles=PLANNERS, summary="Create a project", status=201)
    async def create(call: Call, body: NewProject) -> Project: ...

What a handler may take beside `call`: `body` (a pydantic model: the JSON body), `query` (a pydantic model: the query string), and one
argument for each `{name}` of the path. What it returns is its response model, None (204), or a `web.StreamResponse` it has made itself
(then `media` says what). Everything else is refused when the module is imported.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, get_type_hints

from aiohttp import web
from pydantic import BaseModel, TypeAdapter, ValidationError

from dialer.domain.errors import BadRequest, NotAllowed
from dialer.domain.roles import Role
from dialer.web.access import check_role, set_cookies
from dialer.web.call import Call
from dialer.web.errors import HttpError, of_validation

PREFIX = "/api/v1"
JSON = "application/json"
Handler = Callable[..., Awaitable[Any]]
_PARAMETER = re.compile(r"{(\w+)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method on one path: what it takes, who may use it, what it answers with."""

    method: str
    path: str  # below PREFIX
    summary: str
    roles: frozenset[Role] | None  # None: without logging in
    status: int
    handler: Handler
    params: dict[str, TypeAdapter[Any]]
    body: type[BaseModel] | None
    query: type[BaseModel] | None
    response: TypeAdapter[Any] | None  # None: no body, or `media`
    media: tuple[str, ...]  # of an answer that is not JSON
    also: Mapping[int, str]  # other answers without a JSON body: status → what it means
    accepts: tuple[str, ...] | None  # of a body that the handler reads itself
    timeout_s: float | None  # None: the application's; 0: the handler keeps its own deadlines
    body_limit: int | None
    session_only: bool  # not by an API token
    survives: bool  # may go on with a recently checked identity while the database is away
    rechecks: bool  # may begin with a recently checked identity, because the handler has it checked again

    @property
    def name(self) -> str:
        """The operationId."""
        return f"{self.handler.__module__.split('.')[-2]}_{self.handler.__name__}"

    @property
    def tag(self) -> str:
        """The feature it belongs to."""
        return self.handler.__module__.split(".")[-2]

    @property
    def full_path(self) -> str:
        """With the prefix; what the router knows."""
        return PREFIX + self.path


def operation(
    method: str,
    path: str,
    *,
    roles: Iterable[Role] | None,
    summary: str,
    status: int = 200,
    media: str | tuple[str, ...] = (),
    also: Mapping[int, str] | None = None,
    accepts: str | tuple[str, ...] | None = None,
    timeout_s: float | None = None,
    body_limit: int | None = None,
    session_only: bool = False,
    survives: bool = False,
    rechecks: bool = False,
) -> Callable[[Handler], Operation]:
    """Declare an operation. Errors: TypeError, at import, when the handler's arguments and the path do not agree."""

    def declare(handler: Handler) -> Operation:
        hints = get_type_hints(handler, include_extras=True)
        answer = hints.pop("return", None)
        taken = list(inspect.signature(handler).parameters)
        in_path = _PARAMETER.findall(path)
        strange = set(taken) - {"call", "body", "query", *in_path}
        if strange or taken[:1] != ["call"] or not set(in_path) <= set(taken):
            raise TypeError(f"{handler.__module__}.{handler.__name__}: takes {taken}, but the path is {path}")
        plain = answer in (None, type(None)) or (isinstance(answer, type) and issubclass(answer, web.StreamResponse))
        return Operation(
            method=method, path=path, summary=summary, roles=None if roles is None else frozenset(roles),
            status=204 if answer in (None, type(None)) else status, handler=handler,
            params={name: TypeAdapter(hints[name]) for name in in_path},
            body=hints.get("body"), query=hints.get("query"), response=None if plain else TypeAdapter(answer),
            media=(media,) if isinstance(media, str) else media, also=also or {}, accepts=(accepts,) if isinstance(accepts, str) else accepts, timeout_s=timeout_s, body_limit=body_limit, session_only=session_only, survives=survives, rechecks=rechecks,
        )  # fmt: skip

    return declare


def operations_of(modules: Iterable[ModuleType]) -> list[Operation]:
    """The operations declared in these modules, in the order they were written. Errors: ValueError when two are the same."""
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Operation)]
    seen: set[tuple[str, str]] = set()
    for one in found:
        key = (one.method, _PARAMETER.sub("{}", one.path))
        if key in seen:
            raise ValueError(f"two operations for {one.method} {one.path}")
        seen.add(key)
    return found


async def serve(one: Operation, call: Call) -> web.StreamResponse:
    """Check who asks and what is asked, run the handler, write its answer."""
    if one.roles is not None:
        identity = call.identity
        check_role(identity, one.roles)
        if one.session_only and identity.token_id is not None:
            raise NotAllowed("session_required", "This is done by a person who is logged in, not by an API token.")
    arguments = {name: _parameter(adapter, name, call.request.match_info[name]) for name, adapter in one.params.items()}
    if one.query is not None:
        arguments["query"] = _query(one.query, call.request)
    elif call.request.query_string:
        raise BadRequest("invalid_request", "This operation takes no query string.", where="query")
    if one.body is not None:
        arguments["body"] = await _body(one.body, call.request, one.body_limit or call.deps.settings.body_limit_bytes)
    elif one.accepts is not None:
        _require_type(call.request, *one.accepts)
    elif call.request.body_exists and one.method != "GET":
        raise BadRequest("invalid_request", "This operation takes no body.", where="body")
    result = await one.handler(call, **arguments)
    if isinstance(result, web.StreamResponse):
        return result
    if one.response is None:
        response = web.Response(status=204)
    else:
        response = web.Response(status=one.status, body=one.response.dump_json(result), content_type=JSON)
    set_cookies(response, call.cookies, call.deps.settings)
    return response


def _parameter(adapter: TypeAdapter[Any], name: str, text: str) -> object:
    try:
        return adapter.validate_strings(text)
    except ValidationError as error:
        raise of_validation(error, f"path {name}") from None


def _query(model: type[BaseModel], request: web.Request) -> BaseModel:
    pairs = list(request.query.items())
    values = dict(pairs)
    if len(values) != len(pairs):
        raise BadRequest("invalid_request", "A name in the query string is there twice.", where="query")
    try:
        return model.model_validate_strings(values)
    except ValidationError as error:
        raise of_validation(error, "query") from None


async def _body(model: type[BaseModel], request: web.Request, limit: int) -> BaseModel:
    _require_type(request, JSON)
    raw = await _read(request, limit)
    try:
        return model.model_validate_json(raw, strict=True)
    except ValidationError as error:
        raise of_validation(error, "body") from None


def _require_type(request: web.Request, *wanted: str) -> None:
    if request.content_type not in wanted:
        raise HttpError(
            415, "unsupported_media_type", f"Send this with Content-Type: {' or '.join(wanted)}.", wanted=wanted
        )


async def _read(request: web.Request, limit: int) -> bytes:
    if request.content_length is not None and request.content_length > limit:
        raise too_large(limit)
    parts: list[bytes] = []
    size = 0
    async for part in request.content.iter_chunked(64 * 1024):
        size += len(part)
        if size > limit:
            raise too_large(limit)
        parts.append(part)
    return b"".join(parts)


def too_large(limit: int) -> HttpError:
    """413, with the limit."""
    return HttpError(
        413, "body_too_large", f"The request is larger than this operation takes ({limit} bytes).", limit_bytes=limit
    )
