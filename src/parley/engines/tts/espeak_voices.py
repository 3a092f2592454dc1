"""eSpeak's voices by the names people give them: ``en-us``, ``en-us+f3``, ``f3``, ``German``."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from parley.core.errors import NotFound
from parley.engines.spec import Voice
from parley.engines.tts.espeak import EspeakVoice

LISTED_VARIANTS = (*(f"f{n}" for n in range(1, 6)), *(f"m{n}" for n in range(1, 8)))


@dataclass(frozen=True, slots=True)
class SpeakingVoice:
    """A voice and a variant that exist. ``identifier`` is what eSpeak is to be told."""

    id: str
    identifier: str
    language: str


class VoiceBook:
    """Finds voices by id, name or language."""

    def __init__(self, voices: Iterable[EspeakVoice], variants: Sequence[str]) -> None:
        self._by_id: dict[str, EspeakVoice] = {}
        self._variants = {variant.lower(): variant for variant in variants}
        self._by_name: dict[str, str] = {}
        for voice in voices:
            stem = voice.identifier.rsplit("/", 1)[-1].lower()
            voice_id = stem if voice.language in self._by_id else voice.language
            self._by_id[voice_id] = voice
            for name in (voice.identifier, voice.name):
                self._by_name.setdefault(name.lower(), voice_id)
        self._by_language = self._languages()

    def find(self, name: str, language: str, fallback: str) -> SpeakingVoice:
        """The voice called ``name``; without one, ``fallback`` if it speaks ``language``, or
        else that language's voice in the fallback's variant. Raises ``NotFound``."""
        base, variant = self._split(name, "")
        fallback_base, fallback_variant = self._split(fallback, "")
        if not base:
            base = self._base_for(language, fallback_base or fallback)
            variant = variant or fallback_variant
        voice_id = self._id_of(base)
        if voice_id is None or (variant and variant.lower() not in self._variants):
            raise self._unknown(name or fallback)
        return self._speaking(voice_id, variant)

    def listed(self) -> list[Voice]:
        """Every voice, the English ones in their common variants too."""
        found: list[Voice] = []
        for voice_id, voice in self._by_id.items():
            found.append(Voice(voice_id, voice.name, voice.language))
            if voice_id in ("en-us", "en-gb"):
                found += [
                    Voice(f"{voice_id}+{variant}", f"{voice.name}, {variant}", voice_id)
                    for variant in LISTED_VARIANTS
                    if variant in self._variants
                ]
        return found

    def _split(self, name: str, base: str) -> tuple[str, str]:
        """``en-us+f3`` is a base and a variant, ``f3`` a variant alone."""
        name = name.strip()
        if name.lower() in self._variants and self._id_of(name) is None:
            return base, name
        base, _, variant = name.partition("+")
        return base.strip(), variant.strip()

    def _base_for(self, language: str, fallback: str) -> str:
        tag = language.strip().lower().replace("_", "-")
        own_id = self._id_of(fallback)
        own = {tag for tag, _ in self._by_id[own_id].languages} if own_id else set[str]()
        primary = tag.split("-")[0]
        if not tag or tag in own:
            return fallback
        if tag in self._by_language:
            return self._by_language[tag]
        if primary in own:
            return fallback
        if primary in self._by_language:
            return self._by_language[primary]
        raise NotFound(
            f"eSpeak NG has no voice for the language {language!r}.",
            hint=self._near(tag, self._by_language),
            param="language",
        )

    def _id_of(self, base: str) -> str | None:
        key = base.lower().replace("_", "-")
        if key in self._by_id:
            return key
        return self._by_name.get(base.lower()) or self._by_language.get(key)

    def _speaking(self, voice_id: str, variant: str) -> SpeakingVoice:
        voice = self._by_id[voice_id]
        if not variant:
            return SpeakingVoice(voice_id, voice.identifier, voice.language)
        variant = self._variants[variant.lower()]
        return SpeakingVoice(
            f"{voice_id}+{variant}", f"{voice.identifier}+{variant}", voice.language
        )

    def _languages(self) -> dict[str, str]:
        """The voice that is meant by each language tag."""
        ranked = [
            (rank, voice_id, tag)
            for voice_id, voice in self._by_id.items()
            for tag, rank in voice.languages
        ]
        found: dict[str, str] = {}
        for _, voice_id, tag in sorted(ranked, key=lambda entry: entry[0]):
            found.setdefault(tag, voice_id)
        return found

    def _unknown(self, name: str) -> NotFound:
        known = [voice.id for voice in self.listed()] + sorted(self._variants.values())
        known += [voice.name for voice in self._by_id.values()]
        return NotFound(
            f"eSpeak NG has no voice {name!r}.", hint=self._near(name, known), param="voice"
        )

    def _near(self, name: str, known: Iterable[str]) -> str:
        spelt = {known_name.lower(): known_name for known_name in known}
        close = difflib.get_close_matches(name.lower(), list(spelt), n=4, cutoff=0.5)
        meant = f"Did you mean {', '.join(spelt[c] for c in close)}? " if close else ""
        return f"{meant}Voices are written like de or en-us+f3."
