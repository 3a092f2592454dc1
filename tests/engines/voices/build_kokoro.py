"""Makes ``tiny_kokoro.onnx``, which sounds nothing like it: run it with ``onnx`` installed.

Inputs and output are those of Kokoro's models: each token becomes 600 samples of a tone, whose
pitch is the token's number and whose loudness is the first number of the style; the speed makes it
shorter. The two padding tokens, whose number is 0, are silent.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SAMPLES_PER_TOKEN = 600
STEP = 0.005
HERE = Path(__file__).parent


def constant(name: str, value: object, kind: type) -> onnx.NodeProto:
    return helper.make_node(
        "Constant", [], [name], value=numpy_helper.from_array(np.array(value, kind), name)
    )


def model() -> onnx.ModelProto:
    nodes = [
        constant("one", 1, np.int64),
        constant("none", 0, np.int64),
        constant("flat", [-1], np.int64),
        constant("zero_f", 0.0, np.float32),
        constant("one_f", 1.0, np.float32),
        constant("samples", float(SAMPLES_PER_TOKEN), np.float32),
        constant("step", STEP, np.float32),
        helper.make_node("Reshape", ["input_ids", "flat"], ["tokens"]),
        helper.make_node("Size", ["tokens"], ["count"]),
        helper.make_node("Cast", ["count"], ["count_f"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["speed", "flat"], ["speeds"]),
        helper.make_node("Gather", ["speeds", "none"], ["pace"]),
        helper.make_node("Div", ["samples", "pace"], ["each"]),
        helper.make_node("Mul", ["count_f", "each"], ["length"]),
        helper.make_node("Range", ["zero_f", "length", "one_f"], ["at"]),
        helper.make_node("Div", ["at", "each"], ["place"]),
        helper.make_node("Floor", ["place"], ["floor"]),
        helper.make_node("Cast", ["floor"], ["index"], to=TensorProto.INT64),
        helper.make_node("Sub", ["count", "one"], ["last"]),
        helper.make_node("Min", ["index", "last"], ["safe"]),
        helper.make_node("Gather", ["tokens", "safe"], ["token"]),
        helper.make_node("Cast", ["token"], ["token_f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["at", "step"], ["time"]),
        helper.make_node("Mul", ["time", "token_f"], ["phase"]),
        helper.make_node("Sin", ["phase"], ["tone"]),
        helper.make_node("Reshape", ["style", "flat"], ["styles"]),
        helper.make_node("Gather", ["styles", "none"], ["level"]),
        helper.make_node("Mul", ["tone", "level"], ["waveform"]),
    ]
    ints, floats = TensorProto.INT64, TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "tiny_kokoro",
        [
            helper.make_tensor_value_info("input_ids", ints, [1, "tokens"]),
            helper.make_tensor_value_info("style", floats, [1, 256]),
            helper.make_tensor_value_info("speed", floats, [1]),
        ],
        [helper.make_tensor_value_info("waveform", floats, ["samples"])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)])
    made.ir_version = 8
    onnx.checker.check_model(made)
    return made


if __name__ == "__main__":
    onnx.save(model(), str(HERE / "tiny_kokoro.onnx"))
