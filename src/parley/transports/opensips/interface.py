"""OpenSIPS's management interface: JSON-RPC 2.0, one UDP datagram for each command and answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from itertools import count
from typing import Any, cast

from parley.transports.sip.addresses import write_host
from parley.transports.sip.grammar import printable

# What fits into a datagram that OpenSIPS reads.
LARGEST_COMMAND_BYTES = 65_456


class InterfaceTrouble(Exception):
    """A command came to nothing."""


class InterfaceSilent(InterfaceTrouble):
    """Nobody answers."""


class CommandRefused(InterfaceTrouble):
    """OpenSIPS understood, and says no."""

    def __init__(self, command: str, code: int, text: str) -> None:
        super().__init__(f"{command}: {code} {text}".strip())
        self.code = code


class ManagementInterface(asyncio.DatagramProtocol):
    """Sends commands and finds each answer by its number.

    Only what comes from the interface's own address and port is read. ``ask`` opens the socket when
    it is closed, so that a host name is looked up again after every failure.
    """

    def __init__(self, host: str, port: int, *, answer_s: float = 0.5, tries: int = 3) -> None:
        self._place = host, port
        self._answer_s = answer_s
        self._tries = tries
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._wire: asyncio.DatagramTransport | None = None
        self._opening = asyncio.Lock()
        self.own_host = ""
        """The address that this machine has towards the interface, once there was a way to it."""
        self.far_host = ""
        """The interface's own address, likewise."""

    @property
    def place(self) -> str:
        """``host:port``, for people."""
        return f"{write_host(self._place[0])}:{self._place[1]}"

    async def open(self) -> None:
        """Raises ``InterfaceSilent`` where there is no way to it."""
        async with self._opening:
            if self._wire is not None:
                return
            loop = asyncio.get_running_loop()
            try:
                self._wire, _ = await loop.create_datagram_endpoint(
                    lambda: self, remote_addr=self._place
                )
            except (OSError, UnicodeError) as error:
                raise InterfaceSilent(f"{self.place} can't be reached: {error}") from error
            self.own_host = str(self._wire.get_extra_info("sockname")[0])
            self.far_host = str(self._wire.get_extra_info("peername")[0])

    def close(self) -> None:
        """Give up what waits. May be repeated."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()
        self._give_up("the connection was closed")

    async def ask(
        self, command: str, parameters: Mapping[str, object], *, is_repeatable: bool = True
    ) -> Any:
        """The command's result. Raises ``InterfaceSilent`` and ``CommandRefused``.

        A command that may be carried out twice is sent again while nobody answers.
        """
        await self.open()
        number = next(self._numbers)
        request = {"jsonrpc": "2.0", "id": number, "method": command, "params": dict(parameters)}
        data = json.dumps(request, ensure_ascii=False).encode("utf-8", "replace")
        if len(data) > LARGEST_COMMAND_BYTES:
            raise CommandRefused(command, 413, f"{len(data)} bytes fit into no datagram")
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            said = await self._exchange(data, answer, self._tries if is_repeatable else 1)
        finally:
            self._waiting.pop(number, None)
        if "error" in said:
            raise _refusal(command, said["error"])
        return said.get("result")

    async def _exchange(
        self, data: bytes, answer: asyncio.Future[dict[str, Any]], tries: int
    ) -> dict[str, Any]:
        for _ in range(tries):
            if self._wire is not None:
                self._wire.sendto(data)
            await asyncio.wait([answer], timeout=self._answer_s)
            if answer.done():
                return answer.result()
        raise InterfaceSilent(f"{self.place} doesn't answer")

    # ── asyncio.DatagramProtocol ─────────────────────────────────────────────────────────

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        said = read_object(data)
        number = said.get("id")
        answer = self._waiting.get(number) if isinstance(number, int) else None
        if answer is not None and not answer.done() and ("result" in said or "error" in said):
            answer.set_result(said)

    def error_received(self, exc: Exception) -> None:
        """The system says that nobody listens there."""
        self._give_up(str(exc))

    def _give_up(self, why: str) -> None:
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(InterfaceSilent(f"{self.place} doesn't answer: {why}"))


def read_object(data: bytes) -> dict[str, Any]:
    """A JSON object; {} where it is none."""
    try:
        found: object = json.loads(data.decode("utf-8", "replace"), strict=False)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _refusal(command: str, error: object) -> CommandRefused:
    said = cast("dict[str, object]", error) if isinstance(error, dict) else {}
    code = said.get("code")
    text = printable(str(said.get("message", "")))[:200]
    return CommandRefused(command, code if isinstance(code, int) else 0, text)
