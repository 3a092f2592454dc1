"""Kokoro's voices by name: which language each speaks, and which one speaks a language."""

from __future__ import annotations

import re

from parley.core.errors import NotFound

LANGUAGES = {
    "a": "en-us",
    "b": "en-gb",
    "e": "es",
    "f": "fr-fr",
    "h": "hi",
    "i": "it",
    "p": "pt-br",
}
"""By the first letter of a voice. Japanese and Chinese voices need phonemes of another kind."""
FIRST_VOICES = {
    "en-us": "af_heart",
    "en-gb": "bf_emma",
    "es": "ef_dora",
    "fr-fr": "ff_siwis",
    "hi": "hf_alpha",
    "it": "if_sara",
    "pt-br": "pf_dora",
}
_VOICE = re.compile(f"[{''.join(LANGUAGES)}][fm]_[a-z0-9]+")


def speaks(voice: str, language: str) -> bool:
    own = LANGUAGES.get(voice[0], "")
    return own.split("-")[0] == _tag(language).split("-")[0]


def voice_for(language: str) -> str:
    """The first voice of a language. Raises ``NotFound`` for one that it doesn't speak."""
    tag = _tag(language)
    for own, voice in FIRST_VOICES.items():
        if own == tag:
            return voice
    for own, voice in FIRST_VOICES.items():
        if own.split("-")[0] == tag.split("-")[0]:
            return voice
    raise NotFound(
        f"Kokoro has no voice for the language {language!r}.",
        hint=f"It speaks {', '.join(FIRST_VOICES)}.",
        param="language",
    )


def title_of(voice: str) -> str:
    """``af_heart`` → ``Heart``."""
    return voice.partition("_")[2].capitalize()


def is_voice(value: str) -> bool:
    return bool(_VOICE.fullmatch(value.strip()))


def _tag(language: str) -> str:
    return language.lower().replace("_", "-")
