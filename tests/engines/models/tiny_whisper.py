"""A Whisper without knowledge, of the real input size and vocabulary: it says what it is told to.

Its layers add nothing, so what the decoder says depends on the position only, as position
encodings and the projection are chosen here. All else is as in a converted model: features,
encoder, prompt tokens, timestamp rules, language detection, alignment.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

WIDTH = 16
HEADS = 2
WORDS_MULTILINGUAL = 51_865
WORDS_ENGLISH = 51_864
MELS = 80
TIMES = 1501
LANGUAGES = ("en", "de", "fr")
FIRST_POSITION = 3
TRANSLATED = " translated"
TRANSLATED_FROM = "<|0.20|>"
SPOKEN_UNTIL = "<|1.40|>"
SURE = 4.0


def make_tiny_whisper(
    folder: Path, says: Sequence[str] = (" hello", " there"), *, is_multilingual: bool = True
) -> Path:
    """Write a CTranslate2 model of the Whisper architecture, with its tokenizer.

    ``says`` are words with the space before them, each a token of its own. Asked to translate and
    for times, it says ``TRANSLATED`` for the first of them.
    """
    from ctranslate2.specs import whisper_spec

    folder.mkdir(parents=True)
    words = WORDS_MULTILINGUAL if is_multilingual else WORDS_ENGLISH
    tokenizer = _tokenizer(words, says)
    tokenizer.save(str(folder / "tokenizer.json"))
    ids = tokenizer.get_vocab()
    vocabulary = sorted(ids, key=ids.__getitem__)
    assert len(vocabulary) == words
    spec = whisper_spec.WhisperSpec(1, HEADS, 1, HEADS)
    random = np.random.default_rng(1)
    _fill_encoder(spec.encoder, random)
    _fill_decoder(spec.decoder, words, random)
    start = FIRST_POSITION if is_multilingual else FIRST_POSITION - 2
    spoken = [ids[_letters(word)] for word in says]
    _teach(spec.decoder, start, [*spoken, ids[SPOKEN_UNTIL], ids["<|endoftext|>"]], ids)
    spec.register_vocabulary(vocabulary)
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [ids["<|endoftext|>"]]
    spec.config.lang_ids = [ids[f"<|{language}|>"] for language in LANGUAGES]
    spec.config.alignment_heads = [[0, 0], [0, 1]]
    spec.validate()
    spec.save(str(folder))
    return folder


def _teach(decoder: Any, start: int, spoken: list[int], ids: dict[str, int]) -> None:
    """Position ``start + n`` says the n-th token, the first position German."""
    codes = _codes()
    decoder.embeddings.weight[:] = 0
    decoder.position_encodings.encodings[:] = codes[0]
    decoder.projection.weight = np.zeros_like(decoder.embeddings.weight)
    for number, token in enumerate(spoken, start=1):
        decoder.projection.weight[token] += SURE * codes[number]
        decoder.position_encodings.encodings[start + number - 1] = codes[number]
    decoder.projection.weight[ids[TRANSLATED_FROM]] = SURE * codes[-1]
    decoder.embeddings.weight[ids["<|translate|>"]] = 10 * codes[-1]
    decoder.projection.weight[ids[_letters(TRANSLATED)]] = SURE * codes[-3]
    decoder.embeddings.weight[ids[TRANSLATED_FROM]] = 10 * codes[-3]
    if "<|de|>" in ids:
        decoder.projection.weight[ids["<|de|>"]] = SURE * codes[-2]
        decoder.position_encodings.encodings[0] = codes[-2]


def _codes() -> np.ndarray:
    """Rows of a Hadamard matrix but the first: orthogonal, and each sums to nothing."""
    rows = np.ones((1, 1), np.float32)
    while len(rows) < WIDTH:
        rows = np.block([[rows, rows], [rows, -rows]])
    return rows[1:]


def _letters(word: str) -> str:
    """A word as byte-level tokenizers write it."""
    return word.replace(" ", "Ġ")


def _tokenizer(words: int, says: Sequence[str]) -> Tokenizer:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    controls = [
        "<|endoftext|>",
        "<|startoftranscript|>",
        *(f"<|{language}|>" for language in LANGUAGES),
        *(f"<|language{number}|>" for number in range(99 - len(LANGUAGES))),
        "<|translate|>",
        "<|transcribe|>",
        "<|startoflm|>",
        "<|startofprev|>",
        "<|nospeech|>",
        "<|notimestamps|>",
        *(f"<|{step * 0.02:.2f}|>" for step in range(TIMES)),
    ]
    # By the empty token CTranslate2 tells a multilingual model.
    last = [""] if words == WORDS_MULTILINGUAL else []
    known = [*letters, *(_letters(word) for word in [*says, TRANSLATED])]
    count = words - len(known) - len(controls) - len(last)
    filler = [f"Ġw{number}" for number in range(count)]
    plain = {token: number for number, token in enumerate([*known, *filler, *last])}
    tokenizer = Tokenizer(models.BPE(plain, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in controls])
    return tokenizer


def _fill_encoder(encoder: Any, random: np.random.Generator) -> None:
    encoder.conv1.weight = _weights(random, WIDTH, MELS, 3)
    encoder.conv1.bias = np.zeros(WIDTH, np.float32)
    encoder.conv2.weight = _weights(random, WIDTH, WIDTH, 3)
    encoder.conv2.bias = np.zeros(WIDTH, np.float32)
    encoder.position_encodings.encodings = _weights(random, 1500, WIDTH)
    _norm(encoder.layer_norm)
    for layer in encoder.layer:
        _attention(layer.self_attention, random, joins_all=True)
        _feed_forward(layer.ffn, random)


def _fill_decoder(decoder: Any, words: int, random: np.random.Generator) -> None:
    decoder.embeddings.weight = _weights(random, words, WIDTH)
    decoder.position_encodings.encodings = _weights(random, 448, WIDTH)
    decoder.projection.weight = None
    _norm(decoder.layer_norm)
    for layer in decoder.layer:
        _attention(layer.self_attention, random, joins_all=True)
        _attention(layer.attention, random, joins_all=False)
        _feed_forward(layer.ffn, random)


def _attention(attention: Any, random: np.random.Generator, *, joins_all: bool) -> None:
    _norm(attention.layer_norm)
    rows = [3 * WIDTH, WIDTH] if joins_all else [WIDTH, 2 * WIDTH, WIDTH]
    for linear, count in zip(attention.linear, rows, strict=True):
        linear.weight = _weights(random, count, WIDTH)
        linear.bias = np.zeros(count, np.float32)
    attention.linear[-1].weight[:] = 0


def _feed_forward(ffn: Any, random: np.random.Generator) -> None:
    _norm(ffn.layer_norm)
    ffn.linear_0.weight = _weights(random, 2 * WIDTH, WIDTH)
    ffn.linear_0.bias = np.zeros(2 * WIDTH, np.float32)
    ffn.linear_1.weight = np.zeros((WIDTH, 2 * WIDTH), np.float32)
    ffn.linear_1.bias = np.zeros(WIDTH, np.float32)


def _norm(norm: Any) -> None:
    norm.gamma = np.ones(WIDTH, np.float32)
    norm.beta = np.zeros(WIDTH, np.float32)


def _weights(random: np.random.Generator, *shape: int) -> np.ndarray:
    return random.normal(0, 0.3, shape).astype(np.float32)
