"""A Llama with random weights and a tokenizer of single bytes, small enough to make in a test."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

SPECIAL = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eom_id|>",
    "<|eot_id|>",
)
WIDTH = 32
HEADS = 4
HEADS_KV = 2
LAYERS = 2
SURE = 20.0


def make_tiny_llama(folder: Path, seed: int = 1, width: int = WIDTH, says: str = "") -> Path:
    """Write a CTranslate2 model of the Llama 3 architecture, with its tokenizer.

    ``says`` is its answer to everything, if not "": no letter in it may come twice.
    """
    import ctranslate2
    from ctranslate2.specs import common_spec, transformer_spec

    folder.mkdir(parents=True)
    tokenizer = make_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    vocabulary = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    spec = transformer_spec.TransformerDecoderModelSpec.from_config(
        LAYERS,
        HEADS,
        activation=common_spec.Activation.SWISH,
        pre_norm=True,
        ffn_glu=True,
        rms_norm=True,
        rotary_dim=0,
        rotary_interleave=False,
        rotary_base=500_000.0,
        num_heads_kv=HEADS_KV,
    )
    _fill(spec.decoder, len(vocabulary), width, np.random.default_rng(seed))
    if says:
        _teach(spec.decoder, [*tokenizer.encode(f"\n{says}").ids, vocabulary.index(SPECIAL[5])])
    spec.register_vocabulary(vocabulary)
    spec.config.bos_token, spec.config.eos_token = SPECIAL[0], SPECIAL[5]
    spec.config.unk_token = SPECIAL[1]
    spec.validate()
    spec.save(str(folder))
    assert ctranslate2.contains_model(str(folder)), json.dumps(sorted(map(str, folder.iterdir())))
    return folder


def _teach(decoder: Any, chain: list[int]) -> None:
    """Each token of the chain says the next one, whatever came before."""
    assert len(set(chain)) == len(chain) <= WIDTH
    for layer in decoder.layer:
        layer.self_attention.linear[1].weight[:] = 0
        layer.ffn.linear_1.weight[:] = 0
    decoder.embeddings.weight[:] = 0
    decoder.projection.weight[:] = 0
    for place, (token, following) in enumerate(pairwise(chain)):
        decoder.embeddings.weight[token, place] = 1
        decoder.projection.weight[following, place] = SURE


def make_tokenizer() -> Tokenizer:
    """Byte-level, as Llama 3's is, but without merges: a token is a byte."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    return tokenizer


def _fill(decoder: Any, words: int, width: int, random: np.random.Generator) -> None:
    head = width // HEADS
    decoder.scale_embeddings = False
    decoder.embeddings.weight = _weights(random, words, width)
    decoder.layer_norm.gamma = np.ones(width, np.float32)
    decoder.projection.weight = _weights(random, words, width)
    for layer in decoder.layer:
        layer.self_attention.layer_norm.gamma = np.ones(width, np.float32)
        layer.self_attention.linear[0].weight = _weights(random, width + 2 * HEADS_KV * head, width)
        layer.self_attention.linear[1].weight = _weights(random, width, width)
        layer.ffn.layer_norm.gamma = np.ones(width, np.float32)
        layer.ffn.linear_0.weight = _weights(random, 2 * width, width)
        layer.ffn.linear_0_noact.weight = _weights(random, 2 * width, width)
        layer.ffn.linear_1.weight = _weights(random, width, 2 * width)


def _weights(random: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    return random.normal(0, 0.3, (rows, columns)).astype(np.float32)
