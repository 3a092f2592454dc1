"""Requirement 001's properties of Speaches, against a server that speaks its protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types.audio import SpeechCreateParams
from openai.types.audio.transcription_create_params import TranscriptionCreateParamsBase
from openai.types.audio.translation_create_params import TranslationCreateParams
from pydantic import TypeAdapter

from parley.core.audio import Audio
from parley.core.errors import EngineFailed
from parley.engines.options import options_for
from parley.engines.spec import SpeechOptions, TranscribeOptions
from parley.engines.stt import speaches as hearing
from parley.engines.stt.speaches import SpeachesTranscriber
from parley.engines.tts import speaches as speaking
from parley.engines.tts.speaches import SpeachesSpeech
from parley.engines.wish import EngineWish
from tests.engines.servers.speaches import (
    BIG_WHISPER,
    KOKORO,
    KOKORO_VOICES,
    PARAKEET,
    PIPER,
    WHISPER,
    Fault,
    SpeachesServer,
    tone,
)

RATE_HZ = 16_000
HEARING, SPEAKING = (WHISPER, BIG_WHISPER, PARAKEET), (KOKORO, PIPER)
# Of the agents whose server hangs: as long again as the sound lasts, and this.
IMPATIENT_S = 0.3

a_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
thorough = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Stack:
    """A Speaches server with the agent's ear and voice set up as settings would."""

    def __init__(self, server: SpeachesServer, values: dict[str, Any], **options: Any) -> None:
        self.server = server
        wish = EngineWish("speaches", options=options)
        self.ear = SpeachesTranscriber(self._options(hearing.SPEC, wish, values))
        self.voice = SpeachesSpeech(self._options(speaking.SPEC, wish, values))

    async def hear(self, duration_ms: int = 80, **options: Any) -> str:
        async with aclosing(
            self.ear.transcribe(_sound(duration_ms), TranscribeOptions(**options))
        ) as parts:
            return " ".join([part.text async for part in parts if part.final])

    async def speak(self, text: str = "Hello.", **options: Any) -> float:
        async with aclosing(self.voice.synthesize(text, SpeechOptions(**options))) as sounds:
            return sum([sound.duration_ms async for sound in sounds])

    def forgive(self) -> None:
        """The pause of the circuit breakers is over."""
        for engine in (self.ear, self.voice):
            for instance in engine._servers.all:
                instance.breaker.succeeded()

    async def close(self) -> None:
        await self.ear.close()
        await self.voice.close()

    @staticmethod
    def _options(spec: Any, wish: EngineWish, values: dict[str, Any]) -> Any:
        return options_for(spec, wish, values)


async def _sound(duration_ms: int) -> AsyncIterator[Audio]:
    yield Audio(tone(duration_ms, RATE_HZ), RATE_HZ)


@asynccontextmanager
async def stack(
    *present: str, values: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[Stack]:
    with TemporaryDirectory() as folder:
        async with SpeachesServer(Path(folder), *present) as server:
            built = Stack(server, {"SPEACHES_BASE_URL": server.url, **(values or {})}, **options)
            try:
                yield built
            finally:
                await built.close()


# Feature: pipecat-voice-agent, Property 5: Speaches Service Connectivity
@thorough
@given(
    host=st.sampled_from(["127.0.0.1", "localhost"]),
    ending=st.sampled_from(["", "/", "/v1", "/v1/"]),
    key=st.sampled_from(["", "secret", "long-" * 20]),
    ear=st.sampled_from([*HEARING, None]),
    mouth=st.sampled_from([*SPEAKING, None]),
)
async def test_speaches_is_reached_at_whatever_endpoint_is_configured(
    host: str, ending: str, key: str, ear: str | None, mouth: str | None
) -> None:
    with TemporaryDirectory() as folder:
        async with SpeachesServer(Path(folder), *HEARING, *SPEAKING, key=key) as server:
            endpoint = server.url.replace("127.0.0.1", host) + ending
            named = {"STT_MODEL": ear, "TTS_MODEL": mouth, "PARLEY_SPEACHES_API_KEY": key}
            values = {name: value for name, value in named.items() if value}
            agent = Stack(server, {"SPEACHES_BASE_URL": endpoint, **values})
            states = [await agent.ear.check(), await agent.voice.check()]
            health = [*await agent.ear.health(), *await agent.voice.health()]
            heard, spoken_ms = await agent.hear(), await agent.speak()
            await agent.close()

    assert [(state.ok, state.detail) for state in states] == [
        (True, ear or hearing.DEFAULT_MODEL),
        (True, mouth or speaking.DEFAULT_MODEL),
    ]
    assert all(each.is_reachable and each.has_model for each in health)
    assert heard == server.text
    assert spoken_ms > 0


# Feature: pipecat-voice-agent, Property 6: OpenAI-Compatible API Format
@thorough
@given(
    model=st.sampled_from(HEARING),
    duration_ms=st.integers(60, 500),
    language=st.sampled_from(["", "auto", "en", "de-AT", "zh_CN", "PT-br"]),
    prompt=a_text,
    words=st.booleans(),
    translate=st.booleans(),
)
async def test_every_stt_request_is_in_openais_format(
    model: str, duration_ms: int, language: str, prompt: str, words: bool, translate: bool
) -> None:
    async with stack(model, values={"STT_MODEL": model}) as agent:
        await agent.hear(
            duration_ms, language=language, prompt=prompt, words=words, translate=translate
        )
        (posted,) = agent.server.posted

    known = TranslationCreateParams if translate else TranscriptionCreateParamsBase
    extensions = {"without_timestamps", "stream"}
    names = {name.removesuffix("[]") for name in posted.fields}
    assert posted.route == ("translations" if translate else "transcriptions")
    assert names - extensions <= set(known.__annotations__)
    assert posted.fields["model"] == model
    assert posted.fields["response_format"] in ("json", "verbose_json")
    assert posted.fields.get("prompt", "") == prompt
    assert posted.fields.get("language", "en") in ("en", "de", "zh", "pt")
    assert (posted.file_name, posted.file_type) == ("audio.wav", "audio/wav")
    assert (posted.rate_hz, posted.pcm) == (RATE_HZ, tone(duration_ms, RATE_HZ))


# Feature: pipecat-voice-agent, Property 6: OpenAI-Compatible API Format
@thorough
@given(
    model=st.sampled_from(SPEAKING),
    text=a_text.filter(lambda text: any(letter.isalnum() for letter in text)),
    voice=st.sampled_from(["", "alloy", *KOKORO_VOICES]),
    speed=st.floats(0.1, 8.0),
    instructions=a_text,
)
async def test_every_tts_request_is_in_openais_format(
    model: str, text: str, voice: str, speed: float, instructions: str
) -> None:
    async with stack(model, values={"TTS_MODEL": model}) as agent:
        spoken_ms = await agent.speak(text, voice=voice, speed=speed, instructions=instructions)
        (body,) = agent.server.spoken

    standard = {name: value for name, value in body.items() if name != "sample_rate"}
    TypeAdapter(SpeechCreateParams).validate_python(standard)
    assert set(standard) <= set(SpeechCreateParams.__annotations__)
    assert (body["model"], body["input"]) == (model, text.strip())
    assert body["response_format"] == "pcm"
    assert 0.25 <= body.get("speed", 1.0) <= 4.0
    assert body["voice"] == voice or not voice
    assert spoken_ms > 0


# Feature: pipecat-voice-agent, Property 7: Speaches Error Handling
@thorough
@given(
    troubles=st.lists(st.sampled_from(["away", "no model", *Fault]), min_size=1, max_size=3),
    hears=st.booleans(),
)
async def test_whatever_speaches_does_the_agent_is_told_and_goes_on(
    troubles: list[str | Fault], hears: bool
) -> None:
    patience_s = IMPATIENT_S if Fault.HANG in troubles else 30.0

    async with stack(*HEARING, *SPEAKING, timeout_s=patience_s) as agent:
        task = agent.hear if hears else agent.speak
        for trouble in troubles:
            agent.forgive()
            await _befall(agent.server, trouble)
            outcome = await asyncio.gather(task(), return_exceptions=True)
            states = [await agent.ear.check(), await agent.voice.check()]
            await agent.ear.health()
            await agent.voice.warm_up()
            assert isinstance(outcome[0], EngineFailed)
            assert all(state.ok or (state.detail and state.hint) for state in states)
            await _mend(agent.server, trouble)
        agent.forgive()
        assert await agent.hear() == agent.server.text
        assert await agent.speak() > 0


async def _befall(server: SpeachesServer, trouble: str | Fault) -> None:
    if isinstance(trouble, Fault):
        server.faults.append(trouble)
    elif trouble == "away":
        await server.stop()
    else:
        server.forget(WHISPER, KOKORO)


async def _mend(server: SpeachesServer, trouble: str | Fault) -> None:
    server.faults.clear()
    if trouble == "away":
        await server.start_again()
    elif trouble == "no model":
        server.keep(WHISPER)
        server.keep(KOKORO)


# Feature: pipecat-voice-agent, Property 8: Model Persistence Across Restarts
@thorough
@given(
    wanted=st.lists(st.sampled_from([*HEARING, *SPEAKING]), min_size=1, unique=True),
    removed=st.sampled_from([*HEARING, *SPEAKING, None]),
    restarts=st.integers(1, 3),
)
async def test_models_that_were_fetched_are_there_and_work_after_restarts(
    wanted: list[str], removed: str | None, restarts: int
) -> None:
    async with stack() as agent:
        for model in wanted:
            async with aclosing(agent.ear.pull(model)) as steps:
                told = [step async for step in steps]
            assert told[-1].says == "is here"
        kept = [model for model in wanted if model != removed]
        if removed in wanted:
            await agent.ear.remove(removed)
        for _ in range(restarts):
            await agent.server.stop()
            await agent.server.start_again()
        agent.server.paths.clear()

        present = {model.id for model in await agent.ear.models() if model.is_present}
        work = [await _works(agent.server, model) for model in kept]

    assert present == set(kept)
    assert all(work)
    assert not [path for path in agent.server.paths if path.startswith("POST /v1/models")]


async def _works(server: SpeachesServer, model: str) -> bool:
    name = "STT_MODEL" if model in HEARING else "TTS_MODEL"
    agent = Stack(server, {"SPEACHES_BASE_URL": server.url, name: model})
    try:
        if model in HEARING:
            return await agent.hear() == server.text
        return await agent.speak() > 0
    finally:
        await agent.close()
