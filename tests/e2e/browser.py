"""A real Chromium with a microphone that plays what the test prepared, and ears."""

from __future__ import annotations

import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from playwright.async_api import Browser, Page, async_playwright

from tests.chromium import unattended_launch

MICROPHONE_HZ = 48_000
SOUND_RMS = 0.01

# Measures what comes out of every <audio> element and remote stream, every 20 ms.
EARS = """
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
  window.microphoneOpened ??= performance.now();
  return stream;
};
"""


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

    async def wait_for_words(self, words: str, *, at_least: int, timeout_s: float = 60) -> None:
        """Return when one final transcript has so many of the words."""
        await self.page.wait_for_function(
            "([words, count]) => (window.parley?.events ?? []).some("
            "event => event.event === 'user_transcript' && event.final && "
            "new Set(event.text.split(' ').filter(word => words.includes(word))).size >= count)",
            arg=[words.split(), at_least],
            timeout=timeout_s * 1000,
        )

    async def wait_for_reply(self, text: str, timeout_s: float = 60) -> None:
        """Return when a reply with the text has been played to its end."""
        await self.page.wait_for_function(
            "text => (window.parley?.events ?? []).some("
            "event => event.event === 'turn_ended' && event.heard.includes(text))",
            arg=text,
            timeout=timeout_s * 1000,
        )

    async def wait_for_answer_to_interruption(self, text: str, timeout_s: float = 60) -> None:
        """Return when a reply of which something was heard has been interrupted, and one with the
        text been played to its end since."""
        await self.page.wait_for_function(
            "text => { const turns = (window.parley?.events ?? [])"
            ".filter(event => event.event === 'turn_ended');"
            " const cut = turns.findIndex(turn => turn.interrupted && turn.heard);"
            " return cut >= 0 && turns.slice(cut + 1).some(turn => turn.heard.includes(text)); }",
            arg=text,
            timeout=timeout_s * 1000,
        )

    async def seconds_since_microphone(self) -> float:
        return await self.page.evaluate("(performance.now() - window.microphoneOpened) / 1000")

    async def state(self) -> str:
        return await self.page.get_attribute("[data-testid=state]", "data-state") or ""

    async def transcript(self) -> str:
        return await self.page.inner_text("[data-testid=transcript]")


@asynccontextmanager
async def open_tab(
    url: str, microphone: Path, *, flags: tuple[str, ...] = (), **context: Any
) -> AsyncIterator[BrowserTab]:
    """Open the page in a fresh browser whose microphone plays the file once."""
    async with async_playwright() as playwright:
        browser: Browser = await playwright.chromium.launch(**unattended_launch(microphone, *flags))
        try:
            tab_context = await browser.new_context(**{"permissions": ["microphone"], **context})
            page = await tab_context.new_page()
            await page.add_init_script(EARS)
            tab = BrowserTab(page)
            await page.goto(url)
            yield tab
        finally:
            await browser.close()


def write_microphone(path: Path, speech: list[tuple[float, bytes]], length_s: float) -> Path:
    """A 48 kHz file with each speech (s16le at 16 kHz) beginning at its second."""
    samples = np.zeros(int(length_s * MICROPHONE_HZ), dtype=np.int16)
    for start_s, pcm in speech:
        spoken = np.frombuffer(pcm, dtype=np.int16)
        times = np.arange(len(spoken) * 3) / 3
        spoken_48k = np.interp(times, np.arange(len(spoken)), spoken).astype(np.int16)
        start = int(start_s * MICROPHONE_HZ)
        samples[start : start + len(spoken_48k)] += spoken_48k[: len(samples) - start]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(MICROPHONE_HZ)
        file.writeframes(samples.tobytes())
    return path
