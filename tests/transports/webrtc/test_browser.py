"""A real Chromium, with the page script of the requirement as it stands."""

from __future__ import annotations

import asyncio
import socket
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi.responses import HTMLResponse
from playwright.async_api import Page, async_playwright

from tests.chromium import unattended_launch
from tests.transports.webrtc.callers import (
    Call,
    Town,
    loudest_part,
    make_town,
    pipeline_session,
    say,
    share_at,
    tone,
)

SCRIPT = (Path(__file__).parent / "pages" / "requirement.js").read_text()

# Keeps hold of the connection, and measures what it receives: the script sets ``ontrack`` when
# Chromium and Firefox have already fired the event, so it never plays anything by itself.
PRELUDE = """
window.connections = [];
const Native = window.RTCPeerConnection;
window.RTCPeerConnection = class extends Native {
  constructor(...settings) { super(...settings); window.connections.push(this); }
};
async function listen(seconds) {
  const track = window.connections[0].getReceivers()[0].track;
  const audio = new Audio(); audio.srcObject = new MediaStream([track]); await audio.play();
  const context = new AudioContext(); const ear = context.createAnalyser(); ear.fftSize = 8192;
  context.createMediaStreamSource(audio.srcObject).connect(ear);
  const bins = new Float32Array(ear.frequencyBinCount), found = [];
  for (const end = performance.now() + seconds * 1000; performance.now() < end; ) {
    ear.getFloatFrequencyData(bins);
    const loudest = bins.indexOf(Math.max(...bins));
    found.push([loudest * context.sampleRate / ear.fftSize, bins[loudest]]);
    await new Promise(done => setTimeout(done, 50));
  }
  return found;
}
"""

pytestmark = pytest.mark.e2e


@dataclass
class Browsed:
    town: Town
    page: Page


@asynccontextmanager
async def browsing(microphone: Path) -> AsyncIterator[Browsed]:
    """A town on a free port, and a page of it in Chromium."""
    town = make_town(pipeline_session)

    async def index() -> HTMLResponse:
        return HTMLResponse(f"<script>{PRELUDE}</script><script>{SCRIPT}</script>")

    town.app.add_api_route("/", index)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(town.app, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(**unattended_launch(microphone))
            context = await browser.new_context(permissions=["microphone"])
            page = await context.new_page()
            await page.goto(f"http://127.0.0.1:{listener.getsockname()[1]}/")
            yield Browsed(town, page)
            await browser.close()
    finally:
        await town.close()
        server.should_exit = True
        await serving


@pytest.fixture
def microphone(tmp_path: Path) -> Path:
    path = tmp_path / "microphone.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(tone(440, 8000, 48_000))
    return path


async def test_the_requirement_s_page_script_holds_a_spoken_call(microphone):
    async with browsing(microphone) as here:
        await here.page.evaluate("startConversation()")
        call: Call = await here.town.one_call()
        await call.connected.wait()
        listening = asyncio.create_task(here.page.evaluate("listen(3)"))
        await say(call, tone(880, 4000, 24_000))
        await call.until(lambda: len(loudest_part(bytes(call.heard), 16_000)) >= 2 * 16_000 * 2)
        heard: list[tuple[float, float]] = await listening
        await here.page.goto("about:blank")
        async with asyncio.timeout(3):
            await call.over.wait()

    assert share_at(loudest_part(bytes(call.heard), 16_000), 440, 16_000) > 0.98
    voice = [hz for hz, decibels in heard if decibels > -40]
    assert len(voice) > len(heard) / 2
    assert all(abs(hz - 880) < 12 for hz in voice)
    assert call.reason == "caller"


async def test_a_page_reached_late_by_its_own_candidates_still_connects(microphone):
    async with browsing(microphone) as here:
        patched: list[Any] = []
        here.page.on("response", lambda r: patched.append((r.request.method, r.status)))
        await here.page.evaluate(
            """async () => {
                 const pc = new RTCPeerConnection();
                 const stream = await navigator.mediaDevices.getUserMedia({audio: true});
                 stream.getTracks().forEach(track => pc.addTrack(track, stream));
                 const found = [];
                 pc.onicecandidate = event => event.candidate && found.push(event.candidate);
                 await pc.setLocalDescription(await pc.createOffer());
                 const send = (method, body) => fetch('/api/offer', {method,
                   headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body)});
                 const offer = pc.localDescription;
                 const answer = await (await send('POST', {sdp: offer.sdp, type: 'offer'})).json();
                 await pc.setRemoteDescription(answer);
                 for (const candidate of found) await send('PATCH', {candidate});
               }"""
        )
        call = await here.town.one_call()
        async with asyncio.timeout(10):
            await call.connected.wait()

    assert {status for _, status in patched} == {200}
    assert ("PATCH", 200) in patched
