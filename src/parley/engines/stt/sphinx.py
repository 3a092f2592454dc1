"""PocketSphinx inside a worker process: utterances, each with a decoder of its own.

Imported by workers only. A decoder has 30 MB, and 60 more once it takes dictation, so it is leased
for an utterance and used again.
"""

from __future__ import annotations

import hashlib
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pocketsphinx

from parley.engines.jsgf import BadGrammar, FoldedGrammar, fold_jsgf
from parley.engines.stt.narrow_band import is_narrow, write_mllr

RATE_HZ = 16_000
BYTES_PER_MS = RATE_HZ * 2 // 1000

# The decoder knows how loud and how coloured a voice is only after some of it. Decoding starts
# when this much has come (sooner if the utterance is shorter) and catches up at once.
LEARN_MS = 1100
# Quieter than this share of the loudest sample is not the voice yet.
VOICE_LEVEL = 0.03
PARTIAL_EVERY_MS = 240
ROOM_NOISE = 10

_PHONES = (
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V "
    "W Y Z ZH"
)
PHONES = tuple(_PHONES.split())
FILLER = "_"
# How willingly a sound is taken for speech outside the grammar. Tried with 38 sentences in the
# grammar and 20 outside it: at 1e-6 five of the 38 were lost and two of the 20 taken for something,
# at 1e-8 one and six, at 1e-10 none and ten.
FILLER_WEIGHT = 1e-7

# "toothache" is a tooth and an ache; shorter parts would make words of anything.
SHORTEST_PART = 4

DICTATION = "dictation"
DICTATION_MODEL = "en-us/en-us.lm.bin"
LEARNING = "parley-learning"


@lru_cache(maxsize=4)
def _folded(grammar: str) -> FoldedGrammar:
    """Every ear of a worker learns the same grammar, one after the other."""
    return fold_jsgf(grammar)


def _new_decoder(**options: Any) -> Any:
    # PocketSphinx has no types.
    library: Any = pocketsphinx
    # Without dictation's language model, which is two thirds of the loading and of the memory:
    # where there is a grammar nobody needs it.
    return library.Decoder(
        samprate=RATE_HZ, loglevel="FATAL", fwdflat=False, bestpath=False, lm=None, **options
    )


def _new_narrow_decoder() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "narrow_band.mllr"
        write_mllr(path)
        return _new_decoder(mllr=str(path))


class Ear:
    """One decoder and the grammars it has been taught; ``is_narrow`` for the telephone's sound."""

    def __init__(self, *, is_narrow: bool = False) -> None:
        self._decoder = _new_narrow_decoder() if is_narrow else _new_decoder()
        self._narrow: Ear | None = None
        library: Any = pocketsphinx
        self._dictation_model: str = library.get_model_path(DICTATION_MODEL)
        self._decoder.add_jsgf_string(
            LEARNING, "#JSGF V1.0; grammar learning; public <word> = yes;"
        )
        for phone in PHONES:
            self._decoder.add_word(FILLER + phone.lower(), phone, phone == PHONES[-1])
        self._taught: set[str] = set()
        self.unknown_words: set[str] = set()
        self.is_leased = False

    def suited_to(self, pcm: bytes) -> Ear:
        """Itself, or for sound of the telephone network its twin, which is made when the first such
        caller is heard: most houses have none."""
        if not is_narrow(pcm, ROOM_NOISE):
            return self
        if self._narrow is None:
            self._narrow = Ear(is_narrow=True)
        return self._narrow

    def search_for(self, grammar: str) -> str:
        """The name of the search for this grammar; "" is dictation."""
        if not grammar:
            if DICTATION not in self._taught:
                self._decoder.add_lm_file(DICTATION, self._dictation_model)
                self._taught.add(DICTATION)
            return DICTATION
        name = hashlib.sha256(grammar.encode()).hexdigest()[:16]
        if name not in self._taught:
            self._teach(name, grammar)
        return name

    def _teach(self, name: str, grammar: str) -> None:
        folded = _folded(grammar)
        unknown = {word for word in folded.words if not self._knows(word)}
        if unknown:
            self.unknown_words |= unknown
            folded = folded.without(unknown)
        if not folded.words:
            raise BadGrammar("No sentence of the grammar can be heard.")
        self._decoder.add_fsg(name, self._with_filler(name, folded))
        self._taught.add(name)

    def _knows(self, word: str) -> bool:
        """Whether the word can be heard; one that is joined of two known ones can."""
        if self._decoder.lookup_word(word) is not None:
            return True
        for at in range(SHORTEST_PART, len(word) - SHORTEST_PART + 1):
            parts = [self._decoder.lookup_word(part) for part in (word[:at], word[at:])]
            if all(parts):
                self._decoder.add_word(word, " ".join(parts), True)
                return True
        return False

    def _with_filler(self, name: str, folded: FoldedGrammar) -> Any:
        """The grammar, and beside it a path of any sounds for what is not in it."""
        transitions, last = folded.transitions()
        start, filler = last + 1, last + 2
        sounds = [(filler, filler, FILLER_WEIGHT, FILLER + phone.lower()) for phone in PHONES]
        ways: list[Any] = [*transitions, (start, 0, 1.0), (start, filler, 1.0), *sounds]
        return self._decoder.create_fsg(name, start, last, [*ways, (filler, last, 1.0)])

    def learn_voice(self, pcm: bytes) -> Any:
        """The cepstral mean of some sound, to normalise by."""
        self._decoder.activate_search(LEARNING)
        self._decoder.start_utt()
        self._decoder.process_raw(pcm, full_utt=True)
        self._decoder.end_utt()
        return self._decoder.get_cmn()

    def begin(self, search: str, voice: Any) -> None:
        self._decoder.activate_search(search)
        self._decoder.set_cmn(voice)
        self._decoder.start_utt()

    def take(self, pcm: bytes) -> None:
        self._decoder.process_raw(pcm)

    def end(self) -> None:
        self._decoder.end_utt()

    def text(self) -> str:
        """What was understood so far: "" for nothing, and for speech outside the grammar."""
        hypothesis = self._decoder.hyp()
        words: list[str] = hypothesis.hypstr.split() if hypothesis else []
        if any(word.startswith(FILLER) for word in words):
            return ""
        return " ".join(words)


class SphinxUtterance:
    """One utterance on one ear."""

    def __init__(self, ear: Ear, grammar: str) -> None:
        self._leased = ear
        self._ear = ear
        self._grammar = grammar
        self._held = bytearray()
        self._is_decoding = False
        self._since_partial_ms = 0.0
        self._partial = ""
        ear.is_leased = True

    def take(self, pcm: bytes) -> str | None:
        pcm = _in_a_room(pcm)
        if not self._is_decoding:
            self._held += pcm
            if len(self._held) < LEARN_MS * BYTES_PER_MS:
                return None
            self._begin()
        else:
            self._ear.take(pcm)
        return self._new_partial(len(pcm) / BYTES_PER_MS)

    def finish(self) -> str:
        if not self._is_decoding:
            if not self._held:
                return ""
            self._begin()
        self._is_decoding = False
        self._ear.end()
        return self._ear.text()

    def close(self) -> None:
        if self._is_decoding:
            self._is_decoding = False
            self._ear.end()
        self._leased.is_leased = False

    def _begin(self) -> None:
        held = bytes(self._held)
        self._held.clear()
        voice = _from_first_sound(held)
        self._ear = self._leased.suited_to(voice)
        search = self._ear.search_for(self._grammar)
        self._ear.begin(search, self._ear.learn_voice(voice))
        self._is_decoding = True
        self._ear.take(held)

    def _new_partial(self, length_ms: float) -> str | None:
        self._since_partial_ms += length_ms
        if self._since_partial_ms < PARTIAL_EVERY_MS:
            return None
        self._since_partial_ms = 0.0
        text = self._ear.text()
        if text == self._partial:
            return None
        self._partial = text
        return text


def _in_a_room(pcm: bytes) -> bytes:
    """The sound with the faint noise that every real room has.

    Perfect silence (a muted microphone, a synthetic voice) leaves the decoder's noise tracking
    so that it understands nothing of the next two utterances.
    """
    samples = np.frombuffer(pcm, dtype=np.int16)
    noise = np.random.default_rng(len(samples)).normal(0, ROOM_NOISE, len(samples))
    return np.clip(samples + noise, -32768, 32767).astype(np.int16).tobytes()


def _from_first_sound(pcm: bytes) -> bytes:
    """The sound without the silence before it, which would colour what is learnt of the voice."""
    levels = np.abs(np.frombuffer(pcm, dtype=np.int16).astype(np.int32))
    first = int(np.argmax(levels > levels.max() * VOICE_LEVEL))
    return pcm[first * 2 :]


class SphinxRecogniser:
    """The worker's recogniser: ``ears`` decoders, loaded before the first utterance."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._ears = [Ear() for _ in range(int(options["ears"]))]
        self._told: set[str] = set()

    def has_room(self) -> bool:
        return any(not ear.is_leased for ear in self._ears)

    def open(self, options: dict[str, Any]) -> SphinxUtterance:
        grammar: str = options.get("grammar", "")
        for ear in self._ears:
            # All of them now: learning takes long enough to be heard in a call.
            ear.search_for(grammar)
        free = next(ear for ear in self._ears if not ear.is_leased)
        return SphinxUtterance(free, grammar)

    def take_notes(self) -> list[str]:
        unknown = {word for ear in self._ears for word in ear.unknown_words} - self._told
        self._told |= unknown
        if not unknown:
            return []
        return [f"Words that the recogniser doesn't know: {', '.join(sorted(unknown))}"]
