"""The fixed conversation of the density bench: same words, same sound, for whatever answers.

The engines of both servers hand out what is here and take no time of their own.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

CALLER_SAYS = "Please tell me when you are open on Saturday."
REPLY = (
    "Thank you for asking, we are open from Monday to Friday between nine and six. "
    "On Saturday we are here from ten until two, and on Sunday the practice is closed."
)
REPLY_TOKENS = tuple(word + " " for word in REPLY.split())

VOICE_RATE_HZ = 24_000
REPLY_MS = 8_000
CHUNK_MS = 80
CHUNK_BYTES = VOICE_RATE_HZ * CHUNK_MS // 1000 * 2


@dataclass(frozen=True)
class FixedVoice:
    """Eight seconds of speech at 24 kHz for the whole reply; a part of it gets its share."""

    pcm: bytes

    def chunks(self, text: str) -> list[bytes]:
        share = min(1.0, len(text.strip()) / len(REPLY))
        end = round(len(self.pcm) * share) // 2 * 2
        return [self.pcm[at : min(end, at + CHUNK_BYTES)] for at in range(0, end, CHUNK_BYTES)]


def server_arguments() -> argparse.Namespace:
    """What a bench's server is told: where to listen, and the sound of its voice."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--voice", type=Path, required=True, help="raw s16le mono at 24 kHz")
    return parser.parse_args()
