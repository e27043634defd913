"""A client of the API that believes nothing: every answer is held against the OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from openapi_schema_validator import OAS31Validator

from dialer.domain.roles import Role


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: Any
    headers: Any
    raw: bytes

    @property
    def error_id(self) -> str:
        """Of a refusal."""
        return str(self.body["error_id"])


@dataclass(slots=True, kw_only=True)
class Person:
    """Somebody (or a program) with a session, a token, or nothing."""

    base: str
    document: dict[str, Any]
    http: aiohttp.ClientSession
    role: Role | None = None
    user_id: Any = None
    agent_id: Any = None
    cookie: str | None = None
    csrf: str | None = None
    token: str | None = None
    heard: list[str] = field(default_factory=list)

    def headers(self, extra: dict[str, str] | None = None) -> dict[str, str]:
        """What identifies this person."""
        made: dict[str, str] = {}
        if self.cookie:
            made["Cookie"] = f"waihu_session={self.cookie}"
        if self.csrf:
            made["X-CSRF-Token"] = self.csrf
        if self.token:
            made["Authorization"] = f"Bearer {self.token}"
        return {**made, **(extra or {})}

    async def ask(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None, data: Any = None,
        query: Mapping[str, str] | None = None, **asked_too: Any,
    ) -> Answer:  # fmt: skip
        """One request; the answer is checked against the document."""
        asked = {**(query or {}), **{name: str(value) for name, value in asked_too.items()}}
        async with self.http.request(
            method,
            f"{self.base}/api/v1{path}",
            json=body,
            data=data,
            params=asked or None,
            headers=self.headers(headers),
        ) as response:
            raw = await response.read()
            answer = Answer(response.status, await self._json(response, raw), response.headers, raw)
        if raw:
            self.heard.append(raw.decode(errors="replace"))
        check_answer(self.document, method, f"/api/v1{path}", answer)
        return answer

    async def get(self, path: str, **query: Any) -> Any:
        """The body of a GET that must succeed."""
        answer = await self.ask("GET", path, **query)
        assert answer.status == 200, answer.body
        return answer.body

    async def do(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """The body of a request that must succeed."""
        answer = await self.ask(method, path, body, **query)
        assert 200 <= answer.status < 300, answer.body
        return answer.body

    @staticmethod
    async def _json(response: aiohttp.ClientResponse, raw: bytes) -> Any:
        return await response.json() if response.content_type == "application/json" and raw else None


def check_answer(document: dict[str, Any], method: str, path: str, answer: Answer) -> None:
    """The answer has a documented status and its body the documented form; nothing is said that is not in the schema."""
    operation = operation_of(document, method, path)
    if operation is None:
        assert answer.status in {404, 405}, f"{method} {path} is not documented but answered {answer.status}"
        return
    responses = operation["responses"]
    described = responses.get(str(answer.status)) or responses["default"]
    if answer.status >= 400 and str(answer.status) not in responses:
        described = responses["default"]
    content = described.get("content", {})
    if "application/json" in content and method != "HEAD":
        assert answer.headers["Content-Type"].startswith("application/json")
        schema = {**content["application/json"].get("schema", {}), "components": document["components"]}
        OAS31Validator(schema).validate(answer.body)
    elif answer.status == 204:
        assert answer.raw == b""
    if answer.status < 400:
        assert str(answer.status) in responses, f"{method} {path} answered {answer.status}, which is not documented"


def operation_of(document: dict[str, Any], method: str, path: str) -> dict[str, Any] | None:
    """The document's operation for a path."""
    for template, methods in document["paths"].items():
        pattern = re.sub(r"{\w+}", "[^/]+", template)
        if re.fullmatch(pattern, path) and method.lower() in methods:
            found: dict[str, Any] = methods[method.lower()]
            return found
    return None
