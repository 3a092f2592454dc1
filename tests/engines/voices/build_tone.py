"""Makes ``tone.onnx``, a voice for Piper that hums: run it with the ``onnx`` package installed.

Its input and output are those of Piper's voices: 256 samples of a 220 Hz tone for every phoneme,
longer or shorter by the length scale. ``tone.onnx.json`` beside it says which letters it knows.
"""

from __future__ import annotations

import json
import math
import string
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

RATE_HZ = 22_050
SAMPLES_PER_PHONEME = 256
HERE = Path(__file__).parent


def constant(name: str, value: object, kind: type) -> onnx.NodeProto:
    return helper.make_node(
        "Constant", [], [name], value=numpy_helper.from_array(np.array(value, kind), name)
    )


def model() -> onnx.ModelProto:
    nodes = [
        constant("one", 1, np.int64),
        constant("axes", [0, 1], np.int64),
        constant("zero_f", 0.0, np.float32),
        constant("one_f", 1.0, np.float32),
        constant("samples", float(SAMPLES_PER_PHONEME), np.float32),
        constant("step", 2 * math.pi * 220 / RATE_HZ, np.float32),
        constant("level", 0.3, np.float32),
        constant("first", 0, np.int64),
        helper.make_node("Gather", ["scales", "one"], ["length_scale"]),
        helper.make_node("Gather", ["input_lengths", "first"], ["count"]),
        helper.make_node("Cast", ["count"], ["count_f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["count_f", "samples"], ["plain"]),
        helper.make_node("Mul", ["plain", "length_scale"], ["length"]),
        helper.make_node("Range", ["zero_f", "length", "one_f"], ["at"]),
        helper.make_node("Mul", ["at", "step"], ["phase"]),
        helper.make_node("Sin", ["phase"], ["wave"]),
        helper.make_node("Mul", ["wave", "level"], ["quiet"]),
        helper.make_node("Unsqueeze", ["quiet", "axes"], ["output"]),
    ]
    ints, floats = TensorProto.INT64, TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "tone",
        [
            helper.make_tensor_value_info("input", ints, ["batch", "phonemes"]),
            helper.make_tensor_value_info("input_lengths", ints, ["batch"]),
            helper.make_tensor_value_info("scales", floats, [3]),
        ],
        [helper.make_tensor_value_info("output", floats, ["batch", 1, "time"])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)])
    made.ir_version = 8
    onnx.checker.check_model(made)
    return made


def about() -> dict[str, object]:
    letters = "_^$ " + string.ascii_lowercase + ".,!?'"
    return {
        "audio": {"sample_rate": RATE_HZ, "quality": "low"},
        "espeak": {"voice": "en-us"},
        "language": {"code": "en_US", "family": "en", "region": "US"},
        "inference": {"noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8},
        "phoneme_type": "text",
        "phoneme_id_map": {letter: [number] for number, letter in enumerate(letters)},
        "num_symbols": len(letters),
        "num_speakers": 1,
        "speaker_id_map": {},
        "piper_version": "1.0.0",
    }


if __name__ == "__main__":
    onnx.save(model(), str(HERE / "tone.onnx"))
    (HERE / "tone.onnx.json").write_text(json.dumps(about(), indent=1) + "\n", encoding="utf-8")
