"""What an agent or a setting can say of Orpheus."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from parley.engines.remote.addresses import HttpUrls
from parley.engines.spec import EngineOptions
from parley.engines.tts.orpheus.manner import COOLEST, HOTTEST
from parley.engines.tts.orpheus.snac import Device
from parley.engines.tts.orpheus.voices import PUBLISHED, OwnVoice
from parley.settings import data_folder

Backend = Literal["vllm", "llama_cpp", "ollama", "text"]


class OrpheusOptions(EngineOptions):
    """The talker is a server of its own; the SNAC decoder runs in this process."""

    base_url: HttpUrls | None = Field(None, description="Where the talker's servers answer.")
    backend: Backend = Field(
        "vllm",
        description="What serves the talker: vllm, llama_cpp, ollama, or text for any server "
        "with OpenAI's completions, such as LM Studio.",
    )
    model: str = Field(
        "", description="The talker's name at the server; its first one if empty (Ollama needs it)."
    )
    api_key: SecretStr = Field(SecretStr(""), description="The server's key, if it wants one.")
    languages: tuple[str, ...] = Field(
        (), description="What the checkpoint speaks; if empty, its name tells, else English."
    )
    tokenizer: Path | None = Field(
        None, description="The checkpoint's tokenizer.json; without it the server is asked."
    )

    voice: str = Field("", description="The voice of requests that name none.")
    voices: tuple[OwnVoice, ...] = Field(
        (), description="Voices of your own: name, prompt_name, model (or adapter), defaults."
    )
    aliases: dict[str, str] = Field(
        default_factory=dict[str, str],
        description="Other names for voices; they beat those that stand for OpenAI's voices.",
    )
    temperature: float = Field(
        0.6, ge=COOLEST, le=HOTTEST, description="Higher is livelier; colder than 0.2 it loops."
    )
    top_p: float = Field(0.9, gt=0, le=1, description="How much of the likely tokens to take.")
    repetition_penalty: float = Field(
        1.1, ge=1.1, le=2, description="Higher is faster; below 1.1 the model is unstable."
    )
    seed: int | None = Field(None, ge=0, description="For takes that can be repeated.")
    min_tokens: int = Field(28, ge=0, le=700, description="So that short texts aren't empty.")
    max_tokens: int = Field(
        2000, ge=70, le=8000, description="The longest take; 82 tokens are a second."
    )

    look_ahead: int = Field(
        2, ge=1, le=3, description="Frames of 85 ms to wait for behind each; 3 is exact."
    )
    first_look_ahead: int | None = Field(
        None, ge=1, le=3, description="The same for the first frame; 1 is heard sooner."
    )
    max_resyncs: int = Field(5, ge=0, description="Wrong tokens until a take is given up.")
    max_silence_ms: int = Field(
        2000, ge=500, description="A model that is silent for so long has run away."
    )
    token_timeout_s: float = Field(10.0, gt=0, description="The longest wait for a token.")
    max_concurrent: int = Field(
        8, ge=1, description="Texts spoken at once; the servers' tokens a second, by 100."
    )

    snac: Path | None = Field(
        None,
        description="The decoder: an ONNX file, or a folder with torch weights (extra snac). "
        "Without it the one that `parley models pull orpheus:snac` fetched.",
    )
    snac_device: Device = Field("auto", description="cpu, cuda, or auto: a GPU where there is one.")
    snac_threads: int | None = Field(
        None, ge=1, le=64, description="Threads of the decoder; by default its share of the cores."
    )
    data_dir: Path = Field(
        default_factory=data_folder, description="Models are in its folder `models`."
    )

    @field_validator("languages", mode="before")
    @classmethod
    def _words(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(word.strip().lower() for word in value.split(",") if word.strip())
        return value

    @field_validator("languages")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for language in value:
            if language not in PUBLISHED and len(language) != 2:
                raise ValueError(f"{language!r} is no language's code, such as en or fr")
        return value

    @model_validator(mode="after")
    def _ollama_needs_a_model(self) -> OrpheusOptions:
        if self.backend == "ollama" and self.base_url and not self.model:
            raise ValueError("ollama needs model: the name under which Ollama has the talker")
        return self
