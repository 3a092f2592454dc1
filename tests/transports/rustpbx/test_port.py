"""RustPBX's own port beside the main one, in a whole server: keys, rooms, prompts, engines."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from parley.access.keys import KeyDesk
from parley.settings import Settings
from parley.store.opening import open_store
from tests.caller_voice import recorded
from tests.e2e.server import Server, running_server
from tests.engines.servers.ollama import OllamaServer, done, said
from tests.engines.servers.openai_chat import OpenAIChatServer, spoken
from tests.transports.rustpbx.house import Pbx, pbx

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(240),
]

CLOUD, NEARBY = "The cloud answers.", "Somebody nearby answers."
QUESTION = "what are your opening hours"


@dataclass(frozen=True)
class Ports:
    """A server with both of them, and keys of two tenants."""

    server: Server
    main: str
    own: str
    acme: str
    bee: str
    cloud: OpenAIChatServer
    nearby: OllamaServer

    def client(self, key: str) -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {key}"}
        return httpx.AsyncClient(base_url=f"http://{self.own}", headers=headers)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ports(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Ports]:
    folder = tmp_path_factory.mktemp("ports")
    async with AsyncExitStack() as stack:
        async with open_store(Settings(data_dir=folder)) as store:
            keys = [await KeyDesk(store.keys).create(name, tenant=name) for name in ("acme", "bee")]
        cloud = await stack.enter_async_context(OpenAIChatServer(spoken(CLOUD)))
        nearby = await stack.enter_async_context(OllamaServer([said(NEARBY), done()]))
        environment = {
            "PARLEY_RUSTPBX": "true",
            "PIPECAT_SERVER_PORT": "0",
            "OPENAI_API_KEY": "sk-1",
            "OPENAI_BASE_URL": cloud.base_url,
            "LLM_MODEL": "m",
            "OLLAMA_BASE_URL": nearby.url,
            "OLLAMA_MODEL": "llama3.2:3b",
        }
        server = await stack.enter_async_context(running_server(folder, environment))
        line = await server.logged("RustPBX connects to")
        place = re.search(r"ws://(localhost:\d+)/", line)
        assert place is not None
        main = server.url.removeprefix("http://")
        tokens = [key.token for key in keys]
        yield Ports(server, main, place[1], *tokens, cloud, nearby)


async def ask(client: Pbx, answer: str) -> None:
    """Say something, again if it wasn't understood, until it is answered like that."""
    for _ in range(4):
        await client.say(recorded(QUESTION))
        try:
            await client.until("llm_response", text=answer, is_complete=True)
        except TimeoutError:
            continue
        return
    raise AssertionError([message for message in client.told if message["type"] != "audio"])


@pytest.mark.parametrize("path", ["/ws/rustpbx", "/ws/pcm"])
async def test_a_socket_needs_a_key_on_either_port_and_may_have_it_in_its_url(
    ports: Ports, path: str
) -> None:
    for place in (ports.main, ports.own):
        for bad in (path, f"{path}?token=pk_nobody", f"{path}/pk_nobody"):
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"ws://{place}{bad}")
            assert refused.value.response.status_code == 401
        for good in (f"{path}?token={ports.acme}", f"{path}/{ports.acme}"):
            async with connect(f"ws://{place}{good}", compression=None) as socket:
                assert await socket.recv()

    assert not any(ports.acme in line or "pk_nobody" in line for line in ports.server.log)


async def test_the_root_of_its_own_port_is_the_socket_too(ports: Ports) -> None:
    async with pbx(f"ws://{ports.own}/?token={ports.acme}") as client:
        assert (await client.until("connected"))["server"]

    with pytest.raises(InvalidStatus):
        await connect(f"ws://{ports.main}/?token={ports.acme}")


async def test_a_path_that_has_no_socket_is_told_those_that_have_one(ports: Ports) -> None:
    told: dict[str, str] = {}
    for place in (ports.main, ports.own):
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://{place}/ws/rustpbx/{ports.acme}/")
        assert refused.value.response.status_code == 404
        told[place] = json.loads(refused.value.response.body or b"")["error"]["message"]
    async with ports.client(ports.acme) as acme:
        page = (await acme.get("/ws/rustpbx")).json()

    assert "at /v1/realtime and at /ws/rustpbx and at /ws/pcm." in told[ports.main]
    assert "at /ws/rustpbx and at /ws/pcm and at /." in told[ports.own]
    assert "a WebSocket at /ws/rustpbx" in page["detail"]
    assert not any(ports.acme in line for line in ports.server.log)


async def test_a_page_of_another_site_opens_no_socket(ports: Ports) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"ws://{ports.own}/?token={ports.acme}", origin="https://evil.example")

    assert refused.value.response.status_code == 403


async def test_on_the_main_port_the_usual_order_of_engines_holds(ports: Ports) -> None:
    asked = len(ports.cloud.asked)

    async with pbx(f"ws://{ports.main}/ws/rustpbx?token={ports.acme}") as client:
        await ask(client, NEARBY)

    assert len(ports.cloud.asked) == asked
    assert any("asked for by the RustPBX listener" in line for line in ports.server.log)


async def test_on_its_own_port_openai_goes_by_the_rooms_prompt_and_by_a_new_one_at_once(
    ports: Ports,
) -> None:
    async with ports.client(ports.acme) as acme, ports.client(ports.bee) as bee:
        wish = {"name": "desk", "system_prompt": "You count sheep."}
        room = (await acme.post("/rooms", json=wish)).json()["id"]
        url = f"ws://{ports.own}/ws/rustpbx?token={ports.acme}&room={room}"
        async with pbx(url) as client:
            await client.configure("rustpbx_7", system_prompt=None)
            await ask(client, CLOUD)
            first = ports.cloud.asked[-1]["messages"][0]["content"]
            listed = {each["id"]: each for each in (await acme.get("/rooms")).json()}
            health = (await acme.get("/health")).json()
            others = (await bee.get("/rooms")).json(), (await bee.get("/rooms/rustpbx_7")).json()
            changed = {"system_prompt": "You count goats."}
            await acme.post("/rooms/rustpbx_7/prompt", json=changed)
            await ask(client, CLOUD)
            second = ports.cloud.asked[-1]["messages"][0]["content"]
            await acme.delete(f"/rooms/{room}")
            await client.over()
        left = (await acme.get("/rooms")).json()

    assert "sheep" in first
    assert "goats" in second and "sheep" not in second
    assert listed["rustpbx_7"]["metadata"]["room"] == room
    assert health["active_connections"] == 1
    assert others == ([], {"detail": "Room not found"})
    assert left == []


async def test_another_tenants_room_can_not_be_joined(ports: Ports) -> None:
    async with ports.client(ports.acme) as acme:
        room = (await acme.post("/rooms", json={"name": "vault"})).json()["id"]
        url = f"ws://{ports.own}/ws/rustpbx?token={ports.bee}&room={room}"

        with pytest.raises(InvalidStatus) as refused:
            await connect(url)
        await acme.delete(f"/rooms/{room}")

    assert refused.value.response.status_code == 404
