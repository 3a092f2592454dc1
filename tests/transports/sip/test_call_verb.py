"""``parley call``: the running server calls somebody, and the command tells how that goes."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from parley.cli.commands import run
from tests.e2e.server import running_server
from tests.transports.sip.callee import Callee
from tests.transports.sip.caller import phone_caller

pytestmark = pytest.mark.timeout(240)

TELEPHONE = {"PARLEY_SIP": "true", "PARLEY_SIP_PORT": "0", "LOG_LEVEL": "WARNING"}


class Desk:
    """Somebody at the keyboard of the server's machine."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    async def type(self, *words: str) -> tuple[int, str]:
        """The exit code, and all that was said."""
        code = await asyncio.to_thread(run, words)
        said = self._capsys.readouterr()
        return code, said.out + said.err

    async def key(self, name: str, scopes: str) -> str:
        _, said = await self.type("keys", "create", "--name", name, "--scopes", scopes)
        key = re.search(r"pk_\S+", said)
        assert key is not None
        return key[0]

    def set(self, name: str, value: str) -> None:
        self._monkeypatch.setenv(name, value)


@pytest.fixture
def desk(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Desk:
    desk = Desk(capsys, monkeypatch)
    desk.set("PARLEY_DATA_DIR", str(tmp_path))
    return desk


async def test_a_command_calls_somebody_and_follows_the_call(tmp_path: Path, desk: Desk):
    async with running_server(tmp_path, TELEPHONE) as server, phone_caller(9) as caller:
        callee = Callee(caller)
        call = ("call", callee.address, "--url", server.url.replace("localhost", "127.0.0.1"))
        closed = await desk.type(*call)
        desk.set("PARLEY_KEY", await desk.key("half", "outbound"))
        unseen = await desk.type(*call)
        desk.set("PARLEY_KEY", await desk.key("me", "outbound,calls"))
        busy = asyncio.create_task(desk.type(*call))
        await callee.refuse("486 Busy Here")
        told_busy = await busy
        answered = asyncio.create_task(desk.type(*call))
        await callee.answer()
        await caller.hear(1500)
        caller.leave()
        told = await answered

    assert closed[0] == 2 and "scope outbound" in closed[1]
    assert unseen[0] == 2 and "Calling" not in unseen[1] and "outbound,calls" in unseen[1]
    assert told_busy[0] == 1 and "The call is over: busy." in told_busy[1]
    assert told[0] == 0
    assert "Somebody answered." in told[1] and "  agent: " in told[1]
    assert "The call is over: caller." in told[1]


async def test_where_no_server_runs_the_command_says_so(desk: Desk):
    code, said = await desk.type("call", "sip:a@127.0.0.1", "--url", "http://127.0.0.1:9")

    assert code == 2
    assert said.startswith("parley: No Parley answers at http://127.0.0.1:9")
