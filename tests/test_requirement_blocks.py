"""The environment blocks of both requirement documents load, and shared names find their engine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from parley.engines.catalog import EngineCatalog
from parley.engines.found import FoundEngines, engines_from
from parley.engines.notes import settings_notes
from parley.engines.options import options_for
from parley.engines.spec import EngineSpec
from parley.engines.stt.deepgram import SPEC as HEARS
from parley.engines.tts.deepgram import SPEC as SPEAKS
from parley.engines.wish import EngineWish, read_wishes
from parley.settings import Settings, engine_values, load_settings

from .engines.fakes import Diary, fake_spec

SPEACHES_STACK = """\
# Ollama
OLLAMA_MODEL=llama3.2:3b  # llama3.2:1b is faster

# Speaches
SPEACHES_MODE=cpu  # cpu, cuda or cuda-cdi
STT_MODEL=Systran/faster-distil-whisper-small.en
TTS_MODEL=speaches-ai/Kokoro-82M-v1.0-ONNX
TTS_VOICE=af_heart

# Server
SERVER_HOST=0.0.0.0
SERVER_PORT=7860
"""
SPEACHES_COMPOSE = {
    "SPEACHES_BASE_URL": "http://speaches:8000",
    "OLLAMA_BASE_URL": "http://ollama:11434",
}
DEEPGRAM_SERVER = """\
# Keys
DEEPGRAM_API_KEY=dg-key
OPENAI_API_KEY=sk-key

# Server
PIPECAT_SERVER_HOST=0.0.0.0
PIPECAT_SERVER_PORT=8765
LOG_LEVEL=INFO

# Models
LLM_MODEL=gpt-4o-mini
LLM_MAX_TOKENS=150
LLM_TEMPERATURE=0.7
TTS_MODEL=aura-asteria-en
STT_MODEL=nova
STT_LANGUAGE=en
"""


def load(folder: Path, dotenv: str, environment: dict[str, str] | None = None) -> Settings:
    (folder / ".env").write_text(dotenv)
    with patch.dict(os.environ, environment or {}, clear=True):
        return load_settings(env_file=folder / ".env")


def found_engines() -> FoundEngines:
    """The families that the documents speak of, as later versions will bring them."""
    diary = Diary()
    return engines_from(
        [
            fake_spec(diary, "stt", "speaches", owns_model=_of_speaches, environment={
                "base_url": "SPEACHES_BASE_URL", "model": "STT_MODEL"}),
            fake_spec(diary, "stt", "deepgram", owns_model=_of_deepgram, environment={
                "base_url": "DEEPGRAM_API_KEY", "model": "STT_MODEL"}),
            fake_spec(diary, "tts", "speaches", owns_model=_of_speaches, owns_voice=_of_kokoro,
                      environment={"base_url": "SPEACHES_BASE_URL", "model": "TTS_MODEL",
                                   "voice": "TTS_VOICE"}),
            fake_spec(diary, "tts", "deepgram", owns_model=_of_deepgram, environment={
                "base_url": "DEEPGRAM_API_KEY", "model": "TTS_MODEL"}),
        ]
    )  # fmt: skip


def _of_speaches(value: str) -> bool:
    return "/" in value


def _of_deepgram(value: str) -> bool:
    return value.startswith(("nova", "aura"))


def _of_kokoro(value: str) -> bool:
    return value.startswith("af_")


async def model_of(settings: Settings, engine: str) -> tuple[str, str]:
    found = found_engines()
    catalog = EngineCatalog(found, engine_values(settings, found.environment_names))
    stt = await catalog.choose("stt", read_wishes(engine))
    tts = await catalog.choose("tts", read_wishes(engine))
    return stt.options.model_dump()["model"], tts.options.model_dump()["model"]


def test_the_block_of_the_speaches_stack_loads_as_it_stands(tmp_path: Path) -> None:
    settings = load(tmp_path, SPEACHES_STACK, SPEACHES_COMPOSE)

    assert settings.ollama_model == "llama3.2:3b"
    assert settings.tts_voice == "af_heart"
    assert (settings.server_host, settings.server_port) == ("0.0.0.0", 7860)
    assert settings.speaches_base_url == "http://speaches:8000"


def test_the_block_of_the_deepgram_server_loads_as_it_stands(tmp_path: Path) -> None:
    settings = load(tmp_path, DEEPGRAM_SERVER)

    assert settings.deepgram_api_key and settings.openai_api_key
    assert (settings.pipecat_server_host, settings.pipecat_server_port) == ("0.0.0.0", 8765)
    assert (settings.llm_max_tokens, settings.llm_temperature) == (150, 0.7)


@pytest.mark.parametrize("blocks", [SPEACHES_STACK + DEEPGRAM_SERVER, DEEPGRAM_SERVER])
async def test_a_model_of_deepgrams_reaches_deepgram_and_nobody_else(
    tmp_path: Path, blocks: str
) -> None:
    settings = load(tmp_path, blocks, SPEACHES_COMPOSE)

    assert await model_of(settings, "deepgram") == ("nova", "aura-asteria-en")
    assert await model_of(settings, "speaches") == ("own-model", "own-model")


@pytest.mark.parametrize("blocks", [DEEPGRAM_SERVER + SPEACHES_STACK, SPEACHES_STACK])
async def test_a_model_of_speaches_reaches_speaches_and_nobody_else(
    tmp_path: Path, blocks: str
) -> None:
    settings = load(tmp_path, blocks, SPEACHES_COMPOSE)

    assert await model_of(settings, "deepgram") == ("own-model", "own-model")
    assert await model_of(settings, "speaches") == (
        "Systran/faster-distil-whisper-small.en",
        "speaches-ai/Kokoro-82M-v1.0-ONNX",
    )


def test_start_up_says_which_engine_took_a_shared_name(tmp_path: Path) -> None:
    settings = load(tmp_path, SPEACHES_STACK + DEEPGRAM_SERVER)

    notes = settings_notes(settings, found_engines())

    assert "STT_MODEL=nova goes to stt engine deepgram." in notes
    assert "TTS_VOICE=af_heart goes to tts engine speaches." in notes


def test_start_up_says_what_has_no_effect_in_one_line_each_and_shows_no_secret(
    tmp_path: Path,
) -> None:
    settings = load(tmp_path, DEEPGRAM_SERVER)

    notes = settings_notes(settings, engines_from([]))

    assert "OPENAI_API_KEY has no effect: this version has no engine openai." in notes
    assert "STT_MODEL=nova fits no engine of this version: each keeps its own model." in notes
    assert not any(note.startswith("PIPECAT_SERVER_PORT") for note in notes)
    assert not any("sk-key" in note or "dg-key" in note or "\n" in note for note in notes)
    assert not any(note.startswith("LOG_LEVEL") for note in notes)


@pytest.mark.parametrize("spec", [HEARS, SPEAKS], ids=lambda spec: spec.kind)
def test_one_of_deepgrams_regions_reaches_both_of_its_engines(
    tmp_path: Path, spec: EngineSpec[Any]
) -> None:
    region = "https://api.eu.deepgram.com"
    settings = load(tmp_path, f"{DEEPGRAM_SERVER}DEEPGRAM_BASE_URL={region}\n")
    values = engine_values(settings, spec.environment.values())

    options = options_for(spec, EngineWish("deepgram"), values)

    assert options.model_dump()["base_url"] == (region,)
    plain = options_for(spec, EngineWish("deepgram"), {"DEEPGRAM_API_KEY": "k"})
    assert plain.model_dump()["base_url"] == ("https://api.deepgram.com",)


def test_the_start_says_that_no_other_length_of_a_piece_is_had(tmp_path: Path) -> None:
    settings = load(tmp_path, "PARLEY_RUSTPBX=true\nFRAME_SIZE=160\n")

    (note,) = settings_notes(settings, engines_from([]))

    assert note.startswith("FRAME_SIZE has no effect: pieces of another length than 20 ms")
