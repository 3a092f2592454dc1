"""PBXes at a whole server that wants keys, on both of its ports: a PBX can put one into its URL."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from parley.access.keys import KeyDesk
from parley.settings import Settings
from parley.store.opening import open_store
from tests.e2e.server import running_server
from tests.transports.pcm.clients import MEDIA_PASS, VOIP_BRIDGE, PcmClient, Way, pcm_call
from tests.transports.rustpbx.clients import PROFILES, PbxClient, Profile, pbx_call
from tests.transports.rustpbx.wire import Refused, Wire

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

BUILT_IN = {"PARLEY_STT": "builtin", "PARLEY_LLM": "scripted", "PARLEY_TTS": "builtin"}
_RUSTPBX = re.compile(r"ws://[\w.]+:(\d+)/ws/rustpbx")


@dataclass(frozen=True)
class Ports:
    """``ws://HOST:PORT`` of the main port and of RustPBX's, and a key."""

    main: str
    rustpbx: str
    key: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ports(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ports]:
    folder: Path = tmp_path_factory.mktemp("pbx")
    async with open_store(Settings(data_dir=folder)) as store:
        made = await KeyDesk(store.keys).create("pbx")
    # Fewer than the house has for all calls.
    limits = {"MAX_CONCURRENT_CALLS": "6"}
    environment = {**BUILT_IN, **limits, "PIPECAT_SERVER_PORT": "0"}
    async with running_server(folder, environment, "--offline") as server:
        line = await server.logged("connects to", "/ws/rustpbx")
        found = _RUSTPBX.search(line)
        assert found
        yield Ports(server.url.replace("http", "ws"), f"ws://localhost:{found[1]}", made.token)


@pytest.mark.parametrize("path", ["/ws/pcm", "/ws/pcm/pk_wrong", "/ws/pcm?token=pk_wrong"])
async def test_who_shows_no_good_key_is_not_let_in(ports: Ports, path: str):
    for port in (ports.main, ports.rustpbx):
        with pytest.raises(Refused) as refused:
            await Wire.open(port + path)

        assert refused.value.status == 401


async def test_a_key_in_the_url_lets_pbxes_in_on_both_ports_and_one_count_holds_for_both(
    ports: Ports,
):
    query, path = f"?token={ports.key}", f"/{ports.key}"
    bridges: list[tuple[str, Way]] = [
        (f"{ports.main}/ws/pcm{query}&rate=8000", VOIP_BRIDGE),
        (f"{ports.rustpbx}/ws/pcm{path}", VOIP_BRIDGE),
        # The PBX appends a second query to it.
        (f"{ports.main}/ws/pcm{query}", MEDIA_PASS),
    ]
    legs: list[tuple[str, Profile]] = [
        (f"{ports.rustpbx}/ws/rustpbx{path}", PROFILES[0]),
        (f"{ports.main}/ws/rustpbx{query}", PROFILES[2]),
        (f"{ports.rustpbx}/{query}", PROFILES[3]),
    ]
    async with AsyncExitStack() as stack:
        async with asyncio.TaskGroup() as tasks:
            bridged = [tasks.create_task(_bridged(stack, *each)) for each in bridges]
            called = [tasks.create_task(_called(stack, *each)) for each in legs]
        refused = [await _refusal(f"{port}/ws/pcm{query}") for port in (ports.main, ports.rustpbx)]

    assert [status for status, _ in refused] == [503, 503]
    assert all("All 6 lines of PBXes are busy" in body for _, body in refused)
    assert min(each.result().heard_ms for each in bridged) >= 1000
    assert min(each.result().heard_ms for each in called) >= 1000
    assert {each.result().all("connected")[0]["server"] for each in called} == {"parley"}


async def _bridged(stack: AsyncExitStack, url: str, way: Way) -> PcmClient:
    client = await stack.enter_async_context(pcm_call(url, way))
    await client.hears(1000)
    return client


async def _called(stack: AsyncExitStack, url: str, profile: Profile) -> PbxClient:
    client = await stack.enter_async_context(pbx_call(url, profile))
    await client.heard(1000)
    return client


async def _refusal(url: str) -> tuple[int, str]:
    with pytest.raises(Refused) as refused:
        await Wire.open(url)
    return refused.value.status, refused.value.body
