"""Nobody's URL leads into our network, however it is written and whatever its name means later."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.core.errors import DestinationRefused, InvalidValue
from parley.tools.webhook.destinations import Destinations, HostRule
from parley.tools.webhook.line import guarded_client
from tests.tools.webhook.desk import Desk, open_desk
from tests.tools.webhook_server import Answer, good, stand_in

PUBLIC = "93.184.215.14"
PRIVATE = [
    "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.9", "192.168.1.1", "100.64.0.1", "0.0.0.0",
    "168.63.129.16",
    "192.0.0.192",
    "169.254.169.254", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "::", "::1",
    "fe80::1", "fc00::1", "fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2002:7f00:1::",
    "2002:a00:1::", "2001:0:53aa:64c:0:0:80ff:fffe",
]  # fmt: skip


def leads_to(*addresses: str):
    async def look_up(host: str, port: int) -> list[str]:
        return list(addresses)

    return look_up


@pytest.mark.parametrize("address", PRIVATE)
async def test_a_name_may_not_lead_to_an_address_of_ours(address: str):
    destinations = Destinations(look_up=leads_to(address))

    with pytest.raises(DestinationRefused, match="private network"):
        await destinations.addresses("rooms.example.org", 80)


@pytest.mark.parametrize("address", PRIVATE)
def test_a_url_may_not_hold_an_address_of_ours(address: str):
    host = f"[{address}]" if ":" in address else address

    with pytest.raises(DestinationRefused):
        Destinations().require_url(f"http://{host}/")


WRAPPED = [
    "::ffff:{v4}", "::{v4}", "64:ff9b::{v4}", "2002:{high:x}:{low:x}::1",
]  # fmt: skip
NETWORKS = ["10.0.0.0/8", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"]


@given(st.sampled_from(NETWORKS), st.integers(2, 2**16 - 2), st.sampled_from(WRAPPED))
def test_an_address_of_ours_is_found_in_every_wrapping(network: str, host: int, form: str):
    inner = ipaddress.ip_network(network)[host]
    high, low = divmod(int(inner), 2**16)
    wrapped = form.format(v4=inner, high=high, low=low)

    for listed in ([], ["*"]):
        for literal in (f"[{wrapped}]", str(inner)):
            with pytest.raises(DestinationRefused):
                Destinations(listed).require_url(f"http://{literal}/")


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST.", "2130706433", "0x7f000001", "017700000001", "127.1", "0x7f.1"],
)
async def test_other_spellings_of_this_machine_are_looked_up_for_what_they_are(host: str):
    with pytest.raises((DestinationRefused, OSError)):
        await Destinations().addresses(host, 80)


async def test_public_addresses_may_be_reached():
    destinations = Destinations(look_up=leads_to(PUBLIC, "2606:2800:21f::1", PUBLIC))

    assert await destinations.addresses("rooms.example.org", 443) == [PUBLIC, "2606:2800:21f::1"]


async def test_of_a_name_that_means_both_only_the_public_address_is_taken():
    destinations = Destinations(look_up=leads_to("10.0.0.1", PUBLIC))

    assert await destinations.addresses("rooms.example.org", 443) == [PUBLIC]


@pytest.mark.parametrize(
    ("listed", "url", "is_allowed"),
    [
        ([], "https://a.example.org", True),
        (["b.example.org"], "https://a.example.org", False),
        (["a.example.org"], "https://a.example.org", True),
        (["a.example.org"], "https://A.Example.org.:8443/x", True),
        (["a.example.org:443"], "https://a.example.org", True),
        (["a.example.org:443"], "http://a.example.org", False),
        (["*.example.org"], "https://a.b.example.org", True),
        (["*.example.org"], "https://example.org", False),
        (["*.example.org"], "https://evil-example.org", False),
        (["a.example.org"], "https://a.example.org.evil.net", False),
        (["*", "localhost:1"], "https://a.example.org", True),
        (["*"], "http://10.0.0.1", False),
        (["10.0.0.1"], "http://10.0.0.1", True),
        (["[::1]:8080"], "http://[0:0::1]:8080", True),
        (["::1"], "http://[::1]:8080", True),
        (["169.254.169.254"], "http://169.254.169.254", True),
        (["0.0.0.0"], "http://0.0.0.0", False),
    ],
)
def test_with_a_list_only_its_hosts_are_reached(listed: list[str], url: str, is_allowed: bool):
    destinations = Destinations(listed)

    if is_allowed:
        destinations.require_url(url)
    else:
        with pytest.raises(DestinationRefused, match="PARLEY_TOOL_HOSTS"):
            destinations.require_url(url)


async def test_a_listed_name_may_be_private_but_not_of_the_link():
    private = Destinations(["n8n"], look_up=leads_to("172.18.0.3"))
    link = Destinations(["n8n"], look_up=leads_to("169.254.169.254"))

    assert await private.addresses("n8n", 5678) == ["172.18.0.3"]
    with pytest.raises(DestinationRefused):
        await link.addresses("n8n", 5678)


async def test_what_the_operator_configured_need_not_be_listed():
    destinations = Destinations(["a.example.org"], ["http://n8n:5678"], leads_to("172.18.0.3"))

    assert await destinations.addresses("n8n", 5678) == ["172.18.0.3"]
    with pytest.raises(DestinationRefused):
        await destinations.addresses("n8n", 22)


@pytest.mark.parametrize(
    "url",
    ["ftp://a.example.org", "file:///etc/passwd", "a.example.org", "", "http://", "http://[::1",
     "https://ada:secret@a.example.org", "ftp://ada:secret@a.example.org", "http://a.example.org:99999"],
)  # fmt: skip
def test_what_is_no_http_url_is_refused(url: str):
    with pytest.raises(InvalidValue) as refused:
        Destinations().require_url(url)

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "a b", "a/b", "ada@a.example.org", "*.*.org", "a*.org"])
def test_what_is_no_host_cannot_be_listed(text: str):
    with pytest.raises(ValueError, match="no host"):
        HostRule.read(text)


async def test_a_name_that_changes_its_meaning_is_connected_to_what_was_checked():
    looked_up: list[str] = []

    async def rebinding(host: str, port: int) -> list[str]:
        """Public when it is checked first, and this machine when somebody looks again."""
        looked_up.append(host)
        return [PUBLIC] if len(looked_up) == 1 else ["127.0.0.1"]

    async with stand_in() as server:
        destinations = Destinations(look_up=rebinding)
        checked = await destinations.addresses("rooms.example.org", server.port)
        async with guarded_client(destinations, uses_tls=False) as client:
            with pytest.raises(DestinationRefused):
                await client.get(f"http://rooms.example.org:{server.port}/")

        assert checked == [PUBLIC]
        assert server.received == []


async def test_the_address_that_was_checked_is_the_one_that_is_reached():
    calls = 0

    async def once(host: str, port: int) -> list[str]:
        nonlocal calls
        calls += 1
        return ["127.0.0.1"]

    async with stand_in() as server:
        destinations = Destinations(["rooms.example.org"], look_up=once)
        async with guarded_client(destinations, uses_tls=False) as client:
            answer = await client.get(f"http://rooms.example.org:{server.port}/")

        assert answer.json() == {"ok": True, "result": {"fine": True}}
        assert server.received[0].headers["host"] == f"rooms.example.org:{server.port}"
        assert calls == 1


async def test_the_next_address_is_tried_when_one_does_not_answer():
    async with stand_in() as server:
        destinations = Destinations(["rooms"], look_up=leads_to("127.0.0.2", "127.0.0.1"))
        async with guarded_client(destinations, uses_tls=False) as client:
            answer = await client.get(f"http://rooms:{server.port}/")

    assert answer.status_code == 200


async def test_a_redirect_into_our_network_is_not_followed(desk: Desk):
    inside = {"Location": "http://169.254.169.254/latest/meta-data"}
    desk.server.answers = [Answer(307, b"", headers=inside), good("secret")]

    sentence = await desk.refused(desk.tool())

    assert sentence == "The service for free rooms has moved."


async def test_a_proxy_of_the_environment_is_not_used(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")

    assert await desk.use(desk.tool()) == {"fine": True}


async def test_what_one_call_is_given_is_not_sent_with_the_next(desk: Desk):
    desk.server.answers = [good(1), good(2)]
    desk.server.answers[0].headers["Set-Cookie"] = "session=acme; Path=/"

    await desk.use(desk.tool())
    await desk.use(desk.tool())

    assert "cookie" not in desk.server.received[1].headers


async def test_a_tool_whose_name_turns_out_private_fails_with_a_sentence():
    destinations = Destinations(look_up=leads_to("10.0.0.7"))
    async with open_desk(destinations=destinations) as desk:
        sentence = await desk.refused(desk.tool(url="http://rooms.example.org/"))

    assert sentence == "The service for free rooms can't be used here."


def test_an_agent_is_told_at_once_that_its_tool_may_not_be_reached(desk: Desk):
    with pytest.raises(DestinationRefused, match="PARLEY_TOOL_HOSTS"):
        desk.tool(url="http://10.0.0.1/rooms")
