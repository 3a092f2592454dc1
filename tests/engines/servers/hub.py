"""A model hub that speaks Hugging Face's HTTP interface, with its large files on another host."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

REVISION = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Asked:
    """One request as the server saw it."""

    host: str
    path: str
    range: str
    authorization: str


@dataclass
class HubServer:
    """``repositories`` maps names to files; those in ``large`` are redirected to the CDN's address.

    ``breaks_after`` drops the next connection that sends a file after so many bytes, each number
    once. ``status`` answers every request so. ``token`` is needed where it is set.
    """

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    large: set[str] = field(default_factory=set)
    breaks_after: list[int] = field(default_factory=list)
    status: int = 0
    token: str = ""
    damages: bool = False
    knows_ranges: bool = True
    asked: list[Asked] = field(default_factory=list)
    holds: threading.Event | None = None

    def __enter__(self) -> HubServer:
        # 127.0.0.2 is another host to a client, on the same machine.
        self._servers = [_Server(self, "127.0.0.1"), _Server(self, "127.0.0.2")]
        self._threads = [
            threading.Thread(target=each.serve_forever, args=(0.02,)) for each in self._servers
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.holds is not None:
            self.holds.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._servers[0].server_port}"

    @property
    def cdn(self) -> str:
        return f"http://127.0.0.2:{self._servers[1].server_port}"


class _Server(ThreadingHTTPServer):
    def __init__(self, hub: HubServer, host: str) -> None:
        self.hub = hub
        self.host = host
        super().__init__((host, 0), _Pages)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients of these tests hang up in the middle."""


class _Pages(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        hub = self.server.hub
        path = self.path.partition("?")[0]
        authorization = self.headers.get("Authorization", "")
        asked_range = self.headers.get("Range", "")
        hub.asked.append(Asked(self.server.host, path, asked_range, authorization))
        if hub.status:
            self._answer(hub.status, b"no")
        elif path.startswith("/api/models/"):
            self._info(path.removeprefix("/api/models/"), authorization)
        elif path.startswith("/cdn/"):
            self._file(path.removeprefix("/cdn/"))
        else:
            self._resolve(path.strip("/"))

    def _info(self, path: str, authorization: str) -> None:
        hub = self.server.hub
        repo, _, revision = path.partition("/revision/")
        if hub.token and authorization != f"Bearer {hub.token}":
            self._answer(401, b'{"error": "Invalid username or password."}')
        elif repo not in hub.repositories or revision not in ("main", REVISION):
            self._answer(404, b'{"error": "Repository not found"}')
        else:
            files = hub.repositories[repo].items()
            siblings = [self._entry(name, content) for name, content in files]
            body = {"id": repo, "sha": REVISION, "siblings": siblings}
            self._answer(200, json.dumps(body).encode())

    def _entry(self, name: str, content: bytes) -> dict[str, object]:
        entry: dict[str, object] = {"rfilename": name, "size": len(content), "blobId": "b"}
        if name in self.server.hub.large:
            sha256 = hashlib.sha256(content).hexdigest()
            entry["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 134}
        return entry

    def _resolve(self, path: str) -> None:
        repo, _, rest = path.partition("/resolve/")
        name = rest.partition("/")[2]
        if name in self.server.hub.large:
            self.send_response(302)
            self.send_header("Location", f"{self.server.hub.cdn}/cdn/{repo}/{name}")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._file(f"{repo}/{name}")

    def _file(self, path: str) -> None:
        hub = self.server.hub
        owner, name, file = path.split("/", 2)
        content = hub.repositories[f"{owner}/{name}"][file]
        if hub.damages and file in hub.large:
            content = content[:-1] + bytes([content[-1] ^ 1])
        start = 0
        if hub.knows_ranges and (asked := self.headers.get("Range")):
            start = int(asked.removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        body = content[start:]
        if file in hub.large and hub.breaks_after:
            self.wfile.write(body[: hub.breaks_after.pop(0)])
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if file in hub.large and hub.holds is not None:
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            hub.holds.wait()
            self.close_connection = True
            return
        self.wfile.write(body)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass
