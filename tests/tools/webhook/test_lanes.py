"""What goes wrong with one tenant's tools leaves the other tenants' alone."""

from __future__ import annotations

import asyncio

from parley.tools.webhook.destinations import Destinations
from parley.tools.webhook.exchange import Reply, Request
from parley.tools.webhook.failures import Failure
from parley.tools.webhook.lanes import Lanes
from parley.tools.webhook.sender import Sender
from tests.tools.webhook.desk import Desk
from tests.tools.webhook_server import Answer, Received, good, stand_in

PAUSED = "The service for free rooms isn't working right now."


async def test_a_service_that_fails_one_tenant_is_not_kept_from_another(desk: Desk):
    desk.server.answers = [Answer(drops="at once")]
    desk.tenant = "acme"
    for _ in range(3):
        await desk.refused(desk.tool(changes=True))
    desk.server.answers = [good("fine")]

    acmes = await desk.refused(desk.tool(changes=True))
    desk.tenant = "bee"
    bees = await desk.use(desk.tool(changes=True))

    assert (acmes, bees) == (PAUSED, "fine")


async def test_a_tenant_s_own_agents_share_what_is_known_of_a_service(desk: Desk):
    desk.tenant = desk.owner = "acme"
    desk.server.answers = [Answer(drops="at once")]
    options = {"changes": True, "envelope": "plain"}
    for _ in range(3):
        await desk.refused(desk.tool(**options))

    assert await desk.refused(desk.tool(**options)) == PAUSED
    assert len(desk.server.received) == 3


async def test_a_tenant_whose_requests_hang_leaves_connections_to_the_others():
    begun = asyncio.Event()

    async def hang(_: Received) -> Answer:
        begun.set()
        return Answer(hangs=True)

    async with stand_in() as server:
        sender = Sender(Destinations([f"127.0.0.1:{server.port}"]), Lanes(share=1))
        server.answers = [Answer(before=hang), good("fine")]
        hanging = asyncio.create_task(sender.send(request(server.url, "acme"), 60))
        await begun.wait()

        more = await sender.send(request(server.url, "acme"), 0.05)
        others = await sender.send(request(server.url, "bee"), 60)
        hanging.cancel()
        await asyncio.gather(hanging, return_exceptions=True)
        afterwards = await sender.send(request(server.url, "acme"), 60)
        await sender.close()

    assert isinstance(more, Failure) and (more.kind, more.was_sent) == ("busy", False)
    assert isinstance(others, Reply) and isinstance(afterwards, Reply)


def test_what_is_known_of_services_is_bounded_and_the_least_used_goes():
    lanes = Lanes(most_breakers=4)
    lanes.breakers("acme", "http://a/x")[1].failed("gone")
    lanes.breakers("acme", "http://b/x")[1].failed("gone")

    lanes.breakers("acme", "http://b/x")
    lanes.breakers("bee", "http://a/x")

    assert lanes.breakers("acme", "http://b/x")[1].failures == 1
    assert lanes.breakers("acme", "http://a/x")[1].failures == 0


def request(url: str, whose: str) -> Request:
    return Request("POST", f"{url}/rooms", f"{url}/rooms", whose, body=b"{}")
