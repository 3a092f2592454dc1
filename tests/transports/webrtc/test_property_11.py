# Feature: pipecat-voice-agent, Property 11: New Agent Session Creation
"""For any valid WebRTC offer that the server receives, a new agent session is created and
associated with that connection."""

from __future__ import annotations

from typing import Any

import pytest
from aioice import ice
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parley.transports.webrtc.peers import Peer
from tests.transports.webrtc.callers import bare_session, make_town
from tests.transports.webrtc.valid_offers import no_mdns, valid_offers


# Feature: pipecat-voice-agent, Property 11: New Agent Session Creation
@given(st.lists(valid_offers(), min_size=1, max_size=3))
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
async def test_any_valid_offer_begins_a_session_of_its_own_on_its_own_connection(offers):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ice, "get_or_create_mdns_protocol", no_mdns)
        town = make_town(bare_session)
        answers: list[Any] = []
        peers: list[Peer | None] = []
        for offer in offers:
            reply = await town.http.post("/api/offer", json={"sdp": offer, "type": "offer"})
            answers.append(reply.json())
            # At once: a call whose addresses don't answer is soon over.
            peers.append(town.peers.find(pc_id=answers[-1]["pc_id"]))
        held = {id(call.media): call.info.id for call in town.house.calls}
        sessions = [held[id(peer.media)] for peer in peers if peer is not None]
        await town.close()

    assert sessions == [answer["session_id"] for answer in answers]
    assert len(set(sessions)) == len(town.house.calls) == len(offers)
    assert len({answer["pc_id"] for answer in answers}) == len(offers)
