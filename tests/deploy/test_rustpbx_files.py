"""What deploy/rustpbx has for the system: verified by the programs that are to read it."""

from __future__ import annotations

import asyncio
import configparser
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from tests.e2e.tls import write_certificate
from tests.session.fakes import agent_with
from tests.transports.rustpbx.house import Pbx, pbx_house
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from bootstrap import debian
from parley.access.opening import open_access
from parley.session.turns import Listening
from parley.settings import Settings, setting_facts
from parley.store.opening import open_store
from parley.testing.speech import FakeSynthesizer

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/rustpbx"
UNIT, SUPERVISOR = FOLDER / "parley-rustpbx.service", FOLDER / "supervisor.conf"
TEXTS = [UNIT, SUPERVISOR, FOLDER / "README.md", ROOT / "docs/guides/rustpbx.md"]
PYTHON = "/opt/parley/pipecat_server/.venv/bin/python"
# Every key without a default in the client's own description of the section.
PIPECAT_KEYS = {
    *("enabled", "server_url", "use_for_ai", "fallback_to_internal", "connection_timeout"),
    *("debug_logging", "enable_metrics", "reconnect", "audio"),
}


TALKER = agent_with(greeting=" ".join(["word"] * 30))


# ── who starts it ────────────────────────────────────────────────────────────────────────────


def test_systemd_has_nothing_to_say_against_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(PYTHON, sys.executable))
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze here")

    done = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False
    )

    ours = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert (done.returncode, ours) == (0, [])


def read_unit(file: Path) -> configparser.ConfigParser:
    """Either file, whose keys may stand several times; a broken line raises."""
    reader = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes="#;")
    reader.read_string(file.read_text())
    return reader


def test_both_start_the_same_command_in_its_folder_and_wait_for_the_drain() -> None:
    unit = read_unit(UNIT)["Service"]
    program = read_unit(SUPERVISOR)["program:parley-rustpbx"]

    assert unit["ExecStart"] == program["command"] == f"{PYTHON} -m pipecat_server.main"
    assert unit["WorkingDirectory"] == program["directory"] == "/opt/parley/pipecat_server"
    assert (unit["Restart"], program["autorestart"]) == ("always", "true")
    drain_s = next(fact.default for fact in setting_facts() if fact.name == "PARLEY_DRAIN_S")
    assert int(unit["TimeoutStopSec"]) == int(program["stopwaitsecs"]) > float(drain_s)
    assert (program["stopsignal"], unit["KillMode"]) == ("TERM", "mixed")


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text.name)
def test_every_name_of_ours_is_a_setting(text: Path) -> None:
    known = {fact.name for fact in setting_facts()}
    typed = re.findall(r"\b((?:PARLEY|PIPECAT|LLM|STT|TTS|DEEPGRAM)_[A-Z_]+)=", text.read_text())

    assert typed
    assert set(typed) <= known


def test_rustpbx_s_section_is_complete() -> None:
    section = tomllib.loads((FOLDER / "config.toml").read_text())["pipecat"]

    assert set(section) == PIPECAT_KEYS
    assert section["server_url"] == "ws://localhost:8765/ws/rustpbx"
    assert section["enable_metrics"] is True
    assert section["audio"]["sample_rate"] == 16_000


# ── what stands before it ────────────────────────────────────────────────────────────────────


def free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        port: int = tried.getsockname()[1]
        return port


@asynccontextmanager
async def running(command: Sequence[str | Path], port: int, folder: Path) -> AsyncIterator[None]:
    """A proxy, from when it takes connections on."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "XDG_DATA_HOME": str(folder)},
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        while not await _takes_connections(port):
            assert process.returncode is None, (await process.stderr.read()).decode()
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.gather(process.stderr.read(), process.wait())


async def _takes_connections(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        await asyncio.sleep(0.05)
        return False
    writer.close()
    await writer.wait_closed()
    return True


def as_changed(file: Path, changes: Sequence[tuple[str, str]]) -> str:
    """The example with a user's own places; each must be in it."""
    text = file.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def nginx(folder: Path, port: int, behind: int, certificate: Path) -> list[str | Path]:
    site = folder / "site.conf"
    site.write_text(
        as_changed(
            FOLDER / "nginx.conf",
            [
                ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
                ("/etc/ssl/certs/voice.example.org.pem", str(certificate)),
                ("/etc/ssl/private/voice.example.org.key", str(certificate)),
                ("/var/log/nginx/parley-rustpbx.log", str(folder / "error.log")),
                ("127.0.0.1:8765", f"127.0.0.1:{behind}"),
            ],
        )
    )
    whole = folder / "nginx.conf"
    kept = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{name}_temp_path {folder}/{name};" for name in kept)
    whole.write_text(
        f"daemon off; pid {folder}/nginx.pid; events {{}} http {{ {temporary} include {site}; }}\n"
    )
    return [debian.nginx(), "-p", folder, "-e", folder / "error.log", "-c", whole]


def caddy(folder: Path, port: int, behind: int, certificate: Path) -> list[str | Path]:
    file = folder / "Caddyfile"
    site = as_changed(
        FOLDER / "Caddyfile",
        [
            ("voice.example.org {", f"https://localhost:{port} {{\n\tbind 127.0.0.1\n\ttls "
             f"{certificate} {certificate}"),
            ("127.0.0.1:8765", f"127.0.0.1:{behind}"),
        ],
    )  # fmt: skip
    file.write_text(f"{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{site}")
    return [shutil.which("caddy") or "caddy", "run", "--adapter", "caddyfile", "--config", file]


PROXIES = {"nginx": (nginx, debian.has_nginx), "caddy": (caddy, debian.has_caddy)}


@pytest.mark.parametrize("name", PROXIES)
async def test_a_call_goes_through_the_proxy_and_nothing_else_does(
    name: str, listening: Listening, tmp_path: Path
) -> None:
    make, is_here = PROXIES[name]
    if not is_here():
        pytest.skip(f"there is no {name} here")
    certificate, port = write_certificate(tmp_path), free_port()
    trust = ssl.create_default_context(cafile=certificate)
    house_of = pbx_house(listening, tts=FakeSynthesizer(word_ms=200), agents=[TALKER])
    async with asyncio.timeout(60), house_of as house:
        behind = int(house.address.rpartition(":")[2])
        async with running(make(tmp_path, port, behind, certificate), port, tmp_path):
            url = f"wss://localhost:{port}/ws/rustpbx"
            async with connect(url, ssl=trust, compression=None) as socket:
                client = Pbx(socket)
                listens = asyncio.create_task(client.listen())
                told = await client.until("connected")
                await client.configure("rustpbx_1")
                await client.heard(100)
                await socket.close()
                await listens
            elsewhere = await _status(port, "/secret", trust)

    assert told["type"] == "connected"
    assert elsewhere == 404


@pytest.mark.parametrize("name", PROXIES)
async def test_whoever_comes_through_a_proxy_is_no_caller_of_this_machine(
    name: str, listening: Listening, tmp_path: Path
) -> None:
    make, is_here = PROXIES[name]
    if not is_here():
        pytest.skip(f"there is no {name} here")
    certificate, port = write_certificate(tmp_path), free_port()
    trust = ssl.create_default_context(cafile=certificate)
    settings = Settings(data_dir=tmp_path, database_url="sqlite://", rustpbx=True)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings))
        access = await stack.enter_async_context(open_access(settings, store))
        known = access.rustpbx_guard.require("calls", query="token")
        house = await stack.enter_async_context(pbx_house(listening, guard=known))
        behind = int(house.address.rpartition(":")[2])
        proxy = running(make(tmp_path, port, behind, certificate), port, tmp_path)
        await stack.enter_async_context(proxy)

        async with house.pbx() as direct:
            await direct.until("connected")
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"wss://localhost:{port}/ws/rustpbx", ssl=trust)

    assert refused.value.response.status_code == 401


async def _status(port: int, path: str, trust: ssl.SSLContext) -> int:
    reader, writer = await asyncio.open_connection("localhost", port, ssl=trust)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return int(line.split()[1])
