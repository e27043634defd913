"""The OpenAPI document and a page to read and try it: Swagger UI from our own disk, nothing from elsewhere, no inline script."""

from __future__ import annotations

from pathlib import Path

import orjson
import swagger_ui_bundle
from aiohttp import web

from dialer.web.openapi import rendition_3_0
from dialer.web.parts import PARTS

FILES = ("swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js", "favicon-32x32.png")

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Waihu API</title>
<link rel="icon" href="/api/docs/favicon-32x32.png">
<link rel="stylesheet" href="/api/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/api/docs/swagger-ui-bundle.js"></script>
<script src="/api/docs/swagger-ui-standalone-preset.js"></script>
<script src="/api/docs/start.js"></script>
</body>
</html>
"""

# Logged in with a session? Then what changes something needs its CSRF token, which our pages may read from a cookie.
START = """window.ui = SwaggerUIBundle({
  url: "/api/openapi-3.0.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
  layout: "BaseLayout",
  validatorUrl: null,
  requestInterceptor: function (request) {
    var found = document.cookie.match(/(?:^|; )(?:__Host-)?waihu_csrf=([^;]+)/);
    if (found) { request.headers["X-CSRF-Token"] = found[1]; }
    return request;
  }
});
"""


def add(app: web.Application) -> None:
    """Everything below /api/docs, and the document itself."""
    app.router.add_get("/api/openapi.json", _document)
    app.router.add_get("/api/openapi-3.0.json", _older_document)
    app.router.add_get("/api/docs", _page)
    app.router.add_get("/api/docs/start.js", _start)
    for name in FILES:
        app.router.add_get(f"/api/docs/{name}", _file)


async def _document(request: web.Request) -> web.Response:
    return web.Response(body=orjson.dumps(request.app[PARTS].document), content_type="application/json")


async def _older_document(request: web.Request) -> web.Response:
    return web.Response(body=orjson.dumps(rendition_3_0(request.app[PARTS].document)), content_type="application/json")


async def _page(_request: web.Request) -> web.Response:
    return web.Response(text=PAGE, content_type="text/html")


async def _start(_request: web.Request) -> web.Response:
    return web.Response(text=START, content_type="text/javascript")


async def _file(request: web.Request) -> web.FileResponse:
    return web.FileResponse(Path(swagger_ui_bundle.swagger_ui_path) / request.path.rsplit("/", 1)[1])
