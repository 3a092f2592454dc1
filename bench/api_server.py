"""The audio routes on the built-in engines, alone in a process: what ``bench api`` measures."""

from __future__ import annotations

import argparse

import uvicorn
import uvloop
from fastapi import FastAPI

from bench.paced import PACED, PacedHearing, PacedSpeech
from parley.api.errors import install_error_handlers
from parley.api.openai.engines import CatalogDesk, HearingEngine, SpeakingEngine, open_to_all
from parley.api.openai.speech import speech_router
from parley.api.openai.transcriptions import AudioLimits, transcription_router
from parley.api.openai.uploads import UploadLimits
from parley.api.request_id import RequestIds
from parley.api.unread_bodies import UnreadBodies
from parley.core.call import DEFAULT_TENANT
from parley.core.log import setup_logging
from parley.engines.catalog import EngineCatalog
from parley.engines.found import find_engines
from parley.engines.vad.silero import SileroVad

LIMITS = AudioLimits(UploadLimits(25 * 1024 * 1024, stall_s=30.0), longest_s=3600.0)


class BenchDesk(CatalogDesk):
    """The catalog's engines, and those whose pace is known."""

    def __init__(self, catalog: EngineCatalog) -> None:
        super().__init__(catalog)
        self.speech = PacedSpeech()
        self.ear = PacedHearing()

    async def speaking(self, model: str, tenant: str) -> SpeakingEngine:
        if model == PACED:
            return SpeakingEngine(self.speech, PACED, PACED)
        return await super().speaking(model, tenant)

    async def hearing(self, model: str, tenant: str) -> HearingEngine:
        if model == PACED:
            return HearingEngine(self.ear, PACED, PACED)
        return await super().hearing(model, tenant)


async def serve(port: int) -> None:
    catalog = EngineCatalog(find_engines(), {})
    desk = BenchDesk(catalog)
    vad = SileroVad()
    vad.warm_up()
    await desk.speaking("builtin", DEFAULT_TENANT)
    await desk.hearing("builtin", DEFAULT_TENANT)
    web = FastAPI()
    install_error_handlers(web)
    web.add_middleware(UnreadBodies)
    web.add_middleware(RequestIds)
    web.add_api_route("/health/ready", ready)
    web.include_router(speech_router(desk, open_to_all, stall_s=30.0))
    web.include_router(transcription_router(desk, vad, open_to_all, LIMITS))
    config = uvicorn.Config(
        web,
        host="127.0.0.1",
        port=port,
        log_config=None,
        lifespan="off",
        access_log=False,
        # The bare engine has its turn while these connections wait.
        timeout_keep_alive=600,
    )
    try:
        await uvicorn.Server(config).serve()
    finally:
        await catalog.close()


async def ready() -> dict[str, str]:
    return {"status": "ready"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    setup_logging("WARNING")
    uvloop.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
