"""Stand-ins: a uv that only notes its calls, an index that offers it, a bare PATH."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import shutil
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bootstrap.checkout import Checkout, Needs
from bootstrap.package_index import (
    IndexSettings,
)
from bootstrap.progress import Progress
from bootstrap.uv_wheel import bring_uv

ROOT = Path(__file__).resolve().parents[2]
LINUX = sys.platform == "linux"
PROCESSOR = platform.machine().lower()
WHEEL = (
    f"uv-9.9.9-py3-none-manylinux_2_17_{PROCESSOR}.manylinux2014_{PROCESSOR}"
    f".musllinux_1_1_{PROCESSOR}.whl"
    if LINUX
    else f"uv-9.9.9-py3-none-macosx_11_0_{PROCESSOR}.whl"
)
# Stands in for uv: notes how it was called and makes what `uv sync` and `uv pip install` make.
FAKE_UV = """#!/bin/sh
echo "$@" >> "$PWD/calls"
if [ -n "$FAKE_UV_SAYS" ]; then echo "$FAKE_UV_SAYS" >&2; exit 2; fi
mkdir -p "$PWD/.venv/bin"
echo "#!$PWD/.venv/bin/python" > "$PWD/.venv/bin/parley"
"""


def small_wheel() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("uv-9.9.9.data/scripts/uv", FAKE_UV)
        archive.writestr("uv-9.9.9.dist-info/METADATA", "Name: uv\nVersion: 9.9.9\n")
    return content.getvalue()


def lock_text(sha256: str) -> str:
    return f"""
[[package]]
name = "uv"
version = "9.9.9"
wheels = [{{ url = "https://files.invalid/{WHEEL}", hash = "sha256:{sha256}" }}]

[[package]]
name = "pocketsphinx"
version = "5.1.1"
wheels = [
    {{ url = "https://files.invalid/pocketsphinx-5.1.1-cp311-cp311-linux.whl", hash = "sha256:0" }},
    {{ url = "https://files.invalid/pocketsphinx-5.1.1-cp313-cp313-linux.whl", hash = "sha256:0" }},
]
"""


SERVE = Needs(extras=frozenset({"espeak"}))
TEST = Needs(groups=frozenset({"dev"}), extras=frozenset({"espeak", "more"}))


class FakeIndex(ThreadingHTTPServer):
    """Speaks the simple index protocol, as HTML or JSON, with or without a password."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _IndexPages)
        self.files = files
        self.as_json = False
        self.authorization = ""
        self.stated_sha256: str | None = None

    def url(self, user: str = "") -> str:
        return f"http://{user}127.0.0.1:{self.server_port}/index/simple"


class _IndexPages(BaseHTTPRequestHandler):
    server: FakeIndex

    def do_GET(self) -> None:
        if self.server.authorization and (
            self.headers.get("Authorization") != self.server.authorization
        ):
            self.send_error(401)
        elif self.path == "/index/simple/uv/":
            page = self._json_page() if self.server.as_json else self._html_page()
            self._answer(*page)
        elif self.path.startswith("/index/files/"):
            self._answer(
                "binary/octet-stream", self.server.files[self.path.removeprefix("/index/files/")]
            )
        else:
            self.send_error(404)

    def _json_page(self) -> tuple[str, bytes]:
        files = [
            {
                "filename": name,
                "url": f"../../files/{name}",
                "hashes": {"sha256": self._sha256(content)},
            }
            for name, content in self.server.files.items()
        ]
        page = {"meta": {"api-version": "1.0"}, "name": "uv", "files": files}
        return "application/vnd.pypi.simple.v1+json", json.dumps(page).encode()

    def _html_page(self) -> tuple[str, bytes]:
        links = [
            f'<a href="/index/files/{name}#sha256={self._sha256(content)}">{name}</a><br>'
            for name, content in self.server.files.items()
        ]
        return "text/html", f"<!DOCTYPE html><body>{''.join(links)}</body>".encode()

    def _sha256(self, content: bytes) -> str:
        return self.server.stated_sha256 or hashlib.sha256(content).hexdigest()

    def _answer(self, content_type: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Launcher:
    """A copy of scripts/ and a PATH that has only what a test puts there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "on-path"
        shutil.copytree(ROOT / "scripts", root / "scripts")
        self.path.mkdir()
        for tool in ("dirname", "readlink", "cat", "sh"):
            (self.path / tool).symlink_to(shutil.which(tool) or tool)

    def put(self, name: str, script: str) -> None:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def run(self, verb: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.root / "scripts" / verb, *arguments],
            env={"PATH": str(self.path), **more},
            capture_output=True,
            text=True,
        )


class WaitingProgress(Progress):
    """Tells the test when a set-up says that it waits."""

    def __init__(self) -> None:
        super().__init__(io.StringIO())
        self.is_waiting = threading.Event()

    def say(self, text: str) -> None:
        if "waiting for it" in text:
            self.is_waiting.set()


def calls(checkout: Checkout) -> list[list[str]]:
    return [line.split() for line in (checkout.root / "calls").read_text().splitlines()]


def bring(checkout: Checkout, index_url: str, said: io.StringIO) -> Path:
    return bring_uv(checkout.cache, checkout.lock, IndexSettings(index_url), Progress(said))


def fake_python(version: str, probe_status: int) -> str:
    return (
        f'if [ "$1" = --version ]; then echo "Python {version}"; '
        f'elif [ "$1" = -c ]; then exit {probe_status}; '
        f'else echo "{version} runs $*"; fi'
    )
