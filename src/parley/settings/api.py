"""The settings of the HTTP interface: how much a request may bring, and how slowly."""

from __future__ import annotations

from pydantic_settings import BaseSettings

from parley.settings.field import setting
from parley.settings.values import ModelAliases


class ApiSettings(BaseSettings):
    """What one request may cost."""

    max_upload_mb: int = setting(
        "PARLEY_MAX_UPLOAD_MB",
        25,
        "The largest file that can be sent for transcription, in MiB.",
        "server",
        ge=1,
        le=4096,
    )
    max_audio_minutes: float = setting(
        "PARLEY_MAX_AUDIO_MINUTES",
        240.0,
        "The longest recording that can be sent for transcription: hours of silence are a small "
        "file.",
        "server",
        gt=0,
        le=10_080,
    )
    stall_s: float = setting(
        "PARLEY_STALL_S",
        30.0,
        "How long a client may neither send nor take anything before its request is ended.",
        "server",
        gt=0,
        le=3600,
    )
    model_aliases: ModelAliases = setting(
        "PARLEY_MODEL_ALIASES",
        dict,
        "Other names for models in chat completions and responses, for programs that insist on "
        "OpenAI's.",
        "server",
        allowed="NAME=MODEL pairs with commas between; the name * stands for every unknown one",
        shown="none",
        example="gpt-4o-mini=agent:receptionist,*=auto",
    )
