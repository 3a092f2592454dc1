"""The forms that a transcript can have."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from parley.api.openai.hearing import Segment
from parley.api.openai.languages import language_name

# Nobody here counts in tokens; these keep a client's sums in proportion.
_TOKENS_PER_S = 10
_CHARACTERS_PER_TOKEN = 4
# From here on scripts have no spaces between words.
_FIRST_IDEOGRAPH = "\u2e80"
_HANGUL = ("\uac00", "\ud7a3")


@dataclass(frozen=True)
class Transcript:
    """All that was said in a recording. ``language`` is "" where nobody told."""

    segments: Sequence[Segment]
    duration_s: float
    language: str = ""
    task: str = "transcribe"

    @property
    def text(self) -> str:
        text = ""
        for segment in self.segments:
            text += gap_before(text, segment.text) + segment.text
        return text


def gap_before(text: str, following: str) -> str:
    """What stands between two stretches of text: a space, but for scripts that have none."""
    if not text or not following:
        return ""
    return "" if _is_close(text[-1]) and _is_close(following[0]) else " "


def _is_close(character: str) -> bool:
    is_hangul = _HANGUL[0] <= character <= _HANGUL[1]
    return character >= _FIRST_IDEOGRAPH and not is_hangul


def as_json(transcript: Transcript) -> str:
    return _dumped({"text": transcript.text, "usage": _duration_usage(transcript.duration_s)})


def as_text(transcript: Transcript) -> str:
    return f"{transcript.text}\n"


def as_srt(transcript: Transcript) -> str:
    cues = [
        f"{number}\n{_clock(each.start_ms, ',')} --> {_clock(each.end_ms, ',')}\n{each.text}\n"
        for number, each in enumerate(transcript.segments, start=1)
    ]
    return "\n".join(cues) + ("\n" if cues else "")


def as_vtt(transcript: Transcript) -> str:
    cues = [
        f"{_clock(each.start_ms, '.')} --> {_clock(each.end_ms, '.')}\n{_harmless(each.text)}\n"
        for each in transcript.segments
    ]
    return "\n".join(["WEBVTT\n", *cues]) + "\n"


def as_verbose_json(transcript: Transcript, granularities: Sequence[str]) -> str:
    said: dict[str, Any] = {
        "task": transcript.task,
        "language": language_name(transcript.language),
        "duration": round(transcript.duration_s, 3),
        "text": transcript.text,
        "usage": _duration_usage(transcript.duration_s),
    }
    if "segment" in granularities:
        said["segments"] = [_segment(*each) for each in enumerate(transcript.segments)]
    if "word" in granularities:
        said["words"] = [
            {"word": word.text, "start": word.start_ms / 1000, "end": word.end_ms / 1000}
            for segment in transcript.segments
            for word in segment.words
        ]
    return _dumped(said)


def token_usage(duration_s: float, text: str) -> dict[str, Any]:
    """Usage in the shape that streams end with."""
    heard = math.ceil(duration_s * _TOKENS_PER_S)
    written = math.ceil(len(text) / _CHARACTERS_PER_TOKEN)
    return {
        "type": "tokens",
        "input_tokens": heard,
        "output_tokens": written,
        "total_tokens": heard + written,
        "input_token_details": {"audio_tokens": heard, "text_tokens": 0},
    }


def _segment(number: int, segment: Segment) -> dict[str, Any]:
    """Engines don't tell how sure they were: those figures say nothing either way."""
    return {
        "id": number,
        "seek": 0,
        "start": segment.start_ms / 1000,
        "end": segment.end_ms / 1000,
        "text": segment.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": 0.0,
        "compression_ratio": 1.0,
        "no_speech_prob": 0.0,
    }


def _duration_usage(duration_s: float) -> dict[str, Any]:
    return {"type": "duration", "seconds": math.ceil(duration_s)}


def _clock(at_ms: int, point: str) -> str:
    seconds, milliseconds = divmod(at_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{milliseconds:03}"


def _harmless(text: str) -> str:
    """WebVTT takes these for markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("-->", "--&gt;")


def _dumped(said: dict[str, Any]) -> str:
    return json.dumps(said, ensure_ascii=False)
