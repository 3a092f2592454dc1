"""Digest authentication, from both ends: callers to us, and we to a PBX. (RFC 7616, RFC 8760.)"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from parley.transports.sip.grammar import Malformed, quote, read_parameters
from parley.transports.sip.message import Request, Response

NONCE_LIFE_S = 120
MAX_NONCES = 10_000

Verdict = Literal["none", "wrong", "stale", "right"]
_HASHES: Mapping[str, Callable[[bytes], str]] = {
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
}
EVERY = tuple(_HASHES)
"""All algorithms, the better one first."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What somebody proves that they know a password for."""

    algorithm: str
    username: str
    realm: str
    nonce: str
    method: str
    uri: str
    qop: str = ""
    cnonce: str = ""
    count: str = ""

    def proof(self, password: str) -> str:
        digest = _HASHES[self.algorithm]
        secret = digest(_bytes(f"{self.username}:{self.realm}:{password}"))
        about = digest(_bytes(f"{self.method}:{self.uri}"))
        middle = f"{self.count}:{self.cnonce}:{self.qop}:" if self.qop else ""
        return digest(_bytes(f"{secret}:{self.nonce}:{middle}{about}"))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


class Guard:
    """Asks callers for a password. Nonces carry their time and our seal, so asking costs nothing;
    only those that were answered are kept, that an answer can't be used twice."""

    def __init__(
        self,
        users: Mapping[str, str],
        realm: str,
        clock: Callable[[], float] = time.monotonic,
        algorithms: Sequence[str] = EVERY,
    ) -> None:
        self._users = users
        self._realm = realm
        self._algorithms = algorithms
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._counts: OrderedDict[str, int] = OrderedDict()

    def challenges(self, host: str, *, is_stale: bool = False) -> list[tuple[str, str]]:
        """The headers of a 401: one for each algorithm."""
        nonce = self._make_nonce(host)
        stale = ", stale=true" if is_stale else ""
        return [
            (
                "WWW-Authenticate",
                f'Digest realm={quote(self._realm)}, nonce="{nonce}", algorithm={algorithm}, '
                f'qop="auth"{stale}',
            )
            for algorithm in self._algorithms
        ]

    def check(self, request: Request, host: str) -> tuple[Verdict, str]:
        """How good the request's credentials are, and whose they are."""
        for value in request.headers.all("authorization"):
            given = _digest_parameters(value)
            if given.get("realm") == self._realm:
                return self._judge(request, given, host)
        return "none", ""

    def _judge(self, request: Request, given: Mapping[str, str], host: str) -> tuple[Verdict, str]:
        algorithm = given.get("algorithm", "MD5").upper()
        name = given.get("username", "")
        claim = Claim(
            algorithm,
            name,
            self._realm,
            given.get("nonce", ""),
            request.method,
            given.get("uri", ""),
            given.get("qop", ""),
            given.get("cnonce", ""),
            given.get("nc", ""),
        )
        # The URI may differ from the request's: proxies on the way rewrite that one.
        if algorithm not in self._algorithms or claim.qop != "auth":
            return "wrong", ""
        # An unknown name takes as long as a wrong password.
        proof = claim.proof(self._users.get(name, secrets.token_hex(8)))
        is_right = hmac.compare_digest(_bytes(proof), _bytes(given.get("response", "")))
        if not is_right or name not in self._users:
            return "wrong", ""
        return ("right", name) if self._is_fresh(claim, host) else ("stale", "")

    def _make_nonce(self, host: str) -> str:
        body = f"{int(self._clock() * 1000):x}.{secrets.token_hex(6)}"
        return f"{body}.{self._seal(body, host)}"

    def _seal(self, body: str, host: str) -> str:
        return hmac.new(self._key, f"{body} {host}".encode(), hashlib.sha256).hexdigest()[:32]

    def _is_fresh(self, claim: Claim, host: str) -> bool:
        body, _, seal = claim.nonce.rpartition(".")
        if not hmac.compare_digest(_bytes(seal), self._seal(body, host).encode()):
            return False
        made_s = int(body.partition(".")[0], 16) / 1000
        if self._clock() - made_s > NONCE_LIFE_S:
            return False
        return self._is_new_count(claim)

    def _is_new_count(self, claim: Claim) -> bool:
        try:
            count = int(claim.count, 16)
        except ValueError:
            return False
        if count <= self._counts.get(claim.nonce, 0):
            return False
        self._counts[claim.nonce] = count
        self._counts.move_to_end(claim.nonce)
        if len(self._counts) > MAX_NONCES:
            self._counts.popitem(last=False)
        return True


def _digest_parameters(value: str) -> dict[str, str]:
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "digest":
        return {}
    try:
        return read_parameters(rest, ",")
    except Malformed:
        return {}


def answer_challenge(
    response: Response, method: str, uri: str, username: str, password: str
) -> tuple[str, str] | None:
    """The header that answers a 401 or 407; None where we have no answer."""
    asked, given = (
        ("www-authenticate", "Authorization")
        if response.status == 401
        else ("proxy-authenticate", "Proxy-Authorization")
    )
    offers = [_digest_parameters(value) for value in response.headers.all(asked)]
    usable = [offer for offer in offers if _can_answer(offer)]
    if not usable or not username:
        return None
    # RFC 8760: the first that we know is what the server likes best.
    offer = usable[0]
    return given, _credentials(offer, method, uri, username, password)


def _can_answer(offer: Mapping[str, str]) -> bool:
    qops = [word.strip() for word in offer.get("qop", "auth").split(",")]
    known = offer.get("algorithm", "MD5").upper() in _HASHES
    return known and "auth" in qops and bool(offer.get("nonce")) and "realm" in offer


def _credentials(
    offer: Mapping[str, str], method: str, uri: str, username: str, password: str
) -> str:
    algorithm = offer.get("algorithm", "MD5").upper()
    qop = "auth" if "qop" in offer else ""
    cnonce = secrets.token_hex(8) if qop else ""
    claim = Claim(
        algorithm, username, offer["realm"], offer["nonce"], method, uri, qop, cnonce, "00000001"
    )
    fields = {
        "username": quote(username),
        "realm": quote(offer["realm"]),
        "nonce": quote(offer["nonce"]),
        "uri": quote(uri),
        "response": quote(claim.proof(password)),
        "algorithm": algorithm,
    }
    if "opaque" in offer:
        fields["opaque"] = quote(offer["opaque"])
    if qop:
        fields |= {"qop": qop, "cnonce": quote(cnonce), "nc": claim.count}
    return "Digest " + ", ".join(f"{name}={value}" for name, value in fields.items())
