"""What the tests of Orpheus share: the tiny decoder, an engine on it, its sound as numbers."""

from __future__ import annotations

import math
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from parley.engines.spec import SpeechOptions
from parley.engines.tts.orpheus import OrpheusOptions, OrpheusSpeech
from parley.engines.tts.orpheus.snac import OnnxSnac, decode_one

TINY_SNAC = Path(__file__).with_name("tiny_snac.onnx")
FRAME = 2048
PLAIN = SpeechOptions(language="")

Sound = npt.NDArray[np.float32]


def tiny_codec() -> OnnxSnac:
    return OnnxSnac(TINY_SNAC, "cpu", 1)


def whole_sound(codes: Any) -> Sound:
    """All frames decoded at one go."""
    return decode_one(tiny_codec(), np.asarray(codes, np.int64))


def speech(url: str | list[str], **options: Any) -> OrpheusSpeech:
    given = {"base_url": url, "snac": TINY_SNAC, **options}
    return OrpheusSpeech(OrpheusOptions.model_validate(given))


async def spoken(engine: OrpheusSpeech, text: str, options: SpeechOptions = PLAIN) -> Sound:
    """The text as samples from -1 to 1."""
    async with aclosing(engine.synthesize(text, options)) as pieces:
        pcm = [piece.pcm async for piece in pieces]
    return np.frombuffer(b"".join(pcm), "<i2").astype(np.float32) / 32767


def error_db(sound: Sound, expected: Sound) -> float:
    """The power of what differs, against the power of what was expected."""
    wrong = float(np.mean(np.square(sound - expected)))
    power = float(np.mean(np.square(expected)))
    return 10 * math.log10(wrong / power) if wrong else -math.inf
