"""What the HTTP side takes and refuses, and that a refusal leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aioice import ice

from parley.core.errors import EngineUnavailable
from parley.transports.webrtc.options import IceServer
from parley.transports.webrtc.sdp import MAX_SDP_BYTES
from parley.transports.webrtc.signalling import COOKIE
from tests.transports.webrtc.callers import QUICK, Town, bare_session
from tests.transports.webrtc.conftest import settled

OFFERS = Path(__file__).parent / "offers"
CHROMIUM = (OFFERS / "chromium-page.sdp").read_text()
UFRAG = "SI8+"
CANDIDATE = "candidate:1 1 udp 2122260223 127.0.0.1 50000 typ host generation 0 ufrag {}"
WITHOUT_CODECS = CHROMIUM.replace("opus", "red").replace("PCM", "X").replace("G722", "Y")
BROKEN_PORT = "candidate:1 1 udp one 127.0.0.1 9 typ host"


def body(sdp: str = CHROMIUM, **other: Any) -> dict[str, Any]:
    return {"sdp": sdp, "type": "offer", **other}


async def error_of(town: Town, content: bytes | str | dict[str, Any], method: str = "POST") -> Any:
    text = json.dumps(content) if isinstance(content, dict) else content
    response = await town.http.request(method, "/api/offer", content=text)
    assert response.headers["content-type"] == "application/json"
    return response.status_code, response.json()["error"]


# ── offers ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"[]", "The body"),
        (b'"offer"', "The body"),
        (b"\xff\xfe", "JSON"),
        (b"[" * 100_000, "JSON"),
        ({}, "sdp"),
        ({"type": "offer"}, "sdp"),
        ({"sdp": CHROMIUM}, "type"),
        ({"sdp": 7, "type": "offer"}, "sdp"),
        ({"sdp": CHROMIUM, "type": ["offer"]}, "type"),
        (body(type="answer"), "'answer'"),
        (body(pc_id=5), "pc_id"),
        (body(restart_pc="yes"), "restart_pc"),
        (body(request_data=[1]), "request_data"),
        (body(request_data={"agent": 5}), "agent"),
        (body(""), "makes no sense"),
        (body("not sdp at all"), "makes no sense"),
        (body("v=0\r\nm=\r\n"), "m= line"),
        (body("v=0\r\n" + "a" * MAX_SDP_BYTES), "longer than"),
        (body("v=0\r\n" + "a" * 3 * MAX_SDP_BYTES), "longer than"),
        (body(CHROMIUM.replace("m=audio", "m=video")), "no audio"),
        (body(CHROMIUM.replace("m=audio 9", "m=audio 0")), "no audio"),
        (body(WITHOUT_CODECS), "no audio"),
        (body(CHROMIUM.replace("a=ice-pwd", "a=nothing")), "ICE"),
        (body(CHROMIUM.replace("a=setup:actpass", "a=setup:maybe")), "can't be answered"),
        (body(CHROMIUM.replace("a=rtcp-mux", "a=nothing")), "RTCP mux"),
        (body(CHROMIUM.replace("a=fingerprint:sha-256", "a=fingerprint:")), "can't be answered"),
        (body(CHROMIUM + "a=candidate:broken\r\n"), "candidate"),
    ],
)
async def test_a_bad_offer_gets_a_clean_400_and_leaves_nothing(town, content, says):
    here = town(bare_session)
    before = asyncio.all_tasks()

    status, error = await error_of(here, content)

    assert status == 400
    assert error["code"] == "bad_offer"
    assert error["type"] == "invalid_request_error"
    assert says in error["message"]
    assert not here.house.places
    assert not here.house.calls
    assert len(here.peers) == 0
    assert not await settled(before)


async def test_at_the_limit_a_caller_is_told_when_to_try_again(town):
    here = town(bare_session, max_calls=0)

    response = await here.http.post("/api/offer", json=body())

    assert response.status_code == 503
    assert response.headers["retry-after"] == "5"
    assert response.json()["error"]["code"] == "call_limit_reached"
    assert len(here.peers) == 0


async def test_an_unknown_agent_is_not_found(town):
    here = town(bare_session)

    response = await here.http.post("/api/offer", json=body(request_data={"agent": "nobody"}))

    assert response.status_code == 404
    assert not here.house.places


@pytest.mark.parametrize("key", ["request_data", "requestData"])
async def test_an_offer_may_name_agent_and_voice(town, key):
    here = town(bare_session)
    wish = {"agent": "receptionist", "voice": "en-us+f3", "theme": "dark"}

    await here.http.post("/api/offer", json=body(**{key: wish}))

    info = here.house.calls[0].info
    assert (info.agent, info.voice, info.transport) == ("receptionist", "en-us+f3", "webrtc")
    assert info.caller == "127.0.0.1"


async def test_a_session_that_can_t_start_gives_everything_back(town):
    here = town(bare_session)

    def broken(*_: Any) -> None:
        raise EngineUnavailable("No engine today.")

    here.house.start = broken
    before = asyncio.all_tasks()

    response = await here.http.post("/api/offer", json=body())

    assert response.status_code == 503
    assert not here.house.places
    assert len(here.peers) == 0
    assert not await settled(before)


async def test_an_unknown_pc_id_begins_a_new_call(town):
    here = town(bare_session)

    response = await here.http.post("/api/offer", json=body(pc_id="gone"))

    assert response.status_code == 200
    assert len(here.house.calls) == 1


async def test_a_call_that_is_over_cannot_be_carried_on(town):
    here = town(bare_session)

    response = await here.http.post("/api/offer", json=body(pc_id="gone", restart_pc=True))

    assert response.status_code == 404
    assert response.json()["error"]["param"] == "pc_id"
    assert not here.house.calls


async def test_the_cookie_is_for_this_server_s_signalling_only(town):
    here = town(bare_session)

    response = await here.http.post("/api/offer", json=body())

    cookie = response.headers["set-cookie"].lower()
    assert all(part in cookie for part in ("httponly", "samesite=strict", "path=/api"))
    assert response.json()["pc_id"] not in cookie


async def test_the_page_is_told_the_ice_servers(town):
    servers = (IceServer(("stun:a",)), IceServer(("turn:b", "turns:b"), "me", "secret"))
    here = town(bare_session, replace(QUICK, ice_servers=servers))

    response = await here.http.get("/api/ice-servers")

    assert response.json() == {
        "iceServers": [
            {"urls": ["stun:a"]},
            {"urls": ["turn:b", "turns:b"], "username": "me", "credential": "secret"},
        ]
    }


# ── candidates ───────────────────────────────────────────────────────────────────────────────


async def offered(town: Town) -> dict[str, Any]:
    """A browser that has no candidates yet; without the cookie that it got."""
    response = await town.http.post("/api/offer", json=body())
    town.http.cookies.clear()
    return response.json()


def candidates_of(town: Town, call: int = 0) -> list[str]:
    connection = town.house.calls[call].media.connection
    assert connection is not None
    ices = [t.receiver.transport.transport for t in connection.pc.getTransceivers()]
    return [f"{c.ip}:{c.port}" for each in ices for c in each.getRemoteCandidates()]


@pytest.mark.parametrize("path", ["/api/offer", "/api/patch"])
async def test_pipecat_s_body_reaches_the_connection_by_its_pc_id(town, path):
    here = town(bare_session)
    answer = await offered(here)
    candidate = {"candidate": CANDIDATE.format("xx"), "sdp_mid": "0", "sdp_mline_index": 0}

    response = await here.http.patch(
        path, json={"pc_id": answer["pc_id"], "candidates": [candidate]}
    )

    assert (response.status_code, response.json()) == (200, {"status": "success"})
    assert "127.0.0.1:50000" in candidates_of(here)


async def test_a_bare_candidate_finds_its_connection_by_user_fragment(town):
    here = town(bare_session)
    await offered(here)
    bare = {
        "candidate": CANDIDATE.format("xx"),
        "sdpMid": "0",
        "sdpMLineIndex": 0,
        "usernameFragment": UFRAG,
    }

    response = await here.http.patch("/api/offer", json={"candidate": bare})

    assert (response.status_code, response.json()) == (200, {"status": "success"})
    assert "127.0.0.1:50000" in candidates_of(here)


async def test_the_user_fragment_may_stand_in_the_candidate_s_text(town):
    here = town(bare_session)
    await offered(here)
    bare = {"candidate": CANDIDATE.format(UFRAG), "sdpMid": "0", "sdpMLineIndex": 0}

    response = await here.http.patch("/api/offer", json={"candidate": bare})

    assert response.status_code == 200
    assert "127.0.0.1:50000" in candidates_of(here)


async def test_a_bare_candidate_without_a_fragment_is_known_by_the_cookie(town):
    here = town(bare_session)
    answers = [await offered(here) for _ in range(2)]
    first = here.peers.find(pc_id=answers[0]["pc_id"])
    assert first is not None
    here.http.cookies.set(COOKIE, first.cookie)
    bare = {"candidate": "1 1 udp 1 127.0.0.1 50001 typ host", "sdpMid": None}

    response = await here.http.patch("/api/offer", json={"candidate": bare})

    assert response.status_code == 200
    assert "127.0.0.1:50001" in candidates_of(here, 0)
    assert "127.0.0.1:50001" not in candidates_of(here, 1)


async def test_of_two_callers_with_one_user_fragment_the_cookie_decides(town):
    here = town(bare_session)
    answers = [(await here.http.post("/api/offer", json=body())).json() for _ in range(2)]
    cookies = [here.peers.find(pc_id=answer["pc_id"]).cookie for answer in answers]

    for answer, cookie in zip(answers, cookies, strict=True):
        found = here.peers.find(ufrag=UFRAG, cookie=cookie)
        assert found is not None
        assert answer["pc_id"] in found.pc_ids


async def test_an_empty_candidate_is_the_end_of_them(town):
    here = town(bare_session)
    answer = await offered(here)

    for content in (
        {"pc_id": answer["pc_id"], "candidates": [{"candidate": "", "sdp_mid": "0"}]},
        {"candidate": {"candidate": "", "usernameFragment": UFRAG}},
        {"pc_id": answer["pc_id"], "candidates": []},
    ):
        response = await here.http.patch("/api/offer", json=content)
        assert (response.status_code, response.json()) == (200, {"status": "success"})


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"candidate": None},
        {"candidate": {}},
        {"candidate": "candidate:1"},
        {"candidate": {"candidate": 5}},
        {"candidate": {"candidate": "x" * 2000}},
        {"candidate": {"candidate": "candidate:1 1 udp broken"}},
        {
            "pc_id": "PC",
            "candidates": [{"candidate": BROKEN_PORT}],
        },
        {"pc_id": "PC", "candidates": {"candidate": ""}},
        {"pc_id": "PC", "candidates": [{"candidate": ""}] * 51},
        {"pc_id": 7, "candidates": []},
    ],
)
async def test_a_candidate_that_makes_no_sense_is_a_400(town, content):
    here = town(bare_session)
    answer = await offered(here)
    text = json.dumps(content).replace('"PC"', json.dumps(answer["pc_id"]))

    status, error = await error_of(here, text, "PATCH")

    assert status == 400
    assert error["code"] == "bad_offer"


@pytest.mark.parametrize(
    "content",
    [
        {"pc_id": "nobody", "candidates": []},
        {"candidate": {"candidate": CANDIDATE.format("none"), "usernameFragment": "none"}},
    ],
)
async def test_candidates_of_an_unknown_connection_are_a_404(town, content):
    status, error = await error_of(town(bare_session), content, "PATCH")

    assert status == 404
    assert error["code"] == "not_found"


async def test_candidates_of_a_call_that_is_over_are_a_404(town):
    here = town(bare_session)
    answer = await offered(here)
    call = here.house.calls[0]
    await call.media.hang_up("agent")

    response = await here.http.patch(
        "/api/offer", json={"pc_id": answer["pc_id"], "candidates": []}
    )

    assert response.status_code == 404


class Mdns:
    """Stands for aioice's multicast lookup, which takes a second to find nothing."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer = asyncio.Event()

    async def resolve(self, name: str) -> str:
        self.asked.append(name)
        await self.answer.wait()
        return "127.0.0.1"


async def test_local_names_hold_up_neither_offer_nor_candidate(town, monkeypatch):
    mdns = Mdns()

    async def protocol(_: Any) -> Mdns:
        return mdns

    monkeypatch.setattr(ice, "get_or_create_mdns_protocol", protocol)
    here = town(bare_session)
    hidden = (OFFERS / "chromium-listen-only-mdns.sdp").read_text()

    answer = (await here.http.post("/api/offer", json=body(hidden))).json()
    trickled = {"candidate": CANDIDATE.format("x").replace("127.0.0.1", "abc.local")}
    patched = await here.http.patch(
        "/api/offer", json={"pc_id": answer["pc_id"], "candidates": [trickled]}
    )
    assert patched.status_code == 200
    assert candidates_of(here) == []
    mdns.answer.set()
    while len(candidates_of(here)) < 3:  # noqa: ASYNC110 aioice tells nobody
        await asyncio.sleep(0)

    assert "abc.local" in mdns.asked


async def test_a_name_that_can_t_be_looked_up_does_no_harm(town, monkeypatch):
    async def protocol(_: Any) -> Mdns:
        raise OSError("no multicast here")

    monkeypatch.setattr(ice, "get_or_create_mdns_protocol", protocol)
    here = town(bare_session)
    hidden = (OFFERS / "firefox-audio-data-gathered.sdp").read_text()

    response = await here.http.post("/api/offer", json=body(hidden))

    assert response.status_code == 200


async def test_many_callers_at_once_each_get_their_own_call(town):
    here = town(bare_session)
    callers = [here.caller() for _ in range(5)]

    answers = await asyncio.gather(*(caller.call() for caller in callers))

    assert len({answer["pc_id"] for answer in answers}) == 5
    assert len({answer["session_id"] for answer in answers}) == len(here.house.calls) == 5
