"""The SNAC decoder: frames of codes to sound, by ONNX Runtime, or by torch where it is wished."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import numpy as np
import numpy.typing as npt
import onnxruntime

from parley.core.errors import BadSettings, EngineUnavailable
from parley.engines.tts.orpheus.window import Codes, Sound

Device = Literal["auto", "cpu", "cuda"]
ANY_NUMBER = 8
"""How many slices are decoded at once where the model sets no limit."""

_SECOND = (1, 4)
_THIRD = (2, 3, 5, 6)

Batch = npt.NDArray[np.int64]
"""Slices of one length, shape (slices, frames, 7)."""


class Codec(Protocol):
    """Turns slices of codes into sound of shape (slices, frames · 2048)."""

    most_at_once: int

    def decode(self, batch: Batch) -> npt.NDArray[np.float32]: ...


def layers_of(batch: Batch) -> tuple[Batch, Batch, Batch]:
    """The three layers of SNAC, which hold one, two and four codes of each frame."""
    slices = len(batch)
    return (
        np.ascontiguousarray(batch[..., 0]),
        batch[..., _SECOND].reshape(slices, -1),
        batch[..., _THIRD].reshape(slices, -1),
    )


class OnnxSnac:
    """A decoder exported to ONNX: three inputs of codes in the order of the layers."""

    def __init__(self, file: Path, device: Device, threads: int) -> None:
        # onnxruntime's stubs don't cover its options object.
        runtime: Any = onnxruntime
        options = runtime.SessionOptions()
        options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
        options.inter_op_num_threads = 1
        options.intra_op_num_threads = threads
        providers = _providers(device, runtime.get_available_providers())
        try:
            self._session = runtime.InferenceSession(
                str(file), sess_options=options, providers=providers
            )
        except Exception as error:
            # onnxruntime raises plain Exceptions.
            raise EngineUnavailable(
                f"{file.name} can't be loaded as a SNAC decoder: {error}",
                hint="Remove it and fetch it again: parley models remove|pull orpheus:snac.",
            ) from error
        inputs: list[Any] = self._session.get_inputs()
        self._names = sorted(cast("str", each.name) for each in inputs)
        if len(self._names) != 3:
            raise EngineUnavailable(
                f"{file.name} is no SNAC decoder: it has {len(self._names)} inputs and not 3.",
                hint="Take onnx/decoder_model.onnx of onnx-community/snac_24khz-ONNX.",
            )
        size: Any = inputs[0].shape[0]
        self.most_at_once = size if isinstance(size, int) and size > 0 else ANY_NUMBER
        self.device = "cuda" if "CUDA" in str(self._session.get_providers()[0]) else "cpu"

    def decode(self, batch: Batch) -> npt.NDArray[np.float32]:
        given = dict(zip(self._names, layers_of(batch), strict=True))
        sound: Any = self._session.run(None, given)[0]
        return cast("npt.NDArray[np.float32]", sound.reshape(len(batch), -1).astype(np.float32))


class TorchSnac:
    """The decoder of the ``snac`` package, from a folder with its config and weights."""

    most_at_once = ANY_NUMBER

    def __init__(self, folder: Path, device: Device, threads: int) -> None:
        if importlib.util.find_spec("snac") is None:
            raise EngineUnavailable(
                f"{folder} holds weights for torch, and the package snac is not installed.",
                hint="Name an ONNX file, which needs no torch, or install snac for "
                f"{sys.executable}.",
            )
        torch: Any = importlib.import_module("torch")
        self._torch = torch
        if device != "cuda":
            torch.set_num_threads(threads)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = device
        model: Any = importlib.import_module("snac").SNAC.from_pretrained(str(folder))
        for block in model.modules():
            # Its noise makes two decodes of the same codes differ, and pieces no longer fit.
            if type(block).__name__ == "NoiseBlock":
                block.forward = _unchanged
        self._model = model.to(device).eval()

    def decode(self, batch: Batch) -> npt.NDArray[np.float32]:
        torch = self._torch
        with torch.inference_mode():
            codes = [torch.from_numpy(layer).to(self.device) for layer in layers_of(batch)]
            sound = self._model.decode(codes)
        return cast("npt.NDArray[np.float32]", sound.float().cpu().numpy()[:, 0])


def open_codec(path: Path, device: Device, threads: int) -> Codec:
    """A file is ONNX, a folder is for torch. Raises ``EngineUnavailable``."""
    if path.is_dir():
        return TorchSnac(path, device, threads)
    return OnnxSnac(path, device, threads)


def decode_one(codec: Codec, codes: Codes) -> Sound:
    """One slice by itself."""
    return codec.decode(codes[None])[0]


def _providers(device: Device, available: list[str]) -> list[str]:
    has_cuda = "CUDAExecutionProvider" in available
    if device == "cuda" and not has_cuda:
        raise BadSettings(
            "snac_device is cuda, and this onnxruntime has no CUDA.",
            hint="Install onnxruntime-gpu in place of onnxruntime, or leave snac_device at auto.",
        )
    chosen = ["CUDAExecutionProvider"] if has_cuda and device != "cpu" else []
    return [*chosen, "CPUExecutionProvider"]


def _unchanged(sound: Any) -> Any:
    return sound
