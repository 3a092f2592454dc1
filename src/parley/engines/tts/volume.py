"""Makes samples louder or softer without clipping them."""

from __future__ import annotations

import numpy as np

from parley.engines.tts.pieces import Samples

LOUD = 0.7
"""Of full scale. A voice made louder is bent, not clipped, above it."""


def at_volume(samples: Samples, volume: float) -> Samples:
    """``volume`` is a factor; at 1.0 the samples are as they were."""
    if volume == 1.0:
        return samples
    sound = samples.astype(np.float32) * (volume / 32768)
    if volume > 1.0:
        over = np.abs(sound) > LOUD
        bent = LOUD + (1 - LOUD) * np.tanh((np.abs(sound[over]) - LOUD) / (1 - LOUD))
        sound[over] = np.sign(sound[over]) * bent
    return (sound * 32767).astype(np.int16)
