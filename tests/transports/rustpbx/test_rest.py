"""Health and rooms on RustPBX's own port: in the old server's form, and apart for each tenant."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import structlog
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from parley import __version__
from parley.access.caller import Caller
from parley.access.credentials import Credentials
from parley.access.opening import Access, open_access
from parley.engines.spec import Status
from parley.settings import Settings
from parley.store.opening import open_store
from parley.transports.rustpbx.listener import listener_web
from parley.transports.rustpbx.rooms import Rooms

KEYS = st.sampled_from(["name", "system_prompt", "id", "metadata"])
GONE = {"detail": "Room not found"}


@dataclass
class Engines:
    """Those in use; the test says how they are."""

    statuses: dict[tuple[str, str], Status] = field(
        default_factory=lambda: {("stt", "fake"): Status(True, "well")}
    )

    async def check_engines(self) -> Mapping[Any, Status]:
        return self.statuses


@dataclass
class Call:
    """A running call, as its room sees it."""

    call_id: str
    instructions: str = "You are the receptionist."
    prompts: list[str] = field(default_factory=list[str])
    hung_up: bool = False

    async def set_prompt(self, text: str) -> None:
        self.prompts.append(text)

    def end_call(self) -> None:
        self.hung_up = True


@dataclass
class Listener:
    """The port, and what is behind it."""

    access: Access
    client: httpx.AsyncClient
    rooms: Rooms
    engines: Engines
    host: SimpleNamespace

    @asynccontextmanager
    async def client_of(self, tenant: str, **key: Any) -> AsyncIterator[httpx.AsyncClient]:
        made = await self.access.keys.create(tenant, tenant=tenant, **key)
        headers = {"authorization": f"Bearer {made.token}"}
        async with _client(self.client._transport, headers) as client:
            yield client


@pytest.fixture
async def listener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Listener]:
    monkeypatch.setattr("parley.access.ring.FRESH_S", 0.0)
    settings = Settings(data_dir=tmp_path, database_url="sqlite://", rustpbx=True)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings))
        access = await stack.enter_async_context(open_access(settings, store))
        rooms, engines, host = Rooms(most=3), Engines(), SimpleNamespace(is_accepting=True)
        guard = access.rustpbx_guard.require("calls")
        web = listener_web(rooms, engines, host, guard, [], stall_s=0.2)
        transport = httpx.ASGITransport(web, client=("127.0.0.1", 1))
        client = await stack.enter_async_context(_client(transport))
        yield Listener(access, client, rooms, engines, host)


def _client(transport: Any, headers: Mapping[str, str] | None = None) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers)


# ── health ───────────────────────────────────────────────────────────────────────────────────


async def test_health_has_the_old_servers_shape_and_counts_what_is_there(
    listener: Listener,
) -> None:
    listener.rooms.create("default", "desk")
    listener.rooms.attach("default", "rustpbx_1", Call("call_1"))

    answer = await listener.client.get("/health")

    told = answer.json()
    assert answer.status_code == 200
    assert set(told) == {
        *("status", "timestamp", "version", "active_rooms", "active_connections"),
    }
    assert (told["status"], told["version"]) == ("healthy", __version__)
    assert (told["active_rooms"], told["active_connections"]) == (2, 1)
    assert datetime.fromisoformat(told["timestamp"]).utcoffset() == UTC.utcoffset(None)


async def test_a_broken_engine_makes_it_degraded_and_still_200(listener: Listener) -> None:
    listener.engines.statuses["llm", "openai"] = Status(False, "no answer")

    answer = await listener.client.get("/health")

    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")


async def test_probes_are_open_to_all_and_tell_of_draining(listener: Listener) -> None:
    async with listener.client_of("acme"):
        live = await listener.client.get("/health/live")
        listener.host.is_accepting = False
        ready = await listener.client.get("/health/ready")

    assert (live.status_code, live.json()) == (200, {"status": "live"})
    assert (ready.status_code, ready.json()) == (503, {"status": "draining"})


async def test_the_front_page_says_where_the_socket_is(listener: Listener) -> None:
    assert (await listener.client.get("/")).json()["websocket"] == "/ws/rustpbx"


# ── rooms ────────────────────────────────────────────────────────────────────────────────────


async def test_a_room_is_made_shown_listed_changed_and_deleted(listener: Listener) -> None:
    client = listener.client
    made = await client.post("/rooms", json={"name": "desk", "system_prompt": "Be brief."})
    room = made.json()
    where = f"/rooms/{room['id']}"

    assert made.status_code == 200
    assert {key: room[key] for key in ("name", "system_prompt", "active", "metadata")} == {
        "name": "desk",
        "system_prompt": "Be brief.",
        "active": True,
        "metadata": None,
    }
    datetime.fromisoformat(room["created_at"])
    assert (await client.get(where)).json() == room
    assert (await client.get("/rooms")).json() == [room]
    changed = await client.post(f"{where}/prompt", json={"system_prompt": "Be long."})
    assert changed.json() == {"message": "Prompt updated successfully"}
    assert (await client.get(where)).json()["system_prompt"] == "Be long."
    assert (await client.delete(where)).json() == {"message": "Room deleted successfully"}
    assert (await client.get("/rooms")).json() == []


@pytest.mark.parametrize("given", [{}, {"system_prompt": None}])
async def test_a_room_without_a_prompt_shows_the_old_servers_default(
    listener: Listener, given: dict[str, None]
) -> None:
    made = await listener.client.post("/rooms", json={"name": "desk", **given})

    assert made.status_code == 200
    assert made.json()["system_prompt"] == "You are a helpful AI assistant."


async def test_a_call_is_a_room_whose_prompt_and_end_are_the_calls(listener: Listener) -> None:
    call = Call("call_1")
    listener.rooms.attach("default", "rustpbx_1", call)

    shown = (await listener.client.get("/rooms/rustpbx_1")).json()
    await listener.client.post("/rooms/rustpbx_1/prompt", json={"system_prompt": "Be kind."})
    await listener.client.delete("/rooms/rustpbx_1")

    assert shown["system_prompt"] == call.instructions
    assert shown["metadata"] == {"calls": ["call_1"]}
    assert call.prompts == ["Be kind."]
    assert call.hung_up


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/rooms/none", None),
        ("DELETE", "/rooms/none", None),
        ("POST", "/rooms/none/prompt", {"system_prompt": "x"}),
        ("POST", "/rooms/none/prompt", {}),
    ],
)
async def test_an_unknown_room_is_404_in_fastapis_words(
    listener: Listener, method: str, path: str, body: Any
) -> None:
    answer = await listener.client.request(method, path, json=body)

    assert (answer.status_code, answer.json()) == (404, GONE)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"{}", ["body", "name"]),
        (b'{"name": ""}', ["body", "name"]),
        (b'{"name": 7}', ["body", "name"]),
        (b'{"name": "\\ud800"}', ["body", "name"]),
        (b'{"name": "a", "system_prompt": "%s"}' % (b"x" * 2049), ["body", "system_prompt"]),
        (b'{"name": "%s"}' % (b"x" * 256), ["body", "name"]),
        (b"{", ["body"]),
        (b"\xff", ["body"]),
        (b"[" * 20_000, ["body"]),
        (b"", ["body"]),
    ],
    ids=lambda each: str(each)[:30],
)
async def test_a_bad_body_is_422_with_its_place_and_changes_nothing(
    listener: Listener, body: bytes, place: list[str]
) -> None:
    answer = await listener.client.post("/rooms", content=body)

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == place
    assert set(answer.json()["detail"][0]) == {"loc", "msg", "type"}
    assert listener.rooms.count == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3000),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


@examples(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=JSON, room_id=st.text(min_size=1, max_size=40))
async def test_no_body_and_no_id_breaks_anything(
    listener: Listener, body: object, room_id: str
) -> None:
    content = json.dumps(body)
    path = f"/rooms/{quote(room_id, safe='')}"

    made = await listener.client.post("/rooms", content=content)
    told = [
        await listener.client.get(path),
        await listener.client.delete(path),
        await listener.client.post(f"{path}/prompt", content=content),
    ]

    assert made.status_code in (200, 422)
    # An id with a dot segment or a slash in it is another path.
    assert {answer.status_code for answer in told} <= {200, 404, 405}
    if made.status_code == 200:
        assert (await listener.client.delete(f"/rooms/{made.json()['id']}")).status_code == 200


async def test_a_body_without_end_is_refused(listener: Listener) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 8192

    answer = await listener.client.post("/rooms", content=endless())

    assert answer.status_code == 413
    assert "65536 bytes" in answer.json()["detail"]


async def test_a_body_that_stalls_is_not_waited_for(listener: Listener) -> None:
    async def stalling() -> AsyncIterator[bytes]:
        yield b'{"name":'
        await asyncio.Event().wait()

    answer = await listener.client.post("/rooms", content=stalling())

    assert answer.status_code == 408
    assert "0.2 s" in answer.json()["detail"]


async def test_rooms_are_bounded_in_number(listener: Listener) -> None:
    answers = [await listener.client.post("/rooms", json={"name": "desk"}) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 503]
    assert "Delete" in answers[-1].json()["detail"]


async def test_what_breaks_in_here_is_a_500_that_tells_nothing_of_it(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise ZeroDivisionError("pk_secret")

    monkeypatch.setattr(listener.rooms, "list", breaks)
    transport = listener.client._transport
    monkeypatch.setattr(transport, "raise_app_exceptions", False)

    with structlog.testing.capture_logs() as logged:
        answer = await listener.client.get("/rooms")

    assert answer.status_code == 500
    assert "pk_secret" not in answer.text and "detail" in answer.json()
    assert [entry["event"] for entry in logged] == ["request_broke"]


# ── whose they are ───────────────────────────────────────────────────────────────────────────


async def test_where_keys_exist_rooms_and_health_take_one_and_errors_keep_their_form(
    listener: Listener,
) -> None:
    async with listener.client_of("acme") as acme:
        refused = [await listener.client.get(path) for path in ("/rooms", "/health")]
        served = [await acme.get(path) for path in ("/rooms", "/health")]

    assert [answer.status_code for answer in refused] == [401, 401]
    assert all(answer.json()["detail"].startswith("This needs a key.") for answer in refused)
    assert all("www-authenticate" in answer.headers for answer in refused)
    assert [answer.status_code for answer in served] == [200, 200]


async def test_a_key_without_the_scope_is_refused(listener: Listener) -> None:
    async with listener.client_of("acme", scopes=["speech"]) as acme:
        answer = await acme.get("/rooms")

    assert answer.status_code == 403
    assert "calls" in answer.json()["detail"]


async def test_a_room_of_another_tenants_does_not_exist(listener: Listener) -> None:
    async with listener.client_of("acme") as acme, listener.client_of("bee") as bee:
        room = (await acme.post("/rooms", json={"name": "vault"})).json()
        where = f"/rooms/{room['id']}"
        listener.rooms.attach("acme", "rustpbx_1", Call("call_1"))

        told = [
            await bee.get(where),
            await bee.delete(where),
            await bee.post(f"{where}/prompt", json={"system_prompt": "x"}),
            await bee.get("/rooms/rustpbx_1"),
        ]
        seen = (await bee.get("/rooms")).json(), (await bee.get("/health")).json()
        kept = (await acme.get(where)).json()

    assert [(answer.status_code, answer.json()) for answer in told] == [(404, GONE)] * 4
    assert seen[0] == [] and (seen[1]["active_rooms"], seen[1]["active_connections"]) == (0, 0)
    assert kept == room


async def test_a_client_secret_sees_no_rooms(listener: Listener) -> None:
    async with listener.client_of("acme"):
        caller = await _caller_of(listener, "bee")
        secret = listener.access.secrets.issue(caller, {})
        answer = await listener.client.get(
            "/rooms", headers={"authorization": f"Bearer {secret.value}"}
        )

    assert answer.status_code == 403
    assert "client secret" in answer.json()["detail"]


async def _caller_of(listener: Listener, tenant: str) -> Caller:
    made = await listener.access.keys.create(tenant, tenant=tenant)
    return await listener.access.rustpbx_guard.admit(Credentials(made.token))
