"""The integration test of the Docker stack: up, a spoken call, down, up again, models still there.

Requirement 001 asks for it. It runs wherever Docker with Compose is; the first run downloads
about 5 GB and takes as long as that does. ``--keep`` leaves the stack running.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import httpx  # noqa: E402 - the benches' caller lies beside the scripts, not in a package
from bench.caller import Caller, CallFailed, Mouth  # noqa: E402
from bench.speech import Utterance, speak_all  # noqa: E402

UP_LIMIT_S = 3600.0
TURN_LIMIT_S = 60.0
POLL_S = 5.0
NAME, QUESTION = "My name is Anna.", "What is my name?"


class StackFailed(Exception):
    """The stack did not do what it must; the message says what."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/test-stack", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the stack running")
    keep: bool = parser.parse_args().keep
    url = f"http://127.0.0.1:{os.environ.get('SERVER_PORT', '7860')}"
    try:
        asyncio.run(_test(url))
    except (StackFailed, CallFailed) as failure:
        print(f"test-stack: {failure}", file=sys.stderr)
        return 1
    finally:
        if not keep:
            with suppress(StackFailed):
                _compose("down")
    print("The stack works.")
    return 0


async def _test(url: str) -> None:
    name, question = await speak_all([NAME, QUESTION])
    await _up(url)
    await _converse(url, name, question)
    before = _models()
    # Without --volumes: what was fetched must outlive its containers.
    _compose("down")
    await _up(url)
    if missing := before - _models():
        raise StackFailed(f"these models were lost in the restart: {', '.join(sorted(missing))}")
    await _converse(url, name, question)


async def _up(url: str) -> None:
    _compose("up", "--detach", "--build", "--wait")
    started_s = time.monotonic()
    async with httpx.AsyncClient(base_url=url, timeout=15) as http:
        while True:
            health = await _health(http)
            checks = health.get("checks", {})
            if checks.get("speaches") is True and checks.get("ollama") is True:
                print(f"up after {time.monotonic() - started_s:.0f} s")
                return
            if time.monotonic() - started_s > UP_LIMIT_S:
                raise StackFailed(f"it is still not healthy: {json.dumps(health)}")
            print(f"waiting: {json.dumps(health)}", flush=True)
            await asyncio.sleep(POLL_S)


async def _health(http: httpx.AsyncClient) -> dict[str, Any]:
    try:
        return (await http.get("/health")).json()
    except httpx.HTTPError as error:
        return {"error": str(error)}


async def _converse(url: str, name: Utterance, question: Utterance) -> None:
    """Sound comes back, and the second answer knows what was said before the first."""
    mouth = Mouth()
    async with (
        httpx.AsyncClient(base_url=url, timeout=60) as http,
        Caller(http, iter(mouth)) as caller,
    ):
        await _agent_heard(caller, 0)
        position = len(caller.events)
        await mouth.say(name)
        await _agent_heard(caller, position)
        position = len(caller.events)
        await mouth.say(question)
        ended = await _agent_heard(caller, position)
        if "anna" not in str(ended.get("heard", "")).casefold():
            raise StackFailed(f"the context was lost: it answered {ended.get('heard')!r}")


async def _agent_heard(caller: Caller, position: int) -> dict[str, Any]:
    if await caller.event("agent_speech_started", position, TURN_LIMIT_S) is None:
        raise StackFailed("no sound came back")
    ended = await caller.event("turn_ended", position, TURN_LIMIT_S)
    if ended is None:
        raise StackFailed("the reply never ended")
    return ended


def _models() -> set[str]:
    listed = _compose("exec", "--no-TTY", "parley", "parley", "models", "list")
    return {line.split()[0] for line in listed.splitlines() if line.rstrip().endswith("here")}


def _compose(*arguments: str) -> str:
    command = ["docker", "compose", *arguments]
    print(" ".join(command), flush=True)
    try:
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    except FileNotFoundError as error:
        raise StackFailed("there is no docker here. Install Docker with Compose.") from error
    if done.returncode:
        raise StackFailed(f"{' '.join(command)} failed with status {done.returncode}.")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
