"""Messages as RFC 4475 likes them, and noise: nothing crashes, and no other call is disturbed."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parley.transports.sip.addresses import Address, SipUri, Via
from parley.transports.sip.digest import Guard, answer_challenge
from parley.transports.sip.endpoint import SipEndpoint
from parley.transports.sip.framing import Framer
from parley.transports.sip.grammar import Malformed
from parley.transports.sip.message import Headers, Request, Response, read_datagram
from parley.transports.sip.transfer import Transfer
from tests.transports.sip.conftest import Desk
from tests.transports.sip.phone import Phone, udp_phone

# ── strange, but right ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "user", "host", "port"),
    [
        ("sip:node1", "", "node1", None),
        ("sip:demo@voice_1.example:5070", "demo", "voice_1.example", 5070),
        ("SIP:%75s%65r@h", "user", "h", None),
        ("sip:a;b=c?d:pw@h;transport=tcp?Subject=x", "a;b=c?d", "h", None),
        ("sip:*97#@10.0.0.1", "*97#", "10.0.0.1", None),
        ("sips:[2001:DB8::1]:5061;x", "", "2001:db8::1", 5061),
        ("tel:+49-(30)-123.4;phone-context=x", "+49301234", "", None),
    ],
)
def test_uris_of_many_kinds_are_read(text: str, user: str, host: str, port: int | None) -> None:
    uri = SipUri.read(text)

    assert (uri.user, uri.host, uri.port, uri.text) == (user, host, port, text)


@pytest.mark.parametrize(
    ("text", "name", "tag"),
    [
        ('"A \\"quoted\\" <name>; x" <sip:a@b;lr>;tag=1;self=2', 'A "quoted" <name>; x', "1"),
        ("Just Words <sip:a@b> ; TAG = 1", "Just Words", "1"),
        ("sip:a@b;tag=1", "", "1"),
        ("<sip:a@b?x=%3c>;tag=1", "", "1"),
        ('"" <sip:a@b>;tag="1"', "", "1"),
    ],
)
def test_names_of_many_kinds_are_read(text: str, name: str, tag: str) -> None:
    address = Address.read(text)

    assert (address.name, address.tag) == (name, tag)


@pytest.mark.parametrize(
    "text",
    [
        "SIP / 2.0 / UDP 10.0.0.1:5060 ; branch = z9hG4bK1 ; rport",
        "sip/2.0/tcp host1;branch=z9hG4bK1",
        "SIP/2.0/UNKNOWN [::1]:5060;branch=z9hG4bK1;maddr=224.0.1.75;ttl=1",
    ],
)
def test_ways_of_many_kinds_are_read(text: str) -> None:
    assert Via.read(text).branch == "z9hG4bK1"


async def test_a_message_with_every_oddity_is_a_call(phone: Phone, desk: Desk) -> None:
    lines = [
        "INVITE sip:lobby@front.example;what-is-this SIP/2.0",
        "tO :",
        " sip:lobby@front.example   ;   since = 1876 ",
        'FROM   : "Ann \\\\ \\""      <sip:ann@example.net>',
        "  ;",
        "\ttag = odd1",
        "mAx-fOrWaRdS: 0070",
        "I: odd.call@192.0.2.9",
        "content-LENGTH   : 0",
        "cSeQ: 0007",
        "  INVITE",
        "Via  : SIP  /   2.0",
        f" /UDP    127.0.0.1:{phone.port};branch=z9hG4bKodd;rport",
        "s :",
        "X-Story:   it goes on",
        " and on",
        "X-Marks: ;;,,;=;,",
        "v:  SIP  / 2.0  / TCP     inner.example   ;",
        "  branch  =   z9hG4bKinner  ,",
        " SIP  /    2.0   / UDP  192.0.2.200   ; branch=",
        " z9hG4bKinnermost",
        'm:"Ann <at> home" <sip:ann@example.net> ; unheard-of =',
        "      something ; q = 0.33",
    ]
    phone.say("\r\n".join(lines) + "\r\n\r\n")
    async with asyncio.timeout(5):
        while not (await phone.inbox.get()).startswith(b"SIP/2.0 200"):
            pass

    assert desk.invites[0].caller_name == 'Ann \\ "'
    assert desk.invites[0].headers["x-story"] == "it goes on and on"
    assert desk.invites[0].headers["x-marks"] == ";;,,;=;,"


# ── wrong, and answered so ───────────────────────────────────────────────────────────────────

WRONG = {
    "another version": (("SIP/2.0\r\nVia", "SIP/7.0\r\nVia"), 505),
    "a body shorter than announced": (("Content-Length: 0", "Content-Length: 9999"), 400),
    "a negative length": (("Content-Length: 0", "Content-Length: -999"), 400),
    "a number too large": (("CSeq: 1 ", "CSeq: 36893488147419103232 "), 400),
    "another method in CSeq": (("CSeq: 1 OPTIONS", "CSeq: 1 INVITE"), 400),
    "two froms": (("Call-ID", "From: <sip:b@c>;tag=2\r\nCall-ID"), 400),
    "two call-ids": (("Call-ID", "Call-ID: x\r\nCall-ID"), 400),
    "an open quote": (("From: ", 'From: "Bell, Alexander '), 400),
    "an open bracket": (("From: <sip:phone@127.0.0.1>", "From: <sip:phone@127.0.0.1"), 400),
    "a date for a number": (("CSeq: 1 ", "CSeq: today "), 400),
}


@pytest.mark.parametrize("name", WRONG)
async def test_a_broken_request_is_told_that_it_is(phone: Phone, name: str) -> None:
    (old, new), status = WRONG[name]
    text = phone.compose("OPTIONS")
    assert old in text

    phone.say(text.replace(old, new, 1))
    async with asyncio.timeout(5):
        answer = await phone.inbox.get()

    assert answer.startswith(f"SIP/2.0 {status}".encode())


UNANSWERABLE = {
    "nothing": b"",
    "no Via": b"OPTIONS sip:a@b SIP/2.0\r\nFrom: <sip:a@b>\r\n\r\n",
    "a Via that is none": b"OPTIONS sip:a@b SIP/2.0\r\nVia: gibberish\r\n\r\n",
    "no end": b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1",
    "no colon": b"OPTIONS sip:a@b SIP/2.0\r\nVia\r\n\r\n",
    "spaces in the URI": b"OPTIONS sip:a@b lr SIP/2.0\r\nVia: SIP/2.0/UDP a\r\n\r\n",
    "a status of four digits": b"SIP/2.0 4294967301 better not\r\nVia: SIP/2.0/UDP a\r\n\r\n",
    "bytes of no alphabet": bytes(range(256)),
    "headers without end": b"OPTIONS sip:a@b SIP/2.0\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
}


@pytest.mark.parametrize("name", UNANSWERABLE)
async def test_what_can_not_be_answered_is_passed_over(phone: Phone, name: str) -> None:
    phone.say(UNANSWERABLE[name])
    phone.say(phone.compose("OPTIONS"))

    assert (await phone.hear()).status == 200


# ── noise ────────────────────────────────────────────────────────────────────────────────────

LINES = st.sampled_from(
    [
        "Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKf",
        "Via: SIP/2.0/UDP [::1]:9;rport;branch=",
        "From: <sip:a@b>;tag=1",
        "To: <sip:a@b>",
        "To: <sip:a@b>;tag=2",
        "Call-ID: x",
        "CSeq: 1 INVITE",
        "CSeq: 1 BYE",
        "Contact: <sip:a@127.0.0.1:9>",
        "Record-Route: <sip:127.0.0.1:9;lr>,",
        "Route: <sip:127.0.0.1:9>",
        "Content-Type: multipart/mixed;boundary=x",
        "Content-Type: application/sdp",
        "Content-Length: 3",
        "Require: x",
        "Authorization: Digest realm=parley",
        "Max-Forwards: 70",
        "Subscription-State: terminated;reason=",
    ]
)
STARTS = st.sampled_from(
    [f"{method} sip:a@b SIP/2.0" for method in ("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "X")]
    + ["SIP/2.0 200 OK", "SIP/2.0 100 Trying", "SIP/2.0 487 x"]
)
NEARLY_SIP = st.builds(
    lambda start, lines, junk, body: (
        "\r\n".join([start, *lines, *junk]) + "\r\n\r\n" + body
    ).encode("utf-8", "surrogatepass"),
    STARTS,
    st.lists(LINES, max_size=12),
    st.lists(st.text(max_size=30), max_size=2),
    st.text(max_size=20),
)
NOISE = st.one_of(st.binary(max_size=300), NEARLY_SIP)
TEXT = st.one_of(
    st.text(max_size=60),
    st.text(alphabet='<>";=,:@[]%\\ \tasip012.;tag', max_size=60),
)
bounded = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@bounded
@given(TEXT)
def test_every_reader_reads_or_says_what_is_wrong(text: str) -> None:
    for read in (SipUri.read, Address.read, Via.read, Headers([("Route", "x")]).listed):
        try:
            read(text)
        except Malformed as error:
            assert str(error)


@bounded
@given(NOISE)
def test_a_datagram_is_a_message_or_none(data: bytes) -> None:
    try:
        message = read_datagram(data, 1000)
    except Malformed:
        return
    assert b"\r\n\r\n" in message.encode()


@bounded
@given(st.lists(NOISE, max_size=5), st.integers(1, 40))
def test_a_stream_is_messages_or_none(pieces: list[bytes], size: int) -> None:
    stream = b"".join(pieces)
    framer = Framer(500, 500)
    try:
        for start in range(0, len(stream), size):
            for message in framer.feed(stream[start : start + size]):
                assert isinstance(message, Request | Response)
    except Malformed as error:
        assert str(error)


@bounded
@given(TEXT, TEXT)
def test_credentials_and_challenges_of_any_kind_are_survived(first: str, second: str) -> None:
    value = f"Digest {first},{second}".replace("\r", "").replace("\n", "").replace("\0", "")
    request, response = Request(method="INVITE", uri="sip:a@b"), Response(status=401)
    request.headers.add("Authorization", value)
    response.headers.add("WWW-Authenticate", value)

    assert Guard({"a": "b"}, "parley").check(request, "10.0.0.1")[0] in ("none", "wrong")
    answer = answer_challenge(response, "INVITE", "sip:a@b", "a", "b")
    assert answer is None or answer[0] == "Authorization"


@bounded
@given(st.text(max_size=80), st.text(alphabet="terminad;=rson ", max_size=30))
async def test_a_notice_of_any_kind_is_survived(body: str, state: str) -> None:
    notify = Request(body=body.encode("utf-8", "replace"), method="NOTIFY")
    notify.headers.add("Subscription-State", state)

    Transfer("sip:a@b").take(notify)


async def is_alive(phone: Phone, probe: str) -> bool:
    """Whether the endpoint answers, among the answers to noise; noise may crowd the probe out."""
    marker = probe.partition("branch=")[2].partition(";")[0].encode()
    for _ in range(20):
        phone.say(probe)
        with suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                while marker not in (data := await phone.inbox.get()):
                    pass
                return data.startswith(b"SIP/2.0 200")
    return False


async def test_noise_disturbs_no_call(endpoint: SipEndpoint, desk: Desk) -> None:
    """Bounded and the same every time: messages of a real call with a few bytes wrong."""
    chance = random.Random(4475)
    async with udp_phone(endpoint.port) as phone, udp_phone(endpoint.port) as vandal:
        await phone.call()
        call = await desk.call()
        texts = [
            *(phone.compose(m, cseq=9) for m in ("BYE", "INFO", "ACK", "CANCEL", "UPDATE")),
            vandal.invite(),
            vandal.compose("OPTIONS"),
        ]
        for number in range(1500):
            data = bytearray(chance.choice(texts).encode())
            # The start of a request: what is left of it is never a whole request of the call.
            for _ in range(chance.randint(1, 6)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            start = data.find(b"Call-ID")
            if start >= 0:
                data[start + 10 : start + 12] = b"??"
            vandal.say(bytes(data))
            if number % 5 == 0:
                await asyncio.sleep(0)
        assert await is_alive(phone, phone.compose("OPTIONS", cseq=2))

    assert not call.over.done()


@bounded
@given(messages=st.lists(NOISE, max_size=4))
async def test_an_endpoint_survives_any_message(messages: list[bytes], phone: Phone) -> None:
    for data in messages:
        phone.say(data)

    assert await is_alive(phone, phone.compose("OPTIONS", to_tag=""))
