"""Sends one request to a tool's URL and reads the answer, within its time and a size."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

import httpx

from parley.core.breaker import Breaker
from parley.core.errors import DestinationRefused, InvalidValue
from parley.tools.webhook.answer import LARGEST_BODY_BYTES
from parley.tools.webhook.destinations import Destinations
from parley.tools.webhook.exchange import Reply, Request
from parley.tools.webhook.failures import Failure, status_failure
from parley.tools.webhook.lanes import Lanes
from parley.tools.webhook.line import guarded_client, trusted_certificates

_LONGEST_SAYING = 300
_DEEPEST_SAYING = 3
_MESSAGES = ("message", "error", "detail", "title")


class Sender:
    """Sends requests, over connections that all tools share. One per process, closed at its end.

    A destination that can't be reached is left alone for a while, and so is a URL that doesn't
    answer in time: callers need not wait for it one after the other. Other tenants find that out
    for themselves, for it may lie in the first one's secrets.
    """

    def __init__(
        self, destinations: Destinations | None = None, lanes: Lanes | None = None
    ) -> None:
        self.destinations = destinations or Destinations()
        self._clients: dict[bool, httpx.AsyncClient] = {}
        self._trusted: Future[ssl.SSLContext] | None = None
        self._lanes = lanes or Lanes()
        self._is_closed = False

    async def close(self) -> None:
        self._is_closed = True
        for client in self._clients.values():
            await client.aclose()

    def prepare(self, url: str) -> None:
        """Make ready for requests to this URL, so that the first one of a call need not wait."""
        if _uses_tls(url):
            self._certificates()
        elif not self._is_closed:
            self._plain()

    async def send(self, request: Request, within_s: float) -> Reply | Failure:
        """The answer to one request, or why there is none."""
        until_s = time.monotonic() + within_s
        if (paused := self._paused(request)) is not None:
            return paused
        async with self._lanes.place(request.whose, within_s) as has_one:
            if not has_one:
                return Failure("busy", "too many requests are under way", was_sent=False)
            # Those that it waited for may have shown that the service is dead.
            return self._paused(request) or await self._send(request, until_s - time.monotonic())

    def _paused(self, request: Request) -> Failure | None:
        for each in self._lanes.breakers(request.whose, request.target):
            if not each.may_try():
                return Failure("paused", f"left alone after: {each.reason}", was_sent=False)
        return None

    async def _send(self, request: Request, within_s: float) -> Reply | Failure:
        breakers = self._lanes.breakers(request.whose, request.target)
        for each in breakers:
            each.started()
        try:
            outcome = await self._within(request, within_s)
        except BaseException:
            # Whoever asked went away: that says nothing of who was asked.
            for each in breakers:
                each.given_up()
            raise
        _note(*breakers, outcome)
        return outcome

    async def _within(self, request: Request, within_s: float) -> Reply | Failure:
        try:
            async with asyncio.timeout(within_s):
                return await self._exchange(request)
        except TimeoutError:
            return Failure("timeout", f"no answer within {within_s:.2f} s")
        except (DestinationRefused, InvalidValue) as error:
            return Failure("not_allowed", str(error), was_sent=False)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return Failure("unreachable", _why(error), was_sent=False)
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL) as error:
            return Failure("not_allowed", _why(error), was_sent=False)
        except (httpx.HTTPError, OSError, ssl.SSLError) as error:
            return Failure("broken_off", _why(error))

    async def _exchange(self, request: Request) -> Reply | Failure:
        self.destinations.require_url(request.url)
        client = await self._client(request.url)
        async with client.stream(
            request.method,
            request.url,
            # A compressed answer may be a thousand times as large as what came.
            headers={"Accept": "application/json", "Accept-Encoding": "identity"}
            | dict(request.headers),
            content=request.body or None,
        ) as response:
            body = await _read(response)
        if body is None:
            return Failure("too_large", f"more than {LARGEST_BODY_BYTES} bytes")
        if response.headers.get("content-encoding", "identity") != "identity":
            return Failure("no_data", "the answer is compressed, which was not asked for")
        if not response.is_success:
            return status_failure(response.status_code, _saying(body))
        return _reply(response, body)

    async def _client(self, url: str) -> httpx.AsyncClient:
        if self._is_closed:
            raise httpx.ConnectError("the server is going down")
        if not _uses_tls(url):
            return self._plain()
        if True not in self._clients:
            try:
                # Others wait for them, too.
                trusted = await asyncio.shield(asyncio.wrap_future(self._certificates()))
            except OSError as error:
                self._trusted = None
                raise httpx.ConnectError(f"the certificates can't be loaded: {error}") from error
            if self._is_closed:
                raise httpx.ConnectError("the server is going down")
            if True not in self._clients:
                self._clients[True] = self._made(trusted)
        return self._clients[True]

    def _plain(self) -> httpx.AsyncClient:
        if False not in self._clients:
            self._clients[False] = self._made(None)
        return self._clients[False]

    def _made(self, trusted: ssl.SSLContext | None) -> httpx.AsyncClient:
        # The deadline is ours: it holds for the answer as a whole, not for each piece of it.
        return guarded_client(
            self.destinations, uses_tls=trusted is not None, timeout_s=None, trusted=trusted
        )

    def _certificates(self) -> Future[ssl.SSLContext]:
        """They are loaded once, and live calls go on meanwhile."""
        if self._trusted is None:
            with_one = ThreadPoolExecutor(1, "certificates")
            self._trusted = with_one.submit(trusted_certificates)
            with_one.shutdown(wait=False)
        return self._trusted


def _uses_tls(url: str) -> bool:
    return not url.lower().startswith("http://")


def _note(destination: Breaker, url: Breaker, outcome: Reply | Failure) -> None:
    """What this says of the destination and of the URL."""
    if not isinstance(outcome, Failure) or outcome.kind not in _COUNTED:
        destination.succeeded()
        url.succeeded()
        return
    url.failed(outcome.detail)
    if outcome.kind == "timeout":
        # Its other URLs may well be quick.
        destination.given_up()
    else:
        destination.failed(outcome.detail)


_COUNTED = frozenset({"unreachable", "broken_off", "gateway", "timeout"})


async def _read(response: httpx.Response) -> bytes | None:
    """The body; None where it is larger than is read."""
    announced = response.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > LARGEST_BODY_BYTES:
        return None
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > LARGEST_BODY_BYTES:
            return None
    return bytes(body)


def _reply(response: httpx.Response, body: bytes) -> Reply | Failure:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not body.strip():
        return Reply(response.status_code, None, is_json=False)
    is_json = not kind or kind == "application/json" or kind.endswith("+json")
    if not is_json and kind not in ("text/plain", "text/html"):
        return Failure("a_file", f"the answer is {kind[:80]}")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return Failure("a_file", "the answer is no text")
    try:
        # Some services send JSON and call it text.
        return Reply(response.status_code, json.loads(text, parse_constant=_nothing), is_json=True)
    except (ValueError, RecursionError):
        if is_json or kind == "text/html":
            return Failure("no_data", f"the answer is no JSON ({kind or 'of no type'})")
        return Reply(response.status_code, text, is_json=False)


def _nothing(_: str) -> None:
    """NaN and Infinity are no JSON, though many write them."""


def _saying(body: bytes) -> str:
    """The sentence in an error's body, where it is JSON that has one."""
    try:
        data: Any = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    for _ in range(_DEEPEST_SAYING):
        if isinstance(data, dict):
            fields = cast("dict[str, Any]", data)
            data = next((fields[key] for key in _MESSAGES if key in fields), None)
    words = " ".join(data.split()) if isinstance(data, str) else ""
    return words[:_LONGEST_SAYING]


def _why(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:_LONGEST_SAYING]
