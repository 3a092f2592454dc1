"""What tools may do to their call, in the words of ``tools.spec.CallActions``."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from parley.session.control import CallControl
from parley.session.keypad import DigitCollector
from parley.session.marks import heard_so_far, play
from parley.session.media import CallMedia
from parley.session.sound_files import read_sound
from parley.tools.recordings import LONGEST_S
from parley.tools.spec import DigitsGiven, DigitsWanted

# Beyond these a voice is a caricature, whatever the caller asks for.
SPEED_RANGE = (0.5, 2.0)
VOLUME_RANGE = (0.3, 2.0)

# A sentence or two before a transfer; a voice that is stuck must not keep the caller for ever.
LAST_WORDS_S = 15.0


class ToolActions:
    """Implements ``CallActions`` for one call."""

    def __init__(self, control: CallControl, media: CallMedia) -> None:
        self._control = control
        self._media = media

    @property
    def call_id(self) -> str:
        return self._control.call_id

    async def say(self, text: str) -> None:
        await self._control.say(text)

    async def hang_up(self) -> None:
        self._control.end("agent")

    async def adjust_speech(self, *, speed: float = 1.0, volume: float = 1.0) -> None:
        tts = self._control.line.tts
        tts.set_options(
            replace(
                tts.options,
                speed=_within(tts.options.speed * speed, SPEED_RANGE),
                volume=_within(tts.options.volume * volume, VOLUME_RANGE),
            )
        )

    # ── the telephone's ──────────────────────────────────────────────────────────────────

    async def transfer(self, target: str) -> None:
        await self._last_words()
        await self._control.transfer(target)

    async def hold(self) -> None:
        await self._last_words()
        await self._control.hold()

    async def resume(self) -> None:
        await self._control.resume()

    async def send_digits(self, digits: str) -> None:
        await self._last_words()
        await self._control.send_digits(digits)

    async def collect_digits(self, wanted: DigitsWanted, prompt: str = "") -> DigitsGiven:
        line = self._control.line
        collector = DigitCollector(wanted, line.tts.options.language)
        keypad = line.caller.keypad
        keypad.collector = collector
        line.stt.hears_secret = wanted.is_secret
        asking = asyncio.create_task(self._ask(prompt, collector), name=f"ask:{self.call_id}")
        try:
            return await collector.collect(self._control.fall_silent)
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            if keypad.collector is collector:
                keypad.collector = None
                line.stt.hears_secret = False

    async def _ask(self, prompt: str, collector: DigitCollector) -> None:
        if prompt:
            await self._control.say(prompt)
        await heard_so_far(self._control.worker)
        collector.asked()

    async def play(self, file: Path, *, interruptible: bool = True) -> bool:
        sound = await asyncio.to_thread(
            read_sound, file, rate_hz=self._media.output_rate_hz, longest_s=LONGEST_S
        )
        return await play(self._control.worker, sound, interruptible=interruptible)

    async def _last_words(self) -> None:
        """Let what is being said be heard."""
        try:
            async with asyncio.timeout(LAST_WORDS_S):
                await heard_so_far(self._control.worker)
        except TimeoutError:
            return


def _within(value: float, bounds: tuple[float, float]) -> float:
    return min(max(value, bounds[0]), bounds[1])
