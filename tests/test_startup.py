"""The start of a server whose models are missing, as its user meets it: ``parley serve``."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from tests.e2e.server import Server, begin_server, running_server
from tests.engines.servers.ollama import OllamaServer
from tests.engines.servers.speaches import KOKORO, WHISPER, SpeachesServer

pytestmark = pytest.mark.timeout(240)

DEFAULT, OTHER = "llama3.2:3b", "qwen2.5:3b"
OTHER_AGENT = f"""\
title: Ada
engines:
  llm: {{engine: ollama, model: "{OTHER}"}}
"""


async def asked(server: Server, path: str) -> Any:
    return await asyncio.to_thread(server.get, path)


async def agent_of(server: Server, name: str) -> dict[str, Any]:
    agents = (await asked(server, "/api/agents"))["agents"]
    return next(each for each in agents if each["name"] == name)


async def health_that_tells(server: Server, part: str) -> dict[str, Any]:
    """The health, asked for until a download says ``part``."""
    while True:
        health = await asked(server, "/health")
        if any(part in says for says in health.get("fetching", {}).values()):
            return health


async def call(server: Server, agent: str = "") -> tuple[int, dict[str, str], dict[str, Any]]:
    """Offer a call as a browser does: the answer's status, headers and body."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        peer.addTransceiver("audio", direction="sendrecv")
        offer = await peer.createOffer()
        body = {"sdp": offer.sdp, "type": offer.type, "request_data": {"agent": agent}}
        return await asyncio.to_thread(_post, f"{server.url}/api/offer", body)
    finally:
        await peer.close()


def _post(url: str, body: Any) -> tuple[int, dict[str, str], dict[str, Any]]:
    sent = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), sent)
    try:
        answer = urllib.request.urlopen(request, timeout=20)
    except urllib.error.HTTPError as refused:
        answer = refused
    with answer:
        return answer.status, dict(answer.headers), json.load(answer)


async def test_the_script_serves_until_the_missing_models_are_here(tmp_path: Path) -> None:
    own = tmp_path / "agents"
    own.mkdir()
    (own / "ada.yaml").write_text(OTHER_AGENT)

    async with OllamaServer(models=()) as ollama:
        ollama.may_pull.clear()
        async with running_server(tmp_path, {"OLLAMA_BASE_URL": ollama.url}) as server:
            await server.logged(DEFAULT, "pulling manifest")
            health = await health_that_tells(server, " of ")
            meanwhile = await agent_of(server, "receptionist")
            waiting = await agent_of(server, "ada")
            ollama.may_pull.set()
            await server.logged("agent_ready", "agent=ada")
            after = await asked(server, "/health")
            receptionist = await agent_of(server, "receptionist")
            ada = await agent_of(server, "ada")

    assert health["status"] == "degraded"
    assert health["checks"]["ollama"] is False
    assert health["fetching"].keys() == {f"ollama:{DEFAULT}", f"ollama:{OTHER}"}
    assert meanwhile["engines"]["llm"] == "scripted"
    assert waiting["engines"] == {} and "waits for a model" in waiting["problem"]
    assert ollama.pulls == [DEFAULT, OTHER]
    assert after == {"status": "healthy", "checks": after["checks"]}
    assert receptionist["engines"]["llm"] == ada["engines"]["llm"] == "ollama"
    assert f"ollama:{DEFAULT} is here." in server.log


async def test_calls_to_an_agent_that_waits_for_its_model_are_refused_until_it_is_here(
    tmp_path: Path,
) -> None:
    async with OllamaServer(models=()) as ollama:
        ollama.may_pull.clear()
        environment = {
            "OLLAMA_BASE_URL": ollama.url,
            "PARLEY_LLM": "ollama",
            "PARLEY_DRAIN_S": "0",
            "PARLEY_CONNECT_TIMEOUT_S": "2",
        }
        async with running_server(tmp_path, environment) as server:
            health = await health_that_tells(server, " of ")
            status, headers, refusal = await call(server)
            ollama.may_pull.set()
            await server.logged("agent_ready")
            # Past the door it is the offer itself that is looked at.
            nonsense = {"sdp": "v=0", "type": "offer"}
            status_after, _, answer = await asyncio.to_thread(
                _post, f"{server.url}/api/offer", nonsense
            )

    assert health["status"] == "degraded"
    assert status == 503
    assert int(headers["retry-after"]) > 0
    assert refusal["error"]["code"] == "not_ready"
    assert f"{DEFAULT}  " in refusal["error"]["message"]
    assert " of " in refusal["error"]["message"]
    assert status_after == 400
    assert answer["error"]["code"] == "bad_offer"


async def test_a_model_that_can_not_be_had_is_told_with_the_command_and_who_serves_meanwhile(
    tmp_path: Path,
) -> None:
    async with OllamaServer(models=()) as ollama:
        ollama.pull_error = "dial tcp: lookup registry.ollama.ai: no such host"
        async with running_server(tmp_path, {"OLLAMA_BASE_URL": ollama.url}) as server:
            line = await server.logged("could not be fetched")
            health = await asked(server, "/health")
            receptionist = await agent_of(server, "receptionist")

    assert line == (
        f"ollama:{DEFAULT} is missing and could not be fetched: "
        f"Ollama at {ollama.url} can't fetch {DEFAULT}: {ollama.pull_error}. "
        "It is tried again in 30 s. "
        f"Fetch it: parley models pull ollama:{DEFAULT}. Meanwhile scripted serves."
    )
    assert health["status"] == "degraded"
    assert "could not be fetched" in health["fetching"][f"ollama:{DEFAULT}"]
    assert receptionist["engines"]["llm"] == "scripted"


async def test_calls_are_refused_with_the_reason_where_nobody_can_serve_without_the_model(
    tmp_path: Path,
) -> None:
    async with OllamaServer(models=()) as ollama:
        ollama.pull_error = "dial tcp: lookup registry.ollama.ai: no such host"
        environment = {"OLLAMA_BASE_URL": ollama.url, "PARLEY_LLM": "ollama"}
        async with running_server(tmp_path, environment) as server:
            await server.logged("could not be fetched")
            about = [await agent_of(server, "receptionist") for _ in range(3)][-1]
            status, _, refusal = await call(server)

    assert (status, refusal["error"]["code"]) == (503, "not_ready")
    assert "no such host" in refusal["error"]["message"]
    assert "no such host" in about["problem"]
    assert ollama.pulls == [DEFAULT]


async def test_speaches_ears_and_voice_are_fetched_likewise(tmp_path: Path) -> None:
    async with SpeachesServer(tmp_path / "speaches") as speaches:
        speaches.download.clear()
        environment = {"SPEACHES_BASE_URL": speaches.url, "STT_MODEL": WHISPER, "TTS_MODEL": KOKORO}
        async with running_server(tmp_path, environment) as server:
            health = await health_that_tells(server, "is fetching it")
            meanwhile = await agent_of(server, "receptionist")
            speaches.download.set()
            await server.logged("agent_ready", "stt=speaches", "tts=speaches")
            after = await asked(server, "/health/speaches")

    assert health["status"] == "degraded"
    assert health["fetching"].keys() == {f"speaches:{WHISPER}", f"speaches:{KOKORO}"}
    assert (meanwhile["engines"]["stt"], meanwhile["engines"]["tts"]) == ("builtin", "builtin")
    assert speaches.has(WHISPER) and speaches.has(KOKORO)
    assert after["status"] == "healthy"


class SilentServer:
    """Takes connections and never says a word; ``asked`` once somebody has called."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.set()
        try:
            await reader.read(-1)
        finally:
            writer.close()


@pytest.mark.parametrize(("told", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
async def test_a_start_that_is_told_to_stop_waits_for_nothing_and_ends_without_a_word(
    tmp_path: Path, told: signal.Signals, code: int
) -> None:
    silent = SilentServer()
    async with await asyncio.start_server(silent.take, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        process = await begin_server(tmp_path, {"OLLAMA_BASE_URL": url, "LOG_LEVEL": "WARNING"})
        await silent.asked.wait()

        process.send_signal(told)
        _, said = await process.communicate()

    assert process.returncode == code
    assert said == b""


def test_the_engines_open_before_the_other_rooms_are_loaded() -> None:
    others = "{'aiohttp', 'aiortc', 'fastapi', 'sqlalchemy', 'pipecat.pipeline'}"
    script = f"import sys, parley.start; print({others} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)

    assert done.stdout.strip() == "set()"
