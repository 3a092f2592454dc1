"""What never reached an MCP server has not been done there, and may be asked for again."""

from __future__ import annotations

import pytest

from parley.tools.mcp.facts import Declined, Lost

pytest.importorskip("mcp", reason="the extra mcp is not installed")

from mcp.shared.exceptions import MCPError

from parley.tools.mcp import wire
from tests.tools.mcp.shop import Shop
from tests.tools.mcp.test_servers import ask, connected, nobody, port_of


async def test_a_change_is_made_once_the_server_is_back_that_could_not_be_reached():
    shop = Shop()
    async with shop.serve() as url:
        connection = connected(url)
        await connection.is_known.wait()
    try:
        with pytest.raises(Lost) as lost:
            await connection._once("envelope", {}, {}, nobody)  # pyright: ignore[reportPrivateUsage]
        async with shop.serve(port=port_of(url)):
            answer = await ask(connection, "envelope", may_repeat=False)
    finally:
        await connection.close()

    assert not lost.value.was_sent
    assert answer.data["result"] == {"price": 12}


@pytest.mark.parametrize(
    ("code", "says", "error", "was_sent"),
    [
        (-32600, "Session terminated", Lost, False),
        (-32001, "Session not found", Lost, False),
        (-32000, "Connection closed", Lost, True),
        (-32603, "booked, but the calendar's session expired", Lost, True),
        (0, "booked, but the calendar's session expired", Declined, None),
    ],
)
async def test_only_a_server_that_refuses_to_begin_has_done_nothing(
    code: int, says: str, error: type[Exception], was_sent: bool | None
):
    async def refuse() -> None:
        raise MCPError(code, says)

    with pytest.raises(error) as raised:
        await wire._asking(refuse())  # pyright: ignore[reportPrivateUsage]

    assert getattr(raised.value, "was_sent", None) is was_sent
