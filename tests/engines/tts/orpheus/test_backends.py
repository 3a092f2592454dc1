"""The three protocols, against servers that speak them."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from parley.core.errors import (
    EngineFailed,
    EngineRefusedRequest,
    EngineTimeout,
    EngineUnavailable,
    ModelMissing,
)
from parley.engines.tts.orpheus.codes import END_OF_SPEECH
from tests.engines.servers.orpheus_talker import (
    MODEL,
    LlamaCppServer,
    OllamaServer,
    Playing,
    TalkerServer,
    VllmServer,
    ids_of,
    random_frames,
)
from tests.engines.tts.orpheus.sounds import FRAME, PLAIN, Sound, speech, spoken, whole_sound

BACKENDS: dict[str, tuple[type[TalkerServer], dict[str, Any]]] = {
    "vllm": (VllmServer, {}),
    "llama_cpp": (LlamaCppServer, {}),
    "ollama": (OllamaServer, {"model": "orpheus"}),
    "text": (VllmServer, {}),
}
EXACT = {"look_ahead": 3}
TEXT = "Hello there, how are you today?"
PROMPT = [128_259, 128_000, *(1000 + ord(c) for c in f"tara: {TEXT}")]
PROMPT += [128_009, 128_260, 128_261, 128_257]

all_backends = pytest.mark.parametrize("backend", BACKENDS)


async def said(backend: str, playing: Playing, text: str = TEXT, **options: Any) -> Sound:
    server_type, more = BACKENDS[backend]
    async with server_type(playing) as server:
        engine = speech(server.url, backend=backend, **{**more, **options})
        try:
            return await spoken(engine, text)
        finally:
            await engine.close()


def is_same(sound: Sound, expected: Sound) -> bool:
    """But for the fades of 5 ms at both ends, and rounding to 16 bits."""
    return len(sound) == len(expected) and bool(
        np.abs(sound - np.clip(expected, -1, 1))[240:-240].max() <= 1e-5 + 1 / 65_534
    )


@all_backends
@pytest.mark.parametrize(
    "playing",
    [
        Playing(),
        Playing(per_chunk=1000),
        Playing(per_chunk=5),
        Playing(tells_ids=False),
        Playing(characters=13),
    ],
    ids=["one by one", "all at once", "by fives", "as text", "as text cut anywhere"],
)
async def test_what_is_heard_is_the_decode_of_what_the_model_wrote(backend: str, playing: Playing):
    sound = await said(backend, playing, **EXACT)

    assert is_same(sound, whole_sound(random_frames(20)))


@all_backends
async def test_a_wrong_token_costs_one_frame_and_the_rest_fits(backend: str):
    frames = random_frames(20)
    ids = ids_of(frames)
    del ids[10 * 7 + 3]

    sound = await said(backend, Playing(ids=ids), **EXACT)

    assert is_same(sound, whole_sound(np.delete(frames, 10, axis=0)))


@all_backends
async def test_a_model_that_never_stops_is_stopped_by_the_bound_for_the_text(backend: str):
    sound = await said(backend, Playing(frames=200, ends=False), "Hello there.")

    assert len(sound) == 252 // 7 * FRAME


@all_backends
async def test_closing_the_iterator_ends_the_request_at_the_server(backend: str):
    server_type, more = BACKENDS[backend]
    async with server_type(Playing(stalls_after=70)) as server:
        engine = speech(server.url, backend=backend, **more)
        pieces = engine.synthesize(TEXT, PLAIN)
        await anext(pieces)

        await pieces.aclose()

        async with asyncio.timeout(2):
            await server.client_left()
        await engine.close()


@all_backends
async def test_an_end_that_the_server_overlooks_ends_the_request(backend: str):
    ids = [*ids_of(random_frames(5)), END_OF_SPEECH, *ids_of(random_frames(50, 2))]
    server_type, more = BACKENDS[backend]
    async with server_type(Playing(ids=ids, stalls_after=300)) as server:
        engine = speech(server.url, backend=backend, **more)

        sound = await spoken(engine, TEXT)

        assert len(sound) == 5 * FRAME
        async with asyncio.timeout(2):
            await server.client_left()
        await engine.close()


# ── what is asked ────────────────────────────────────────────────────────────────────────────


async def test_vllm_is_given_ids_and_asked_for_ids():
    async with VllmServer() as server:
        engine = speech(server.url, seed=7)
        await spoken(engine, TEXT)
        await spoken(engine, TEXT)
        await engine.close()

    asked = server.asked[0]
    assert asked["prompt"] == PROMPT
    assert (asked["model"], asked["return_token_ids"]) == (MODEL, True)
    assert asked["stop_token_ids"] == [END_OF_SPEECH]
    assert (asked["temperature"], asked["top_p"], asked["repetition_penalty"]) == (0.6, 0.9, 1.1)
    assert (asked["min_tokens"], asked["max_tokens"], asked["seed"]) == (28, 393, 7)
    assert server.paths.count("/tokenize") == 1
    assert server.paths.count("/v1/models") == 1


async def test_llama_cpp_is_given_ids_and_looks_at_the_whole_text_for_repetition():
    async with LlamaCppServer() as server:
        engine = speech(server.url, backend="llama_cpp", repetition_penalty=1.2)
        await spoken(engine, TEXT)
        await engine.close()

    asked = server.asked[0]
    assert asked["prompt"] == PROMPT
    assert (asked["return_tokens"], asked["n_predict"]) == (True, 393)
    assert (asked["repeat_penalty"], asked["repeat_last_n"]) == (1.2, -1)


async def test_ollama_is_given_the_raw_prompt_as_text():
    async with OllamaServer() as server:
        engine = speech(server.url, backend="ollama", model="orpheus")
        await spoken(engine, TEXT + " <custom_token_2>")
        await engine.close()

    asked = server.asked[0]
    assert asked["prompt"] == (
        f"<custom_token_3><|begin_of_text|>tara: {TEXT}<|eot_id|>"
        "<custom_token_4><custom_token_5><custom_token_1>"
    )
    assert asked["raw"] is True
    assert asked["options"]["stop"] == ["<custom_token_2>"]
    assert asked["options"]["num_predict"] == 393


async def test_a_local_tokenizer_spares_the_question(tmp_path: Any):
    tokenizer = Tokenizer(models.WordLevel({"tara": 5, ":": 6, "Hello": 7, "[UNK]": 8}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    file = tmp_path / "tokenizer.json"
    tokenizer.save(str(file))
    async with VllmServer() as server:
        engine = speech(server.url, tokenizer=file)
        await spoken(engine, "Hello")
        await engine.close()

    assert server.asked[0]["prompt"][2:-4] == [5, 6, 7]
    assert "/tokenize" not in server.paths


async def test_a_key_and_an_adapter_reach_the_server():
    voice = {"name": "anna", "prompt_name": "spk_7", "model": "my-adapter", "temperature": 0.4}
    async with VllmServer() as server:
        engine = speech(f"{server.url}/v1", voices=[voice], voice="anna", api_key="k")
        await spoken(engine, "Hi there.")
        await engine.close()

    asked = server.asked[0]
    assert (asked["model"], asked["temperature"]) == ("my-adapter", 0.4)
    assert asked["prompt"][2:8] == [1000 + ord(c) for c in "spk_7:"]


# ── what goes wrong ──────────────────────────────────────────────────────────────────────────


@all_backends
@pytest.mark.parametrize(
    ("playing", "error"),
    [
        (Playing(status=500), EngineUnavailable),
        (Playing(status=429, retry_after="3"), EngineUnavailable),
        (Playing(status=401), EngineUnavailable),
        (Playing(status=422), EngineRefusedRequest),
        (Playing(cuts_after=30), EngineUnavailable),
        (Playing(fails_after=30), EngineFailed),
        (Playing(chats=True), EngineFailed),
        (Playing(ids=ids_of(random_frames(30))[1::2]), EngineFailed),
    ],
    ids=["500", "429", "401", "422", "cut", "fails", "chats", "derails"],
)
async def test_each_failure_is_one_of_ours(backend: str, playing: Playing, error: type[Exception]):
    with pytest.raises(error):
        await said(backend, playing)


@all_backends
async def test_a_server_that_falls_silent_is_slow(backend: str):
    with pytest.raises(EngineTimeout):
        await said(backend, Playing(stalls_after=30), token_timeout_s=0.2)


async def test_the_time_to_wait_is_passed_on():
    with pytest.raises(EngineUnavailable) as caught:
        await said("vllm", Playing(status=429, retry_after="3"))

    assert caught.value.retry_after_s == 3


async def test_nobody_there_is_told():
    engine = speech("http://127.0.0.1:9")

    with pytest.raises(EngineUnavailable, match="can't be reached"):
        await spoken(engine, TEXT)

    await engine.close()


@pytest.mark.parametrize(
    ("backend", "hint"), [("vllm", "vllm serve nope"), ("ollama", "ollama pull nope")]
)
async def test_a_model_that_the_server_lacks_is_named_with_its_cure(backend: str, hint: str):
    with pytest.raises(ModelMissing, match=hint) as caught:
        await said(backend, Playing(), model="nope")

    assert caught.value.model == "nope"
