"""Text for Kokoro: from eSpeak's phonemes to the symbols that the model knows."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

MOST_TOKENS = 510
TIE = "^"
"""Between the letters of one phoneme, in what eSpeak is asked for."""

_PUNCTUATION = re.compile(r"([;:,.!?…]+(?=\s|$|[\"”)])|[—()“”\"]|[。！？、，；：])")
_PLAIN_MARKS = str.maketrans("。！？、，；：", ".!?,,;:")
_OTHER_LANGUAGE = re.compile(r"\([a-z][a-z-]*\)")
_SYLLABIC = re.compile("(\\S)\u0329")
_SPACE_BEFORE_MARK = re.compile(r" +([;:,.!?…)”])")

# One run of symbols with neighbouring numbers per entry, from the model's configuration.
_RUNS: tuple[tuple[int, str], ...] = (
    (1, ";:,.!?"),
    (9, '—…"()“” \u0303ʣʥʦʨᵝꭧAI'),
    (31, "O"),
    (33, "Q"),
    (35, "ST"),
    (39, "W"),
    (41, "Yᵊabcdef"),
    (50, "hijklmnopqrstuvwxyzɑɐɒæ"),
    (75, "βɔɕç"),
    (80, "ɖðʤə"),
    (85, "ɚɛɜ"),
    (90, "ɟ"),
    (92, "ɡ"),
    (99, "ɥ"),
    (101, "ɨɪʝ"),
    (110, "ɯɰŋɳɲɴø"),
    (118, "ɸθœ"),
    (123, "ɹ"),
    (125, "ɾɻ"),
    (128, "ʁɽʂʃʈʧ"),
    (135, "ʊʋ"),
    (138, "ʌɣɤ"),
    (142, "χʎ"),
    (147, "ʒʔ"),
    (156, "ˈˌː"),
    (162, "ʰ"),
    (164, "ʲ"),
    (169, "↓"),
    (171, "→↗↘"),
    (177, "ᵻ"),
)
NUMBERS = {symbol: start + at for start, run in _RUNS for at, symbol in enumerate(run)}

# What the model was trained to see for eSpeak's phonemes; the longer ones come first.
_EVERYWHERE = {
    "a^ɪ": "I",
    "a^ʊ": "W",
    "d^z": "ʣ",
    "d^ʒ": "ʤ",
    "e^ɪ": "A",
    "o^ʊ": "O",
    "ə^ʊ": "Q",
    "s^s": "S",
    "t^s": "ʦ",
    "t^ʃ": "ʧ",
    "ɔ^ɪ": "Y",
}
_ENGLISH = {
    "ʔˌn\u0329": "tᵊn",
    "ʔn\u0329": "tᵊn",
    "ə^l": "ᵊl",
    "ʔn": "tᵊn",
    "ʲo": "jo",
    "ʲə": "jə",
    "ʔ": "t",
    "ʲ": "",
    "ɚ": "əɹ",
    "r": "ɹ",
    "x": "k",
    "ç": "k",
    "ɐ": "ə",
    "ɬ": "l",
    "\u0303": "",
}
_AMERICAN = {"ɜːɹ": "ɜɹ", "ɜː": "ɜɹ", "ɪə": "iə", "ɾ": "T", "ː": ""}
_BRITISH = {"e^ə": "ɛː", "iə": "ɪə", "i^ə": "ɪə"}


async def phonemes_of(text: str, language: str, say: Callable[[str], Awaitable[str]]) -> str:
    """The text as Kokoro's symbols; ``say`` is eSpeak's pronunciation of words without marks.

    Punctuation stays, for the model speaks by it.
    """
    found: list[str] = []
    for part in _PUNCTUATION.split(text):
        if _PUNCTUATION.fullmatch(part):
            found.append(part.translate(_PLAIN_MARKS))
        elif part.strip():
            found.append(" " * part.startswith(" ") + symbols(await say(part), language) + " ")
    joined = " ".join("".join(found).split())
    return _SPACE_BEFORE_MARK.sub(r"\1", joined)


def symbols(phonemes: str, language: str) -> str:
    """eSpeak's phonemes of one run of words as the model's symbols."""
    text = _OTHER_LANGUAGE.sub("", phonemes)
    tables = [_EVERYWHERE]
    if language.startswith("en"):
        tables += [_ENGLISH, _BRITISH if language == "en-gb" else _AMERICAN]
    for table in tables:
        for ours, theirs in table.items():
            text = text.replace(ours, theirs)
    if language.startswith("en"):
        # What is left of the sound of "day" is its first half.
        text = re.sub(rf"e(?!{re.escape(TIE)})", "A", text)
    text = _SYLLABIC.sub(r"ᵊ\1", text).replace("\u0329", "")
    kept = [each for each in text.replace(TIE, "").replace("-", "") if each in NUMBERS]
    return " ".join("".join(kept).split())


def tokens_of(phonemes: str) -> list[list[int]]:
    """The numbers of the symbols, in runs that the model can take; cut where words end."""
    runs: list[list[int]] = []
    words = phonemes.split(" ")
    for number, word in enumerate(words):
        tokens = [NUMBERS[symbol] for symbol in word][:MOST_TOKENS]
        if number + 1 < len(words):
            tokens.append(NUMBERS[" "])
        if runs and len(runs[-1]) + len(tokens) <= MOST_TOKENS:
            runs[-1] += tokens
        elif tokens:
            runs.append(tokens[:MOST_TOKENS])
    return runs
