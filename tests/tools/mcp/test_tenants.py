"""A tenant with secrets of its own is served like everybody, from its first call on."""

from __future__ import annotations

import pytest

from parley.tools.webhook.credentials import Credentials
from tests.tools.mcp.shop import Shop
from tests.tools.mcp.test_servers import desk

pytest.importorskip("mcp", reason="the extra mcp is not installed")

HEADERS = {"Authorization": "Bearer ${TOOL_SHOP}", "X-Branch": "${TOOL_BRANCH}"}


async def test_a_tenants_first_call_has_the_tools_of_its_own_connection():
    shop = Shop()
    secrets = {"TOOL_SHOP__ACME": "acme-key", "TOOL_BRANCH": "north"}
    async with shop.serve() as url, desk(url=url, headers=HEADERS, secrets=secrets) as agent:
        agent.tools()
        await agent.house.settled()

        first = agent.tools(tenant="acme")

        assert "shop_envelope" in {tool.name for tool in first}
        assert agent.tools(tenant="bee") == []
        assert (await agent.use("envelope", tenant="acme"))["price"] == 12
        assert {each["authorization"] for each in shop.headers} == {"Bearer acme-key"}


def test_each_tenant_with_a_value_of_its_own_gets_the_others_filled_up():
    values = {
        "TOOL_SHOP": "houses",
        "TOOL_SHOP__ACME": "acmes",
        "TOOL_BRANCH": "north",
        "TOOL_BRANCH__BEE": "south",
        "TOOL_OTHER__CAT": "no header of these",
    }

    found = list(Credentials(values).tenants_own(HEADERS))

    assert found == [
        {"Authorization": "Bearer acmes", "X-Branch": "north"},
        {"Authorization": "Bearer houses", "X-Branch": "south"},
    ]
    assert list(Credentials({"TOOL_SHOP__ACME": "acmes"}).tenants_own(HEADERS)) == []
    assert list(Credentials(values).tenants_own({"X-Fixed": "a"})) == []
