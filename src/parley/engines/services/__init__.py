"""Engines as services for anybody's Pipecat pipeline; each is imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parley.engines.services.llama import LlamaLLMService
    from parley.engines.services.orpheus import OrpheusTTSService
    from parley.engines.services.piper import PiperTTSService
    from parley.engines.services.vosk import VoskSTTService

__all__ = ["LlamaLLMService", "OrpheusTTSService", "PiperTTSService", "VoskSTTService"]

_MODULES = {
    "LlamaLLMService": "llama",
    "OrpheusTTSService": "orpheus",
    "PiperTTSService": "piper",
    "VoskSTTService": "vosk",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
