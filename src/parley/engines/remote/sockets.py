"""WebSockets to engines: opened within a time limit, dropped at once, failures told plainly."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping
from contextlib import contextmanager

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.protocol import State

from parley.core.errors import EngineFailed, EngineUnavailable, ParleyError
from parley.engines.remote.addresses import is_nearby, without_password
from parley.engines.remote.failures import status_failure, told_plainly

ALIVE_WITHIN_S = 0.5
LARGEST_MESSAGE_BYTES = 16 * 1024 * 1024
# A server that is going down, or was killed, closes like this; waiting can help.
_PASSING = (None, 1001, 1005, 1006, 1012, 1013)


async def open_socket(
    engine: str, url: str, *, timeout_s: float, headers: Mapping[str, str] | None = None
) -> ClientConnection:
    """A connected WebSocket.

    Raises ``EngineUnavailable`` when it is refused (an HTTP status at the handshake included, by
    its meaning) and ``EngineTimeout`` when nobody answers.
    """
    with socket_told_plainly(engine, url):
        return await connect(
            url,
            additional_headers=headers,
            # Sound doesn't get smaller, and neighbours aren't behind the proxy.
            compression=None,
            proxy=None if is_nearby(url) else True,
            open_timeout=timeout_s,
            close_timeout=1,
            max_size=LARGEST_MESSAGE_BYTES,
        )


async def drop_socket(socket: ClientConnection) -> None:
    """End the connection now, without asking the other side."""
    socket.transport.abort()
    await socket.wait_closed()


async def is_alive(socket: ClientConnection) -> bool:
    """Asked, because a connection that has been cut somewhere on its way looks open from here."""
    if socket.state is not State.OPEN:
        return False
    try:
        async with asyncio.timeout(ALIVE_WITHIN_S):
            await (await socket.ping())
    except (TimeoutError, ConnectionClosed):
        return False
    except asyncio.CancelledError:
        socket.transport.abort()
        raise
    return True


@contextmanager
def socket_told_plainly(engine: str, url: str) -> Generator[None]:
    """``told_plainly`` for WebSockets: raises our errors for what websockets raises inside."""
    where = without_password(url)
    with told_plainly(engine, url):
        try:
            yield
        except InvalidStatus as error:
            raise _refused(engine, url, error) from error
        except ConnectionClosed as error:
            raise closed_failure(engine, url, error) from error
        except WebSocketException as error:
            raise EngineUnavailable(
                f"{engine} at {where} does not speak WebSocket ({error}).",
                hint=f"Correct its address ({where}).",
            ) from error


def closed_failure(engine: str, url: str, error: ConnectionClosed) -> EngineFailed:
    """The error for a connection that ended too early."""
    close = error.rcvd
    code = close.code if close else None
    reason = f": {close.reason}" if close and close.reason else ""
    told = f"{engine} at {without_password(url)} hung up ({code or 'without a word'}{reason})."
    return EngineUnavailable(told) if code in _PASSING else EngineFailed(told)


def _refused(engine: str, url: str, error: InvalidStatus) -> ParleyError:
    response = error.response
    # Deepgram tells the reason in this header.
    says = response.headers.get("dg-error") or bytes(response.body or b"").decode(errors="replace")
    retry_after = response.headers.get("retry-after") or ""
    if response.status_code < 400:
        return EngineUnavailable(
            f"{engine} at {without_password(url)} answered {response.status_code} and not as a "
            "WebSocket."
        )
    return status_failure(engine, url, response.status_code, says, retry_after)
