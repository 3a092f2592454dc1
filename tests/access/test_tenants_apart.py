"""Two tenants in one whole house: for each of them the other's things don't exist."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio

from parley.access.keys import KeyDesk
from parley.app import Parley, open_house
from parley.engine_room import EngineRoom, open_engine_room
from parley.engines.speech_cache.cache import SpeechCache, SpeechFigures
from parley.settings import Settings
from parley.store.opening import open_store
from tests.transports.webrtc.valid_offers import OFFERS

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(240),
]

GREETING = "Welcome to the vault of acme."
FILES = {
    "tenants/acme/vault.yaml": f"title: Vault\ngreeting: {GREETING}\n"
    "instructions: You guard diamonds.\nengines: {llm: scripted}\n",
    "tenants/acme/receptionist.yaml": "title: Desk of acme\nengines: {llm: scripted}\n",
    "tenants/bee/hive.yaml": "title: Hive\nengines: {llm: scripted}\n",
}
HELLO = [{"role": "user", "content": "Hello."}]
OFFER = {"sdp": OFFERS["chromium-audio-data"]}
SPEECH = {"model": "tts-1", "voice": "", "language": "en", "response_format": "pcm"}


@dataclass(frozen=True)
class Tenants:
    """The whole house, and a client with a key of each tenant."""

    parley: Parley
    engines: EngineRoom
    acme: httpx.AsyncClient
    bee: httpx.AsyncClient

    @property
    def figures(self) -> SpeechFigures:
        speech = self.engines.catalog.speech
        assert isinstance(speech, SpeechCache)
        return speech.figures

    async def socket(self, client: httpx.AsyncClient, model: str) -> list[Mapping[str, Any]]:
        """What a client gets that opens a Realtime socket and leaves after the first word."""
        sent: list[Mapping[str, Any]] = []
        answered = asyncio.Event()
        received = iter([{"type": "websocket.connect"}])
        scope = {
            "type": "websocket",
            "path": "/v1/realtime",
            "raw_path": b"/v1/realtime",
            "query_string": f"model={model}".encode(),
            "headers": [
                (b"host", b"localhost"),
                (b"authorization", client.headers["authorization"].encode()),
            ],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "scheme": "ws",
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
        }

        async def receive() -> dict[str, Any]:
            if (first := next(received, None)) is not None:
                return first
            await answered.wait()
            return {"type": "websocket.disconnect", "code": 1000}

        async def send(message: Mapping[str, Any]) -> None:
            sent.append(message)
            if message["type"] != "websocket.accept":
                answered.set()

        await self.parley.web(scope, receive, send)  # type: ignore[arg-type]
        return sent


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Tenants]:
    folder = tmp_path_factory.mktemp("tenants")
    for name, text in FILES.items():
        file = folder / "agents" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    settings = Settings(
        data_dir=folder,
        offline=True,
        model_aliases={"treasure": "agent:vault", "*": "agent:vault"},
    )
    async with AsyncExitStack() as stack:
        async with open_store(settings) as store:
            desk = KeyDesk(store.keys)
            keys = [await desk.create(name, tenant=name) for name in ("acme", "bee")]
        engines = await stack.enter_async_context(open_engine_room(settings))
        parley = await stack.enter_async_context(open_house(settings, engines))
        acme, bee = [await stack.enter_async_context(_client(parley, key.token)) for key in keys]
        yield Tenants(parley, engines, acme, bee)


@asynccontextmanager
async def _client(parley: Parley, token: str) -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(parley.web, client=("127.0.0.1", 1)),
        base_url="http://localhost",
        headers={"authorization": f"Bearer {token}"},
        timeout=60,
    ) as client:
        yield client


# ── agents ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/api/agents", "/v1/agents", "/v1/models"])
async def test_a_list_has_ones_own_agents_and_the_houses(house: Tenants, path: str) -> None:
    acme, bee = (await house.acme.get(path)).text, (await house.bee.get(path)).text

    assert "vault" in acme and "hive" not in acme
    assert "hive" in bee and "receptionist" in bee
    for word in ("vault", "acme", "treasure", "diamonds"):
        assert word not in bee.lower()


async def test_the_default_agent_is_ones_own_of_that_name_or_else_the_houses(
    house: Tenants,
) -> None:
    told = [(await each.get("/api/agents")).json()["agents"] for each in (house.acme, house.bee)]
    titles = [next(a["title"] for a in agents if a["is_default"]) for agents in told]
    shown = [(await each.get("/v1/agents/receptionist")).json() for each in (house.acme, house.bee)]

    assert titles == [each["title"] for each in shown]
    assert (titles[0], titles[1] != titles[0]) == ("Desk of acme", True)


ASKED = {
    "shown": ("GET", "/v1/agents/{}", None),
    "model": ("GET", "/v1/models/agent:{}", None),
    "chat": ("POST", "/v1/chat/completions", {"model": "agent:{}", "messages": HELLO}),
    "response": ("POST", "/v1/responses", {"model": "agent:{}", "input": "Hello."}),
    "alias": ("POST", "/v1/chat/completions", {"model": "{}", "messages": HELLO}),
    "offer": ("POST", "/api/offer", OFFER | {"type": "offer", "request_data": {"agent": "{}"}}),
    "secret": (
        "POST",
        "/v1/realtime/client_secrets",
        {"session": {"type": "realtime", "model": "agent:{}"}},
    ),
    "realtime": ("POST", "/v1/realtime/calls?model=agent:{}", OFFER["sdp"]),
}


@pytest.mark.parametrize("way", ASKED)
async def test_anothers_agent_is_answered_like_one_that_nobody_has(
    house: Tenants, way: str
) -> None:
    theirs, nobodys = ("treasure", "trexsure") if way == "alias" else ("vault", "vauxt")

    answers = [await _asked(house.bee, way, name) for name in (theirs, nobodys)]
    hinted = [await _asked(house.bee, way, name[:-1]) for name in (theirs, nobodys)]

    assert {answer.status_code for answer in (*answers, *hinted)} == {404}
    told = [_told(answer) for answer in (*answers, *hinted)]
    assert told[0].replace(theirs, "X") == told[1].replace(nobodys, "X")
    assert told[2].replace(theirs[:-1], "X") == told[3].replace(nobodys[:-1], "X")


async def _asked(client: httpx.AsyncClient, way: str, name: str) -> httpx.Response:
    method, path, body = ASKED[way]
    if isinstance(body, str):
        sdp = {"content-type": "application/sdp"}
        return await client.request(method, path.format(name), content=body, headers=sdp)
    text = None if body is None else json.dumps(body).replace("{}", name)
    return await client.request(
        method,
        path.format(name),
        content=text,
        headers={"content-type": "application/json"} if text else None,
    )


def _told(answer: httpx.Response) -> str:
    error = answer.json()["error"]
    return json.dumps(error, sort_keys=True)


async def test_a_realtime_socket_reaches_ones_own_agents_alone(house: Tenants) -> None:
    own = await house.socket(house.acme, "agent:vault")
    theirs = await house.socket(house.bee, "agent:vault")
    nobodys = await house.socket(house.bee, "agent:vauxt")

    assert [message["type"] for message in own[:2]] == ["websocket.accept", "websocket.send"]
    assert "diamonds" in str(own[1])
    bodies = [str(each[1]["body"]) for each in (theirs, nobodys)]
    assert [each[0]["status"] for each in (theirs, nobodys)] == [404, 404]
    assert bodies[0].replace("vault", "vauxt") == bodies[1]


async def test_ones_own_agent_answers_by_its_name_and_its_other_name(house: Tenants) -> None:
    models = ("agent:vault", "treasure", "gpt-unheard-of")
    for model in models:
        asked = {"model": model, "messages": HELLO}
        answer = await house.acme.post("/v1/chat/completions", json=asked)

        assert answer.status_code == 200, answer.text


async def test_nearly_the_right_name_is_hinted_to_its_tenant_alone(house: Tenants) -> None:
    acme = (await house.acme.get("/v1/agents/vaul")).text
    bee = (await house.bee.get("/v1/agents/vaul")).text

    assert "vault" in acme
    assert "vault" not in bee


# ── what was said ────────────────────────────────────────────────────────────────────────────


async def test_each_tenant_pays_its_own_synthesis(house: Tenants) -> None:
    asked = SPEECH | {"input": "The same words for both of us."}
    for _ in range(3):
        assert (await house.acme.post("/v1/audio/speech", json=asked)).status_code == 200
    before = house.figures

    await house.bee.post("/v1/audio/speech", json=asked)
    after = house.figures

    assert before.hits >= 1
    assert (after.hits - before.hits, after.misses - before.misses) == (0, 1)
    assert after.joined == before.joined


async def test_an_agents_greeting_is_at_hand_for_its_tenant_alone(house: Tenants) -> None:
    asked = SPEECH | {"input": GREETING}
    start = house.figures

    await house.bee.post("/v1/audio/speech", json=asked)
    for_bee = house.figures
    await house.acme.post("/v1/audio/speech", json=asked)
    for_acme = house.figures

    assert (for_bee.hits - start.hits, for_bee.misses - start.misses) == (0, 1)
    assert (for_acme.hits - for_bee.hits, for_acme.misses - for_bee.misses) == (1, 0)


async def test_anothers_response_is_like_one_that_never_was(house: Tenants) -> None:
    asked = {"model": "agent:vault", "input": "Hello."}
    kept = (await house.acme.post("/v1/responses", json=asked)).json()["id"]
    never = kept[:-4] + "0000"
    told: list[list[tuple[int, str]]] = []

    for id in (kept, never):
        carry_on = {"model": "auto", "input": "And?", "previous_response_id": id}
        answers = [
            await house.bee.get(f"/v1/responses/{id}"),
            await house.bee.delete(f"/v1/responses/{id}"),
            await house.bee.post("/v1/responses", json=carry_on),
        ]
        told.append([(each.status_code, _told(each).replace(id, "ID")) for each in answers])
    still_there = await house.acme.get(f"/v1/responses/{kept}")

    assert told[0] == told[1]
    assert still_there.status_code == 200


# ── calls ────────────────────────────────────────────────────────────────────────────────────


async def test_anothers_connection_is_like_one_that_never_was(house: Tenants) -> None:
    begun = await house.acme.post("/api/offer", json=OFFER | {"type": "offer"})
    pc_id, cookie = begun.json()["pc_id"], begun.cookies["parley_peer"]
    house.bee.cookies.set("parley_peer", cookie)
    candidate = {
        "candidate": "candidate:1 1 udp 2122260223 127.0.0.1 50000 typ host",
        "sdpMid": "0",
        "sdpMLineIndex": 0,
    }

    answers = [
        await house.bee.patch("/api/offer", json={"pc_id": pc_id, "candidates": [candidate]}),
        await house.bee.patch("/api/offer", json={"candidates": [candidate]}),
        await house.bee.post("/api/offer", json=OFFER | {"type": "offer", "pc_id": pc_id}),
        await house.bee.get(f"/v1/calls/{begun.json()['session_id']}"),
        await house.bee.post(f"/v1/calls/{begun.json()['session_id']}/hangup"),
    ]
    house.bee.cookies.clear()
    seen = (await house.bee.get("/v1/calls")).json()["data"]
    own = (await house.acme.get(f"/v1/calls/{begun.json()['session_id']}")).json()

    assert [answer.status_code for answer in answers] == [404] * 5
    assert seen == []
    assert own["agent"] == "receptionist"


async def test_a_pages_secret_begins_its_tenants_calls_and_sees_none(house: Tenants) -> None:
    made = await house.acme.post("/v1/realtime/client_secrets", json={})
    page = {"authorization": f"Bearer {made.json()['value']}"}

    begun = await house.bee.post("/api/offer", json=OFFER | {"type": "offer"}, headers=page)
    refused = await house.bee.get("/v1/calls", headers=page)
    own = await house.acme.get(f"/v1/calls/{begun.json()['session_id']}")
    others = await house.bee.get(f"/v1/calls/{begun.json()['session_id']}")

    assert (begun.status_code, own.status_code, others.status_code) == (200, 200, 404)
    assert (refused.status_code, refused.json()["error"]["type"]) == (403, "invalid_request_error")
