"""Makes tiny_snac.onnx: a SNAC decoder of the 24 kHz model's shape with few, random weights.

Run it in an environment with torch, snac and onnx: ``python make_tiny_snac.py``. Kernel sizes and
strides are those of the trained model, so it reaches exactly as far to both sides of a frame. It
also writes ``tiny_snac/`` (config.json and pytorch_model.bin) for a check against torch if asked
with ``--torch FOLDER``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from snac import SNAC
from torch.nn.utils import parametrize

CONFIG = {
    "sampling_rate": 24_000,
    "encoder_dim": 4,
    "encoder_rates": [2, 4, 8, 8],
    "decoder_dim": 32,
    "decoder_rates": [8, 8, 4, 2],
    "attn_window_size": None,
    "codebook_size": 4096,
    "codebook_dim": 8,
    "vq_strides": [4, 2, 1],
    "noise": False,
    "depthwise": True,
}
FRAMES = 5


class CodesToSound(torch.nn.Module):
    """The decode path with lengths left open: exporting ``SNAC.decode`` would freeze them."""

    def __init__(self, model: SNAC) -> None:
        super().__init__()
        self.quantizers = model.quantizer.quantizers
        self.decoder = model.decoder

    def forward(self, *layers: torch.Tensor) -> torch.Tensor:
        latents = 0.0
        for quantizer, codes in zip(self.quantizers, layers, strict=True):
            vectors = quantizer.out_proj(quantizer.decode_code(codes)).unsqueeze(-1)
            spread = vectors.expand(-1, -1, -1, quantizer.stride)
            latents = latents + spread.reshape(spread.shape[0], spread.shape[1], -1)
        return self.decoder(latents)


def tiny_model() -> SNAC:
    torch.manual_seed(24_000)
    model = SNAC(**CONFIG).eval()
    for module in model.modules():
        if parametrize.is_parametrized(module):
            for name in list(module.parametrizations):
                parametrize.remove_parametrizations(module, name)
    return model


def export(model: SNAC, file: Path) -> None:
    layers = tuple(torch.randint(0, 4096, (2, FRAMES * n)) for n in (1, 2, 4))
    names = [f"audio_codes.{n}" for n in range(3)]
    axes = {name: {0: "batch", 1: f"codes_{n}"} for n, name in enumerate(names)}
    torch.onnx.export(
        CodesToSound(model),
        layers,
        str(file),
        input_names=names,
        output_names=["audio_values"],
        dynamic_axes={**axes, "audio_values": {0: "batch", 2: "samples"}},
        opset_version=17,
        dynamo=False,
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--torch", type=Path, help="a folder for the same weights as torch's")
    folder = arguments.parse_args().torch
    if folder:
        torch.manual_seed(24_000)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
        torch.save(SNAC(**CONFIG).eval().state_dict(), folder / "pytorch_model.bin")
    export(tiny_model(), Path(__file__).with_name("tiny_snac.onnx"))


if __name__ == "__main__":
    main()
