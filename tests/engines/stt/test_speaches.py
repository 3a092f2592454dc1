"""Speaches hears: what it is asked, what is made of its answers, and everything that goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from parley.core.audio import Audio
from parley.core.errors import (
    BadAudio,
    EngineFailed,
    EngineTimeout,
    EngineUnavailable,
    ModelMissing,
    NotFound,
)
from parley.engines.keeper import ModelKeeper
from parley.engines.spec import TranscribeOptions, TranscriptPart, Word
from parley.engines.stt.speaches import (
    DEFAULT_MODEL,
    SpeachesHearingOptions,
    SpeachesTranscriber,
)
from tests.engines.servers.speaches import (
    BIG_WHISPER,
    KOKORO,
    PARAKEET,
    WHISPER,
    Fault,
    SpeachesServer,
    tone,
)

RATE_HZ = 16_000
SILENCE = bytes(RATE_HZ)


@asynccontextmanager
async def speaches(*servers: SpeachesServer, **options: Any) -> AsyncIterator[SpeachesTranscriber]:
    urls = tuple(server.url for server in servers)
    engine = SpeachesTranscriber(
        SpeachesHearingOptions.model_validate({"base_url": urls, **options})
    )
    try:
        yield engine
    finally:
        await engine.close()


async def sound(pcm: bytes, rate_hz: int = RATE_HZ) -> AsyncIterator[Audio]:
    for at in range(0, len(pcm), 640):
        yield Audio(pcm[at : at + 640], rate_hz)


def speech(duration_ms: float = 600, rate_hz: int = RATE_HZ) -> AsyncIterator[Audio]:
    """Something that stands out of silence as speech does."""
    quiet = bytes(2 * rate_hz // 5)
    return sound(quiet + tone(duration_ms, rate_hz) + quiet, rate_hz)


async def hear(
    engine: SpeachesTranscriber,
    audio: AsyncIterator[Audio] | None = None,
    **options: Any,
) -> list[TranscriptPart]:
    async with aclosing(
        engine.transcribe(audio or speech(), TranscribeOptions(**options))
    ) as parts:
        return [part async for part in parts]


def said(parts: list[TranscriptPart]) -> str:
    return " ".join(part.text for part in parts if part.final)


async def test_an_utterance_is_posted_as_one_wav_file_with_the_fields_of_openai(
    tmp_path: Path,
) -> None:
    async with SpeachesServer(tmp_path, WHISPER) as server, speaches(server) as engine:
        parts = await hear(engine, language="en-GB", prompt="Parley")

    (posted,) = server.posted
    assert said(parts) == "good morning"
    assert (posted.file_name, posted.file_type, posted.rate_hz) == (
        "audio.wav",
        "audio/wav",
        16_000,
    )
    assert len(posted.pcm) == 2 * 16 * (400 + 600)
    assert posted.fields == {
        "model": DEFAULT_MODEL,
        "response_format": "verbose_json",
        "prompt": "Parley",
        "language": "en",
    }


@pytest.mark.parametrize("language", ["", "auto"])
async def test_without_a_language_speaches_finds_it_out(tmp_path: Path, language: str) -> None:
    async with SpeachesServer(tmp_path, WHISPER) as server, speaches(server) as engine:
        await hear(engine, language=language)

    assert "language" not in server.posted[0].fields


async def test_sound_of_another_rate_arrives_at_16_khz(tmp_path: Path) -> None:
    async with SpeachesServer(tmp_path, WHISPER) as server, speaches(server) as engine:
        await hear(engine, speech(600, 48_000))

    assert server.posted[0].rate_hz == 16_000
    assert abs(len(server.posted[0].pcm) - 2 * 16 * 1000) <= 64


async def test_words_come_with_their_times(tmp_path: Path) -> None:
    async with SpeachesServer(tmp_path, WHISPER) as server, speaches(server) as engine:
        parts = await hear(engine, words=True)

    assert parts[-1].words == (Word("good", 0, 500), Word("morning", 500, 1000))
    assert server.posted[0].fields["timestamp_granularities[]"] == ["word", "segment"]


async def test_each_segment_is_a_final_part_with_its_times(tmp_path: Path) -> None:
    async with SpeachesServer(tmp_path, WHISPER) as server, speaches(server) as engine:
        server.segments = [
            {"text": " Hello there.", "start": 0.0, "end": 0.4},
            {"text": " Who is it?", "start": 0.5, "end": 0.9},
        ]
        parts = await hear(engine)

    assert [(part.text, part.final, part.start_ms, part.end_ms) for part in parts] == [
        ("Hello there.", True, 0, 400),
        ("Who is it?", True, 500, 900),
    ]


async def test_a_translation_goes_to_its_own_route(tmp_path: Path) -> None:
    async with SpeachesServer(tmp_path, WHISPER) as server, speaches(server) as engine:
        await hear(engine, translate=True, language="de")

    assert server.posted[0].route == "translations"
    assert "language" not in server.posted[0].fields


async def test_streamed_words_are_partial_until_the_end(tmp_path: Path) -> None:
    async with (
        SpeachesServer(tmp_path, WHISPER) as server,
        speaches(server, stream=True) as engine,
    ):
        server.text = "a table for two"
        parts = await hear(engine)

    assert [(part.text, part.final) for part in parts] == [
        ("a", False),
        ("a table", False),
        ("a table for", False),
        ("a table for two", False),
        ("a table for two", True),
    ]


async def test_silence_is_never_posted(tmp_path: Path) -> None:
    async with SpeachesServer(tmp_path, WHISPER) as server, speaches(server) as engine:
        parts = await hear(engine, sound(SILENCE))

    assert [(part.text, part.final) for part in parts] == [("", True)]
    assert server.posted == []


async def test_a_phantom_is_dropped_and_a_thank_you_that_was_spoken_is_not(tmp_path: Path) -> None:
    async with SpeachesServer(tmp_path, WHISPER) as server, speaches(server) as engine:
        server.text = "Thanks for watching!"
        phantom = await hear(engine)
        server.text = "Thank you."
        thanks = await hear(engine)

    assert (said(phantom), said(thanks)) == ("", "Thank you.")


async def test_a_streamed_phantom_is_not_even_a_partial(tmp_path: Path) -> None:
    async with (
        SpeachesServer(tmp_path, WHISPER) as server,
        speaches(server, stream=True) as engine,
    ):
        server.text = "Thank you."
        hum = await hear(engine, sound(tone(600, RATE_HZ)))

    assert [(part.text, part.final) for part in hum if part.text == "Thank you."] == []


async def test_models_that_answer_plain_json_only_are_asked_for_that(tmp_path: Path) -> None:
    async with (
        SpeachesServer(tmp_path, PARAKEET) as server,
        speaches(server, model=PARAKEET) as engine,
    ):
        assert said(await hear(engine)) == "good morning"


async def test_a_sound_too_long_is_refused_with_what_to_do(tmp_path: Path) -> None:
    async with (
        SpeachesServer(tmp_path, WHISPER) as server,
        speaches(server, longest_s=0.5) as engine,
    ):
        with pytest.raises(BadAudio, match="longest_s"):
            await hear(engine)


async def test_a_named_model_that_is_missing_is_asked_for_and_the_words_are_heard(
    tmp_path: Path,
) -> None:
    async with SpeachesServer(tmp_path) as server, speaches(server, model=WHISPER) as engine:
        both = await asyncio.gather(hear(engine), hear(engine))

    assert [said(parts) for parts in both] == ["good morning"] * 2
    assert server.paths.count(f"POST /v1/models/{WHISPER}") == 1


async def test_a_model_that_nobody_named_is_not_fetched(tmp_path: Path) -> None:
    async with SpeachesServer(tmp_path) as server, speaches(server) as engine:
        with pytest.raises(ModelMissing, match=f"parley models pull speaches:{WHISPER}") as caught:
            await hear(engine)

    assert caught.value.model == WHISPER
    assert not server.has(WHISPER)


async def test_a_call_does_not_wait_for_a_long_download_which_goes_on(tmp_path: Path) -> None:
    async with (
        SpeachesServer(tmp_path) as server,
        speaches(server, model=WHISPER, pull_wait_s=0) as engine,
    ):
        server.download.clear()
        with pytest.raises(ModelMissing, match="still fetching"):
            await hear(engine)
        server.download.set()
        await server.fetched.wait()
        parts = await hear(engine)

    assert said(parts) == "good morning"


async def test_a_model_that_cannot_be_fetched_is_asked_for_once(tmp_path: Path) -> None:
    async with (
        SpeachesServer(tmp_path, online=False) as server,
        speaches(server, model=WHISPER) as engine,
    ):
        with pytest.raises(EngineUnavailable, match=r"huggingface\.co"):
            await hear(engine)
        with pytest.raises(ModelMissing):
            await hear(engine)

    assert server.paths.count(f"POST /v1/models/{WHISPER}") == 1


async def test_a_model_for_other_work_is_not_fetched_again(tmp_path: Path) -> None:
    async with (
        SpeachesServer(tmp_path, KOKORO) as server,
        speaches(server, model=KOKORO) as engine,
    ):
        with pytest.raises(EngineFailed, match="of another kind"):
            await hear(engine)

    assert not [path for path in server.paths if path.startswith("POST /v1/models")]


async def test_the_check_says_what_is_missing_and_how_to_get_it(tmp_path: Path) -> None:
    async with SpeachesServer(tmp_path) as server, speaches(server) as engine:
        without = await engine.check()
        async with aclosing(engine.pull(WHISPER)) as steps:
            told = [step async for step in steps]
        with_it = await engine.check()

    assert (without.ok, without.missing_model) == (False, WHISPER)
    assert f"parley models pull speaches:{WHISPER}" in without.hint
    assert told[-1].says == "is here"
    assert with_it.ok


async def test_an_alias_counts_as_the_model_it_stands_for(tmp_path: Path) -> None:
    async with (
        SpeachesServer(tmp_path, BIG_WHISPER) as server,
        speaches(server, model="whisper-1") as engine,
    ):
        assert (await engine.check()).ok
        assert said(await hear(engine)) == "good morning"


async def test_models_are_listed_with_those_that_could_be_had_and_removed(tmp_path: Path) -> None:
    async with SpeachesServer(tmp_path, WHISPER) as server, speaches(server) as engine:
        listed = {model.id: model.is_present for model in await engine.models()}
        await engine.remove(WHISPER)
        with pytest.raises(NotFound):
            await engine.remove(WHISPER)

    assert isinstance(engine, ModelKeeper)
    assert listed[WHISPER] and not listed[BIG_WHISPER]
    assert not server.has(WHISPER)


async def test_a_model_is_fetched_to_the_server_that_lacks_it_though_another_is_away(
    tmp_path: Path,
) -> None:
    async with SpeachesServer(tmp_path / "gone") as gone:
        pass
    async with (
        SpeachesServer(tmp_path / "has", WHISPER) as has,
        SpeachesServer(tmp_path / "lacks") as lacks,
        speaches(gone, has, lacks, model=WHISPER) as engine,
    ):
        before = await engine.check()
        async for _ in engine.pull(WHISPER):
            pass
        after = await engine.check()

    assert before.ok and before.missing_model == WHISPER
    assert after.ok and not after.missing_model
    assert lacks.has(WHISPER)


async def test_an_unknown_model_cannot_be_pulled(tmp_path: Path) -> None:
    async with SpeachesServer(tmp_path) as server, speaches(server) as engine:
        with pytest.raises(NotFound, match="registry"):
            async for _ in engine.pull("nobody/nothing"):
                pass


async def test_health_tells_of_each_server(tmp_path: Path) -> None:
    async with SpeachesServer(tmp_path, WHISPER) as up, SpeachesServer(tmp_path) as down:
        await down.stop()
        async with speaches(up, down) as engine:
            first, second = await engine.health()
            status = await engine.check()

    assert (first.is_reachable, first.has_model, first.models) == (True, True, (WHISPER,))
    assert (second.is_reachable, second.has_model) == (False, False)
    assert "can't be reached" in second.detail
    assert status.ok


async def test_warming_up_loads_the_model_and_survives_a_server_that_is_away(
    tmp_path: Path,
) -> None:
    async with SpeachesServer(tmp_path, WHISPER) as server, speaches(server) as engine:
        await engine.warm_up()
        loaded = set(server.loaded)
        await server.stop()
        await engine.warm_up()

    assert loaded == {WHISPER}


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.BUSY, EngineUnavailable),
        (Fault.ERROR, EngineUnavailable),
        (Fault.NO_KEY, EngineUnavailable),
        (Fault.CUT, EngineUnavailable),
        (Fault.GARBAGE, EngineFailed),
        (Fault.EMPTY, EngineFailed),
        (Fault.HANG, EngineTimeout),
    ],
)
async def test_each_failure_is_ours_and_the_next_utterance_is_heard(
    tmp_path: Path, fault: Fault, error: type[Exception]
) -> None:
    # The server may be silent for this long beyond the length of the sound, here a second.
    async with (
        SpeachesServer(tmp_path, WHISPER) as server,
        speaches(server, timeout_s=0.01) as engine,
    ):
        server.faults.append(fault)
        with pytest.raises(error):
            await hear(engine, speech(40))
        parts = await hear(engine)

    assert said(parts) == "good morning"


async def test_a_busy_server_says_when_to_come_back(tmp_path: Path) -> None:
    async with SpeachesServer(tmp_path, WHISPER) as server, speaches(server) as engine:
        server.faults.append(Fault.BUSY)
        with pytest.raises(EngineUnavailable) as caught:
            await hear(engine)

    assert caught.value.retry_after_s == 7


async def test_a_key_is_sent_and_a_wrong_one_is_told(tmp_path: Path) -> None:
    async with SpeachesServer(tmp_path, WHISPER, key="right") as server:
        async with speaches(server, api_key="right") as engine:
            assert said(await hear(engine)) == "good morning"
        async with speaches(server, api_key="wrong") as engine:
            status = await engine.check()

    assert not status.ok
    assert "key" in status.hint


async def test_closing_the_iterator_ends_the_request_at_the_server(tmp_path: Path) -> None:
    async with (
        SpeachesServer(tmp_path, WHISPER) as server,
        speaches(server, stream=True) as engine,
    ):
        server.drip = asyncio.Event()
        async with aclosing(engine.transcribe(speech(), TranscribeOptions())) as parts:
            await anext(parts)
        async with asyncio.timeout(5):
            await server.client_left()

    assert server.gone == 1


async def test_another_server_hears_while_one_is_down(tmp_path: Path) -> None:
    heard: list[str] = []

    async with (
        SpeachesServer(tmp_path, WHISPER) as one,
        SpeachesServer(tmp_path, WHISPER) as two,
        speaches(one, two) as engine,
    ):
        await one.stop()
        for _ in range(4):
            try:
                heard.append(said(await hear(engine)))
            except EngineUnavailable:
                heard.append("away")

    assert heard.count("away") <= 1
    assert heard.count("good morning") >= 3


async def test_more_at_once_than_allowed_is_refused(tmp_path: Path) -> None:
    async with (
        SpeachesServer(tmp_path, WHISPER) as server,
        speaches(server, stream=True, max_concurrent=1) as engine,
    ):
        server.drip = asyncio.Event()
        async with aclosing(engine.transcribe(speech(), TranscribeOptions())) as parts:
            await anext(parts)
            with pytest.raises(EngineUnavailable, match="busy"):
                await hear(engine)
