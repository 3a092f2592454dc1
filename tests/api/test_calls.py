"""Calls over HTTP: seen, read and acted on by their own tenant, live or long over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from parley.access.credentials import Credentials
from parley.access.opening import Access, open_access
from parley.api.calls import calls_router
from parley.api.errors import install_error_handlers
from parley.core.events import Event
from parley.session.host import SessionHost
from parley.session.turns import Listening
from parley.settings import Settings
from parley.store.call_journal import CallJournal
from parley.store.call_writer import CallWriter
from parley.store.opening import Store, open_store
from parley.store.records import CallRecord, TurnRecord
from parley.testing.transport import FakeTransport
from tests.session.fakes import FakeHouse, LiveCall, start_call
from tests.session.test_asking import Switchboard
from tests.session.test_host import NeverConnected

LONG_AGO = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Writer:
    """The store's listener, and what it has written down so far."""

    def __init__(self, journal: CallJournal) -> None:
        self._journal = journal
        self._writer = CallWriter(journal.note)
        self._written: set[tuple[str, str]] = set()
        self._more = asyncio.Condition()

    async def listen(self, event: Event) -> None:
        await self._writer.listen(event)
        async with self._more:
            self._written.add((event.call_id, event.name))
            self._more.notify_all()

    async def wrote(self, call: LiveCall, event: str) -> None:
        async with self._more:
            await self._more.wait_for(lambda: (call.control.call_id, event) in self._written)
        await self._journal.settled()


@dataclass
class Office:
    """A host with calls in it, and its routes; ``acme`` and ``other`` are tenants."""

    host: SessionHost
    store: Store
    access: Access
    history: CallJournal
    writer: Writer
    acme: httpx.AsyncClient
    other: httpx.AsyncClient

    def call(self, transport: FakeTransport | None = None) -> LiveCall:
        return start_call(self.host, tenant="acme", transport=transport)

    async def kept(self, call_id: str, minute: int = 0) -> CallRecord:
        """A call of ``acme``'s that this server does not hold."""
        at = LONG_AGO + timedelta(minutes=minute)
        record = CallRecord(call_id, "acme", "tester", "webrtc", "inbound", "somebody", at)
        await self.store.calls.began(record)
        return record

    async def over(self, call_id: str, minute: int = 0) -> CallRecord:
        record = await self.kept(call_id, minute)
        ended_at = record.started_at + timedelta(seconds=90)
        await self.store.calls.ended(call_id, "caller", ended_at)
        return record

    async def client(self, tenant: str, **wishes: object) -> httpx.AsyncClient:
        made = await self.access.keys.create(tenant, tenant=tenant, **wishes)
        return self.showing(made.token)

    def showing(self, token: str) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.AsyncClient(
            transport=self.acme._transport, base_url="http://parley", headers=headers
        )


@pytest.fixture
async def office(
    listening: Listening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Office]:
    monkeypatch.setattr("parley.access.ring.FRESH_S", 0.0)
    async with opened(listening, tmp_path) as office:
        yield office


@asynccontextmanager
async def opened(
    listening: Listening, folder: Path, *, database_url: str | None = "sqlite://"
) -> AsyncIterator[Office]:
    settings = Settings(data_dir=folder, database_url=database_url)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings))
        access = await stack.enter_async_context(open_access(settings, store))
        journal = await stack.enter_async_context(CallJournal(store.calls, folder / "calls"))
        writer = Writer(journal)
        house = FakeHouse(listening, listeners=[writer.listen])
        host = await stack.enter_async_context(house.host())
        web = FastAPI()
        install_error_handlers(web)
        guard = access.guard.require("calls")
        web.include_router(calls_router(host, store.calls, store.tool_runs, guard, stall_s=5))
        bare = httpx.AsyncClient(transport=httpx.ASGITransport(web))
        office = Office(host, store, access, journal, writer, bare, bare)
        office.acme = await stack.enter_async_context(await office.client("acme"))
        office.other = await stack.enter_async_context(await office.client("other"))
        yield office


# ── seeing ───────────────────────────────────────────────────────────────────────────────────


async def test_a_live_call_is_seen_with_what_the_host_knows(office: Office) -> None:
    call = office.call()
    await call.until("turn_ended")
    await office.writer.wrote(call, "turn_ended")

    one = (await office.acme.get(f"/v1/calls/{call.control.call_id}")).json()
    listed = (await office.acme.get("/v1/calls", params={"live": True})).json()
    told = (await office.acme.get(f"/v1/calls/{call.control.call_id}/transcript")).json()

    assert one["object"] == "call"
    assert (one["status"], one["agent"], one["transport"]) == ("live", "tester", "fake")
    assert one["duration_s"] > 0
    assert (one["ended_at"], one["reason"]) == (None, None)
    assert [each["id"] for each in listed["data"]] == [one["id"]]
    assert [(turn["role"], turn["text"]) for turn in told["data"]] == [("agent", "Hello.")]
    assert told["status"] == "live"


async def test_a_call_that_is_over_is_seen_with_its_reason(office: Office) -> None:
    call = office.call()
    await call.until("turn_ended")
    call.transport.leave()
    await office.writer.wrote(call, "call_ended")

    one = (await office.acme.get(f"/v1/calls/{call.control.call_id}")).json()

    assert one["status"] == "ended"
    assert one["reason"] == "caller"
    assert one["duration_s"] > 0
    assert str(one["ended_at"]).endswith("Z")


async def test_calls_come_newest_first_and_page_by_page(office: Office) -> None:
    for number in range(4):
        await office.over(f"call_{number}", number // 2)
    live = office.call()
    await live.until("turn_ended")
    seen: list[str] = []
    before, has_more = {}, True
    while has_more:
        page = (await office.acme.get("/v1/calls", params={"limit": 2, **before})).json()
        seen += [each["id"] for each in page["data"]]
        before, has_more = {"before": page["last_id"]}, page["has_more"]

    past = (await office.acme.get("/v1/calls", params={"live": False})).json()

    assert seen == [live.control.call_id, "call_2", "call_3", "call_0", "call_1"]
    assert [each["id"] for each in past["data"]] == seen[1:]


async def test_a_call_that_nobody_here_holds_is_not_called_live(office: Office) -> None:
    await office.kept("call_lost")

    one = (await office.acme.get("/v1/calls/call_lost")).json()
    refused = await office.acme.post("/v1/calls/call_lost/hangup")

    assert (one["status"], one["duration_s"]) == ("unknown", None)
    assert refused.status_code == 409
    assert "does not hold" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("query", "param"),
    [({"limit": 0}, "limit"), ({"limit": "x"}, "limit"), ({"before": "call_x"}, "before")],
)
async def test_a_page_that_cannot_be_is_refused(
    office: Office, query: dict[str, object], param: str
) -> None:
    answer = await office.acme.get("/v1/calls", params=query)

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


# ── acting ───────────────────────────────────────────────────────────────────────────────────


async def test_the_agent_says_what_it_is_told_to(office: Office) -> None:
    call = office.call()
    await call.until("turn_ended")

    answer = await office.acme.post(
        f"/v1/calls/{call.control.call_id}/say", json={"text": " Your taxi is here. "}
    )
    heard = await call.until("turn_ended", count=2)

    assert (answer.status_code, answer.json()["status"]) == (200, "live")
    assert heard.heard == "Your taxi is here."


async def test_a_sentence_can_take_the_place_of_what_is_being_said(office: Office) -> None:
    call = office.call()
    path = f"/v1/calls/{call.control.call_id}/say"
    await call.until("turn_ended")
    await office.acme.post(path, json={"text": "word " * 300})
    await call.until("agent_speech_started", count=2)

    await office.acme.post(path, json={"text": "Stop.", "interrupt": True})
    cut_off = await call.until("turn_ended", count=2)
    heard = await call.until("turn_ended", count=3)

    assert cut_off.interrupted
    assert heard.heard == "Stop."


async def test_a_question_is_answered_by_the_caller(office: Office) -> None:
    call = office.call()
    call_id = call.control.call_id
    await call.until("turn_ended")

    asking = asyncio.create_task(
        office.acme.post(f"/v1/calls/{call_id}/ask", json={"text": "Which floor?"})
    )
    await call.until("agent_speech_started", count=2)
    await call.control.ask("The third.")
    answer = (await asking).json()

    assert answer == {"object": "call.answer", "call_id": call_id, "text": "The third."}


async def test_a_question_that_nobody_answers_is_given_up(office: Office) -> None:
    call = office.call()
    await call.until("turn_ended")
    path = f"/v1/calls/{call.control.call_id}/ask"

    silent = await office.acme.post(path, json={"text": "Which floor?", "timeout_s": 1})
    asking = asyncio.create_task(office.acme.post(path, json={"text": "Hello?"}))
    await call.until("agent_text", count=3)
    second = await office.acme.post(path, json={"text": "Hello?"})
    call.transport.leave()
    gone = await asking

    codes = [each.json()["error"]["code"] for each in (silent, second, gone)]
    assert codes == ["no_answer", "question_pending", "call_not_live"]
    assert [each.status_code for each in (silent, second, gone)] == [504, 409, 409]
    # Clients would ask the caller again and again.
    assert silent.headers["x-should-retry"] == "false"


async def test_a_caller_is_handed_on_where_the_transport_can(office: Office) -> None:
    switchboard = Switchboard()
    able, unable = office.call(switchboard), office.call()
    for call in (able, unable):
        await call.until("turn_ended")

    done = await office.acme.post(
        f"/v1/calls/{able.control.call_id}/transfer", json={"target": "sip:desk@example.com"}
    )
    refused = await office.acme.post(
        f"/v1/calls/{unable.control.call_id}/transfer", json={"target": "100"}
    )

    assert done.status_code == 200
    assert switchboard.targets == ["sip:desk@example.com"]
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "not_supported")


async def test_a_caller_waits_and_keys_are_pressed_where_the_transport_can(office: Office) -> None:
    switchboard = Switchboard()
    able, unable = office.call(switchboard), office.call()
    for call in (able, unable):
        await call.until("turn_ended")
    asked = [("hold", None), ("digits", {"digits": "12#"}), ("resume", None)]

    done = [
        await office.acme.post(f"/v1/calls/{able.control.call_id}/{action}", json=body)
        for action, body in asked
    ]
    refused = [
        await office.acme.post(f"/v1/calls/{unable.control.call_id}/{action}", json=body)
        for action, body in asked
    ]
    await able.until("call_resumed")

    assert [each.status_code for each in done] == [200, 200, 200]
    assert switchboard.done == ["hold", "12#", "resume"]
    assert [each.json()["error"]["code"] for each in refused] == ["not_supported"] * 3
    assert "call_held" in able.names()


async def test_a_call_is_hung_up_once_and_then_it_is_over(office: Office) -> None:
    call = office.call()
    await call.until("turn_ended")
    path = f"/v1/calls/{call.control.call_id}"

    first = await office.acme.post(f"{path}/hangup")
    second = await office.acme.post(f"{path}/hangup")
    await office.writer.wrote(call, "call_ended")
    one = (await office.acme.get(path)).json()
    late = await office.acme.post(f"{path}/say", json={"text": "Hello?"})

    assert (first.status_code, first.json()["status"]) == (200, "ending")
    assert second.status_code == 409
    assert one["reason"] == "agent"
    assert late.status_code == 409
    assert "ended at" in late.json()["error"]["message"]
    assert late.json()["error"]["code"] == "call_not_live"


async def test_who_is_not_connected_yet_is_not_spoken_to(office: Office) -> None:
    call = office.call(NeverConnected())
    await call.until("call_started")

    answer = await office.acme.post(
        f"/v1/calls/{call.control.call_id}/say", json={"text": "Hello?"}
    )

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize(
    ("action", "body", "param"),
    [
        ("say", {}, "text"),
        ("say", {"text": "  "}, "text"),
        ("say", {"text": "x" * 5000}, "text"),
        ("ask", {"text": "Who?", "timeout_s": 0}, "timeout_s"),
        ("ask", {"text": "Who?", "timeout_s": 1000}, "timeout_s"),
        ("transfer", {}, "target"),
        ("transfer", {"target": "100\r\nRefer-To: 200"}, "target"),
        ("digits", {"digits": "12E"}, "digits"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    office: Office, action: str, body: dict[str, object], param: str
) -> None:
    answer = await office.acme.post(f"/v1/calls/call_1/{action}", json=body)

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


async def test_wrong_keys_are_told_which_there_are(office: Office) -> None:
    answer = await office.acme.post("/v1/calls/call_1/digits", json={"digits": "12E"})

    says = "digits: takes the keys of a telephone: 0-9, *, # and A-D."
    assert answer.json()["error"]["message"] == says


# ── whose calls ──────────────────────────────────────────────────────────────────────────────

ROUTES = [
    ("GET", "", None),
    ("GET", "/transcript", None),
    ("POST", "/say", {"text": "Hello?"}),
    ("POST", "/ask", {"text": "Hello?", "timeout_s": 1}),
    ("POST", "/transfer", {"target": "100"}),
    ("POST", "/hold", None),
    ("POST", "/resume", None),
    ("POST", "/digits", {"digits": "1"}),
    ("POST", "/hangup", None),
]


@pytest.mark.parametrize(("method", "route", "body"), ROUTES)
async def test_another_tenants_calls_are_as_good_as_none(
    office: Office, method: str, route: str, body: object
) -> None:
    live = office.call()
    await live.until("turn_ended")
    await office.over("call_over")
    await office.store.calls.said(TurnRecord("call_over", "user", "A secret.", LONG_AGO))

    answers = [
        await office.other.request(method, f"/v1/calls/{call_id}{route}", json=body)
        for call_id in (live.control.call_id, "call_over", "call_none", "call_%00")
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404, 404]
    assert {answer.json()["error"]["code"] for answer in answers} == {"not_found"}
    assert live.transport.ended_with is None


async def test_another_tenants_calls_are_in_no_list(office: Office) -> None:
    live = office.call()
    await live.until("turn_ended")
    await office.over("call_over")

    listed = [
        (await office.other.get("/v1/calls", params=query)).json()["data"]
        for query in ({}, {"live": True}, {"live": False})
    ]
    after = await office.other.get("/v1/calls", params={"before": "call_over"})

    assert listed == [[], [], []]
    assert after.status_code == 400


async def test_a_key_without_the_scope_and_a_pages_secret_see_nothing(office: Office) -> None:
    deaf = await office.client("acme", scopes=["speech"])
    key = office.acme.headers["Authorization"].removeprefix("Bearer ")
    asker = await office.access.guard.admit(Credentials(key, "203.0.113.9"))
    page = office.showing(office.access.secrets.issue(asker, {}).value)

    answers = [await client.get("/v1/calls") for client in (deaf, page)]
    nobody = await office.showing("").get("/v1/calls")

    assert [answer.status_code for answer in answers] == [403, 403]
    assert "client secret" in answers[1].json()["error"]["message"]
    assert nobody.status_code == 401
