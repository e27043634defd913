"""Commands between processes: the engine's control port, and the client that web processes use.

HTTP on loopback (or a private network) with a bearer token: `POST /command` takes the command as JSON (`kind` says which) and
answers a `Done`; errors are `{"error_id", "message", "detail"}` with the status of their class. `GET /snapshot` is the feed's full
state, `GET /explain/{project|pace|agent|lead}/{id}` an explanation (of `pace` with `?at=` of a moment).
"""

from __future__ import annotations

import hmac
from datetime import datetime
from typing import Any, Final, Protocol
from urllib.parse import urlencode
from uuid import UUID

import aiohttp
import orjson
import structlog
from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from dialer.domain.commands import Command, Done
from dialer.domain.errors import BadRequest, Conflict, NotAllowed, NotFound, Unavailable, WaihuError

_log = structlog.get_logger(__name__)

_COMMANDS: TypeAdapter[Command] = TypeAdapter(Command)
_DONE: TypeAdapter[Done] = TypeAdapter(Done)
_STATUS: Final[dict[type[WaihuError], int]] = {
    BadRequest: 400,
    NotAllowed: 403,
    NotFound: 404,
    Conflict: 409,
    Unavailable: 503,
}
_CLASS: Final = {status: kind for kind, status in _STATUS.items()}
_LARGEST = 256 << 10
_SHUTDOWN_S = 2.0


class Controlled(Protocol):
    """What a control port opens to other processes: an engine."""

    @property
    def feed(self) -> Any:
        """The live feed."""
        ...

    async def execute(self, command: Command) -> Done:
        """Do what the command says."""
        ...

    def explain_project(self, project_id: UUID) -> dict[str, Any]:
        """Why a project is not dialling."""
        ...

    def explain_pace(self, project_id: UUID, at: datetime | None = None) -> dict[str, Any]:
        """How a project was paced of late, or around a moment of the last hour."""
        ...

    def explain_agent(self, agent_id: UUID) -> dict[str, Any]:
        """Why an agent has no call."""
        ...

    async def explain_lead(self, lead_id: int) -> dict[str, Any]:
        """Why a lead is not called."""
        ...


class ControlServer:
    """The control port of one engine. Without a token it refuses everything."""

    def __init__(self, engine: Controlled, host: str, port: int, token: str) -> None:
        self._engine = engine
        self._host = host
        self._port = port
        self._token = token.encode()
        self._runner: web.AppRunner | None = None
        self.port = port

    async def start(self) -> None:
        """Listen. Errors: OSError when the port is taken."""
        app = web.Application(client_max_size=_LARGEST, middlewares=[self._guard])
        app.router.add_post("/command", self._command)
        app.router.add_get("/snapshot", self._snapshot)
        app.router.add_get("/explain/{what}/{id}", self._explain)
        # A client that waits for an answer must not keep the engine from writing what it knows when it stops.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode("utf-8", "replace")
        if not self._token or not hmac.compare_digest(given, b"Bearer " + self._token):
            return _json({"error_id": "token_wrong", "message": "Send the engine's control token.", "detail": {}}, 401)
        try:
            response: web.StreamResponse = await handler(request)
            return response
        except WaihuError as error:
            status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 503)
            return _json({"error_id": error.error_id, "message": error.message, "detail": error.detail}, status)
        except web.HTTPException:
            raise
        except Exception:  # noqa: BLE001 - the rim: whatever it is, the caller gets an answer and the log the trace
            _log.exception("A command failed unexpectedly", path=request.path)
            message = "The engine failed at this; its log says why. What was asked may have been done."
            return _json({"error_id": "engine_failed", "message": message, "detail": {}}, 500)

    async def _command(self, request: web.Request) -> web.StreamResponse:
        try:
            command = _COMMANDS.validate_json(await request.read())
        except ValidationError as error:
            detail = {"problems": [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()][:20]}
            raise BadRequest("command_malformed", "This is not a command.", **detail) from error
        return _json(_DONE.dump_python(await self._engine.execute(command), mode="json"))

    async def _snapshot(self, _request: web.Request) -> web.StreamResponse:
        return _json(self._engine.feed.snapshot())

    async def _explain(self, request: web.Request) -> web.StreamResponse:
        what, subject = request.match_info["what"], request.match_info["id"]
        try:
            match what:
                case "project":
                    return _json(self._engine.explain_project(UUID(subject)))
                case "pace":
                    at = request.query.get("at")
                    moment = None if at is None else datetime.fromisoformat(at)
                    return _json(self._engine.explain_pace(UUID(subject), moment))
                case "agent":
                    return _json(self._engine.explain_agent(UUID(subject)))
                case "lead":
                    return _json(await self._engine.explain_lead(int(subject)))
                case _:
                    raise NotFound("subject_unknown", "Ask about a project, an agent or a lead.")
        except ValueError as error:
            raise BadRequest("id_malformed", "This is not an id of that kind.") from error


class RemoteEngine:
    """An engine in another process, by its control port; the same `execute`."""

    def __init__(self, url: str, token: str, *, timeout_s: float = 15.0) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def execute(self, command: Command) -> Done:
        """Errors: those of the engine; Unavailable `engine_away` when it cannot be reached."""
        body = _COMMANDS.dump_json(command)
        return _DONE.validate_python(await self._ask("POST", "/command", body))

    async def snapshot(self) -> dict[str, Any]:
        """The full state of the engine's feed."""
        return await self._ask("GET", "/snapshot")

    async def explain_project(self, project_id: UUID) -> dict[str, Any]:
        """Why a project is not dialling."""
        return await self._ask("GET", f"/explain/project/{project_id}")

    async def explain_pace(self, project_id: UUID, at: datetime | None = None) -> dict[str, Any]:
        """How a project was paced of late, or around a moment of the last hour."""
        query = "" if at is None else "?" + urlencode({"at": at.isoformat()})
        return await self._ask("GET", f"/explain/pace/{project_id}{query}")

    async def explain_agent(self, agent_id: UUID) -> dict[str, Any]:
        """Why an agent has no call."""
        return await self._ask("GET", f"/explain/agent/{agent_id}")

    async def explain_lead(self, lead_id: int) -> dict[str, Any]:
        """Why a lead is not called."""
        return await self._ask("GET", f"/explain/lead/{lead_id}")

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _ask(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout, headers=self._headers)
        try:
            async with self._session.request(method, self._url + path, data=body) as response:
                answer = orjson.loads(await response.read())
        except (TimeoutError, aiohttp.ClientError, OSError, orjson.JSONDecodeError) as error:
            raise Unavailable(
                "engine_away", "The engine cannot be reached. What was asked may have been done."
            ) from error
        if response.status != 200:
            kind = _CLASS.get(response.status, NotAllowed if response.status == 401 else Unavailable)
            raise kind(answer["error_id"], answer["message"], **answer.get("detail", {}))
        found: dict[str, Any] = answer
        return found


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value, default=str), status=status, content_type="application/json")
