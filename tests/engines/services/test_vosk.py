"""VoskSTTService with voice activity detection in the pipeline, and without."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    SpeechControlParamsFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.tests.utils import SleepFrame, run_test

from parley.core.audio import pcm_bytes
from parley.core.errors import BadSettings
from parley.engines.services import PiperTTSService, VoskSTTService
from tests.engines.servers.vosk import VoskServer


def sound(duration_ms: int) -> list[Frame]:
    pcm = bytes(pcm_bytes(20, 16_000))
    return [InputAudioRawFrame(pcm, 16_000, 1) for _ in range(duration_ms // 20)]


def texts(frames: list[Frame]) -> list[str]:
    return [frame.text for frame in frames if isinstance(frame, TranscriptionFrame)]


async def test_without_voice_activity_detection_it_hears_everything() -> None:
    async with VoskServer("one two three four", final_after_ms=400) as server:
        service = VoskSTTService(ws_url=server.url)
        down, _ = await run_test(
            service, frames_to_send=[*sound(900), SleepFrame(0.2)], ignore_start=True
        )

    assert texts(list(down)) == ["one two", "three four"]
    assert any(isinstance(frame, InterimTranscriptionFrame) for frame in down)
    assert len(server.conversations) == 1


async def test_with_voice_activity_detection_it_hears_speech_only() -> None:
    announced = SpeechControlParamsFrame(vad_params=VADParams())
    async with VoskServer("one two") as server:
        service = VoskSTTService(ws_url=server.url)
        down, _ = await run_test(
            service,
            frames_to_send=[
                announced,
                SleepFrame(0.05),
                *sound(2000),
                SleepFrame(0.05),
                VADUserStartedSpeakingFrame(),
                SleepFrame(0.05),
                *sound(400),
                SleepFrame(0.05),
                VADUserStoppedSpeakingFrame(),
                SleepFrame(0.1),
            ],
        )

    assert texts(list(down)) == ["one two"]
    assert server.conversations[0].pcm_bytes == pytest.approx(900 * 32, abs=1000)


async def test_a_server_that_is_away_is_reported_and_not_asked_at_every_packet() -> None:
    async with VoskServer() as gone:
        pass

    _, up = await run_test(
        VoskSTTService(ws_url=gone.url), frames_to_send=[*sound(1000), SleepFrame(0.2)]
    )

    assert len([frame for frame in up if isinstance(frame, ErrorFrame)]) == 1


def test_wrong_options_are_told_by_name() -> None:
    with pytest.raises(BadSettings, match="ws_url"):
        VoskSTTService(ws_url=None)
    with pytest.raises(BadSettings, match="no option wurds"):
        VoskSTTService(ws_url="ws://127.0.0.1:1", wurds=True)
    with pytest.raises(BadSettings, match="http://"):
        PiperTTSService(ws_url="ftp://127.0.0.1:1")


def test_importing_the_package_imports_no_engine() -> None:
    code = (
        "import sys, parley.engines.services as s; assert 'pipecat' not in sys.modules;"
        "s.PiperTTSService; assert 'parley.engines.services.llama' not in sys.modules"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
