"""The telephone's media stack by itself: every caller hears what it says."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import dataclass, field

import uvloop
from aiohttp import web

from parley.transports.sip.rtp.codecs import CODECS
from parley.transports.sip.rtp.line import LineOptions, PhoneLine
from parley.transports.sip.rtp.ports import PortRange
from parley.transports.webrtc.opus import Libopus
from parley.transports.wheel import Wheel

HOST = "127.0.0.1"
# As far as the callers' clocks and ours may differ before something is thrown away.
AHEAD_LIMIT_MS = 200


class Echo:
    """A call that says what it hears."""

    def __init__(self) -> None:
        self.line: PhoneLine | None = None

    def on_sound(self, pcm: bytes) -> None:
        if self.line is not None and self.line.playout.held_ms < AHEAD_LIMIT_MS:
            self.line.playout.put(pcm)

    def on_digit(self, digit: str) -> None: ...

    def on_media(self) -> None: ...

    def on_hold(self, is_held: bool) -> None: ...

    def on_silence(self) -> None: ...


@dataclass
class EchoHouse:
    """Opens calls when it is asked to, and says what became of their packets."""

    ports: PortRange
    wheel: Wheel
    libopus: Libopus
    lines: list[PhoneLine] = field(default_factory=list[PhoneLine])

    async def open_call(self, request: web.Request) -> web.Response:
        codec = CODECS[request.query["codec"]]
        rate_hz = int(request.query.get("rate_hz", codec.heard_hz))
        options = LineOptions(codecs=(codec,), heard_hz=rate_hz, voice_hz=rate_hz)
        echo = Echo()
        line = PhoneLine(options, self.ports, self.wheel, echo, libopus=self.libopus)
        echo.line = line
        self.lines.append(line)
        line.playout.start_utterance()
        return web.Response(text=line.answer(await request.text()))

    async def counters(self, _: web.Request) -> web.Response:
        total: dict[str, float] = {"skipped_slots": self.wheel.skipped_slots}
        for line in self.lines:
            for name, value in line.counters().items():
                total[name] = total.get(name, 0) + value
        return web.json_response(total)

    async def ready(self, _: web.Request) -> web.Response:
        return web.Response()

    async def close(self, _: web.Application) -> None:
        for line in self.lines:
            line.close()
        self.wheel.close()


async def serve(port: int) -> None:
    house = EchoHouse(PortRange(HOST, 30_000, 39_999), Wheel(), Libopus())
    app = web.Application()
    app.add_routes(
        [
            web.get("/health/ready", house.ready),
            web.get("/counters", house.counters),
            web.post("/calls", house.open_call),
        ]
    )
    app.on_cleanup.append(house.close)
    runner = web.AppRunner(app, handle_signals=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
