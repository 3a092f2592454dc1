"""Moonshine's models: their names, sizes and languages, and which files they are made of."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx

from parley.core.errors import BadSettings, EngineUnavailable
from parley.core.extras import install_hint
from parley.engines.local import is_installed
from parley.engines.remote.file_download import RemoteFile

ARCHITECTURES = {
    "tiny": 0,
    "base": 1,
    "tiny-streaming": 2,
    "base-streaming": 3,
    "small-streaming": 4,
    "medium-streaming": 5,
}
"""Moonshine's numbers for them."""

_MB = {
    "tiny": 44,
    "base": 141,
    "tiny-streaming": 45,
    "small-streaming": 142,
    "medium-streaming": 269,
}
_LANGUAGES = {
    "ar": ("tiny-streaming", "base"),
    "de": ("small-streaming", "tiny-streaming"),
    "en": ("medium-streaming", "small-streaming", "base", "tiny-streaming", "tiny"),
    "es": ("small-streaming", "tiny-streaming", "base"),
    "ja": ("small-streaming", "tiny-streaming", "base", "tiny"),
    "ko": ("tiny",),
    "tl": ("tiny-streaming",),
    "uk": ("base",),
    "vi": ("tiny-streaming", "base"),
    "zh": ("tiny-streaming", "base"),
}
RECOMMENDED = "small-streaming-en"


@dataclass(frozen=True, slots=True)
class MoonshineModel:
    """A model in Moonshine's own store, whose files the library itself can name."""

    architecture: str
    language: str

    @property
    def bytes(self) -> int:
        return _MB[self.architecture] * 1_000_000

    async def files(self, client: httpx.AsyncClient) -> Sequence[RemoteFile]:
        if not is_installed("moonshine_voice"):
            raise EngineUnavailable("Moonshine is not installed.", hint=install_hint("moonshine"))
        return await asyncio.to_thread(self._files)

    def _files(self) -> list[RemoteFile]:
        library = cast(Any, importlib.import_module("moonshine_voice.moonshine_api"))
        options = {"model_arch": ARCHITECTURES[self.architecture]}
        told = library.moonshine_get_stt_dependencies_string(self.language, options)
        return [
            RemoteFile(
                each["name"],
                each["url"],
                int(each.get("size") or 0),
                f"crc32c:{each['checksum']}" if each.get("checksum_type") == "crc32c" else "",
            )
            for each in json.loads(told)["groups"][0]["files"]
        ]


KNOWN = {
    f"{architecture}-{language}": MoonshineModel(architecture, language)
    for language, architectures in _LANGUAGES.items()
    for architecture in architectures
}


def architecture_of(model: str) -> tuple[int, str]:
    """The architecture's number and the language; "" for a folder that doesn't tell."""
    name = Path(model).name
    for architecture in sorted(ARCHITECTURES, key=len, reverse=True):
        if name == architecture or name.startswith(f"{architecture}-"):
            language = name.removeprefix(architecture).strip("-")
            return ARCHITECTURES[architecture], language if language in _LANGUAGES else ""
    raise BadSettings(
        f"The name {model!r} does not tell which of Moonshine's architectures it is.",
        hint=f"It must begin with one of {', '.join(ARCHITECTURES)}, such as {RECOMMENDED}.",
    )
