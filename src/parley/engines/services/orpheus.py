"""Orpheus as a Pipecat service, for pipelines of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipecat.frames.frames import StartFrame
from pydantic import ValidationError

from parley.core.errors import BadSettings
from parley.engines.options import option_problem
from parley.engines.spec import SpeechOptions
from parley.engines.tts.live import LiveSpeech
from parley.engines.tts.orpheus import SPEC, OrpheusOptions, OrpheusSpeech
from parley.engines.tts.orpheus.codes import RATE_HZ


class OrpheusTTSService(LiveSpeech):
    """Speaks what the pipeline's language model writes, with an Orpheus talker at ``base_url``.

    ``backend`` is vllm, llama_cpp, ollama or text; ``options`` are those of the engine, such as
    ``model``, ``temperature`` or ``snac``. The decoder must be on disk:
    ``parley models pull orpheus:snac``. Raises ``BadSettings`` for an option that is wrong.
    """

    def __init__(
        self,
        *,
        base_url: str | Sequence[str],
        backend: str = "vllm",
        voice: str = "",
        language: str = "",
        speed: float = 1.0,
        sample_rate: int = RATE_HZ,
        name: str | None = None,
        **options: Any,
    ) -> None:
        self._orpheus = OrpheusSpeech(
            _read_options({"base_url": base_url, "backend": backend, **options})
        )
        super().__init__(
            self._orpheus,
            SpeechOptions(voice=voice, language=language, speed=speed),
            output_rate_hz=sample_rate,
            name=name,
        )

    async def start(self, frame: StartFrame) -> None:
        await self._orpheus.warm_up()
        await super().start(frame)

    async def cleanup(self) -> None:
        await super().cleanup()
        await self._orpheus.close()


def _read_options(options: dict[str, Any]) -> OrpheusOptions:
    try:
        return OrpheusOptions.model_validate(options)
    except ValidationError as error:
        problems = "\n".join(option_problem(SPEC, each) for each in error.errors())
        raise BadSettings(problems) from error
