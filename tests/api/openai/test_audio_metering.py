"""Quotas: what is reserved before sound is made or heard, and what is charged in the end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import openai
import pytest
from fastapi import Request

from parley.api.openai.engines import open_to_all
from parley.api.openai.speech import speech_router
from parley.api.openai.transcriptions import transcription_router
from parley.core.errors import QuotaExceeded
from parley.engines.vad.silero import SileroVad
from parley.store.records import Amounts
from parley.testing.engines import FakeTranscriber
from parley.testing.speech import FakeSynthesizer
from tests.api.openai.served import LIMITS, OneEngine, audio_house, encoded, served


class Books:
    """Notes what was reserved and charged; ``left`` is all there is."""

    def __init__(self, left: Amounts) -> None:
        self.left = left
        self.reserved: list[Amounts] = []
        self.charged: list[Amounts] = []

    @asynccontextmanager
    async def metered(
        self, request: Request, wanted: Amounts, used: Callable[[], Amounts]
    ) -> AsyncGenerator[None]:
        if self.left.at_least(wanted) != self.left:
            raise QuotaExceeded("There is no more.")
        self.reserved.append(wanted)
        try:
            yield
        finally:
            self.charged.append(used())


@asynccontextmanager
async def metered_house(books: Books, desk: OneEngine) -> AsyncGenerator[openai.AsyncOpenAI]:
    web = audio_house(desk)
    web.router.routes.clear()
    web.include_router(speech_router(desk, open_to_all, stall_s=5, meter=books))
    web.include_router(transcription_router(desk, SileroVad(), open_to_all, LIMITS, meter=books))
    async with served(web) as server, server.sdk() as client:
        yield client


async def test_speech_is_charged_by_its_characters() -> None:
    books = Books(Amounts(characters=100))

    async with metered_house(books, OneEngine(speaks=FakeSynthesizer())) as client:
        await client.audio.speech.create(model="m", voice="fake", input="one two")

    assert books.reserved == books.charged == [Amounts(characters=7)]


async def test_speech_that_failed_before_it_was_heard_is_free() -> None:
    books = Books(Amounts(characters=100))

    async with metered_house(books, OneEngine(speaks=FakeSynthesizer(fails_on="o"))) as client:
        with pytest.raises(openai.InternalServerError):
            await client.audio.speech.create(model="m", voice="fake", input="one")

    assert books.charged == [Amounts()]


async def test_a_recording_is_charged_by_its_length() -> None:
    books = Books(Amounts(ms=100_000))
    file = encoded(bytes(32_000 * 3), "flac", "flac")

    async with metered_house(books, OneEngine(hears=FakeTranscriber())) as client:
        await client.audio.transcriptions.create(model="m", file=file)

    assert books.reserved == books.charged == [Amounts(ms=3000)]


@pytest.mark.parametrize("route", ["speech", "transcription"])
async def test_without_quota_nothing_is_done(route: str) -> None:
    speaks, hears = FakeSynthesizer(), FakeTranscriber("x")
    file = encoded(bytes(32_000 * 3), "flac", "flac")

    async with metered_house(Books(Amounts()), OneEngine(speaks=speaks, hears=hears)) as client:
        with pytest.raises(openai.RateLimitError) as caught:
            if route == "speech":
                await client.audio.speech.create(model="m", voice="fake", input="one")
            else:
                await client.audio.transcriptions.create(model="m", file=file)

    assert caught.value.code == "insufficient_quota"
    assert (speaks.texts, hears.asked) == ([], 0)
