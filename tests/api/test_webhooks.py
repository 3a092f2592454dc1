"""Each tenant says whom to tell of its calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from parley.api.event_courier import Courier
from parley.api.webhooks import MOST_WEBHOOKS, webhooks_router
from parley.tools.webhook.destinations import Destinations
from tests.api.offices import KeyedOffice, keyed_office
from tests.api.receivers import poster
from tests.api.test_event_courier import ENDED, STARTED

URL = "https://n8n.example.org/webhook/events"


@pytest.fixture
async def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[KeyedOffice]:
    monkeypatch.setattr("parley.access.ring.FRESH_S", 0.0)
    async with (
        keyed_office(tmp_path) as office,
        poster() as mail,
        Courier(office.store.webhooks, mail.post) as courier,
    ):
        guard = office.access.guard.require("webhooks")
        office.open(
            webhooks_router(office.store.webhooks, courier, Destinations(), guard, stall_s=5)
        )
        office.web.state.courier = courier
        yield office


@pytest.fixture
async def acme(office: KeyedOffice) -> AsyncIterator[httpx.AsyncClient]:
    async with await office.client("acme") as client:
        yield client


async def test_a_webhook_is_made_listed_and_removed(acme: httpx.AsyncClient) -> None:
    made = await acme.post("/v1/webhooks", json={"url": URL, "events": ["call_ended"]})
    listed = (await acme.get("/v1/webhooks")).json()["data"]
    removed = await acme.delete(f"/v1/webhooks/{made.json()['id']}")
    again = await acme.delete(f"/v1/webhooks/{made.json()['id']}")

    assert made.status_code == 201
    assert made.json()["secret"].startswith("whsec_")
    assert [(each["url"], each["events"]) for each in listed] == [(URL, ["call_ended"])]
    assert "secret" not in listed[0]
    assert (removed.status_code, again.status_code) == (204, 404)
    assert (await acme.get("/v1/webhooks")).json()["data"] == []


async def test_a_webhook_that_asks_for_nothing_gets_the_usual(acme: httpx.AsyncClient) -> None:
    made = await acme.post("/v1/webhooks", json={"url": URL})

    assert made.json()["events"] == ["call_started", "turn_ended", "tool_ended", "call_ended"]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({}, 400, "url"),
        ({"url": "ftp://example.org"}, 400, "http"),
        ({"url": "https://ada:word@example.org"}, 400, "password"),
        ({"url": "https://example.org/\x00"}, 400, "url"),
        ({"url": URL, "events": ["call_endet"]}, 400, "call_ended"),
        ({"url": "http://127.0.0.1/"}, 403, "PARLEY_TOOL_HOSTS"),
        ({"url": "http://169.254.169.254/latest"}, 403, "private network"),
    ],
)
async def test_a_webhook_that_makes_no_sense_is_refused(
    acme: httpx.AsyncClient, body: object, status: int, says: str
) -> None:
    answer = await acme.post("/v1/webhooks", json=body)

    assert answer.status_code == status
    assert says in answer.json()["error"]["message"]


async def test_a_tenant_sees_and_removes_its_own_alone(
    office: KeyedOffice, acme: httpx.AsyncClient
) -> None:
    made = (await acme.post("/v1/webhooks", json={"url": URL})).json()
    async with (
        await office.client("other") as other,
        await office.client("acme", ["calls"]) as unable,
        await office.client("") as stranger,
    ):
        seen = (await other.get("/v1/webhooks")).json()["data"]
        removed = await other.delete(f"/v1/webhooks/{made['id']}")
        refused = await unable.post("/v1/webhooks", json={"url": URL})
        unknown = await stranger.get("/v1/webhooks")

    assert seen == []
    assert [each.status_code for each in (removed, refused, unknown)] == [404, 403, 401]


async def test_a_tenant_has_so_many_and_no_more(acme: httpx.AsyncClient) -> None:
    answers = [await acme.post("/v1/webhooks", json={"url": URL}) for _ in range(MOST_WEBHOOKS + 1)]

    assert [each.status_code for each in answers] == [201] * MOST_WEBHOOKS + [400]


async def test_a_webhook_counts_from_when_it_is_made(
    office: KeyedOffice, acme: httpx.AsyncClient
) -> None:
    made = (await acme.post("/v1/webhooks", json={"url": "http://nobody.invalid/"})).json()
    await office.web.state.courier.listen(STARTED)
    await office.web.state.courier.listen(ENDED)

    (hook,) = (await acme.get("/v1/webhooks")).json()["data"]

    assert hook["id"] == made["id"]
    assert hook["waiting"] + hook["dropped"] == 2
