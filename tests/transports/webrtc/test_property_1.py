# Feature: pipecat-voice-agent, Property 1: WebRTC Connection Establishment
"""For any valid WebRTC offer from a client, the server returns a valid SDP answer that enables
bidirectional audio streaming; anything else gets a clean refusal."""

from __future__ import annotations

from typing import Any

import pytest
from aioice import ice
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection
from aiortc.rtcrtpsender import RTCRtpSender
from aiortc.sdp import SessionDescription
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.transports.webrtc.callers import (
    QUICK,
    bare_session,
    loudest_part,
    make_town,
    pipeline_session,
    say,
    share_at,
    tone,
)
from tests.transports.webrtc.valid_offers import (
    MIRROR,
    OFFERS,
    Section,
    joined,
    no_mdns,
    parse,
    valid_offers,
)

# ── valid offers ─────────────────────────────────────────────────────────────────────────────


async def answer_to(offer: str) -> tuple[int, Any]:
    """What the server says, and that nothing is left of it when the call is over."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ice, "get_or_create_mdns_protocol", no_mdns)
        town = make_town(bare_session)
        response = await town.http.post("/api/offer", json={"sdp": offer, "type": "offer"})
        if response.status_code != 200:
            assert not town.house.places
            assert len(town.peers) == 0
        await town.close()
        assert len(town.peers) == 0
        return response.status_code, response.json()


# Feature: pipecat-voice-agent, Property 1: WebRTC Connection Establishment
@given(valid_offers())
@settings(max_examples=110, deadline=None, suppress_health_check=list(HealthCheck))
async def test_any_valid_offer_gets_an_answer_that_lets_sound_flow(offer):
    status, body = await answer_to(offer)

    assert status == 200, body
    assert body["type"] == "answer"
    offered = parse(joined(*parse(offer.replace("\r\n", "\n").replace("\n", "\r\n"))))
    _check_answer(body["sdp"], *offered)


def _check_answer(answer: str, offered_session: list[str], offered: list[Section]) -> None:
    SessionDescription.parse(answer)
    session, sections = parse(answer)
    assert [(s.kind, s.mid) for s in sections] == [(s.kind, s.mid) for s in offered]
    bundle = next((x.split()[1:] for x in session if x.startswith("a=group:BUNDLE")), [])
    offered_bundle = next((x.split()[1:] for x in offered_session if "BUNDLE" in x), [])
    assert set(bundle) <= set(offered_bundle)
    for answered, asked in zip(sections, offered, strict=True):
        if asked.is_rejected:
            assert answered.lines[0].split()[1] == "0"
        if answered.lines[0].split()[1] == "0":
            assert answered.mid not in bundle
    index = next(n for n, section in enumerate(offered) if section.kind == "audio")
    _check_audio(sections[index], offered[index])


def _check_audio(answered: Section, asked: Section) -> None:
    direction = next(x[2:] for x in asked.lines if x[2:] in MIRROR)
    assert answered.lines[0].split()[1] != "0"
    assert f"a={MIRROR[direction]}" in answered.lines
    assert answered.codecs()
    assert answered.codecs().items() <= asked.codecs().items()
    opus = next((pt for pt, name in asked.codecs().items() if name == "opus"), None)
    if opus:
        assert set(answered.codecs().values()) == {"opus"}
        assert f"a=fmtp:{opus} minptime=10;useinbandfec=1" in answered.lines
        wants_nack = f"a=rtcp-fb:{opus} nack" in asked.lines
        assert (f"a=rtcp-fb:{opus} nack" in answered.lines) == wants_nack
    assert answered.value("a=ice-ufrag:")
    assert answered.value("a=ice-pwd:")
    assert answered.value("a=fingerprint:").startswith("sha-256 ")
    assert answered.value("a=setup:") in {"active", "passive"}
    assert answered.value("a=setup:") != asked.value("a=setup:")
    assert answered.value("a=candidate:")


# ── anything else ────────────────────────────────────────────────────────────────────────────


@st.composite
def broken_offers(draw: Any) -> str:
    """A recorded offer after an accident: lines lost, doubled, swapped, letters changed."""
    lines = OFFERS[draw(st.sampled_from(sorted(OFFERS)))].split("\r\n")
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["lose", "double", "swap", "letter", "cut", "blank"])):
            case "lose":
                del lines[at]
            case "double":
                lines.insert(draw(st.integers(0, len(lines))), lines[at])
            case "swap":
                other = draw(st.integers(0, len(lines) - 1))
                lines[at], lines[other] = lines[other], lines[at]
            case "letter" if lines[at]:
                where = draw(st.integers(0, len(lines[at]) - 1))
                lines[at] = lines[at][:where] + draw(st.characters()) + lines[at][where + 1 :]
            case "cut":
                lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
            case _:
                lines[at] = draw(st.text(max_size=20))
        lines = lines or [""]
    return "\r\n".join(lines)


@given(st.one_of(broken_offers(), st.text(max_size=200)))
@settings(max_examples=110, deadline=None, suppress_health_check=list(HealthCheck))
async def test_anything_else_is_answered_or_refused_cleanly(offer):
    offer = offer.encode("utf-8", "replace").decode()

    status, body = await answer_to(offer)

    assert status in (200, 400)
    if status == 400:
        assert body["error"]["code"] == "bad_offer"
        assert body["error"]["message"]


# ── offers that really connect ───────────────────────────────────────────────────────────────


def _codec(name: str) -> Any:
    codecs = RTCRtpSender.getCapabilities("audio").codecs
    return [codec for codec in codecs if codec.name.lower() == name]


@pytest.mark.parametrize(
    ("codec", "bundle", "first"),
    [
        ("opus", RTCBundlePolicy.BALANCED, "audio"),
        ("opus", RTCBundlePolicy.BALANCED, "data"),
        ("opus", RTCBundlePolicy.MAX_COMPAT, "video"),
        ("opus", RTCBundlePolicy.MAX_BUNDLE, "video"),
        ("pcmu", RTCBundlePolicy.MAX_BUNDLE, "audio"),
        ("pcma", RTCBundlePolicy.MAX_COMPAT, "data"),
        ("g722", RTCBundlePolicy.BALANCED, "video"),
    ],
)
async def test_sound_flows_both_ways_whatever_the_offer_looks_like(town, codec, bundle, first):
    here = town(pipeline_session, QUICK)
    caller = here.caller(says=tone(440, 2000, 48_000))
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=bundle))
    if first == "video":
        pc.addTransceiver("video")
    if first == "data":
        pc.createDataChannel("chat")
    pc.addTrack(caller.track)
    for transceiver in pc.getTransceivers():
        if transceiver.kind == "audio":
            transceiver.setCodecPreferences(_codec(codec))
    pc.createDataChannel("more")
    pc.on("track", lambda track: track.kind == "audio" and caller._on_track(track))
    pc.on("connectionstatechange", caller.changed.set)
    caller.pc = pc

    await caller.call()
    call = await here.one_call()
    await call.connected.wait()
    await say(call, tone(880, 400, 24_000))
    await call.until(lambda: len(loudest_part(bytes(call.heard), 16_000)) >= 0.4 * 16_000 * 2)
    await caller.until(lambda: len(loudest_part(bytes(caller.heard), 48_000)) >= 0.38 * 96_000)

    assert share_at(loudest_part(bytes(call.heard), 16_000), 440, 16_000) > 0.97
    assert share_at(loudest_part(bytes(caller.heard), 48_000), 880, 48_000) > 0.9
