"""Fetches one file over HTTP: goes on where it was interrupted, checks what came."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import importlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast
from urllib.parse import urlsplit

import httpx

from parley.core.errors import EngineFailed, EngineUnavailable

CHUNK_BYTES = 1 << 19
TRIES = 4
"""Of which none brought a byte: then it is given up."""
FIRST_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file to fetch. ``path`` is its place inside the model's folder.

    ``checksum`` is ``sha256:`` with hex digits, ``crc32c:`` with base64, or "".
    """

    path: str
    url: str
    bytes: int = 0
    checksum: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    def __post_init__(self) -> None:
        parts = PurePosixPath(self.path)
        if parts.is_absolute() or ".." in parts.parts or not parts.name:
            raise EngineFailed(f"A model's file may not be called {self.path!r}.")


class FileDownload:
    """One file on its way to ``target``; what has come so far lies beside it."""

    def __init__(self, file: RemoteFile, target: Path, pause_s: float = FIRST_PAUSE_S) -> None:
        self.file = file
        self._target = target
        # Of another version of the file nothing can be used: its checksum is in the name.
        version = hashlib.sha256(f"{file.checksum} {file.bytes}".encode()).hexdigest()[:8]
        self._partial = target.with_name(f"{target.name}.{version}.partial")
        self._pause_s = pause_s

    def here_bytes(self) -> int:
        for path in (self._target, self._partial):
            if path.is_file():
                return path.stat().st_size
        return 0

    async def run(self, client: httpx.AsyncClient) -> AsyncGenerator[int]:
        """Gives the number of bytes that are here, again and again, until all are.

        Raises ``EngineUnavailable`` when the network or the server fails, ``EngineFailed`` when
        what came isn't what was promised, ``OSError`` when the disk fails.
        """
        if self._target.is_file():
            return
        self._target.parent.mkdir(parents=True, exist_ok=True)
        tries_left, pause_s = TRIES, self._pause_s
        while True:
            before = self.here_bytes()
            if self.file.bytes and before == self.file.bytes:
                break
            try:
                async with aclosing(self._go_on(client, before)) as counts:
                    async for count in counts:
                        yield count
                break
            except httpx.TransportError as error:
                if self.here_bytes() > before:
                    tries_left, pause_s = TRIES, self._pause_s
                tries_left -= 1
                if not tries_left:
                    raise unreachable(self.file.url, error) from error
                await asyncio.sleep(pause_s)
                pause_s *= 2
        await self._accept()

    async def _go_on(self, client: httpx.AsyncClient, before: int) -> AsyncGenerator[int]:
        # Compressed on the way, a part could not be counted in bytes of the file.
        headers = {**self.file.headers, "Accept-Encoding": "identity"}
        if before:
            headers["Range"] = f"bytes={before}-"
        async with client.stream("GET", self.file.url, headers=headers) as answer:
            if answer.status_code == 416:
                # What lies here is no beginning of that file.
                self._partial.unlink(missing_ok=True)
                raise httpx.RemoteProtocolError("the file is shorter than what came before")
            if answer.status_code >= 400:
                raise refusal(self.file.url, answer.status_code)
            goes_on = answer.status_code == 206
            count = before if goes_on else 0
            waiting = bytearray()
            with self._partial.open("ab" if goes_on else "wb") as out:
                yield count
                try:
                    async for chunk in answer.aiter_bytes():
                        waiting += chunk
                        if len(waiting) >= CHUNK_BYTES:
                            whole = bytes(waiting)
                            waiting.clear()
                            await asyncio.to_thread(out.write, whole)
                            count += len(whole)
                            yield count
                finally:
                    # Also what came before the connection broke.
                    out.write(waiting)
            yield count + len(waiting)

    async def _accept(self) -> None:
        size = self._partial.stat().st_size
        if self.file.bytes and size != self.file.bytes:
            self._partial.unlink()
            raise EngineFailed(
                f"{self.file.path} came with {size} bytes in place of {self.file.bytes}.",
                hint="Try again.",
            )
        kind, _, expected = self.file.checksum.partition(":")
        if kind and await asyncio.to_thread(_digest, self._partial, kind) != expected:
            self._partial.unlink()
            raise EngineFailed(
                f"{self.file.path} came damaged: its {kind} is not the one announced.",
                hint="Try again; if it stays so, something on the way alters downloads.",
            )
        self._partial.rename(self._target)


def refusal(url: str, status: int) -> EngineUnavailable:
    """The error for an answer of 400 or more."""
    where = urlsplit(url).hostname
    if status in (401, 403):
        return EngineUnavailable(
            f"{where} does not let us fetch {url} ({status}).",
            hint="Accept the model's licence on its page, then set HF_TOKEN to your token.",
        )
    return EngineUnavailable(f"{where} answered {status} for {url}.", hint="Try again later.")


def unreachable(url: str, error: Exception) -> EngineUnavailable:
    where = urlsplit(url).netloc.rpartition("@")[2]
    return EngineUnavailable(
        f"{where} can't be reached ({str(error) or type(error).__name__}).",
        hint="Connect this machine to the network (HTTPS_PROXY and HF_ENDPOINT are heeded) and "
        "start again: what has come is kept.",
    )


def _digest(path: Path, kind: str) -> str:
    with path.open("rb") as file:
        if kind == "sha256":
            return hashlib.file_digest(file, "sha256").hexdigest()
        return _crc32c(file)


def _crc32c(file: IO[bytes]) -> str:
    library = cast(Any, importlib.import_module("google_crc32c"))
    checksum = library.Checksum()
    while chunk := file.read(CHUNK_BYTES):
        checksum.update(chunk)
    return base64.b64encode(checksum.digest()).decode()
