"""Serves the call page and its built files."""

from __future__ import annotations

import html
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from parley.core.errors import NotFound

BUILT = Path(__file__).parent / "web"
BUILD_COMMAND = ".venv/bin/python web/build.py"

# Only what this server itself serves: no inline code, no foreign font, script or frame.
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "media-src 'self' blob: mediastream:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Permissions-Policy": "microphone=(self), speaker-selection=(self), camera=(), geolocation=()",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
# The system's own table of types can't be relied on: some say text/plain for scripts.
CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}

_ASK_AGAIN = "no-cache"
# The file's name changes with its content.
_KEEP = "public, max-age=31536000, immutable"


def console_router(built: Path = BUILT) -> APIRouter:
    """``GET /``, its assets and the icon."""
    return _Pages(built).router()


class _Pages:
    def __init__(self, built: Path) -> None:
        self._built = built
        self._top = StaticFiles(directory=built, check_dir=False)
        self._assets = StaticFiles(directory=built / "assets", check_dir=False)

    def router(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/", self.page, methods=["GET", "HEAD"])
        router.add_api_route("/assets/{name:path}", self.asset, methods=["GET", "HEAD"])
        router.add_api_route("/favicon.svg", self.icon, methods=["GET", "HEAD"])
        router.add_api_route("/favicon.ico", self.icon, methods=["GET", "HEAD"])
        return router

    async def page(self, request: Request) -> Response:
        if not (self._built / "index.html").is_file():
            return _finish(_not_built(), "no-store")
        return await _file(self._top, "index.html", request, _ASK_AGAIN)

    async def asset(self, name: str, request: Request) -> Response:
        return await _file(self._assets, name, request, _KEEP)

    async def icon(self, request: Request) -> Response:
        return await _file(self._top, "favicon.svg", request, _ASK_AGAIN)


async def _file(files: StaticFiles, path: str, request: Request, cache: str) -> Response:
    try:
        response = await files.get_response(path, request.scope)
    except HTTPException as error:
        raise NotFound(f"There is no {path} in the built page.") from error
    content_type = CONTENT_TYPES.get(Path(path).suffix)
    if content_type and response.status_code == 200:
        response.headers["Content-Type"] = content_type
    return _finish(response, cache)


def _finish(response: Response, cache: str) -> Response:
    response.headers.update(SECURITY_HEADERS)
    response.headers["Cache-Control"] = cache
    return response


def _not_built() -> HTMLResponse:
    page = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Parley: the page is not built</title>
<h1>The call page is not built yet</h1>
<p>Parley itself is running. In the folder where you cloned it, run</p>
<pre>{html.escape(BUILD_COMMAND)}</pre>
<p>and reload this page. <code>scripts/serve</code> does that by itself.</p>
</html>
"""
    return HTMLResponse(page, status_code=503)
