"""A real Chromium with ears, and a caller at its microphone who speaks when the test says so."""

from __future__ import annotations

import base64
import io
import wave
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.async_api import Page, TimeoutError, async_playwright

from tests.caller_voice import CALLER_HZ
from tests.chromium import unattended_launch

SOUND_RMS = 0.01
# After so long without what they wait for, people say it again. Recognition and reply take some
# two seconds, on a busy machine five.
PATIENCE_S = 15.0
TRIES = 6

# Measures what comes out of every remote stream, every 20 ms; speaks into the microphone.
EARS_AND_MOUTH = """
window.ears = [];
const listen = (stream) => {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 1024;
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const rms = Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);
    window.ears.push([performance.now(), rms]);
  }, 20);
};
const Stock = window.RTCPeerConnection;
window.RTCPeerConnection = class extends Stock {
  constructor(...args) {
    super(...args);
    this.addEventListener("track", (event) =>
      listen(event.streams[0] ?? new MediaStream([event.track])));
  }
};
const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wish) => {
  // There is no air between this speaker and this microphone: cancelling an echo that isn't there
  // would only cancel the caller who speaks over the agent.
  const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const audio = { ...(typeof wish.audio === "object" ? wish.audio : {}), ...plain };
  const stream = await ask({ ...wish, audio });
  const room = new AudioContext();
  const microphone = room.createMediaStreamDestination();
  room.createMediaStreamSource(stream).connect(microphone);
  window.atMicrophone = { room, microphone };
  window.microphoneOpened ??= performance.now();
  return microphone.stream;
};
window.speak = async (wav) => {
  const { room, microphone } = window.atMicrophone;
  const file = Uint8Array.from(atob(wav), (letter) => letter.charCodeAt(0));
  const speech = room.createBufferSource();
  speech.buffer = await room.decodeAudioData(file.buffer);
  speech.connect(microphone);
  const began = performance.now();
  const over = new Promise((done) => speech.onended = done);
  speech.start();
  await over;
  return (began - window.microphoneOpened) / 1000;
};
"""
# What is heard at least 25 of the last 50 times is a voice.
VOICE_IS_HEARD = f"() => window.ears.slice(-50).filter(([, rms]) => rms > {SOUND_RMS}).length > 25"


@dataclass(frozen=True)
class Sound:
    """One stretch of sound that the page heard, in seconds since its microphone opened."""

    start_s: float
    end_s: float


class BrowserTab:
    """One page in a browser of its own."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.console: list[str] = []
        page.on("console", lambda message: self.console.append(message.text))

    async def sounds(self, *, gap_s: float = 0.4) -> list[Sound]:
        """What was heard so far, stretches closer than ``gap_s`` joined."""
        levels = await self.page.evaluate("window.ears")
        opened = await self.page.evaluate("window.microphoneOpened ?? 0")
        found: list[Sound] = []
        for at_ms, rms in levels:
            at_s = (at_ms - opened) / 1000
            if rms < SOUND_RMS:
                continue
            if found and at_s - found[-1].end_s < gap_s:
                found[-1] = Sound(found[-1].start_s, at_s)
            else:
                found.append(Sound(at_s, at_s))
        return found

    async def say(self, speech: bytes) -> float:
        """Speak (s16le at 16 kHz) to its end. When it began, in seconds since the microphone
        opened."""
        wav = base64.b64encode(_wave_file(speech)).decode()
        return await self.page.evaluate("wav => speak(wav)", wav)

    async def say_until(self, speech: bytes, fact: str, arg: Any = None) -> None:
        """Say it, and again after a while, as people do who were not understood, until the page's
        function ``fact`` is true."""
        for _ in range(TRIES):
            await self.say(speech)
            if await self._soon(fact, arg):
                return
        raise AssertionError(f"said {TRIES} times, and it was never true that {fact} ({arg})")

    async def interrupt_until(self, speech: bytes, fact: str, arg: Any = None) -> list[float]:
        """Say it, and again over the answer; all of it anew until ``fact`` is true. When each
        interruption began, in seconds since the microphone opened."""
        began_s: list[float] = []
        for _ in range(TRIES):
            await self.say(speech)
            if await self._soon(VOICE_IS_HEARD):
                began_s.append(await self.say(speech))
            if await self._soon(fact, arg):
                return began_s
        raise AssertionError(f"interrupted at {began_s}, and it was never true that {fact} ({arg})")

    async def _soon(self, fact: str, arg: Any = None) -> bool:
        try:
            await self.page.wait_for_function(fact, arg=arg, timeout=PATIENCE_S * 1000)
        except TimeoutError:
            return False
        return True

    async def events(self, name: str = "") -> list[dict[str, Any]]:
        """The server's events that the page received."""
        events = await self.page.evaluate("window.parley?.events ?? []")
        return [event for event in events if not name or event["event"] == name]

    async def wait_for_event(self, name: str, *, count: int = 1, timeout_s: float = 30) -> None:
        await self.page.wait_for_function(
            "([name, count]) => (window.parley?.events ?? [])"
            ".filter(event => event.event === name).length >= count",
            arg=[name, count],
            timeout=timeout_s * 1000,
        )

    async def state(self) -> str:
        return await self.page.get_attribute("[data-testid=state]", "data-state") or ""

    async def transcript(self) -> str:
        return await self.page.inner_text("[data-testid=transcript]")


@asynccontextmanager
async def open_tab(
    url: str, *, flags: tuple[str, ...] = (), **context: Any
) -> AsyncIterator[BrowserTab]:
    """Open the page in a fresh browser, at whose microphone nothing is heard but what is said."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        silence = folder / "silence.wav"
        silence.write_bytes(_wave_file(bytes(CALLER_HZ)))
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(**unattended_launch(silence, *flags))
        stack.push_async_callback(browser.close)
        tab_context = await browser.new_context(**{"permissions": ["microphone"], **context})
        page = await tab_context.new_page()
        await page.add_init_script(EARS_AND_MOUTH)
        tab = BrowserTab(page)
        await page.goto(url)
        yield tab


def _wave_file(pcm: bytes) -> bytes:
    """The file with s16le at 16 kHz."""
    whole = io.BytesIO()
    with wave.open(whole, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(CALLER_HZ)
        file.writeframes(pcm)
    return whole.getvalue()
