"""How one text is to be spoken: what the engine, the voice and the request say, put together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from parley.engines.spec import SpeechOptions
from parley.engines.tts.orpheus.codes import TOKENS_PER_S
from parley.engines.tts.orpheus.speed import FASTEST, SLOWEST
from parley.engines.tts.orpheus.talker import Sampling
from parley.engines.tts.orpheus.voices import Speaker

COOLEST, HOTTEST = 0.2, 1.5
"""Colder than this the model repeats one sound for ever."""
SPARE_S = 2.0
LETTER_S = 0.09
SYLLABLE_S = 0.3
"""A character of Chinese or Korean is a syllable."""

_SYLLABLES = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]")


@dataclass(frozen=True, slots=True)
class Preset:
    """What a word of an instruction changes. ``tag`` is acted out before the text."""

    temperature: float = 0.0
    speed: float = 1.0
    volume: float = 1.0
    tag: str = ""


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "calm": Preset(temperature=-0.15, speed=0.95),
        "cheerful": Preset(temperature=0.15, speed=1.05),
        "excited": Preset(temperature=0.2, speed=1.1),
        "fast": Preset(speed=1.2),
        "quick": Preset(speed=1.2),
        "slow": Preset(speed=0.85),
        "loud": Preset(volume=1.4),
        "quiet": Preset(volume=0.6),
        "soft": Preset(volume=0.7),
        "whisper": Preset(temperature=-0.1, volume=0.5),
        "laugh": Preset(tag="laugh"),
        "sigh": Preset(tag="sigh"),
        "tired": Preset(speed=0.9, tag="yawn"),
    }
)
"""The model understands no instructions: these words in one are mapped, the others passed over."""


@dataclass(frozen=True, slots=True)
class Manner:
    speaker: Speaker
    sampling: Sampling
    speed: float
    volume: float
    tag: str = ""

    def prompt(self, text: str, *, is_first: bool) -> str:
        opening = f"<{self.tag}> " if self.tag and is_first else ""
        return f"{self.speaker.name}: {opening}{text}"

    def sampling_for(self, text: str, seed: int | None) -> Sampling:
        """With a bound on the tokens that fits the text, and the seed of this attempt."""
        budget = round(TOKENS_PER_S * (usual_s(text) + SPARE_S))
        most = min(self.sampling.max_tokens, budget)
        return replace(self.sampling, max_tokens=most, seed=seed)


def manner_of(speaker: Speaker, sampling: Sampling, options: SpeechOptions) -> Manner:
    """What the request asks for counts on top of the voice's defaults, those on the engine's."""
    own = speaker.own
    speed, volume, tag = options.speed, max(options.volume, 0.0), ""
    if own is not None:
        speed *= own.speed
        sampling = replace(
            sampling,
            temperature=own.temperature or sampling.temperature,
            top_p=own.top_p or sampling.top_p,
            repetition_penalty=own.repetition_penalty or sampling.repetition_penalty,
        )
    for word, preset in PRESETS.items():
        if not re.search(rf"\b{word}", options.instructions, re.IGNORECASE):
            continue
        temperature = min(max(sampling.temperature + preset.temperature, COOLEST), HOTTEST)
        sampling = replace(sampling, temperature=temperature)
        speed, volume, tag = speed * preset.speed, volume * preset.volume, preset.tag or tag
    return Manner(speaker, sampling, min(max(speed, SLOWEST), FASTEST), volume, tag)


def usual_s(text: str) -> float:
    """About how long the text takes to say, rather more than less."""
    syllables = len(_SYLLABLES.findall(text))
    return LETTER_S * (len(text) - syllables) + SYLLABLE_S * syllables
