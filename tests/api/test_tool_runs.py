"""What tools did is seen by its own tenant, and their answers reach who waits for them, once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from parley.api.tool_runs import tool_runs_router
from parley.store.run_journal import RunJournal
from parley.tool_book import StoredSecrets, StoredToolBook
from parley.tools.book import RunBegan, RunOver, new_run_id
from parley.tools.runs import OpenRun, ToolRun, ToolRuns
from parley.tools.webhook.signing import HEADER, sign
from tests.api.offices import KeyedOffice, keyed_office

OK = {"ok": True, "result": {"booked": "10:00"}}


@dataclass
class Desk:
    """Runs of tools, with their routes; ``told`` is what callers were told meanwhile."""

    office: KeyedOffice
    book: StoredToolBook
    runs: ToolRuns
    secrets: StoredSecrets
    acme: httpx.AsyncClient
    other: httpx.AsyncClient
    stranger: httpx.AsyncClient
    told: list[str] = field(default_factory=list)

    def begin(self, *, owner: str = "acme", call_id: str = "call_1", tool: str = "book") -> OpenRun:
        """As a toolbelt and a webhook do."""
        run_id = new_run_id()
        arguments = {"at": "10:00"}
        began = RunBegan(
            run_id, "acme", call_id, "front", tool, "webhook", "1", "key", arguments, 30
        )
        self.book.began(began)
        run = ToolRun(call_id, "acme", owner, "front", tool, "1", "key", id=run_id)
        return self.runs.open(run, self._tell)

    def end(self, run: OpenRun) -> None:
        answer = run.answer.result().result if run.answer.done() else None
        state = "answered" if run.answer.done() else "failed"
        self.runs.close(run, state, "" if run.answer.done() else "timeout")
        error = "" if run.answer.done() else "Too slow."
        self.book.ended(RunOver(run.run.id, state, 1200, answer, error and "tool_failed", error))

    def forget(self) -> None:
        """As if the server had been started again."""
        self.runs._open.clear()
        self.runs._closed.clear()

    async def post(
        self, run: OpenRun, what: str, body: object, client: httpx.AsyncClient | None = None
    ) -> httpx.Response:
        url = f"/v1/tools/runs/{run.run.id}/{what}"
        return await (client or self.acme).post(url, json=body)

    async def post_signed(
        self, run: OpenRun, body: bytes, secret: str, what: str = "answer"
    ) -> httpx.Response:
        return await self.stranger.post(
            f"/v1/tools/runs/{run.run.id}/{what}",
            content=body,
            headers={HEADER: sign(secret, body)},
        )

    async def seen(self, run: OpenRun) -> dict[str, Any]:
        return (await self.acme.get(f"/v1/tools/runs/{run.run.id}")).json()

    async def _tell(self, text: str) -> None:
        self.told.append(text)


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr("parley.access.ring.FRESH_S", 0.0)
    async with AsyncExitStack() as stack:
        office = await stack.enter_async_context(keyed_office(tmp_path))
        journal = RunJournal(office.store.tool_runs, tmp_path / "tool-runs")
        await stack.enter_async_context(journal)
        book = StoredToolBook(office.store, journal)
        secrets = StoredSecrets(office.store.tenants)
        runs = ToolRuns(book, public_url="https://voice.example.org")
        guard = office.access.guard.require("tools")
        office.open(tool_runs_router(runs, office.store.tool_runs, secrets, guard, stall_s=5))
        clients = [
            await stack.enter_async_context(await office.client(tenant))
            for tenant in ("acme", "other", "")
        ]
        desk = Desk(office, book, runs, secrets, *clients)
        yield desk
        await journal.settled()


async def test_an_answer_reaches_its_call_once(desk: Desk) -> None:
    run = desk.begin()
    first = await desk.post(run, "answer", OK)
    second = await desk.post(run, "answer", OK)
    desk.end(run)
    third = await desk.post(run, "answer", OK)

    delivered = [each.json()["delivered"] for each in (first, second, third)]

    assert delivered == ["call", "duplicate", "duplicate"]
    assert run.answer.result().result == {"booked": "10:00"}


async def test_an_answer_that_nobody_waits_for_is_kept_with_its_run(desk: Desk) -> None:
    run = desk.begin()
    desk.end(run)
    first = (await desk.post(run, "answer", OK)).json()
    second = (await desk.post(run, "answer", {**OK, "result": 2})).json()

    seen = await desk.seen(run)

    assert (first["delivered"], second["delivered"]) == ("late", "duplicate")
    assert (seen["state"], seen["answer"]) == ("late", OK)
    assert (seen["error_code"], seen["error"]) == ("timeout", "Too slow.")
    assert seen["after_ms"] == 1200


@pytest.mark.parametrize("had_ended", [True, False])
async def test_an_answer_after_a_restart_finds_its_run(desk: Desk, had_ended: bool) -> None:
    run = desk.begin()
    if had_ended:
        desk.end(run)
    desk.forget()
    first = (await desk.post(run, "answer", OK)).json()
    second = (await desk.post(run, "answer", OK)).json()
    desk.forget()
    third = (await desk.post(run, "answer", OK)).json()

    seen = await desk.seen(run)

    assert [each["delivered"] for each in (first, second, third)] == [
        "late",
        "duplicate",
        "duplicate",
    ]
    assert (seen["state"], seen["call_id"], seen["answer"]) == ("late", "call_1", OK)


async def test_an_answered_run_takes_no_other_answer_after_a_restart(desk: Desk) -> None:
    run = desk.begin()
    await desk.post(run, "answer", OK)
    desk.end(run)
    desk.forget()

    again = await desk.post(run, "answer", {"ok": True, "result": 2})

    assert again.json()["delivered"] == "duplicate"
    assert (await desk.seen(run))["answer"] == {"booked": "10:00"}


async def test_progress_is_told_while_the_call_waits(desk: Desk) -> None:
    run = desk.begin()
    first = await desk.post(run, "progress", {"say": "Two more minutes."})
    desk.end(run)
    second = await desk.post(run, "progress", {"say": "Nearly there."})

    assert [each.json()["delivered"] for each in (first, second)] == ["call", "late"]
    assert desk.told == ["Two more minutes."]


@pytest.mark.parametrize("owner", ["acme", ""])
async def test_a_signature_does_instead_of_a_key(desk: Desk, owner: str) -> None:
    run = desk.begin(owner=owner)
    body = json.dumps({**OK, "run_id": run.run.id}).encode()
    secret = await desk.secrets.secret_for(owner)
    forged = await desk.post_signed(run, body, await desk.secrets.secret_for("other"))
    good = await desk.post_signed(run, body, secret)
    desk.end(run)
    desk.forget()
    after_restart = await desk.post_signed(run, body, secret)

    assert (forged.status_code, forged.json()["error"]["code"]) == (401, "bad_signature")
    assert good.json()["delivered"] == "call"
    assert after_restart.json()["delivered"] == "duplicate"


@pytest.mark.parametrize("what", ["answer", "progress"])
@pytest.mark.parametrize("names", ["another run", "no run", "no text"])
async def test_what_was_signed_for_one_run_is_good_for_no_other(
    desk: Desk, what: str, names: str
) -> None:
    mine, other = desk.begin(), desk.begin(call_id="call_2")
    named = {"another run": {"run_id": mine.run.id}, "no run": {}, "no text": {"run_id": [1]}}
    body = json.dumps({**OK, "say": "Done.", **named[names]}).encode()
    secret = await desk.secrets.secret_for("acme")

    replayed = await desk.post_signed(other, body, secret, what)

    assert (replayed.status_code, replayed.json()["error"]["code"]) == (401, "bad_signature")
    assert not other.answer.done()
    assert desk.told == []


async def test_a_sentence_that_was_signed_once_is_said_once(desk: Desk) -> None:
    run = desk.begin()
    body = json.dumps({"run_id": run.run.id, "say": "Nearly there."}).encode()
    secret = await desk.secrets.secret_for("acme")
    headers = {HEADER: sign(secret, body)}
    url = f"/v1/tools/runs/{run.run.id}/progress"

    delivered = [
        (await desk.stranger.post(url, content=body, headers=headers)).json()["delivered"]
        for _ in range(2)
    ]

    assert delivered == ["call", "duplicate"]
    assert desk.told == ["Nearly there."]


async def test_with_a_key_a_run_need_not_be_named_but_must_be_the_right_one(desk: Desk) -> None:
    run = desk.begin()

    wrong = await desk.post(run, "answer", {**OK, "run_id": "run_other"})
    right = await desk.post(run, "answer", {**OK, "run_id": run.run.id})

    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "run_id")
    assert right.json()["delivered"] == "call"


async def test_others_neither_see_nor_answer_a_tenants_runs(desk: Desk) -> None:
    run = desk.begin()
    theirs = await desk.post(run, "answer", OK, desk.other)
    nobodys = await desk.post(run, "answer", OK, desk.stranger)
    seen = await desk.other.get(f"/v1/tools/runs/{run.run.id}")
    listed = (await desk.other.get("/v1/tools/runs")).json()["data"]

    assert [each.status_code for each in (theirs, nobodys, seen)] == [404, 401, 404]
    assert listed == []
    assert not run.answer.done()


@pytest.mark.parametrize(
    ("what", "body", "status"),
    [
        ("answer", b"", 400),
        ("answer", b"[]", 400),
        ("answer", b'{"ok":"yes"}', 400),
        ("answer", b'{"ok":true,"pending":true}', 400),
        ("answer", b"[" * 60_000, 400),
        ("answer", b"[" * 150_000, 413),
        ("progress", b'{"say":""}', 400),
        ("progress", b"nonsense", 400),
    ],
)
async def test_what_makes_no_sense_is_refused_and_the_run_stays_open(
    desk: Desk, what: str, body: bytes, status: int
) -> None:
    run = desk.begin()

    answer = await desk.acme.post(f"/v1/tools/runs/{run.run.id}/{what}", content=body)

    assert answer.status_code == status
    assert not run.answer.done()
    assert (await desk.acme.post("/v1/tools/runs/run_x/answer", json=OK)).status_code == 404


async def test_runs_are_listed_by_call_tool_and_state_a_page_at_a_time(desk: Desk) -> None:
    for number in range(3):
        desk.end(desk.begin(call_id=f"call_{number}", tool="book" if number else "free_times"))
    desk.begin(call_id="call_2")
    await desk.book.recall("run_none")
    list_all = "/v1/tools/runs"

    first = (await desk.acme.get(list_all, params={"limit": 3})).json()
    rest = (await desk.acme.get(list_all, params={"before": first["last_id"]})).json()
    booked = (await desk.acme.get(list_all, params={"tool": "book", "call_id": "call_2"})).json()
    still = (await desk.acme.get(list_all, params={"state": "open"})).json()
    unknown = await desk.acme.get(list_all, params={"before": "run_none"})

    assert [run["call_id"] for run in first["data"]] == ["call_2", "call_2", "call_1"]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    assert [run["tool"] for run in rest["data"]] == ["free_times"]
    assert len(booked["data"]) == 2
    assert [run["state"] for run in still["data"]] == ["open"]
    assert still["data"][0]["arguments"] == {"at": "10:00"}
    assert unknown.status_code == 400
