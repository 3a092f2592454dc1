"""``parley call``: have the running server call somebody, and follow the call to its end."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping
from typing import Any, cast

from parley.cli.verb import OK, PROBLEMS, Argument, Verb, settings_of
from parley.core.errors import BadRequest, ConnectFailed
from parley.core.log import setup_logging
from parley.settings import Settings

LOOK_S = 0.5
ANSWER_LIMIT_S = 20.0
LOST_LOOKS = 4
_ANY_ADDRESS = ("0.0.0.0", "::", "")
_KEY = (
    "parley call shows the key in PARLEY_KEY, which needs both scopes: "
    "parley keys create --name NAME --scopes outbound,calls."
)
_SPEAKERS = {"user": "caller", "agent": "agent"}


def _call(given: argparse.Namespace) -> int:
    settings = settings_of(given)
    wish: dict[str, Any] = {
        "to": given.target,
        "agent": getattr(given, "setting_agent", ""),
        "from": given.caller,
        "ring_timeout_s": given.ring_timeout,
        "greeting": given.greeting,
        "answering_machine": given.answering_machine,
        "message": given.message,
    }
    setup_logging("WARNING")
    try:
        return asyncio.run(_follow(settings, given.url, wish))
    except KeyboardInterrupt:
        return PROBLEMS


async def _follow(settings: Settings, url: str, wish: Mapping[str, Any]) -> int:
    # Only those who call need an HTTP client.
    import httpx

    key = settings.key.get_secret_value()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    base = url or _address(settings)
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=ANSWER_LIMIT_S) as client:
        server = _Server(client, base)
        # Who may not see calls would have somebody's telephone ring, and not know what came of it.
        await server.ask("GET", "/v1/calls?limit=1")
        call = await server.ask("POST", "/v1/calls", wish)
        print(f"Calling {wish['to']} ({call['id']}).", flush=True)
        try:
            return await _watch(server, call)
        except asyncio.CancelledError:
            print("Hanging up.", flush=True)
            await server.ask("POST", f"/v1/calls/{call['id']}/hangup")
            raise


async def _watch(server: _Server, call: Mapping[str, Any]) -> int:
    path, was_live, shown, lost = f"/v1/calls/{call['id']}", False, 0, 0
    while True:
        call = await server.ask("GET", path)
        if call["status"] == "live" and not was_live:
            was_live = True
            print("Somebody answered.", flush=True)
        said = await server.ask("GET", f"{path}/transcript")
        turns = cast("list[dict[str, Any]]", said["data"])
        for turn in turns[shown:]:
            print(f"  {_SPEAKERS[turn['role']]}: {turn['text']}", flush=True)
        # A call may begin and end between two looks.
        shown, was_live = len(turns), was_live or bool(turns)
        # Between its end and the store's word of it a call is nowhere.
        lost = lost + 1 if call["status"] == "unknown" else 0
        if call["status"] == "ended" or lost > LOST_LOOKS:
            print(f"The call is over: {call['reason'] or 'unknown'}.", flush=True)
            return OK if was_live else PROBLEMS
        await asyncio.sleep(LOOK_S)


class _Server:
    """The running server, asked over HTTP."""

    def __init__(self, client: Any, base: str) -> None:
        self._client = client
        self._base = base

    async def ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """The JSON of its answer. Raises ``ConnectFailed`` and ``BadRequest``."""
        import httpx

        try:
            answer = await self._client.request(method, path, json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ConnectFailed(
                f"No Parley answers at {self._base}: {error or type(error).__name__}.",
                hint="Start it with parley serve, or name another with --url.",
            ) from error
        found: Any = None
        if answer.headers.get("content-type", "").startswith("application/json"):
            found = answer.json()
        if answer.is_success and isinstance(found, dict):
            return cast("dict[str, Any]", found)
        raise BadRequest(
            _complaint(found) or f"{self._base} answered {answer.status_code}.",
            hint=_KEY if answer.status_code in (401, 403) else "",
        )


def _complaint(found: Any) -> str:
    """The sentence in an error's envelope."""
    error = cast("dict[str, Any]", found).get("error") if isinstance(found, dict) else None
    return str(cast("dict[str, Any]", error).get("message", "")) if isinstance(error, dict) else ""


def _address(settings: Settings) -> str:
    host = "127.0.0.1" if settings.server_host in _ANY_ADDRESS else settings.server_host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.server_port}"


CALL = Verb(
    ("call",),
    "Have the running server call somebody, and follow the call; --agent names who talks.",
    _call,
    takes=(
        Argument("target", "sip:…, sips:… or tel:…", {"metavar": "TARGET"}),
        Argument(
            "--url", "the server, if not at --host and --port", {"default": "", "metavar": "URL"}
        ),
        Argument("--from", "as whom to call", {"default": "", "metavar": "URI", "dest": "caller"}),
        Argument(
            "--ring-timeout",
            "how many seconds to let it ring",
            {"type": float, "default": 45.0, "metavar": "S"},
        ),
        Argument("--greeting", "the first words", {"default": "", "metavar": "TEXT"}),
        Argument(
            "--answering-machine",
            "what to do when a machine answers",
            {
                "choices": ("ignore", "go_on", "hang_up", "leave_message"),
                "default": "ignore",
            },
        ),
        Argument("--message", "what a machine is told", {"default": "", "metavar": "TEXT"}),
    ),
)
