"""The settings of engines that compute on this machine."""

from __future__ import annotations

from typing import Literal

from pydantic_settings import BaseSettings

from parley.settings.field import setting


class LocalSettings(BaseSettings):
    """What all of them share; the rest is in each engine's own options."""

    device: Literal["auto", "cpu", "cuda"] = setting(
        "PARLEY_DEVICE",
        "auto",
        "Where engines of this machine compute; auto takes a GPU that has room for the model.",
        "engines",
        engines=("whisper", "llama", "kokoro"),
    )
