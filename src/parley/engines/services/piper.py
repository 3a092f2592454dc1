"""Piper's server as a service for any Pipecat pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipecat.processors.frame_processor import FrameProcessorSetup
from pydantic import ValidationError

from parley.core.errors import BadSettings
from parley.engines.options import option_problem
from parley.engines.spec import SpeechOptions
from parley.engines.tts.live import LiveSpeech
from parley.engines.tts.piper import SPEC, PiperOptions, PiperSpeech

USUAL_RATE_HZ = 22_050


class PiperTTSService(LiveSpeech):
    """Speaks with the Piper servers at ``ws_url``: http:// for Piper's own, ws:// for a service.

    The sound leaves at ``sample_rate``, or else at the pipeline's own output rate. ``options`` are
    those of the engine ``piper``. Raises ``BadSettings`` for one that is wrong.
    """

    def __init__(
        self,
        *,
        ws_url: str | Sequence[str] | None,
        voice: str = "",
        language: str = "",
        speed: float = 1.0,
        sample_rate: int | None = None,
        name: str | None = None,
        **options: Any,
    ) -> None:
        self._piper = PiperSpeech(_read_options({"ws_url": ws_url, **options}))
        self._wanted_rate_hz = sample_rate
        super().__init__(
            self._piper,
            SpeechOptions(voice=voice, language=language, speed=speed),
            output_rate_hz=sample_rate or USUAL_RATE_HZ,
            name=name,
        )

    async def setup(self, setup: FrameProcessorSetup) -> None:
        if self._wanted_rate_hz is None:
            self._init_sample_rate = setup.audio_out_sample_rate
            self.set_output_rate(setup.audio_out_sample_rate)
        await super().setup(setup)

    async def cleanup(self) -> None:
        await super().cleanup()
        await self._piper.close()


def _read_options(options: dict[str, Any]) -> PiperOptions:
    if not options["ws_url"]:
        raise BadSettings(
            "PiperTTSService needs ws_url.",
            hint="Give it the address of a Piper server, such as http://localhost:5000.",
        )
    try:
        return PiperOptions.model_validate(options)
    except ValidationError as error:
        problems = "\n".join(option_problem(SPEC, each) for each in error.errors())
        raise BadSettings(problems) from error
