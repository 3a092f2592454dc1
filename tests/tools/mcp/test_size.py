"""What an MCP server answers is read up to a size, and beyond it a clear error is told."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from parley.core.errors import ToolFailed
from tests.tools.mcp.shop import Shop
from tests.tools.mcp.test_servers import desk

pytest.importorskip("mcp", reason="the extra mcp is not installed")

import httpx2

from parley.tools.mcp.bounds import Bound, EventExcess, Excess, bounded

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
    bound = Bound(20, one_stream=True)
    response = bounded(answer("text/event-stream; charset=utf-8", pieces), bound)

    if is_read:
        assert b"".join([piece async for piece in response.aiter_raw()]) == b"".join(pieces)
    else:
        with pytest.raises(EventExcess, match="exceeded the 20 byte limit"):
            await response.aread()
    assert bound.has_ended_it is not is_read


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
