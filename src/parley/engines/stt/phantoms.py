"""Sentences that Whisper invents where nobody spoke, and the rule for dropping them.

Whisper learnt from subtitled videos. Given silence or noise it writes what stood under such
moments: credits of subtitlers, farewells of video makers, sounds in brackets, or a short
courtesy. Only a whole utterance is ever dropped, never a part of one:

1. Credits of known subtitlers, farewells to viewers and sounds in brackets: always. No caller
   says them to an agent.
2. Anything, when the model itself doubts every segment by Whisper's own measure: it heard no
   speech and is unsure of the words.
3. Words that go round in circles, faster than anybody speaks.
4. What a caller may well say (thank you, bye, okay, a credit in other words): the sound decides.
   It is dropped when nothing in the sound stands out as speech does, or when the model both heard
   no speech and is rather unsure. A clear "thank you" passes.

The language that was asked for doesn't matter: in silence Whisper changes it at will.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from parley.engines.stt.phantom_words import INVENTED, PLAUSIBLE

SHORTEST_SPEECH_MS = 120
NO_SPEECH = 0.6
UNSURE_LOGPROB = -1.0
RATHER_UNSURE_LOGPROB = -0.7
LOOP_COMPRESSION = 2.4
FASTEST_LETTERS_PER_S = 35

_SENTENCE_END = re.compile(r"[.!?…]+(?:\s+|$)|[。！？\n]+")
_IN_BRACKETS = re.compile(r"[\[(*（【♪][^\])*）】♪]*[\])*）】♪]")


@dataclass(frozen=True, slots=True)
class Scores:
    """What the model says of one segment; None where it doesn't say."""

    no_speech: float | None = None
    avg_logprob: float | None = None
    compression: float | None = None

    def is_doubtful(self, unsure_logprob: float = UNSURE_LOGPROB) -> bool:
        return (
            self.no_speech is not None
            and self.avg_logprob is not None
            and self.no_speech > NO_SPEECH
            and self.avg_logprob < unsure_logprob
        )


def is_phantom(text: str, spoken_ms: float, scores: Sequence[Scores] = ()) -> bool:
    """Whether this whole utterance was invented. ``spoken_ms`` is how long speech stood out.

    An empty text is no phantom: there is nothing to drop.
    """
    if not text.strip():
        return False
    if _is_invented(text) or _all_doubtful(scores) or _is_loop(text, spoken_ms, scores):
        return True
    if not _each_matches(text, _PLAUSIBLE):
        return False
    return spoken_ms < SHORTEST_SPEECH_MS or _all_doubtful(scores, RATHER_UNSURE_LOGPROB)


def may_be_phantom(text: str) -> bool:
    """Whether these words alone could be a phantom: then they are no partial to act on yet."""
    return _is_invented(text) or _each_matches(text, _PLAUSIBLE)


def _all_doubtful(scores: Sequence[Scores], unsure_logprob: float = UNSURE_LOGPROB) -> bool:
    return bool(scores) and all(each.is_doubtful(unsure_logprob) for each in scores)


def _is_loop(text: str, spoken_ms: float, scores: Sequence[Scores]) -> bool:
    if not scores or any((each.compression or 0.0) <= LOOP_COMPRESSION for each in scores):
        return False
    return len(_bare(text)) * 1000 > FASTEST_LETTERS_PER_S * max(spoken_ms, 1)


def _is_invented(text: str) -> bool:
    spoken = _IN_BRACKETS.sub(" ", text)
    return not _bare(spoken) or _each_matches(spoken, _INVENTED)


def _each_matches(text: str, patterns: Sequence[re.Pattern[str]]) -> bool:
    """Whether the text, or every sentence of it, is one of these."""
    return _matches(text, patterns) or all(_matches(each, patterns) for each in _sentences(text))


def _matches(text: str, patterns: Sequence[re.Pattern[str]]) -> bool:
    bare = _bare(text)
    return any(pattern.fullmatch(bare) for pattern in patterns)


def _sentences(text: str) -> list[str]:
    return [each for each in _SENTENCE_END.split(text) if _bare(each)]


def _bare(text: str) -> str:
    """Letters, their marks and digits only, in lower case, without spaces."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(each for each in folded if unicodedata.category(each)[0] in "LMN")


def _compiled(by_language: Mapping[str, Sequence[str]]) -> tuple[re.Pattern[str], ...]:
    every = [each for patterns in by_language.values() for each in patterns]
    return tuple(re.compile(unicodedata.normalize("NFKC", _spaceless(each))) for each in every)


def _spaceless(pattern: str) -> str:
    return pattern.replace(" ", "")


_INVENTED = _compiled(INVENTED)
_PLAUSIBLE = _INVENTED + _compiled(PLAUSIBLE)
