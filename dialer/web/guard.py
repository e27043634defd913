"""Around every request: a deadline, errors in one form, measures, and the headers that keep browsers out of trouble."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client import CollectorRegistry, Counter, Histogram

from campaigns.errors import BadInput, CampaignError, Missing, NotEvaluable
from dialer.domain.errors import Unavailable, WaihuError
from dialer.web.deps import DEPS, WebSettings
from dialer.web.errors import HttpError, error_response, json_error, of_database, of_http
from recorder.errors import RecorderError

log = structlog.get_logger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# A JSON API shows nothing: no page may frame it, run from it or keep it.
API_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
# A link to a recording that is opened by itself becomes the browser's own player, which loads it once more from the same place.
SOUND_POLICY = f"{API_POLICY}; media-src 'self'"
DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


class Measures:
    """What a scraper sees of the web application."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter("waihu_http_requests", "Requests answered", ["operation", "status"], registry=registry)
        self.seconds = Histogram(
            "waihu_http_request_seconds", "Time to answer a request", ["operation"], registry=registry
        )


def answer_errors(measures: Measures) -> Middleware:
    """The outermost middleware: nothing but an answer of ours leaves it."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.monotonic()
        try:
            response = await handler(request)
        except web.HTTPException as error:
            response = of_http(error)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  # the rim: whatever it is, the client gets an answer and the log the rest
            known = in_our_words(error)
            response = error_response(known) if known else _unexpected(request, error)
        name = operation_name(request)
        measures.requests.labels(name, str(response.status)).inc()
        measures.seconds.labels(name).observe(time.monotonic() - began)
        return response

    return middleware


def operation_name(request: web.Request) -> str:
    """The operation's name for measures and logs; never the path, which holds what a client wrote."""
    return str(getattr(request.match_info.handler, "waihu_name", "other"))


def in_our_words(error: BaseException) -> WaihuError | None:
    """Any package's failure as one of ours; None for a defect."""
    if isinstance(error, WaihuError):
        return error
    if isinstance(error, CampaignError):
        status = (
            422
            if isinstance(error, BadInput)
            else 404
            if isinstance(error, Missing)
            else 503
            if isinstance(error, NotEvaluable)
            else 409
        )
        known = HttpError(status, error.error_id, str(error))
        known.detail = error.detail
        return known
    if isinstance(error, RecorderError):
        status = 410 if error.error_id.endswith("_destroyed") else 404 if error.error_id.endswith("_gone") else 409
        return HttpError(status, error.error_id, str(error))
    if isinstance(error, TimeoutError):
        return Unavailable("timed_out", "This took too long and was given up: try again, or ask for less.")
    return of_database(error) if isinstance(error, Exception) else None


def _unexpected(request: web.Request, error: Exception) -> web.Response:
    reference = secrets.token_hex(6)
    log.error("a request failed unexpectedly", reference=reference, operation=operation_name(request), exc_info=error)
    return json_error(
        500,
        "internal_error",
        f"This should not have happened. Tell your administrator the reference {reference}.",
        {"reference": reference},
    )


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Signal `on_response_prepare`: for every answer, streams and errors too."""
    settings: WebSettings = request.app[DEPS].settings
    docs = request.path.startswith("/api/docs")
    headers = response.headers
    headers["Server"] = "waihu"
    headers["X-Content-Type-Options"] = "nosniff"
    headers["X-Frame-Options"] = "DENY"
    headers["Referrer-Policy"] = "no-referrer"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    sound = response.content_type.startswith("audio/")
    headers["Content-Security-Policy"] = DOCS_POLICY if docs else SOUND_POLICY if sound else API_POLICY
    headers.setdefault("Cache-Control", "no-cache" if docs else "no-store")
    if settings.secure_cookies:
        headers["Strict-Transport-Security"] = "max-age=31536000"
