"""Kokoro's ONNX model and its voices, as they lie in a folder."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import onnxruntime

from parley.core.errors import EngineFailed, EngineUnavailable
from parley.engines.resources import Share

RATE_HZ = 24_000
STYLE_SIZE = 256
PAD = 0
VOICE_NAME = re.compile(r"[a-z][fm]_[a-z0-9]+")

Style = npt.NDArray[np.float32]
Samples = npt.NDArray[np.int16]


class KokoroModel:
    """The model, loaded. ``speak`` may be called from several threads at once.

    The folder holds one ``.onnx`` file, and ``.bin`` files: either one per voice (its style
    vectors as float32) or one archive of NumPy with all of them.
    """

    def __init__(self, folder: Path, share: Share) -> None:
        self.styles = load_styles(folder)
        self._session = _session(_model_file(folder), share)
        self._inputs = {each.name: str(each.type) for each in self._session.get_inputs()}
        known = {"tokens", "input_ids", "style", "speed"}
        if len(self._inputs) != 3 or not known.issuperset(self._inputs):
            raise EngineUnavailable(
                f"The model in {folder} takes {', '.join(self._inputs)}: that is not Kokoro.",
                hint="Remove it and pull kokoro again.",
            )

    def speak(self, tokens: Sequence[int], voice: str, speed: float) -> Samples:
        """At most 510 tokens as sound at 24 kHz."""
        styles = self.styles[voice]
        given: dict[str, Any] = {}
        for name, kind in self._inputs.items():
            if name == "style":
                # The longer the text, the calmer the style that the voice has for it.
                given[name] = styles[min(len(tokens), len(styles) - 1)].reshape(1, STYLE_SIZE)
            elif name == "speed":
                given[name] = np.array([speed], np.int32 if "int" in kind else np.float32)
            else:
                given[name] = np.array([[PAD, *tokens, PAD]], np.int64)
        try:
            sound = cast("npt.NDArray[np.float32]", self._session.run(None, given)[0])
        except Exception as error:  # onnxruntime raises plain Exceptions
            raise EngineFailed(f"Kokoro broke off: {error}") from error
        return (np.clip(sound.reshape(-1), -1, 1) * 32767).astype(np.int16)


def load_styles(folder: Path) -> Mapping[str, Style]:
    """The style vectors of each voice: one for each length of a text."""
    found: dict[str, Style] = {}
    for file in sorted(folder.rglob("*.bin")):
        try:
            if VOICE_NAME.fullmatch(file.stem):
                found[file.stem] = np.fromfile(file, np.float32).reshape(-1, STYLE_SIZE)
            elif file.stem.startswith("voices"):
                archive = np.load(file, allow_pickle=False)
                found |= {name: archive[name].reshape(-1, STYLE_SIZE) for name in archive.files}
        except (OSError, ValueError) as error:
            raise EngineUnavailable(
                f"{file} holds no voice of Kokoro ({error}).", hint="Remove the model and pull it."
            ) from error
    if not found:
        raise EngineUnavailable(
            f"There is no voice in {folder}.", hint="Remove the model and pull it again."
        )
    return found


def _model_file(folder: Path) -> Path:
    files = sorted(folder.rglob("*.onnx"))
    if len(files) != 1:
        raise EngineUnavailable(
            f"There are {len(files)} ONNX files in {folder}, where one is needed.",
            hint="Remove the model and pull it again.",
        )
    return files[0]


def _session(file: Path, share: Share) -> Any:
    runtime: Any = onnxruntime
    options = runtime.SessionOptions()
    options.intra_op_num_threads = share.threads
    options.inter_op_num_threads = 1
    # Idle threads that wait in a loop would take the cores from the calls.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers: list[Any] = ["CPUExecutionProvider"]
    if share.device == "cuda":
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": share.device_index}))
    try:
        return runtime.InferenceSession(str(file), sess_options=options, providers=providers)
    except Exception as error:  # onnxruntime raises plain Exceptions
        raise EngineUnavailable(
            f"The model {file} can't be loaded: {error}",
            hint="Remove the model and pull it again.",
        ) from error
