"""The API bench: its server and its client still understand each other."""

from __future__ import annotations

from bench.api import BUILTIN, RATE_HZ, Web
from bench.paced import PACED
from bench.server import Server, python_module
from bench.speech import synthesize


async def test_the_server_of_the_bench_answers_what_its_client_asks() -> None:
    pcm = await synthesize("Good morning.", RATE_HZ)

    async with Server(python_module("bench.api_server")) as server:
        web = Web(server.port)
        took_ms = [
            await web.speech("mp3", PACED)(),
            await web.speech("pcm", BUILTIN)(),
            await web.transcription(pcm, PACED)(),
            await web.transcription(pcm, BUILTIN)(),
        ]
        web.close()

    # Anything but a whole answer with status 200 raises.
    assert all(took_ms)
