"""The API as a person's browser uses it: a session cookie, the CSRF token, JSON, the live feed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson

from lab.errors import LabError

API = "/api/v1"
_TIMEOUT = aiohttp.ClientTimeout(total=20)


class ApiRefused(LabError):
    """The API said no; `error_id` is what it said."""

    def __init__(self, status: int, error_id: str, message: str) -> None:
        super().__init__(f"{status} {error_id}: {message}")
        self.status = status
        self.error_id = error_id


class ApiClient:
    """One person at one browser. `async with`, then `log_in`."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._csrf = ""
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # unsafe: cookies of an IP address are kept too, which browsers do for 127.0.0.1
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), timeout=_TIMEOUT)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def log_in(self, login: str, password: str) -> dict[str, Any]:
        """A session; gives who we are."""
        answer = await self.post("/session", {"login": login, "password": password})
        self._csrf = answer["csrf_token"]
        me: dict[str, Any] = answer["me"]
        return me

    async def get(self, path: str, **query: Any) -> Any:
        return await self._ask(
            "GET", path, None, {name: str(value) for name, value in query.items() if value is not None}
        )

    async def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        return await self._ask("POST", path, body)

    async def put(self, path: str, body: Mapping[str, Any]) -> Any:
        return await self._ask("PUT", path, body)

    async def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        return await self._ask("PATCH", path, body)

    async def delete(self, path: str) -> Any:
        return await self._ask("DELETE", path, None)

    async def all(self, path: str, **query: Any) -> list[Any]:
        """Every item of a paged list."""
        items: list[Any] = []
        cursor = None
        while True:
            page = await self.get(path, limit=500, cursor=cursor, **query)
            items += page["items"]
            cursor = page["next"]
            if cursor is None:
                return items

    async def upload(self, path: str, content: bytes, *, content_type: str = "text/csv", **query: Any) -> Any:
        """A file as the request's body."""
        async with self._open.post(
            self.url + API + path,
            data=content,
            params={name: str(value) for name, value in query.items()},
            headers={**self._headers(), "Content-Type": content_type},
        ) as response:
            return await _answer(response)

    async def download(self, path: str) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and bytes of something that is not JSON."""
        async with self._open.get(self.url + API + path) as response:
            return response.status, response.headers, await response.read()

    @asynccontextmanager
    async def live(self) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """The live feed's messages."""
        async with self._open.ws_connect(
            self.url + API + "/live", heartbeat=20, headers={"Origin": self.url}
        ) as socket:

            async def messages() -> AsyncIterator[dict[str, Any]]:
                async for message in socket:
                    if message.type is aiohttp.WSMsgType.TEXT:
                        yield orjson.loads(message.data)

            yield messages()

    @property
    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise ApiRefused(0, "not_open", "use the client with `async with`")
        return self._session

    def _headers(self) -> dict[str, str]:
        return {"X-CSRF-Token": self._csrf, "Origin": self.url} if self._csrf else {"Origin": self.url}

    async def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None, query: Mapping[str, str] | None = None
    ) -> Any:
        content = None if body is None else orjson.dumps(body, default=str)
        headers = self._headers() | ({"Content-Type": "application/json"} if content is not None else {})
        async with self._open.request(
            method, self.url + API + path, data=content, params=query, headers=headers
        ) as response:
            return await _answer(response)


async def _answer(response: aiohttp.ClientResponse) -> Any:
    raw = await response.read()
    try:
        body = orjson.loads(raw) if raw else None
    except orjson.JSONDecodeError:
        body = {"error_id": "no_json", "message": raw[:200].decode("utf-8", "replace")}
    if response.status >= 400:
        body = body if isinstance(body, dict) else {}
        raise ApiRefused(
            response.status,
            str(body.get("error_id", "unknown")),
            f"{response.method} {response.url.path}: {body.get('message', '')} {body.get('detail', '')}",
        )
    return body


RETRYABLE = (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError)
"""What a person would answer with the reload button."""
