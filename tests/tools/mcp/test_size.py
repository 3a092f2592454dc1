"""What an MCP server answers is read up to a size, and beyond it a clear error is told."""

from __future__ import annotations

import asyncio
import codecs
import json
import sys
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from parley.core.errors import ToolFailed
from tests.tools.mcp.shop import Shop
from tests.tools.mcp.test_servers import desk, nobody

pytest.importorskip("mcp", reason="the extra mcp is not installed")

import httpx2

from parley.tools.mcp.bounds import Bound, EventExcess, Excess, bounded
from parley.tools.mcp.facts import TooLarge
from parley.tools.mcp.lines import bounded_lines
from parley.tools.mcp.wire import WireSession

MIB = 1024 * 1024
TOO_LARGE = "The service for shop flood answered more than I can take in."


@pytest.mark.parametrize(
    ("transport", "as_json"),
    [("streamable_http", True), ("streamable_http", False), ("sse", False)],
)
@pytest.mark.parametrize("letters", [5 * MIB, MIB + 2])
async def test_too_large_an_answer_is_told_so_and_asked_for_once(
    transport: str, as_json: bool, letters: int
):
    shop = Shop()
    async with (
        shop.serve(sse=transport == "sse", as_json=as_json) as url,
        desk(url=url, transport=transport) as agent,
    ):
        await agent.settled()

        with pytest.raises(ToolFailed) as failed:
            await agent.use("flood", letters=letters)

        assert str(failed.value) == TOO_LARGE
        assert shop.floods == 1
        assert (await agent.use("envelope"))["price"] == 12


async def test_too_large_an_answer_of_a_program_is_told_so_and_it_serves_on():
    async with desk(command=sys.executable, args=["-m", "tests.tools.mcp.shop"]) as agent:
        await agent.settled()

        with pytest.raises(ToolFailed) as failed:
            await agent.use("flood", letters=5 * MIB)

        assert str(failed.value) == TOO_LARGE
        assert (await agent.use("envelope"))["price"] == 12


LONG = b"x" * 300


@pytest.mark.parametrize(
    ("line", "id"),
    [
        (b'{"jsonrpc":"2.0","id":7,"result":{"id":8,"a":"%s"}}' % LONG, b"7"),
        (b'{"jsonrpc": "2.0", "id": "a-7", "result": "%s"}' % LONG, b'"a-7"'),
        (b'{"result":{"id":8,"a":"%s"},"jsonrpc":"2.0","id":7}' % LONG, b"7"),
        (b'{"result":{"id":8,"a":"%s"},"id":7,"jsonrpc":"2.0"}' % LONG, b"7"),
        (b'{"result":{"a":"%s","id":8},"jsonrpc":"2.0"}' % LONG, None),
        (b"%s" % LONG, None),
    ],
)
@pytest.mark.parametrize("piece_bytes", [1, 64, 1000])
def test_a_line_that_is_too_long_becomes_the_error_of_its_request(
    line: bytes, id: bytes | None, piece_bytes: int
):
    bound = Bound(250)
    waits = bound.exceeded
    data = '{"ä":1}\n'.encode() + line + b'\n{"b":2}\n'
    with bounded_lines(bound) as encoding:
        lines = codecs.getincrementaldecoder(encoding)("replace")
        pieces = [data[at : at + piece_bytes] for at in range(0, len(data), piece_bytes)]
        text = "".join(lines.decode(piece) for piece in pieces)

    messages = [each for each in map(parsed, text.splitlines()) if each is not None]
    wanted = {"code": -32600, "message": "the message exceeded the 250 byte limit"}
    errors = [] if id is None else [{"jsonrpc": "2.0", "id": json.loads(id), "error": wanted}]
    assert messages == [{"ä": 1}, *errors, {"b": 2}]
    assert waits.is_set() is (id is None)
    assert not bound.exceeded.is_set()
    assert len(text) < 250 + 150
    with pytest.raises(LookupError):
        codecs.lookup(encoding)


class SlowSession:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def call_tool(self, *_: Any, **__: Any) -> Any:
        self.asked.set()
        await asyncio.Event().wait()


@pytest.mark.parametrize("ends_it", [False, True])
async def test_all_uses_under_way_fail_where_nobody_can_tell_whose_answer_it_was(ends_it: bool):
    slow, bound = SlowSession(), Bound(250, ends_it=ends_it)
    session = WireSession(cast(Any, slow), bound)
    using = asyncio.create_task(session.call("look", {}, {}, nobody))
    await slow.asked.wait()
    bound.exceed()

    with pytest.raises(TooLarge, match="exceeded the 250 byte limit") as failed:
        await using

    assert failed.value.ends_it is ends_it


def parsed(line: str) -> object:
    try:
        return json.loads(line)
    except ValueError:
        return None


async def test_a_large_answer_within_the_limit_is_shortened():
    async with Shop().serve() as url, desk(url=url) as agent:
        await agent.settled()

        answer = await agent.use("flood", letters=MIB // 2)

        assert answer.startswith("x x x") and answer.endswith("…")


async def test_servers_are_asked_not_to_compress():
    shop = Shop()
    async with shop.serve() as url, desk(url=url) as agent:
        await agent.settled()
        await agent.use("envelope")

    assert {each["accept-encoding"] for each in shop.headers} == {"identity"}


@pytest.mark.parametrize(
    ("pieces", "is_read"),
    [
        ([b"data: 1234\n\n"] * 9, True),
        ([b"data: 1234\n", b"\ndata: 1234\r\n\r", b"\ndata: 1234\n\n"], True),
        ([b"data: 1\n\ndata: 2\r\rdata: 3\n\n", b"data: 12345678\n\n"], True),
        ([b"data: 1234\ndata: 1234", b"5\n\n"], False),
        ([b"data: 1\n\ndata: 1234567890", b"1234567890"], False),
        ([b"data: 1234567890123456\n\ndata: 1\n\n"], False),
    ],
)
async def test_each_event_of_a_stream_has_its_own_limit(pieces: list[bytes], is_read: bool):
    bound = Bound(20, ends_it=True)
    response = bounded(answer("text/event-stream; charset=utf-8", pieces), bound)

    if is_read:
        assert b"".join([piece async for piece in response.aiter_raw()]) == b"".join(pieces)
    else:
        with pytest.raises(EventExcess, match="exceeded the 20 byte limit"):
            await response.aread()
    assert bound.exceeded.is_set() is not is_read


async def test_a_body_has_one_limit_and_may_not_be_compressed():
    pieces = [b"12345678\n\n"] * 3

    with pytest.raises(Excess, match="exceeded the 20 byte limit"):
        await bounded(answer("application/json", pieces), Bound(20)).aread()
    with pytest.raises(Excess, match="compressed"):
        await bounded(answer("application/json", pieces, "gzip"), Bound()).aread()
    assert await bounded(answer("application/json", pieces), Bound(30)).aread() == b"".join(pieces)


def answer(kind: str, pieces: list[bytes], encoding: str = "") -> httpx2.Response:
    async def content() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    headers = {"Content-Type": kind} | ({"Content-Encoding": encoding} if encoding else {})
    return httpx2.Response(200, headers=headers, content=content())
