"""How failures reach a client: always {"error_id", "message", "detail"}, with a status that fits.

WaihuError (dialer.domain.errors)
├── BadRequest 422 · NotAllowed 403 · NotFound 404 · Conflict 409 · Unavailable 503
└── HttpError (here): what only HTTP knows (401, 405, 413, 415, 429 ...)

Nothing of an unexpected failure but a reference leaves the process; the log has the rest under that reference.
"""

from __future__ import annotations

import asyncpg
import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from dialer.db.pool import LOST
from dialer.domain.errors import BadRequest, Conflict, NotAllowed, NotFound, Unavailable, WaihuError


class ErrorBody(BaseModel):
    """What every failed request is answered with."""

    model_config = ConfigDict(extra="forbid", title="Error")

    error_id: str = Field(description="Stable, documented in docs/api.md; what a program may act on.")
    message: str = Field(description="A sentence for a person: what is wrong and what to do.")
    detail: dict[str, JsonValue] = Field(description="Names and limits a program may need.")


class HttpError(WaihuError):
    """A failure that only exists in HTTP."""

    def __init__(
        self, status: int, error_id: str, message: str, *, headers: dict[str, str] | None = None, **detail: object
    ) -> None:
        super().__init__(error_id, message, **detail)
        self.status = status
        self.headers = headers or {}


def unauthenticated(error_id: str = "not_logged_in", message: str = "Log in, or send a valid API token.") -> HttpError:
    """401, with the scheme a program should use."""
    return HttpError(401, error_id, message, headers={"WWW-Authenticate": 'Bearer realm="waihu"'})


STATUSES: tuple[tuple[type[WaihuError], int], ...] = (
    (BadRequest, 422),
    (NotAllowed, 403),
    (NotFound, 404),
    (Conflict, 409),
    (Unavailable, 503),
)

# What the database refuses, in words: constraint → (error_id, sentence). Others get a general answer.
CONSTRAINTS: dict[str, tuple[str, str]] = {
    "users_login": ("login_taken", "There is a user with this login name: choose another."),
    "trunks_name_key": ("trunk_name_taken", "There is a trunk of this name: choose another."),
    "agents_user_id_key": ("user_is_agent_already", "This user has an agent already."),
    "agents_number_key": ("agent_number_taken", "There is an agent with this number (工号): choose another."),
    "trunks_node_fkey": ("node_unknown", "There is no such node: start its engine once, or correct the name."),
    "devices_node_fkey": ("node_unknown", "There is no such node: start its engine once, or correct the name."),
    "trunks_prefix_before_digits": (
        "prefix_before_e164",
        "A prefix goes before national numbers or digits, not before a +: choose another caller_format.",
    ),
    "trunks_somebody_knows_who_calls": (
        "privacy_without_pai",
        "With privacy id only P-Asserted-Identity says who calls: let it be from or e164.",
    ),
    "trunks_diversion_of_the_pool": (
        "diversion_not_of_trunk",
        "The number for Diversion must be a caller number of this trunk: add it to the pool first.",
    ),
    "agents_user_id_fkey": ("user_unknown", "There is no such user."),
    "project_agents_agent_id_fkey": ("agent_unknown", "There is no such agent."),
    "project_caller_numbers_caller_number_id_fkey": ("caller_number_unknown", "There is no such caller number."),
}

DATABASE_AWAY: tuple[type[Exception], ...] = LOST


def status_of(error: WaihuError) -> int:
    """The HTTP status of an error."""
    if isinstance(error, HttpError):
        return error.status
    return next((status for kind, status in STATUSES if isinstance(error, kind)), 500)


def error_response(error: WaihuError) -> web.Response:
    """The answer for an error of ours."""
    headers = error.headers if isinstance(error, HttpError) else {}
    return json_error(status_of(error), error.error_id, error.message, error.detail, headers)


def json_error(
    status: int,
    error_id: str,
    message: str,
    detail: dict[str, object] | None = None,
    headers: dict[str, str] | None = None,
) -> web.Response:
    """An error body, serialised."""
    body = orjson.dumps({"error_id": error_id, "message": message, "detail": detail or {}}, default=str)
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


def of_validation(error: ValidationError, where: str) -> BadRequest:
    """A request that does not fit its types: which field, and why. The value itself is not echoed: it may be a number or a secret."""
    problems = [
        {"field": ".".join(str(part) for part in problem["loc"]), "problem": problem["msg"]}
        for problem in error.errors(include_url=False, include_context=False, include_input=False)[:20]
    ]
    first = problems[0] if problems else {"field": "", "problem": ""}
    name = f"{where}: {first['field']}" if first["field"] else where
    return BadRequest("invalid_request", f"{name}: {first['problem']}", where=where, problems=problems)


def of_database(error: Exception) -> WaihuError | None:
    """What the database said, for a client; None when it is a defect of ours."""
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        name = getattr(error, "constraint_name", None) or ""
        if name in CONSTRAINTS:
            error_id, message = CONSTRAINTS[name]
            return Conflict(error_id, message)
        if isinstance(error, asyncpg.UniqueViolationError):
            return Conflict("already_exists", "There is one like this already.", rule=name)
        if isinstance(error, asyncpg.ForeignKeyViolationError):
            return Conflict(
                "reference_unknown", "Something this refers to does not exist, or this is still referred to.", rule=name
            )
        return BadRequest("refused_by_rule", "The database refuses this: a rule forbids it.", rule=name)
    if isinstance(error, asyncpg.QueryCanceledError):
        return Unavailable("timed_out", "This took too long and was given up: try again, or ask for less.")
    if isinstance(error, DATABASE_AWAY):
        return Unavailable("database_away", "The database cannot be reached: try again in a moment.")
    return None


HTTP_EXCEPTIONS: dict[int, tuple[str, str]] = {
    404: ("no_such_path", "There is nothing at this path: see /api/docs."),
    405: ("method_not_allowed", "This path does not take this method: see /api/docs."),
    413: ("body_too_large", "The request is larger than this operation takes."),
    400: ("malformed_request", "The request is not valid HTTP."),
}


def of_http(error: web.HTTPException) -> web.Response:
    """What aiohttp itself refuses, in our form."""
    error_id, message = HTTP_EXCEPTIONS.get(error.status, ("http_error", "The request could not be handled."))
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    return json_error(error.status, error_id, message, {}, headers)
