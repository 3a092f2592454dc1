"""The four commands of requirement 004, run as they are printed, until the server answers.

What the test leaves out: the packages that Parley needs are lent by the tests' own environment, so
that pip only has to make the two that are ours, and the main port is any free one.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from dotenv import dotenv_values
from tests.transports.rustpbx.house import Pbx, pbx

from parley.settings import load_settings, setting_facts

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[2]
NAME = "pipecat_server"
PORT = 8765
LENT = ("src", "agents", "pyproject.toml", "README.md", "LICENSE", "NOTICE")
_PLACE = re.compile(r"RustPBX connects to (ws://localhost:(\d+)/ws/rustpbx)")
_TAKEN = f"Can't listen on 127.0.0.1:{PORT}"
_NO_INDEX = ("No matching distribution found for hatchling", "Could not find a version that")


def plain_environment(folder: Path) -> dict[str, str]:
    """As a user's shell has it: nothing of the tests', nothing of Parley's."""
    ours = {fact.name for fact in setting_facts()} | {"PYTHONPATH", "VIRTUAL_ENV"}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return kept | {
        "PARLEY_DATA_DIR": str(folder / "data"),
        "SERVER_PORT": "0",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_COMPILE": "1",
    }


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which the first two commands were typed: its Python is ``.venv/bin/python``."""
    folder = tmp_path_factory.mktemp("clone")
    for name in LENT:
        (folder / name).symlink_to(ROOT / name)
    bare = shutil.ignore_patterns(".env", "*.log", "__pycache__", "build")
    shutil.copytree(ROOT / NAME, folder / NAME, ignore=bare)
    subprocess.run([sys.executable, "-m", "venv", folder / ".venv"], check=True)
    python = folder / ".venv/bin/python"
    told = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    lent = sysconfig.get_path("purelib")
    Path(told.stdout.strip(), "lent.pth").write_text(f"{lent}\n")
    done = subprocess.run(
        [python, "-m", "pip", "install", "-r", "requirements.txt"],
        cwd=folder / NAME,
        env=plain_environment(folder),
        capture_output=True,
        text=True,
    )
    lacks_index = any(sign in done.stderr for sign in _NO_INDEX)
    if done.returncode and lacks_index and not os.environ.get("CI"):
        pytest.skip("pip reaches no package index for the build tool, hatchling")
    assert done.returncode == 0, done.stdout + done.stderr
    subprocess.run(["cp", ".env.example", ".env"], cwd=folder / NAME, check=True)
    return folder


@asynccontextmanager
async def started(checkout: Path) -> AsyncIterator[re.Match[str]]:
    """``python -m pipecat_server.main``, and where it says that RustPBX connects."""
    process = await asyncio.create_subprocess_exec(
        checkout / ".venv/bin/python",
        *("-m", f"{NAME}.main"),
        cwd=checkout,
        env=plain_environment(checkout),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    lines: list[str] = []
    try:
        while raw := await process.stderr.readline():
            lines.append(raw.decode())
            if found := _PLACE.search(lines[-1]):
                yield found
                break
        else:
            if any(_TAKEN in line for line in lines) and not os.environ.get("CI"):
                pytest.skip(f"another program of this machine has the port {PORT}")
            raise AssertionError("it ended:\n" + "".join(lines))
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        _, code = await process.stderr.read(), await process.wait()
    assert code == 0


@contextmanager
def only_one() -> Iterator[None]:
    """No other run of these tests on this machine is at this place at the same time."""
    with Path(tempfile.gettempdir(), f"parley-tests-{PORT}-{os.getuid()}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def edit(file: Path, **values: object) -> None:
    """What is done to ``.env`` in an editor."""
    for name, value in values.items():
        text, count = re.subn(rf"^#?{name}=.*$", f"{name}={value}", file.read_text(), flags=re.M)
        assert count == 1, name
        file.write_text(text)


def get(url: str) -> Mapping[str, object]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


async def first_word(client: Pbx) -> str:
    return str((await client.until("connected"))["server"])


async def test_the_commands_as_printed_start_a_server_that_answers_at_the_port_of_the_guide(
    checkout: Path,
) -> None:
    log = checkout / NAME / "pipecat_server.log"
    log.unlink(missing_ok=True)
    edit(checkout / NAME / ".env", PIPECAT_SERVER_PORT=PORT, LLM_MAX_TOKENS=100)

    with only_one():
        async with asyncio.timeout(120), started(checkout) as place:
            health = await asyncio.to_thread(get, f"http://localhost:{PORT}/health")
            async with pbx(place[1]) as client:
                server = await first_word(client)

    assert health["status"] == "healthy"
    assert int(place[2]) == PORT
    assert server
    assert "rustpbx_listening" in log.read_text()


async def test_another_port_may_be_named_in_the_file(checkout: Path) -> None:
    edit(checkout / NAME / ".env", PIPECAT_SERVER_PORT=0)

    async with asyncio.timeout(120), started(checkout) as place:
        health = await asyncio.to_thread(get, f"http://localhost:{place[2]}/health")

    assert health["status"] == "healthy"


@pytest.mark.parametrize("where", [".", NAME])
def test_the_command_reads_the_same_settings_within_its_folder_and_above_it(
    checkout: Path, where: str
) -> None:
    env_file = checkout / NAME / ".env"
    edit(env_file, SAMPLE_RATE=44_100)

    done = subprocess.run(
        [checkout / ".venv/bin/python", "-m", f"{NAME}.main"],
        cwd=checkout / where,
        env=plain_environment(checkout),
        capture_output=True,
        text=True,
    )
    edit(env_file, SAMPLE_RATE=16_000)

    assert done.returncode == 2
    assert done.stderr.startswith("parley: SAMPLE_RATE=44100 is not allowed")


def test_without_the_packages_the_command_says_which_to_install(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-m", f"{NAME}.main"], cwd=ROOT, capture_output=True, text=True
    )

    assert done.returncode == 2
    assert "pip install -r requirements.txt" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_example_has_the_requirement_s_names_and_values_and_is_safe_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = ROOT / NAME / ".env.example"
    for fact in setting_facts():
        monkeypatch.delenv(fact.name, raising=False)
    values = dotenv_values(file)

    settings = load_settings(env_file=file)

    settings.require_safe_rustpbx()
    assert settings.opens_rustpbx
    assert set(values) <= {fact.name for fact in setting_facts()}
    assert (settings.rustpbx_host, settings.rustpbx_port) == ("127.0.0.1", PORT)
    wanted = {
        "LLM_MODEL": "gpt-4o-mini",
        "LLM_MAX_TOKENS": "150",
        "LLM_TEMPERATURE": "0.7",
        "TTS_MODEL": "aura-asteria-en",
        "STT_MODEL": "nova",
        "STT_LANGUAGE": "en",
        "LOG_LEVEL": "INFO",
        "DEEPGRAM_API_KEY": "",
        "OPENAI_API_KEY": "",
    }
    assert {name: values[name] for name in wanted} == wanted
