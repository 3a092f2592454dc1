"""The voices of Orpheus: those of the published checkpoints, and those of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field

from parley.core.errors import BadSettings, NotFound
from parley.engines.spec import Voice

PUBLISHED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "en": ("tara", "leah", "jess", "leo", "dan", "mia", "zac", "zoe"),
        "fr": ("pierre", "amelie", "marie"),
        "de": ("jana", "thomas", "max"),
        "es": ("javi", "sergio", "maria"),
        "it": ("pietro", "giulia", "carlo"),
        "ko": ("유나", "준서"),
        "hi": ("ऋतिका",),
        "zh": ("长乐", "白芷"),
    }
)
"""By language, the one that is taken when nobody names one first."""

CHECKPOINTS: Mapping[str, str] = MappingProxyType(
    {
        "en": "canopylabs/orpheus-3b-0.1-ft",
        "fr": "canopylabs/3b-fr-ft-research_release",
        "de": "canopylabs/3b-de-ft-research_release",
        "es": "canopylabs/3b-es_it-ft-research_release",
        "it": "canopylabs/3b-es_it-ft-research_release",
        "ko": "canopylabs/3b-ko-ft-research_release",
        "hi": "canopylabs/3b-hi-ft-research_release",
        "zh": "canopylabs/3b-zh-ft-research_release",
    }
)

OPENAI_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "alloy": "tara", "ash": "dan", "ballad": "leo", "coral": "leah", "echo": "zac",
        "fable": "mia", "nova": "jess", "onyx": "leo", "sage": "mia", "shimmer": "zoe",
        "verse": "dan", "marin": "tara", "cedar": "zac",
    }
)  # fmt: skip
"""What clients of OpenAI ask for, and who speaks then where the English checkpoint is loaded."""


class OwnVoice(BaseModel):
    """A voice that somebody trained: its name here, its name in the prompt, its defaults.

    For all tenants but ``tenant`` it does not exist, unless that is "".
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, description="What agents and clients call it.")
    prompt_name: str = Field("", description="Its name in training; the same if empty.")
    model: str = Field("", description="The checkpoint or LoRA adapter that the server has.")
    language: str = Field("en", min_length=2, description="The language that it speaks.")
    tenant: str = Field("", description="Whose it is; everybody's if empty.")
    temperature: float | None = Field(None, ge=0.2, le=1.5)
    top_p: float | None = Field(None, gt=0, le=1)
    repetition_penalty: float | None = Field(None, ge=1.1, le=2)
    speed: float = Field(1.0, ge=0.5, le=2)


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who is to speak: the name for the prompt, and what differs from the engine's options."""

    name: str
    language: str
    own: OwnVoice | None = None


class VoiceBook:
    """The voices that the loaded checkpoint has, beside those of one's own."""

    def __init__(
        self,
        languages: Sequence[str],
        own: Sequence[OwnVoice] = (),
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        self._languages = tuple(dict.fromkeys(languages))
        self._all = tuple(own)
        self._own = {voice.name.lower(): voice for voice in own}
        self._aliases = {name.lower(): voice for name, voice in (aliases or {}).items()}
        if len({(voice.tenant, voice.name.lower()) for voice in own}) < len(own):
            raise BadSettings("Two voices of your own for Orpheus have the same name.")

    @property
    def languages(self) -> tuple[str, ...]:
        return self._languages

    def seen_by(self, tenant: str) -> VoiceBook:
        """The voices without those of other tenants."""
        seen = [voice for voice in self._all if voice.tenant in ("", tenant)]
        # Its own comes last and so takes the place of the house's of the same name.
        seen.sort(key=lambda voice: bool(voice.tenant))
        hidden = set(self._own) - {voice.name.lower() for voice in seen}
        aliases = {a: voice for a, voice in self._aliases.items() if voice.lower() not in hidden}
        return VoiceBook(self._languages, seen, aliases)

    def listed(self) -> list[Voice]:
        """All voices, each with the tenant that it belongs to."""
        houses = {voice.name.lower() for voice in self._all if not voice.tenant}
        published = [
            Voice(name, name.capitalize(), language)
            for language in self._languages
            for name in PUBLISHED.get(language, ())
            if name not in houses
        ]
        own = [
            Voice(voice.name, voice.name, _short(voice.language), voice.tenant)
            for voice in self._all
        ]
        return [*published, *own]

    def find(self, voice: str, language: str, default: str) -> Speaker:
        """The speaker for a request; ``default`` speaks when it names neither.

        Raises ``NotFound`` for a voice or a language that the loaded checkpoint hasn't got.
        """
        if voice:
            return self._named(voice)
        wanted = _short(language)
        if default:
            speaker = self._named(default)
            if not wanted or speaker.language == wanted:
                return speaker
        speakers = self._speakers(wanted or self._languages[0])
        if not speakers:
            raise NotFound(
                f"The Orpheus checkpoint that is loaded does not speak {wanted!r}.",
                hint=self._hint(wanted),
            )
        return speakers[0]

    def _named(self, voice: str) -> Speaker:
        key = voice.strip().lower()
        key = self._aliases.get(key, key).lower()
        if key in self._own:
            own = self._own[key]
            return Speaker(own.prompt_name or own.name, _short(own.language), own)
        if key in OPENAI_NAMES:
            key = self._standing_in(key)
        for language, names in PUBLISHED.items():
            if key not in names:
                continue
            if language in self._languages:
                return Speaker(key, language)
            raise NotFound(
                f"The voice {key} speaks {language!r}, which the loaded Orpheus checkpoint "
                "does not.",
                hint=self._hint(language),
            )
        raise NotFound(f"Orpheus has no voice {voice!r}.", hint=f"It has {self._names()}.")

    def _standing_in(self, openai_name: str) -> str:
        if "en" in self._languages:
            return OPENAI_NAMES[openai_name]
        speakers = self._speakers(self._languages[0])
        if not speakers:
            raise NotFound(
                f"Orpheus has no voice {openai_name!r}.", hint=f"It has {self._names()}."
            )
        place = list(OPENAI_NAMES).index(openai_name)
        return speakers[place % len(speakers)].name

    def _speakers(self, language: str) -> list[Speaker]:
        names = PUBLISHED.get(language, ()) if language in self._languages else ()
        published = [Speaker(name, language) for name in names]
        own = [each for each in self._own.values() if _short(each.language) == language]
        return [*published, *(Speaker(v.prompt_name or v.name, language, v) for v in own)]

    def _hint(self, language: str) -> str:
        load = CHECKPOINTS.get(language)
        instead = f"Choose one of {self._names()}"
        return f"{instead}, or serve {load}." if load else f"{instead}."

    def _names(self) -> str:
        return ", ".join(dict.fromkeys(voice.id for voice in self.listed()))


def languages_of(model: str) -> tuple[str, ...]:
    """The languages of a checkpoint, by its name; English where the name doesn't say."""
    name = model.lower().rpartition("/")[2]
    if "3b-es_it" in name or "es-it" in name:
        return ("es", "it")
    for language in PUBLISHED:
        if any(f"{mark}{language}-" in f"{name}-" for mark in ("3b-", "orpheus-")):
            return (language,)
    return ("en",)


def _short(language: str) -> str:
    """``de-AT`` → ``de``; ``auto`` is no language."""
    short = language.replace("_", "-").partition("-")[0].lower()
    return "" if short == "auto" else short
