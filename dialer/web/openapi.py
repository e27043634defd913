"""The OpenAPI 3.1 document, made from the declarations of the operations: what they say is what the handlers do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from dialer.domain.roles import Role
from dialer.web.api import JSON, Operation
from dialer.web.errors import ErrorBody

REF = "#/components/schemas/{model}"
TITLE = "Waihu"


def document(operations: Sequence[Operation], version: str) -> dict[str, Any]:
    """The whole document, ready for JSON."""
    schemas = _Schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        paths.setdefault(one.full_path, {})[one.method.lower()] = _operation(one, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": TITLE, "version": version,
            "description": "Outbound call centre on Asterisk. Errors are always {error_id, message, detail}; docs/api.md lists each error_id.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(one.tag for one in operations)],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions,
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": "waihu_session",
                            "description": "From logging in. What changes something also needs the session's token in X-CSRF-Token."},
                "token": {"type": "http", "scheme": "bearer", "description": "An API token; it may what its user's role may."},
            },
        },
    }  # fmt: skip


class _Schemas:
    """All models once, under components; `ref` gives the schema to write at a place."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        wanted: dict[tuple[Any, JsonSchemaMode], TypeAdapter[Any]] = {
            ("error", "serialization"): TypeAdapter(ErrorBody)
        }
        for one in operations:
            if one.body is not None:
                wanted[one.body, "validation"] = TypeAdapter(one.body)
            if one.response is not None:
                wanted[one.name, "serialization"] = one.response
        found, rest = TypeAdapter.json_schemas(
            [(key, mode, adapter) for (key, mode), adapter in wanted.items()], ref_template=REF
        )
        self._found = found
        self.definitions: dict[str, Any] = dict(sorted(rest.get("$defs", {}).items()))

    def error(self) -> dict[str, Any]:
        return self._found["error", "serialization"]

    def body(self, model: type[BaseModel]) -> dict[str, Any]:
        return self._found[model, "validation"]

    def response(self, one: Operation) -> dict[str, Any]:
        return self._found[one.name, "serialization"]


def _operation(one: Operation, schemas: _Schemas) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": one.name, "tags": [one.tag], "summary": one.summary, "responses": _responses(one, schemas),
        "security": [] if one.roles is None else [{"session": []}] if one.session_only else [{"session": []}, {"token": []}],
    }  # fmt: skip
    if one.handler.__doc__:
        made["description"] = one.handler.__doc__.strip()
    if one.roles is not None:
        made["x-roles"] = [role.value for role in Role if role in one.roles]
    parameters = [*_path_parameters(one), *_query_parameters(one)]
    if parameters:
        made["parameters"] = parameters
    if one.body is not None:
        made["requestBody"] = {"required": True, "content": {JSON: {"schema": schemas.body(one.body)}}}
    elif one.accepts is not None:
        made["requestBody"] = {"required": True, "content": {kind: {} for kind in one.accepts}}
    return made


def _responses(one: Operation, schemas: _Schemas) -> dict[str, Any]:
    success: dict[str, Any] = {"description": one.summary}
    if one.response is not None:
        success["content"] = {JSON: {"schema": schemas.response(one)}}
    elif one.media:
        success["content"] = {media: {} for media in one.media}
    return {
        str(one.status): success,
        **{str(status): {"description": description} for status, description in one.also.items()},
        "default": {"description": "It was refused or failed.", "content": {JSON: {"schema": schemas.error()}}},
    }


def _path_parameters(one: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": adapter.json_schema(mode="validation")}
        for name, adapter in one.params.items()
    ]


def _query_parameters(one: Operation) -> list[dict[str, Any]]:
    if one.query is None:
        return []
    schema = one.query.model_json_schema(mode="validation", ref_template=REF)
    required = set(schema.get("required", []))
    inner = schema.get("$defs", {})
    made = []
    for name, field in schema["properties"].items():
        description = field.pop("description", None)
        field.pop("title", None)
        parameter = {"name": name, "in": "query", "required": name in required, "schema": _inline(field, inner)}
        made.append(parameter | ({"description": description} if description else {}))
    return made


def _inline(schema: Any, inner: dict[str, Any]) -> Any:
    """A query's own enums are written where they are used."""
    if isinstance(schema, list):
        return [_inline(one, inner) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inline(inner[schema["$ref"].rsplit("/", 1)[1]], inner)
    return {key: _inline(value, inner) for key, value in schema.items()}


def rendition_3_0(doc: dict[str, Any]) -> dict[str, Any]:
    """The same in OpenAPI 3.0, for the bundled Swagger UI 4, which reads no newer."""
    made: dict[str, Any] = _older(doc)
    made["openapi"] = "3.0.3"
    made["info"]["license"].pop("identifier", None)
    return made


def _older(node: Any) -> Any:
    if isinstance(node, list):
        return [_older(one) for one in node]
    if not isinstance(node, dict):
        return node
    made = {key: _older(value) for key, value in node.items()}
    if isinstance(made.get("anyOf"), list):
        kept = [one for one in made["anyOf"] if one != {"type": "null"}]
        if len(kept) != len(made["anyOf"]):
            made.pop("anyOf")
            made = (
                {**made, "allOf": kept, "nullable": True}
                if len(kept) == 1
                else {**made, "anyOf": kept, "nullable": True}
            )
    if made.get("type") == "null":
        made = {"nullable": True}
    if "const" in made and "properties" not in made:
        made["enum"] = [made.pop("const")]
    for bound, plain in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(made.get(bound), int | float) and not isinstance(made.get(bound), bool):
            made[plain], made[bound] = made[bound], True
    if isinstance(made.get("propertyNames"), dict) and "type" in made:
        made.pop("propertyNames")
    return made
