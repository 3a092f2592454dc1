"""The settings that choose engines and are handed to them."""

from __future__ import annotations

from pydantic import SecretStr
from pydantic_settings import BaseSettings

from parley.settings.field import setting
from parley.settings.values import AnyUrl, EngineNames, HttpUrl, SocketUrl

_ENGINES = "auto, an engine's name, or several names with commas (the first that answers is taken)"
_HTTP = "a URL that starts with http:// or https://"
_SOCKET = "a URL that starts with ws:// or wss://"
_ANY_URL = "a URL that starts with http://, https://, ws:// or wss://"


class EngineSettings(BaseSettings):
    """Who hears, thinks and speaks, where they answer and with which models."""

    stt: EngineNames = setting(
        "PARLEY_STT",
        ("auto",),
        "The engine that hears.",
        "engines",
        allowed=_ENGINES,
    )
    llm: EngineNames = setting(
        "PARLEY_LLM",
        ("auto",),
        "The engine that thinks.",
        "engines",
        allowed=_ENGINES,
    )
    tts: EngineNames = setting(
        "PARLEY_TTS",
        ("auto",),
        "The engine that speaks.",
        "engines",
        allowed=_ENGINES,
    )
    stt_workers: int | None = setting(
        "PARLEY_STT_WORKERS",
        None,
        "How many processes recognise speech.",
        "engines",
        shown="the engine's own",
        engines=("builtin",),
        ge=1,
        le=64,
        example="2",
    )
    script: str | None = setting(
        "PARLEY_SCRIPT",
        None,
        "The YAML script of the scripted dialogue engine.",
        "engines",
        allowed="a path, or the name of a script that ships",
        shown="receptionist",
        engines=("scripted",),
        example="/etc/parley/script.yaml",
    )
    speaches_base_url: HttpUrl | None = setting(
        "SPEACHES_BASE_URL",
        None,
        "Where Speaches answers.",
        "engines",
        allowed=_HTTP,
        engines=("speaches",),
        example="http://speaches:8000",
    )
    ollama_base_url: HttpUrl | None = setting(
        "OLLAMA_BASE_URL",
        None,
        "Where Ollama answers.",
        "engines",
        allowed=_HTTP,
        engines=("ollama",),
        example="http://ollama:11434",
    )
    vosk_ws_url: SocketUrl | None = setting(
        "VOSK_WS_URL",
        None,
        "Where the Vosk server answers.",
        "engines",
        allowed=_SOCKET,
        engines=("vosk",),
        example="ws://vosk:2700",
    )
    piper_ws_url: AnyUrl | None = setting(
        "PIPER_WS_URL",
        None,
        "Where the Piper server answers.",
        "engines",
        allowed=_ANY_URL,
        engines=("piper",),
        example="http://piper:5000",
    )
    llama_url: AnyUrl | None = setting(
        "LLAMA_URL",
        None,
        "Where llama.cpp's server answers.",
        "engines",
        allowed=_ANY_URL,
        engines=("llama_cpp",),
        example="http://llama:8080",
    )
    deepgram_api_key: SecretStr | None = setting(
        "DEEPGRAM_API_KEY",
        None,
        "The key for Deepgram.",
        "engines",
        engines=("deepgram",),
        example="your_key_here",
    )
    openai_api_key: SecretStr | None = setting(
        "OPENAI_API_KEY",
        None,
        "The key for OpenAI.",
        "engines",
        engines=("openai",),
        example="your_key_here",
    )

    stt_model: str | None = setting(
        "STT_MODEL",
        None,
        "The model that hears.",
        "models",
        engines=("speaches", "deepgram", "openai"),
        example="Systran/faster-distil-whisper-small.en",
    )
    llm_model: str | None = setting(
        "LLM_MODEL",
        None,
        "The model that thinks.",
        "models",
        engines=("openai",),
        example="gpt-4o-mini",
    )
    tts_model: str | None = setting(
        "TTS_MODEL",
        None,
        "The model that speaks.",
        "models",
        engines=("speaches", "deepgram", "openai"),
        example="speaches-ai/Kokoro-82M-v1.0-ONNX",
    )
    tts_voice: str | None = setting(
        "TTS_VOICE",
        None,
        "The voice of agents that name none.",
        "models",
        engines=("builtin", "speaches", "openai"),
        example="af_heart",
    )
    ollama_model: str | None = setting(
        "OLLAMA_MODEL",
        None,
        "Ollama's model.",
        "models",
        engines=("ollama",),
        example="llama3.2:3b",
    )
    llm_max_tokens: int | None = setting(
        "LLM_MAX_TOKENS",
        None,
        "The longest reply of a language model, in tokens.",
        "models",
        engines=("openai", "ollama", "llama_cpp"),
        ge=1,
        example="150",
    )
    llm_temperature: float | None = setting(
        "LLM_TEMPERATURE",
        None,
        "How freely a language model chooses its words.",
        "models",
        engines=("openai", "ollama", "llama_cpp"),
        ge=0,
        le=2,
        example="0.7",
    )
