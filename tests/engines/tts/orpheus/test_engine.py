"""The engine as a whole: readiness, limits, odd takes, long texts."""

from __future__ import annotations

import asyncio
import threading
import tracemalloc
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from parley.core.errors import EngineFailed, EngineUnavailable, NotFound
from parley.engines.keeper import ModelKeeper
from parley.engines.machine import Machine
from parley.engines.resources import Budget, UsesResources
from parley.engines.spec import SpeechOptions, TagPerformer
from parley.engines.tts.orpheus import SPEC, OrpheusOptions, OrpheusSpeech
from parley.engines.tts.orpheus.codes import END_OF_SPEECH
from parley.engines.tts.orpheus.reading import Stage
from parley.engines.tts.orpheus.take import Take, WindowSetup
from parley.engines.tts.orpheus.talker import Sampling, TalkRequest
from tests.engines.servers.orpheus_talker import (
    LlamaCppServer,
    OllamaServer,
    Playing,
    TalkerServer,
    VllmServer,
    ids_of,
    random_frames,
)
from tests.engines.tts.orpheus.sounds import (
    FRAME,
    PLAIN,
    TINY_SNAC,
    error_db,
    speech,
    spoken,
    whole_sound,
)

TEXT = "Hello there, how are you today?"
LONG = "This is one of quite a number of sentences. " * 20


# ── readiness ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("server_type", "options"),
    [
        (VllmServer, {}),
        (LlamaCppServer, {"backend": "llama_cpp"}),
        (OllamaServer, {"backend": "ollama", "model": "orpheus"}),
    ],
)
async def test_ready_once_the_talker_has_answered_with_audio_and_then_only_pinged(
    server_type: type[TalkerServer], options: dict[str, Any]
):
    async with server_type() as server:
        engine = speech(server.url, **options)
        first, second = await engine.check(), await engine.check()
        await engine.close()

    assert first.ok and second.ok
    assert "voice tara" in first.detail
    assert len(server.asked) == 1


async def test_a_model_that_answers_in_words_is_the_wrong_one():
    async with VllmServer(Playing(chats=True)) as server:
        engine = speech(server.url)
        status = await engine.check()
        await engine.close()

    assert not status.ok
    assert "wrong model or template" in status.detail
    assert "Orpheus checkpoint" in status.hint


async def test_without_a_decoder_the_command_is_told_that_fetches_it(tmp_path: Path):
    engine = OrpheusSpeech(
        OrpheusOptions.model_validate({"base_url": "http://127.0.0.1:9", "data_dir": tmp_path})
    )

    status = await engine.check()

    assert (status.ok, status.missing_model) == (False, "snac")
    assert "parley models pull orpheus:snac" in status.hint
    assert [(model.id, model.is_present) for model in await engine.models()] == [("snac", False)]
    with pytest.raises(EngineUnavailable, match="parley models pull orpheus:snac"):
        await engine.warm_up()
    await engine.close()


async def test_a_fetched_decoder_is_used(tmp_path: Path):
    place = tmp_path / "models/orpheus/snac/onnx/decoder_model.onnx"
    place.parent.mkdir(parents=True)
    place.write_bytes(TINY_SNAC.read_bytes())
    async with VllmServer() as server:
        engine = speech(server.url, snac=None, data_dir=tmp_path)
        await engine.warm_up()
        status, sound = await engine.check(), await spoken(engine, TEXT)
        await engine.close()

    assert status.ok
    assert len(sound) == 20 * FRAME


@pytest.mark.parametrize(
    ("options", "says"),
    [({"voice": "pierre"}, "pierre speaks 'fr'"), ({"snac": "/no/such.onnx"}, "no SNAC decoder")],
)
async def test_a_wrong_option_is_seen_by_the_check(options: dict[str, Any], says: str):
    engine = speech("http://127.0.0.1:9", **options)

    status = await engine.check()
    await engine.close()

    assert not status.ok and says in status.detail


def test_it_is_available_once_it_has_an_address():
    assert not SPEC.available(OrpheusOptions.model_validate({}))
    assert SPEC.available(OrpheusOptions.model_validate({"base_url": "http://x"}))
    with pytest.raises(EngineUnavailable, match="PARLEY_ORPHEUS_BASE_URL"):
        SPEC.open(OrpheusOptions.model_validate({}))


async def test_it_is_what_it_says_and_takes_its_share_of_the_cores():
    engine = speech("http://127.0.0.1:9")
    share = Budget(Machine(cores=8)).share_out([engine.demand()])[0]
    engine.take(share)
    await engine.warm_up()
    await engine.close()

    assert isinstance(engine, TagPerformer)
    assert isinstance(engine, ModelKeeper)
    assert isinstance(engine, UsesResources)
    assert engine.share is share
    assert not any(thread.name == "snac" for thread in threading.enumerate())


# ── sound ────────────────────────────────────────────────────────────────────────────────────


async def test_at_the_usual_look_ahead_the_error_stays_under_80_db():
    async with VllmServer(Playing(frames=60)) as server:
        engine = speech(server.url)
        sound = await spoken(engine, TEXT * 3)
        await engine.close()

    edges = slice(240, -240)
    expected = np.clip(whole_sound(random_frames(60)), -1, 1)
    assert error_db(sound[edges], expected[edges]) < -75  # with what 16 bits add
    assert len(sound) == 60 * FRAME


@pytest.mark.parametrize("look_ahead", [1, 2, 3])
async def test_the_first_sound_needs_exactly_the_tokens_of_its_look_ahead(look_ahead: int):
    wanted = 7 * (1 + look_ahead)
    async with VllmServer(Playing(stalls_after=wanted)) as server:
        engine = speech(server.url, look_ahead=look_ahead)
        async with aclosing(engine.synthesize(TEXT, PLAIN)) as pieces:
            first = await anext(pieces)
        server.playing.stalls_after = wanted - 1
        with pytest.raises(EngineFailed):
            await spoken(speech(server.url, look_ahead=look_ahead, token_timeout_s=0.1), TEXT)
        await engine.close()

    assert len(first.pcm) > 0


async def test_speed_and_volume_shape_the_sound():
    async with VllmServer() as server:
        engine = speech(server.url)
        usual = await spoken(engine, TEXT)
        fast = await spoken(engine, TEXT, SpeechOptions(speed=2.0))
        quiet = await spoken(engine, TEXT, SpeechOptions(volume=0.5))
        await engine.close()

    assert len(fast) == pytest.approx(len(usual) / 2, abs=600)
    assert np.abs(quiet - usual / 2).max() < 1e-4


async def test_a_pause_in_the_text_is_silence_in_the_sound():
    async with VllmServer(Playing(frames=5)) as server:
        engine = speech(server.url)
        sound = await spoken(engine, "First this. <break time='2s'/> Then that.")
        await engine.close()

    assert [asked["prompt"][6:8] for asked in server.asked] == [[1058, 1032]] * 2
    assert len(sound) == 2 * 5 * FRAME + 48_000
    assert not sound[5 * FRAME : 5 * FRAME + 48_000].any()


@pytest.mark.parametrize("text", ["", "...", "<b></b>", "<break/>", "<|eot_id|>"])
async def test_nothing_to_say_asks_nobody(text: str):
    async with VllmServer() as server:
        engine = speech(server.url)
        sound = await spoken(engine, text)
        await engine.close()

    assert (len(sound), server.asked) == (0, [])


async def test_an_unknown_voice_asks_nobody():
    async with VllmServer() as server:
        engine = speech(server.url)
        with pytest.raises(NotFound, match="tara, leah"):
            await spoken(engine, TEXT, SpeechOptions(voice="bob"))
        await engine.close()

    assert server.asked == []


# ── odd takes ────────────────────────────────────────────────────────────────────────────────


async def test_an_empty_take_is_tried_once_more_with_another_seed():
    playing = Playing(in_turn=[[END_OF_SPEECH], ids_of(random_frames(9))])
    async with VllmServer(playing) as server:
        engine = speech(server.url, seed=1)
        sound = await spoken(engine, TEXT)
        await engine.close()

    assert len(sound) == 9 * FRAME
    seeds = [asked["seed"] for asked in server.asked]
    assert seeds[0] == 1 and seeds[1] != 1


async def test_a_text_that_stays_without_sound_is_a_failure():
    async with VllmServer(Playing(ids=[])) as server:
        engine = speech(server.url)
        with pytest.raises(EngineFailed, match="no sound"):
            await spoken(engine, TEXT)
        await engine.close()

    assert len(server.asked) == 2


class FallsSilent:
    """A decoder whose sound ends after ten frames, whatever the codes."""

    def __init__(self) -> None:
        self.left = 10

    async def decode(self, codes: Any) -> Any:
        sound = np.zeros(len(codes) * FRAME, np.float32)
        self.left -= 1
        if self.left > 0:
            sound[:] = 0.3
        return sound


async def test_a_model_that_goes_on_without_a_sound_is_stopped(monkeypatch: pytest.MonkeyPatch):
    async with LlamaCppServer(Playing(frames=2000, stalls_after=2000)) as server:
        engine = speech(server.url, backend="llama_cpp", max_tokens=8000, max_silence_ms=1000)
        stage: Stage = engine._stage()
        quiet = Stage(stage.talkers, FallsSilent(), stage.window, stage.max_silence_ms)
        monkeypatch.setattr(engine, "_stage", lambda: quiet)
        with capture_logs() as logs:
            sound = await spoken(engine, LONG[:280])
        async with asyncio.timeout(2):
            await server.client_left()
        await engine.close()

    assert any(line["event"] == "orpheus_ran_away" for line in logs)
    assert len(sound) < 24_000 * 8


async def test_a_take_tells_its_figures():
    ids = ids_of(random_frames(20))
    del ids[40]
    async with VllmServer(Playing(ids=ids, ends=False)) as server:
        engine = speech(server.url)
        with capture_logs() as logs:
            await spoken(engine, TEXT)
        await engine.close()

    told = next(line for line in logs if line["event"] == "orpheus_take")
    assert (told["resyncs"], told["has_hit_limit"], told["tokens"]) == (1, True, 139)
    assert TEXT not in str(logs)


# ── many texts ───────────────────────────────────────────────────────────────────────────────


async def test_of_a_long_text_the_next_piece_is_asked_for_before_the_last_has_ended():
    async with VllmServer(Playing(frames=20)) as server:
        engine = speech(server.url)
        sound = await spoken(engine, LONG.strip())
        await engine.close()

    pieces = len(server.asked)
    assert pieces >= 4
    joins = (pieces - 1) * 24 * 120
    assert len(sound) == pieces * 20 * FRAME + joins


async def test_the_next_piece_is_made_while_the_last_is_still_being_heard():
    async with VllmServer(Playing(frames=300)) as server:
        engine = speech(server.url)
        async with aclosing(engine.synthesize(LONG.strip(), PLAIN)) as pieces:
            heard = 0.0
            while len(server.asked) < 2:
                heard += (await anext(pieces)).duration_ms
        await engine.close()

    assert server.busy == 0
    assert heard < 300 * FRAME / 24


async def test_closing_a_long_text_ends_every_request_behind_it():
    async with VllmServer(Playing(frames=200, stalls_after=300)) as server:
        engine = speech(server.url)
        speaking = asyncio.create_task(spoken(engine, LONG.strip()))
        await server.busy_with(2)

        speaking.cancel()

        await asyncio.gather(speaking, return_exceptions=True)
        async with asyncio.timeout(2):
            await server.idle.wait()
        assert not any(task.get_name() == "orpheus-ahead" for task in asyncio.all_tasks())
        await engine.close()


async def test_more_texts_than_the_limit_are_refused_with_a_time_to_wait():
    async with VllmServer(Playing(stalls_after=70)) as server:
        engine = speech(server.url, max_concurrent=2)
        speaking = [engine.synthesize(TEXT, PLAIN) for _ in range(2)]
        for pieces in speaking:
            await anext(pieces)

        with pytest.raises(EngineUnavailable, match="speaks 2 texts") as caught:
            await spoken(engine, TEXT)
        assert caught.value.retry_after_s == 1

        for pieces in speaking:
            await pieces.aclose()
        server.playing.stalls_after = None
        assert len(await spoken(engine, TEXT)) == 20 * FRAME
        await engine.close()


async def test_texts_spoken_at_once_keep_apart_and_share_the_decoder():
    async with VllmServer(Playing(frames=30)) as server:
        engine, other = speech(server.url, look_ahead=3), speech(server.url, voice="leo")
        alone = await spoken(engine, TEXT)
        together = await asyncio.gather(
            *(spoken(engine, TEXT) for _ in range(4)), spoken(other, TEXT)
        )
        await engine.close()
        await other.close()

    assert all(np.abs(sound - alone).max() < 1e-3 for sound in together)


async def test_the_least_busy_server_is_asked_and_a_dead_one_is_passed_over():
    async with VllmServer() as one, VllmServer() as other:
        engine = speech([one.url, other.url, "http://127.0.0.1:9"])
        failures = 0
        for _ in range(9):
            try:
                await spoken(engine, "Hi there.")
            except EngineUnavailable:
                failures += 1
        status = await engine.check()
        await engine.close()

    assert failures <= 3
    assert len(one.asked) >= 3 and len(other.asked) >= 3
    assert status.ok and "2 of 3 can work" in status.detail


class Hum:
    async def decode(self, codes: Any) -> Any:
        return np.full(len(codes) * FRAME, 0.3, np.float32)


async def test_ten_minutes_of_tokens_take_no_more_memory_than_one():
    async with LlamaCppServer(Playing(frames=7040, per_chunk=70)) as server:
        engine = speech(server.url, backend="llama_cpp", max_tokens=8000)
        stage = engine._stage()
        held: list[int] = []
        request = TalkRequest("tara: x", Sampling(max_tokens=50_000))
        take = Take(stage.talkers, Hum(), request, WindowSetup())
        tracemalloc.start()
        samples = 0
        async with aclosing(take.sound()) as sounds:
            async for sound in sounds:
                samples += len(sound)
                held.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        await engine.close()

    assert samples > 599 * 24_000
    quarter = len(held) // 4
    assert max(held[-quarter:]) < max(held[quarter : 2 * quarter]) + 200_000
