"""Small ONNX models, loaded once per process and run on one core at a time."""

from __future__ import annotations

from importlib import resources
from typing import Any

import onnxruntime


def load_carried_model(package: str, file_name: str) -> onnxruntime.InferenceSession:
    """Open a model file that lies inside an installed package."""
    # onnxruntime's stubs don't cover its options object.
    runtime: Any = onnxruntime
    options = runtime.SessionOptions()
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    options.inter_op_num_threads = 1
    options.intra_op_num_threads = 1
    model = resources.files(package).joinpath(file_name).read_bytes()
    return runtime.InferenceSession(model, sess_options=options, providers=["CPUExecutionProvider"])
