"""Events: read with care, from those alone who may send them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from parley.transports.opensips.events import EVENT, EventSocket, UaEvent
from parley.transports.sip.grammar import Malformed
from tests.transports.opensips.fake_opensips import LOOPBACK

PLAIN = {"key": "B2B.1", "event_type": "NEW", "method": "INVITE"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
FIELDS = ("key", "event_type", "method", "status", "reason", "headers", "body", "extra_params")


def notice(**params: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "method": EVENT, "params": params}).encode()


def test_an_event_is_read_as_it_was_recorded():
    headers = "From: <sip:a@b>;tag=1\r\nSubject: one\r\n two\r\nno colon\r\nX-Y: \xe9\r\n"
    event = UaEvent.read(notice(**PLAIN, status=0, reason=None, headers=headers, body="v=0\r\n"))

    request = event.as_request()
    assert (event.key, event.kind, event.method, event.status) == ("B2B.1", "NEW", "INVITE", 0)
    assert request.headers.first("subject") == "one two"
    assert request.body == b"v=0\r\n"
    assert event.extra == ""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"\x80\x81",
        b"[" * 50_000,
        b'{"method": "E_UA_SESSION"}',
        b'{"method": "E_UA_SESSION", "params": []}',
        b'{"method": "E_OTHER", "params": {"key": "k"}}',
        notice(key=""),
        notice(key=7),
        notice(key="k" * 300),
        notice(key="k\r\nX: y"),
    ],
    ids=range(12),
)
def test_what_is_no_event_is_called_so(data: bytes):
    with pytest.raises(Malformed):
        UaEvent.read(data)


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_whatever_the_fields_hold_it_is_an_event_or_none(params: dict[str, Any]):
    try:
        event = UaEvent.read(notice(**params))
    except Malformed:
        return
    request = event.as_request()

    assert 0 <= event.status < 700
    assert all("\n" not in value for _, value in request.headers)


@given(st.binary(max_size=300))
def test_any_bytes_are_an_event_or_none(data: bytes):
    try:
        assert UaEvent.read(data).key
    except Malformed:
        return


async def test_a_strangers_events_are_ignored_and_told_of_once():
    taken: list[UaEvent] = []
    events = EventSocket(taken.append, lambda host: host == LOOPBACK)
    with capture_logs() as said:
        events.datagram_received(notice(**PLAIN), ("192.0.2.7", 5))
        events.datagram_received(notice(**PLAIN), ("192.0.2.7", 6))
        events.datagram_received(notice(**PLAIN), (LOOPBACK, 5))

    assert [event.key for event in taken] == ["B2B.1"]
    assert [line["event"] for line in said] == ["opensips_stranger_ignored"]
