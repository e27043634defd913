"""The document is valid, complete, and readable on our own page."""

from __future__ import annotations

import re

import pytest
from openapi_spec_validator import validate

from dialer.web.app import all_operations
from dialer.web.openapi import document, rendition_3_0
from tests.web.conftest import House


def test_the_document_is_valid_openapi_3_1() -> None:
    made = document(all_operations(), "1")
    assert made["openapi"] == "3.1.0"
    validate(made)


def test_the_older_rendition_is_valid_openapi_3_0() -> None:
    made = rendition_3_0(document(all_operations(), "1"))
    assert made["openapi"].startswith("3.0")
    validate(made)


def test_every_operation_is_in_the_document_once_with_who_may_use_it() -> None:
    made = document(all_operations(), "1")
    ids = [one["operationId"] for methods in made["paths"].values() for one in methods.values()]
    assert len(ids) == len(set(ids)) == len(all_operations())
    public = [
        one["operationId"] for methods in made["paths"].values() for one in methods.values() if "x-roles" not in one
    ]
    assert public == ["session_log_in", "recordings_get_by_link"]  # the link itself is the right


def test_every_route_of_the_application_is_in_the_document_or_known_to_be_outside(house: House) -> None:
    outside = {"/api/openapi.json", "/api/openapi-3.0.json", "/healthz", "/metrics"}
    for resource in house.server.app.router.resources():
        path = resource.canonical
        assert path in house.document["paths"] or path in outside or path.startswith("/api/docs"), path


def test_no_schema_lets_unknown_fields_in() -> None:
    made = document(all_operations(), "1")
    for operation in (one for methods in made["paths"].values() for one in methods.values()):
        schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        if schema:
            named = made["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
            assert named["additionalProperties"] is False, operation["operationId"]


async def test_the_document_is_served_to_anybody(house: House) -> None:
    async with house.http.get(f"{house.base}/api/openapi.json") as response:
        assert response.status == 200
        assert (await response.json())["openapi"] == "3.1.0"


async def test_the_docs_page_needs_nothing_from_elsewhere_and_runs_no_inline_script(house: House) -> None:
    async with house.http.get(f"{house.base}/api/docs") as response:
        page = await response.text()
        policy = response.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "https:" not in page
    assert "http:" not in page
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    for path in re.findall(r'(?:src|href)="([^"]+)"', page):
        async with house.http.get(f"{house.base}{path}") as response:
            assert response.status == 200, path
            assert len(await response.read()) > 100


@pytest.mark.parametrize("path", ["/api/docs/../../etc/passwd", "/api/docs/index.html", "/api/docs/%2e%2e/secret"])
async def test_the_docs_page_serves_only_its_own_files(house: House, path: str) -> None:
    async with house.http.get(f"{house.base}{path}") as response:
        assert response.status == 404
