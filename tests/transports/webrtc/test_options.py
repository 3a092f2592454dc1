"""The settings reach the transport."""

from __future__ import annotations

from parley.settings import Settings
from parley.transports.webrtc.options import IceServer, WebRtcOptions


def test_what_is_set_is_what_calls_are_made_with(monkeypatch):
    monkeypatch.setenv("PARLEY_CONNECT_TIMEOUT_S", "3")
    monkeypatch.setenv("PARLEY_RECONNECT_GRACE_S", "4")
    monkeypatch.setenv("PARLEY_OPUS", "false")
    turn = '[{"urls": "turn:relay.test", "username": "me", "credential": "secret"}]'
    monkeypatch.setenv("PARLEY_ICE_SERVERS", turn)

    options = WebRtcOptions.from_settings(Settings())

    assert options == WebRtcOptions(
        ice_servers=(IceServer(("turn:relay.test",), "me", "secret"),),
        connect_timeout_s=3,
        reconnect_grace_s=4,
        opus_path=False,
    )
