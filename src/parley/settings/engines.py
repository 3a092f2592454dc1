"""The settings that choose engines and are handed to them."""

from __future__ import annotations

from typing import Literal

from pydantic import SecretStr
from pydantic_settings import BaseSettings

from parley.settings.field import setting
from parley.settings.values import AnyUrl, EngineNames, Folder, HttpUrl, SocketUrl, TcpUrl

_ENGINES = "auto, an engine's name, or several names with commas (the first that answers is taken)"
_HTTP = "a URL that starts with http:// or https://"
_SOCKET = "a URL that starts with ws:// or wss://"
_TCP = "a URL of the form tcp://HOST:PORT"
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
    speaches_api_key: SecretStr | None = setting(
        "PARLEY_SPEACHES_API_KEY",
        None,
        "The key for Speaches, if it has one.",
        "engines",
        engines=("speaches",),
        example="your_key_here",
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
    wyoming_stt_uri: TcpUrl | None = setting(
        "PARLEY_WYOMING_STT_URI",
        None,
        "Where a recogniser answers that speaks the Wyoming protocol.",
        "engines",
        allowed=_TCP,
        engines=("wyoming",),
        example="tcp://wyoming-whisper:10300",
    )
    wyoming_tts_uri: TcpUrl | None = setting(
        "PARLEY_WYOMING_TTS_URI",
        None,
        "Where a voice answers that speaks the Wyoming protocol.",
        "engines",
        allowed=_TCP,
        engines=("wyoming",),
        example="tcp://wyoming-piper:10200",
    )
    orpheus_base_url: HttpUrl | None = setting(
        "PARLEY_ORPHEUS_BASE_URL",
        None,
        "Where the server answers that has Orpheus's language model.",
        "engines",
        allowed=_HTTP,
        engines=("orpheus",),
        example="http://orpheus:8001",
    )
    orpheus_backend: Literal["vllm", "llama_cpp", "ollama", "text"] | None = setting(
        "PARLEY_ORPHEUS_BACKEND",
        None,
        "What that server is; `text` is any with OpenAI's completions.",
        "engines",
        shown="`vllm`",
        engines=("orpheus",),
        example="vllm",
    )
    orpheus_api_key: SecretStr | None = setting(
        "PARLEY_ORPHEUS_API_KEY",
        None,
        "The key for that server, if it wants one.",
        "engines",
        engines=("orpheus",),
        example="your_key_here",
    )
    orpheus_languages: str | None = setting(
        "PARLEY_ORPHEUS_LANGUAGES",
        None,
        "What the checkpoint there speaks.",
        "engines",
        allowed="language codes, with commas",
        shown="told by the model's name, else en",
        engines=("orpheus",),
        example="es,it",
    )
    orpheus_tokenizer: Folder | None = setting(
        "PARLEY_ORPHEUS_TOKENIZER",
        None,
        "The checkpoint's tokenizer.json, which spares a question per text.",
        "engines",
        shown="the server is asked",
        engines=("orpheus",),
        example="/etc/parley/orpheus/tokenizer.json",
    )
    orpheus_snac: Folder | None = setting(
        "PARLEY_ORPHEUS_SNAC",
        None,
        "The SNAC decoder: an ONNX file, or a folder with torch weights.",
        "engines",
        shown="the one that was pulled",
        engines=("orpheus",),
        example="/etc/parley/orpheus/decoder_model.onnx",
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
    deepgram_base_url: HttpUrl | None = setting(
        "DEEPGRAM_BASE_URL",
        None,
        "Where Deepgram answers: one of its regions, or your own servers.",
        "engines",
        allowed=_HTTP,
        shown="https://api.deepgram.com",
        engines=("deepgram",),
        example="https://api.eu.deepgram.com",
    )
    openai_api_key: SecretStr | None = setting(
        "OPENAI_API_KEY",
        None,
        "The key for OpenAI.",
        "engines",
        engines=("openai",),
        example="your_key_here",
    )

    openai_base_url: HttpUrl | None = setting(
        "OPENAI_BASE_URL",
        None,
        "Where a server with OpenAI's API answers.",
        "engines",
        allowed=_HTTP,
        shown="OpenAI itself",
        engines=("openai",),
        example="http://localhost:8000/v1",
    )

    stt_model: str | None = setting(
        "STT_MODEL",
        None,
        "The model that hears.",
        "models",
        engines=("speaches", "deepgram", "openai", "whisper", "moonshine"),
        example="Systran/faster-distil-whisper-small.en",
    )
    llm_model: str | None = setting(
        "LLM_MODEL",
        None,
        "The model that thinks.",
        "models",
        engines=("openai", "ollama", "llama"),
        example="gpt-4o-mini",
    )
    tts_model: str | None = setting(
        "TTS_MODEL",
        None,
        "The model that speaks.",
        "models",
        engines=("speaches", "deepgram", "openai", "orpheus", "kokoro"),
        example="speaches-ai/Kokoro-82M-v1.0-ONNX",
    )
    tts_voice: str | None = setting(
        "TTS_VOICE",
        None,
        "The voice of agents that name none.",
        "models",
        engines=("builtin", "speaches", "openai", "piper", "orpheus", "kokoro"),
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
        engines=("openai", "ollama", "llama_cpp", "llama"),
        ge=1,
        example="150",
    )
    llm_temperature: float | None = setting(
        "LLM_TEMPERATURE",
        None,
        "How freely a language model chooses its words.",
        "models",
        engines=("openai", "ollama", "llama_cpp", "llama"),
        ge=0,
        le=2,
        example="0.7",
    )
