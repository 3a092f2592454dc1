"""The decoder's thread: batches across calls, cancellation, failure, sharing."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parley.core.errors import BadSettings, EngineFailed, EngineUnavailable
from parley.engines.tts.orpheus.batch import CodecPlace, DecoderThread
from parley.engines.tts.orpheus.snac import OnnxSnac, open_codec
from tests.engines.servers.orpheus_talker import random_frames
from tests.engines.tts.orpheus.sounds import FRAME, TINY_SNAC, tiny_codec, whole_sound


class GatedCodec:
    """Decodes to the first code of each frame, once it may; tells what it was given."""

    most_at_once = 4

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []
        self.may = threading.Event()
        self.is_at_work = threading.Event()

    def decode(self, batch: Any) -> Any:
        self.is_at_work.set()
        self.may.wait(10)
        self.sizes.append(batch.shape[:2])
        return np.repeat(batch[:, :, 0], FRAME, axis=1).astype(np.float32)


class BrokenCodec:
    most_at_once = 4

    def decode(self, batch: Any) -> Any:
        raise RuntimeError("no memory left")


def frames(count: int, code: int) -> Any:
    return np.full((count, 7), code, np.int64)


async def test_what_waits_and_is_of_one_length_is_decoded_at_once():
    codec = GatedCodec()
    thread = DecoderThread(lambda: codec)
    first = asyncio.create_task(thread.decode(frames(6, 1)))
    await asyncio.to_thread(codec.is_at_work.wait)

    others = [asyncio.create_task(thread.decode(frames(6, code))) for code in range(2, 7)]
    longer = asyncio.create_task(thread.decode(frames(9, 9)))
    await asyncio.sleep(0)
    codec.may.set()
    sounds = await asyncio.gather(first, *others, longer)
    thread.release()

    assert codec.sizes == [(1, 6), (4, 6), (1, 6), (1, 9)]
    assert [int(sound[0]) for sound in sounds] == [1, 2, 3, 4, 5, 6, 9]
    assert thread.batch_sizes == {1: 3, 4: 1}


async def test_a_batch_sounds_like_its_slices_one_by_one():
    thread = DecoderThread(tiny_codec)
    slices = [random_frames(9, seed) for seed in range(6)]

    sounds = await asyncio.gather(*(thread.decode(codes) for codes in slices))
    thread.release()

    for codes, sound in zip(slices, sounds, strict=True):
        assert np.abs(sound - whole_sound(codes)).max() <= 1e-5


async def test_who_has_stopped_waiting_is_not_decoded():
    codec = GatedCodec()
    thread = DecoderThread(lambda: codec)
    first = asyncio.create_task(thread.decode(frames(6, 1)))
    await asyncio.to_thread(codec.is_at_work.wait)
    gone = asyncio.create_task(thread.decode(frames(6, 2)))
    await asyncio.sleep(0)

    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    codec.may.set()
    await first
    await thread.decode(frames(6, 3))
    thread.release()

    assert codec.sizes == [(1, 6), (1, 6)]


async def test_a_decoder_that_breaks_tells_those_who_wait_and_works_on():
    thread = DecoderThread(BrokenCodec)

    results = await asyncio.gather(
        *(thread.decode(frames(6, 1)) for _ in range(3)), return_exceptions=True
    )
    thread.release()

    assert all(isinstance(each, EngineFailed) for each in results)
    assert "no memory left" in str(results[0])


async def test_a_closed_decoder_tells_so():
    thread = DecoderThread(tiny_codec)
    thread.release()

    with pytest.raises(EngineFailed, match="closed"):
        await thread.decode(frames(6, 1))


async def test_one_decoder_is_shared_until_the_last_gives_it_back():
    place = CodecPlace(TINY_SNAC, "cpu")
    one, other = DecoderThread.share(place), DecoderThread.share(place)
    assert one is other

    one.release()
    assert len(await other.decode(frames(6, 1))) == 6 * FRAME
    other.release()

    assert not any(each.name == "snac" for each in threading.enumerate())


def test_what_is_no_decoder_is_told(tmp_path: Path):
    broken = tmp_path / "decoder_model.onnx"
    broken.write_bytes(b"<html>404</html>")

    with pytest.raises(EngineUnavailable, match=r"decoder_model\.onnx can't be loaded"):
        OnnxSnac(broken, "cpu", 1)


def test_torch_weights_need_a_package_that_is_no_extra_of_ours(tmp_path: Path):
    with pytest.raises(EngineUnavailable, match="ONNX file, which needs no torch, or install snac"):
        open_codec(tmp_path, "cpu", 1)


def test_a_gpu_that_the_runtime_cannot_use_is_told():
    with pytest.raises(BadSettings, match="onnxruntime-gpu"):
        OnnxSnac(TINY_SNAC, "cuda", 1)
