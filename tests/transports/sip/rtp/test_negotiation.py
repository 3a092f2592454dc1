"""Offer and answer: what comes is read with patience, what goes is in order."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parley.core.errors import BadOffer, IncompatibleOffer
from parley.transports.sip.agreement import Negotiated, OurSide
from parley.transports.sip.negotiation import Negotiation
from parley.transports.sip.rtp.codecs import G722, OPUS, PCMA, PCMU
from tests.transports.sip.rtp.far_end import EVENTS, sdp

OPUS_LINES = ("a=rtpmap:107 opus/48000/2", "a=rtpmap:100 telephone-event/48000")
KEY = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + "QUJD" * 10


def talk(**changes: object) -> Negotiation:
    return Negotiation(OurSide(**{"host": "192.0.2.9", "port": 30_000, **changes}))  # type: ignore[arg-type]


def agreed(negotiation: Negotiation, offer: str) -> tuple[list[str], Negotiated]:
    answer = negotiation.answer(offer)
    assert negotiation.agreed is not None
    assert answer.endswith("\r\n")
    return answer.split("\r\n"), negotiation.agreed


def test_static_types_need_no_name():
    lines, found = agreed(talk(), sdp(formats="18 8 0"))

    assert found.codec is PCMA
    assert "m=audio 30000 RTP/AVP 8" in lines
    assert "a=rtpmap:8 PCMA/8000" in lines
    assert found.remote == ("127.0.0.1", 4000)
    assert found.remote_rtcp == ("127.0.0.1", 4001)


@pytest.mark.parametrize(
    "formats, codec, number",
    [("0 8 9", G722, 9), ("8 0", PCMA, 8), ("0 107 9", OPUS, 107), ("0 3", PCMU, 0)],
)
def test_wide_sound_wins_and_then_the_callers_order(formats, codec, number):
    ours = talk(codecs=(G722, OPUS, PCMU, PCMA))

    _, found = agreed(ours, sdp(formats=formats, lines=OPUS_LINES))

    assert (found.codec, found.payload_type) == (codec, number)


def test_line_feeds_alone_will_do():
    _, found = agreed(talk(), sdp().replace("\r\n", "\n"))

    assert found.codec is PCMU


def test_keys_keep_the_offers_number():
    lines, found = agreed(talk(), sdp(formats="0 96", lines=EVENTS))

    assert found.event_type == 96
    assert {"m=audio 30000 RTP/AVP 0 96", "a=rtpmap:96 telephone-event/8000"} < set(lines)


def test_keys_that_go_with_opus_have_its_clock():
    offer = sdp(formats="107 96 100", lines=(*OPUS_LINES, *EVENTS))

    lines, found = agreed(talk(codecs=(OPUS, PCMU)), offer)

    assert found.event_type == 100
    assert "a=rtpmap:100 telephone-event/48000" in lines


def test_every_medium_is_answered_and_only_the_sound_accepted():
    offer = sdp(formats="0").replace("m=audio", "m=video 9 RTP/AVP 31\r\nm=audio")
    offer += "m=audio 4002 RTP/AVP 8\r\nm=image 5 udptl t38\r\n"

    lines, _ = agreed(talk(), offer)

    assert [line for line in lines if line.startswith("m=")] == [
        "m=video 0 RTP/AVP 31",
        "m=audio 30000 RTP/AVP 0",
        "m=audio 0 RTP/AVP 8",
        "m=image 0 UDPTL t38",
    ]


def test_a_port_may_come_with_a_count():
    _, found = agreed(talk(), sdp(formats="0").replace("4000", "4000/2"))

    assert found.remote == ("127.0.0.1", 4000)


@pytest.mark.parametrize(
    "theirs, ours, may_send, may_hear, is_held",
    [
        ("sendrecv", "sendrecv", True, True, False),
        ("sendonly", "recvonly", False, True, True),
        ("recvonly", "sendonly", True, False, False),
        ("inactive", "inactive", False, False, True),
    ],
)
def test_a_direction_is_answered_with_its_mirror(theirs, ours, may_send, may_hear, is_held):
    lines, found = agreed(talk(), sdp(lines=[f"a={theirs}"]))

    assert f"a={ours}" in lines
    assert (found.may_send, found.may_hear, found.is_held) == (may_send, may_hear, is_held)


def test_a_zero_address_is_the_old_way_to_hold():
    lines, found = agreed(talk(), sdp(host="0.0.0.0"))

    assert found.is_held and not found.may_send
    assert found.remote is None
    assert "a=recvonly" in lines


@pytest.mark.parametrize(
    "lines, packet_ms",
    [
        ([], 20),
        (["a=ptime:10"], 10),
        (["a=ptime:30"], 30),
        (["a=ptime:60"], 60),
        (["a=ptime:55"], 40),
        (["a=ptime:200"], 60),
        (["a=ptime:40", "a=maxptime:20"], 20),
        (["a=ptime:2.5"], 10),
        (["a=ptime:x"], 20),
    ],
)
def test_the_callers_packet_length_is_kept(lines, packet_ms):
    _, found = agreed(talk(), sdp(lines=lines))

    assert found.packet_ms == packet_ms


def test_reports_may_go_elsewhere():
    _, found = agreed(talk(), sdp(lines=["a=rtcp:5007 IN IP4 198.51.100.7"]))
    mux, muxed = agreed(talk(), sdp(lines=["a=rtcp-mux"]))

    assert found.remote_rtcp == ("198.51.100.7", 5007)
    assert muxed.shares_port and "a=rtcp-mux" in mux


def test_each_answer_is_a_new_version_of_one_session():
    ours = talk()
    first, _ = agreed(ours, sdp())
    second, _ = agreed(ours, sdp())

    ids = [re.search(r"o=parley (\d+) (\d+) IN IP4 192.0.2.9", "".join(s)) for s in (first, second)]
    assert ids[0] and ids[1]
    assert ids[0][1] == ids[1][1]
    assert int(ids[1][2]) == int(ids[0][2]) + 1


def test_ipv6_is_spoken():
    ours = talk(host="2001:db8::1")

    lines, found = agreed(ours, sdp(host="2001:db8::2"))

    assert "c=IN IP6 2001:db8::1" in lines
    assert found.remote == ("2001:db8::2", 4000)


@pytest.mark.parametrize(
    "offer",
    [
        sdp(formats="18 3"),
        sdp(port=0),
        sdp(profile="RTP/SAVP", lines=[KEY]),
        sdp(profile="UDP/TLS/RTP/SAVPF"),
        sdp().replace("m=audio", "m=video"),
        sdp(host="2001:db8::2"),
    ],
)
def test_what_we_cannot_do_is_told_apart_from_nonsense(offer):
    ours = talk()

    with pytest.raises(IncompatibleOffer):
        ours.answer(offer)

    assert ours.agreed is None


@pytest.mark.parametrize(
    "offer",
    [
        "",
        "hello",
        "v=0\r\ns=-\r\n",
        "v=1\r\nm=audio 4000 RTP/AVP 0\r\n",
        sdp().replace("4000", "70000"),
        sdp().replace("4000", "x"),
        sdp().replace("m=audio 4000 RTP/AVP 0", "m=audio"),
        sdp(host="239.1.1.1"),
        sdp().replace("c=IN IP4 127.0.0.1", "c=IN IP9 x"),
        "v=0\r\n" + "m=audio 1 RTP/AVP 0\r\n" * 40,
        "v=0\r\n" + "a=x\r\n" * 20_000,
    ],
)
def test_nonsense_is_refused_with_a_reason(offer):
    with pytest.raises(BadOffer) as caught:
        talk().answer(offer)

    assert len(str(caught.value)) > 20


def test_a_secured_offer_is_answered_with_our_own_key():
    ours = talk(secrecy="allowed")

    lines, found = agreed(ours, sdp(profile="RTP/SAVP", lines=[KEY]))
    _again, later = agreed(ours, sdp(profile="RTP/SAVP", lines=[KEY]))

    assert "m=audio 30000 RTP/SAVP 0" in lines
    assert found.key_in and found.key_out and found.key_in.master != found.key_out.master
    assert f"a=crypto:{found.key_out}" in lines
    assert later.key_out == found.key_out


def test_plain_sound_with_a_key_beside_it_stays_plain():
    lines, found = agreed(talk(secrecy="allowed"), sdp(lines=[KEY]))

    assert found.key_in is None
    assert not any("crypto" in line for line in lines)


def test_secrecy_can_be_insisted_on():
    with pytest.raises(IncompatibleOffer):
        talk(secrecy="required").answer(sdp(lines=[KEY]))


@pytest.mark.parametrize("secrecy", ["off", "required"])
def test_two_of_us_understand_each_other(secrecy):
    one, other = talk(secrecy=secrecy), talk(secrecy=secrecy, host="192.0.2.8", port=31_000)

    answer = other.answer(one.offer())
    found = one.accept(answer)

    assert other.agreed is not None
    assert found.codec is other.agreed.codec is G722
    assert found.remote == ("192.0.2.8", 31_000)
    assert found.event_type == other.agreed.event_type == 101
    assert found.key_in == other.agreed.key_out
    assert found.key_out == other.agreed.key_in


def test_hold_holds_once_it_is_accepted():
    one, other = talk(), talk(host="192.0.2.8")
    one.accept(other.answer(one.offer()))

    refused = one.offer("sendonly")
    still = one.answer(sdp(formats="9"))
    found = one.accept(other.answer(one.offer("sendonly")))

    assert "a=sendonly" in refused and "a=sendrecv" in still
    assert (found.may_send, found.may_hear, found.is_held) == (True, False, False)
    assert other.agreed is not None and other.agreed.is_held


def test_a_further_offer_keeps_the_numbers_and_the_places():
    ours = talk()
    offer = sdp(formats="0 96", lines=EVENTS).replace("m=audio", "m=video 9 RTP/AVP 31\r\nm=audio")
    ours.answer(offer)

    lines = ours.offer().split("\r\n")

    assert [line for line in lines if line.startswith("m=")] == [
        "m=video 0 RTP/AVP 31",
        "m=audio 30000 RTP/AVP 0 96",
    ]


@pytest.mark.parametrize("answer", [sdp(formats="18"), sdp(port=0), sdp(lines=[KEY])])
def test_an_answer_to_something_else_changes_nothing(answer):
    ours = talk(secrecy="required" if KEY in answer else "off")
    ours.offer()

    with pytest.raises(IncompatibleOffer):
        ours.accept(answer.replace(KEY, ""))

    assert ours.agreed is None


def test_a_name_is_not_looked_up():
    _, found = agreed(talk(), sdp(host="phone.example.org"))

    assert found.remote is None and found.may_send


LINES = st.sampled_from(
    [
        *sdp(formats="0 8 9 96 107", lines=[*EVENTS, *OPUS_LINES, KEY, "a=sendonly"]).split("\r\n"),
        "a=rtcp:99999999999999999999",
        "a=rtpmap:٣ PCMU/8000",
        "m=audio 4000 RTP/SAVP 0",
        "c=IN IP6 ::1",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:%%%",
        "a=ptime:-1",
    ]
)


@given(st.lists(LINES | st.text(max_size=40), max_size=20), st.sampled_from(["off", "allowed"]))
@settings(max_examples=400, deadline=None)
def test_whatever_comes_it_is_answered_or_refused(lines, secrecy):
    ours = talk(secrecy=secrecy, codecs=(G722, OPUS, PCMU, PCMA))
    text = "\r\n".join(lines)

    for take in (ours.answer, ours.accept):
        try:
            take(text)
        except BadOffer:
            continue


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_good_offer_with_a_few_wrong_characters_does_no_harm(data):
    text = sdp(formats="0 8 9 96", lines=[*EVENTS, "a=rtcp:5 IN IP4 1.2.3.4", KEY])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(text)))
        text = text[:at] + data.draw(st.characters()) + text[at + data.draw(st.integers(0, 3)) :]

    try:
        answer = talk(secrecy="allowed").answer(text)
    except BadOffer:
        return

    assert talk(host="127.0.0.1").answer(sdp()) and answer.startswith("v=0\r\n")
