"""Who may call: by address, by password, and not too many at once."""

from __future__ import annotations

import hashlib
import ipaddress
import re

import pytest

from parley.transports.sip.digest import EVERY, Guard
from parley.transports.sip.door import Door, Pass, Turned
from parley.transports.sip.message import Request
from parley.transports.sip.options import Account, SipOptions
from tests.transports.sip.conftest import Desk
from tests.transports.sip.phone import Phone, Seen, udp_phone

ELSEWHERE = (ipaddress.ip_network("10.0.0.0/8"),)
HERE = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
USERS = {"ann": "open sesame"}


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def credentials(
    challenge: str, password: str = "open sesame", *, name: str = "ann", count: int = 1
) -> str:
    """What a telephone makes of a challenge, by RFC 7616 and without our code."""
    asked = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge))
    hashing = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}[asked["algorithm"]]

    def digest(*parts: str) -> str:
        return hashing(":".join(parts).encode()).hexdigest()

    uri, cnonce, nc = "sip:demo@127.0.0.1", "c0ffee", f"{count:08x}"
    secret, about = digest(name, asked["realm"], password), digest("INVITE", uri)
    proof = digest(secret, asked["nonce"], nc, cnonce, "auth", about)
    return (
        f'Authorization: Digest username="{name}", realm="{asked["realm"]}", '
        f'nonce="{asked["nonce"]}", uri="{uri}", response="{proof}", qop=auth, '
        f'cnonce="{cnonce}", nc={nc}, algorithm={asked["algorithm"]}\r\n'
    )


async def challenged(phone: Phone) -> list[str]:
    phone.say(phone.invite())
    return (await phone.hear(401)).all("www-authenticate")


# ── by address ───────────────────────────────────────────────────────────────────────────────


async def test_a_stranger_is_refused_whatever_it_asks(opened, desk: Desk) -> None:
    endpoint = await opened(peers=ELSEWHERE)
    async with udp_phone(endpoint.port) as phone:
        for text in (phone.invite(), phone.compose("OPTIONS"), phone.compose("BYE")):
            phone.say(text)
            assert (await phone.hear()).status == 403

    assert desk.invites == []


async def test_a_listed_peer_is_trusted(opened, desk: Desk) -> None:
    endpoint = await opened(peers=HERE, users=USERS)
    async with udp_phone(endpoint.port) as phone:
        await phone.call()

    assert desk.invites[0].is_trusted and desk.invites[0].user == ""


async def test_who_is_called_may_answer_though_it_may_not_call(opened, phone: Phone) -> None:
    endpoint = await opened(peers=ELSEWHERE)
    call = endpoint.call(f"sip:bob@127.0.0.1:{phone.port}", "v=0\r\n")
    phone.reply(await phone.hear("INVITE"), "200 OK")
    dialog = await call.result()
    ack = await phone.hear("ACK")
    text = (
        f"BYE {ack.uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{phone.port};branch=z9hG4bKb\r\n"
        f"From: {ack.header('to')}\r\nTo: {ack.header('from')}\r\n"
        f"Call-ID: {ack.header('call-id')}\r\nCSeq: 1 BYE\r\n\r\n"
    )
    async with udp_phone(endpoint.port) as other:
        other.say(text.replace("Call-ID: ", "Call-ID: x"))
        assert (await phone.hear(403)).header("cseq") == "1 BYE"
        other.say(text)
        assert (await phone.hear(200)).header("cseq") == "1 BYE"

    assert (await dialog.over).by == "far"


@pytest.mark.parametrize(
    ("host", "is_peer"),
    [("127.0.0.5", True), ("::1", True), ("::ffff:127.0.0.1", True), ("10.1.1.1", False)],
)
def test_networks_hold_their_addresses(host: str, is_peer: bool) -> None:
    door = Door(SipOptions(peers=HERE))

    assert door.is_peer(host) is is_peer


def test_the_registrar_may_call() -> None:
    door = Door(SipOptions(account=Account("sip:pbx.example.org", "501")))

    before = door.knows("10.0.0.5")
    door.registrars.add("10.0.0.5")

    assert (before, door.knows("10.0.0.5"), door.knows("10.0.0.6")) == (False, True, False)


# ── by password ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("choice", [0, 1])
async def test_a_caller_with_the_password_is_known(opened, desk: Desk, choice: int) -> None:
    endpoint = await opened(users=USERS, digests=EVERY)
    async with udp_phone(endpoint.port) as phone:
        challenges = await challenged(phone)
        await phone.call(cseq=2, extra=credentials(challenges[choice]))

    assert [re.findall("algorithm=([^,]+)", each)[0] for each in challenges] == ["SHA-256", "MD5"]
    assert desk.invites[0].user == "ann" and not desk.invites[0].is_trusted


async def test_telephones_are_offered_nothing_that_some_give_up_at(opened) -> None:
    endpoint = await opened(users=USERS)
    async with udp_phone(endpoint.port) as phone:
        challenges = await challenged(phone)

    assert [re.findall("algorithm=([^,]+)", each)[0] for each in challenges] == ["MD5"]


async def test_a_weaker_proof_than_the_one_asked_for_is_wrong(opened, desk: Desk) -> None:
    endpoint = await opened(users=USERS, digests=("SHA-256",))
    async with udp_phone(endpoint.port) as phone:
        (challenge,) = await challenged(phone)
        weaker = challenge.replace("SHA-256", "MD5")
        phone.say(phone.invite(cseq=2, extra=credentials(weaker)))
        again: Seen = await phone.hear(401)
        await phone.call(cseq=3, extra=credentials(challenge))

    assert "wrong" in again.header("reason") and len(desk.invites) == 1


@pytest.mark.parametrize("wrong", [{"password": "please"}, {"name": "eve"}, {"name": "ANN"}])
async def test_a_wrong_name_or_password_is_asked_again(
    opened, desk: Desk, wrong: dict[str, str]
) -> None:
    endpoint = await opened(users=USERS)
    async with udp_phone(endpoint.port) as phone:
        (challenge,) = await challenged(phone)
        phone.say(phone.invite(cseq=2, extra=credentials(challenge, **wrong)))
        again: Seen = await phone.hear(401)

    assert "wrong" in again.header("reason") and desk.invites == []


async def test_an_overheard_proof_is_worth_nothing(opened, desk: Desk) -> None:
    endpoint = await opened(users=USERS)
    async with udp_phone(endpoint.port) as phone, udp_phone(endpoint.port) as eve:
        proof = credentials((await challenged(phone))[0])
        await phone.call(cseq=2, extra=proof)
        eve.say(eve.invite(cseq=2, extra=proof))

        assert "stale=true" in (await eve.hear(401)).header("www-authenticate")
    assert len(desk.invites) == 1


@pytest.mark.parametrize(
    "junk",
    [
        "Digest",
        "Basic YTpi",
        'Digest realm="parley"',
        'Digest realm="parley", username="ann',
        'Digest realm="parley", username="ann", nonce="x.y.z", qop=auth, response="r", nc=zz',
        'Digest realm="parley", username="ann", nonce="\udcff", qop=auth, response="\udcff"',
        'Digest realm="parley", algorithm=SHA-512, qop=auth',
    ],
)
def test_credentials_that_are_none_are_wrong_or_absent(junk: str) -> None:
    guard = Guard(USERS, "parley")
    request = Request(method="INVITE", uri="sip:demo@127.0.0.1")
    request.headers.add("Authorization", junk)

    assert guard.check(request, "127.0.0.1")[0] in ("none", "wrong")


def test_a_challenge_grows_old_and_belongs_to_one_address() -> None:
    clock = Clock()
    guard = Guard(USERS, "parley", clock)
    challenge = guard.challenges("10.0.0.1")[0][1]
    verdicts = [
        guard.check(_proving(challenge, count=1), "10.0.0.2"),
        guard.check(_proving(challenge, count=1), "10.0.0.1"),
        guard.check(_proving(challenge, count=2), "10.0.0.1"),
    ]
    clock.now_s += 121
    verdicts.append(guard.check(_proving(challenge, count=3), "10.0.0.1"))

    assert [verdict for verdict, _ in verdicts] == ["stale", "right", "right", "stale"]


def _proving(challenge: str, count: int) -> Request:
    request = Request(method="INVITE", uri="sip:demo@127.0.0.1")
    name, _, value = credentials(challenge, count=count).strip().partition(": ")
    request.headers.add(name, value)
    return request


# ── not too many ─────────────────────────────────────────────────────────────────────────────


async def test_too_many_calls_in_a_second_are_sent_elsewhere(opened, desk: Desk) -> None:
    endpoint = await opened(calls_per_s=2)
    statuses: list[int] = []
    for _ in range(4):
        async with udp_phone(endpoint.port) as phone:
            phone.say(phone.invite())
            answer = await phone.hear(200, 503)
            statuses.append(answer.status)

    assert statuses[:2] == [200, 200] and 503 in statuses[2:]
    assert answer.status == 200 or answer.header("retry-after") == "1"


def test_the_rate_comes_back_with_time() -> None:
    clock = Clock()
    door = Door(SipOptions(calls_per_s=2), clock)
    request = Request(method="INVITE")
    first = [isinstance(door.admit(request, "127.0.0.1"), Pass) for _ in range(3)]
    clock.now_s += 0.5
    later = [isinstance(door.admit(request, "127.0.0.1"), Turned) for _ in range(2)]

    assert first == [True, True, False] and later == [False, True]
