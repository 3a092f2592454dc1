"""How the call page is served."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from parley.api.errors import install_error_handlers
from parley.console.pages import BUILD_COMMAND, console_router

ROOT = Path(__file__).parents[2]


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A folder such as the build leaves behind."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>Parley</title>")
    (tmp_path / "favicon.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (tmp_path / "assets/index-1a2b.js").write_text("export {};")
    (tmp_path / "assets/index-3c4d.css").write_text("body {}")
    (tmp_path / "sources.sha256").write_text("0")
    return tmp_path


def client_of(built: Path) -> httpx.AsyncClient:
    app = FastAPI()
    install_error_handlers(app)
    app.include_router(console_router(built))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://parley")


async def test_the_page_is_checked_for_news_at_every_visit(built: Path) -> None:
    async with client_of(built) as client:
        first = await client.get("/")
        again = await client.get("/", headers={"If-None-Match": first.headers["etag"]})

    assert (first.status_code, again.status_code) == (200, 304)
    assert first.headers["cache-control"] == "no-cache"
    assert first.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("name", "content_type"), [("index-1a2b.js", "text/javascript"), ("index-3c4d.css", "text/css")]
)
async def test_assets_are_kept_for_good_and_have_their_type(
    built: Path, name: str, content_type: str
) -> None:
    async with client_of(built) as client:
        answer = await client.get(f"/assets/{name}")

    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith(content_type)


@pytest.mark.parametrize("path", ["/", "/assets/index-1a2b.js", "/favicon.svg"])
async def test_everything_carries_the_security_headers(built: Path, path: str) -> None:
    async with client_of(built) as client:
        headers = (await client.get(path)).headers

    assert "script-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert "microphone=(self)" in headers["permissions-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "path",
    ["/assets/gone.js", "/assets/../sources.sha256", "/assets/%2e%2e/sources.sha256", "/assets/"],
)
async def test_nothing_but_the_built_files_is_served(built: Path, path: str) -> None:
    async with client_of(built) as client:
        answer = await client.get(path)

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


async def test_a_page_that_is_not_built_says_how_to_build_it(tmp_path: Path) -> None:
    async with client_of(tmp_path / "missing") as client:
        answer = await client.get("/")

    assert answer.status_code == 503
    assert BUILD_COMMAND in answer.text
    assert answer.headers["cache-control"] == "no-store"


async def test_the_built_page_asks_only_this_server(built_page: None) -> None:
    folder = ROOT / "src/parley/console/web"
    texts = [file.read_text() for file in folder.rglob("*") if file.suffix in {".html", ".css"}]

    assert texts
    for text in texts:
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
        assert "https://" not in text
        assert "style=" not in text
