"""Reads what transcription servers answer: OpenAI's JSON and its relatives, whole or streamed."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

from parley.core.errors import EngineFailed
from parley.engines.spec import Word
from parley.engines.stt.phantoms import Scores

# LocalAI's times are nanoseconds; no utterance lasts this many seconds.
_NANOSECONDS_FROM = 1e6


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the utterance, as far as the server told of it."""

    text: str
    start_ms: int
    end_ms: int
    words: tuple[Word, ...] = ()
    scores: Scores | None = None


@dataclass(frozen=True, slots=True)
class Transcript:
    """``is_whole``: nothing follows."""

    text: str
    segments: tuple[Segment, ...] = ()
    is_whole: bool = False

    @property
    def scores(self) -> list[Scores]:
        return [each.scores for each in self.segments if each.scores is not None]


def read_transcript(body: str, content_type: str) -> Transcript:
    """The answer to a request that wasn't streamed.

    Raises ``ValueError`` for what is no transcript, ``EngineFailed`` for an error that came with
    status 200, as whisper.cpp's server does.
    """
    if content_type.startswith("text/plain") and not body.lstrip().startswith("{"):
        return Transcript(_tidy(body), is_whole=True)
    answer: Any = json.loads(body)
    if isinstance(answer, str):
        return Transcript(_tidy(answer), is_whole=True)
    if not isinstance(answer, dict):
        raise ValueError("no transcript")
    fields = cast("dict[str, Any]", answer)
    _refuse_error(fields)
    segments = tuple(_segment(each) for each in _entries(fields, "segments"))
    text = fields.get("text")
    if not isinstance(text, str):
        if not segments:
            raise ValueError("no text")
        text = " ".join(each.text for each in segments)
    words = tuple(_word(each) for each in _entries(fields, "words"))
    return Transcript(_tidy(text), _with_words(segments, words), is_whole=True)


async def read_deltas(lines: AsyncIterator[str]) -> AsyncGenerator[Transcript]:
    """The transcript so far after each server-sent event; the last one is the whole."""
    text = ""
    async for line in lines:
        field, _, value = line.partition(":")
        data = value.strip()
        if field != "data" or not data:
            continue
        if data == "[DONE]":
            break
        event: Any = json.loads(data)
        if not isinstance(event, dict):
            raise ValueError("an event that is no object")
        fields = cast("dict[str, Any]", event)
        _refuse_error(fields)
        kind = fields.get("type")
        if kind == "transcript.text.done":
            # Speaches leaves this text empty: it has read its segments twice.
            text = str(fields.get("text") or text)
            break
        if kind == "transcript.text.delta":
            text += str(fields.get("delta") or "")
        elif kind is None and "text" in fields:
            # Before it had events, Speaches sent each segment as a small JSON answer.
            text = f"{text} {fields['text']}"
        else:
            continue
        yield Transcript(_tidy(text))
    yield Transcript(_tidy(text), is_whole=True)


def _refuse_error(fields: dict[str, Any]) -> None:
    error: Any = fields.get("error")
    if not error:
        return
    says = cast("dict[str, Any]", error).get("message") if isinstance(error, dict) else error
    raise EngineFailed(f"The recogniser says: {str(cast(object, says))[:300]}")


def _entries(fields: dict[str, Any], name: str) -> list[dict[str, Any]]:
    entries: Any = fields.get(name)
    if not isinstance(entries, list):
        return []
    return [
        cast("dict[str, Any]", each)
        for each in cast("list[Any]", entries)
        if isinstance(each, dict)
    ]


def _segment(fields: dict[str, Any]) -> Segment:
    scores = Scores(
        _number(fields.get("no_speech_prob")),
        _number(fields.get("avg_logprob")),
        _number(fields.get("compression_ratio")),
    )
    return Segment(
        _tidy(str(fields.get("text") or "")),
        _ms(fields.get("start")),
        _ms(fields.get("end")),
        # whisper.cpp puts words into their segments, OpenAI beside them.
        tuple(_word(each) for each in _entries(fields, "words")),
        scores,
    )


def _word(fields: dict[str, Any]) -> Word:
    text = fields.get("word", fields.get("text"))
    return Word(_tidy(str(text or "")), _ms(fields.get("start")), _ms(fields.get("end")))


def _with_words(segments: tuple[Segment, ...], words: tuple[Word, ...]) -> tuple[Segment, ...]:
    """Each word given to the segment in which it begins."""
    if not words:
        return segments
    if not segments:
        return (
            Segment(
                " ".join(each.text for each in words), words[0].start_ms, words[-1].end_ms, words
            ),
        )
    starts = [each.start_ms for each in segments[1:]]
    shares: list[list[Word]] = [[] for _ in segments]
    for word in words:
        shares[sum(word.start_ms >= start for start in starts)].append(word)
    return tuple(
        Segment(each.text, each.start_ms, each.end_ms, tuple(share), each.scores)
        for each, share in zip(segments, shares, strict=True)
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _ms(value: Any) -> int:
    seconds = _number(value) or 0.0
    return round(seconds / 1e6 if seconds > _NANOSECONDS_FROM else seconds * 1000)


def _tidy(text: str) -> str:
    return " ".join(text.split())
