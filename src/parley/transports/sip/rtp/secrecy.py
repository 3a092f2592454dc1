"""SRTP (RFC 3711) with the keys that came in the session description."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from pylibsrtp import Error, Policy, Session

from parley.transports.sip.sdp import Crypto

# What libsrtp's own buffer takes, with room for its trailer.
_MAX_PACKET_BYTES = 1300
_PROFILES = {
    "AES_CM_128_HMAC_SHA1_80": cast(int, Policy.SRTP_PROFILE_AES128_CM_SHA1_80),
    "AES_CM_128_HMAC_SHA1_32": cast(int, Policy.SRTP_PROFILE_AES128_CM_SHA1_32),
}


class NotGenuine(Exception):
    """A packet that wasn't made with the key that was agreed on, or comes again."""


class Seal:
    """Encrypts what goes out."""

    def __init__(self, crypto: Crypto) -> None:
        self.crypto = crypto
        self._session = _session(crypto, cast(int, Policy.SSRC_ANY_OUTBOUND))

    def close_rtp(self, packet: bytes) -> bytes:
        return self._session.protect(packet)

    def close_rtcp(self, packet: bytes) -> bytes:
        return self._session.protect_rtcp(packet)


class Opener:
    """Decrypts what comes in. Both methods raise ``NotGenuine``."""

    def __init__(self, crypto: Crypto) -> None:
        self.crypto = crypto
        self._session = _session(crypto, cast(int, Policy.SSRC_ANY_INBOUND))

    def open_rtp(self, packet: bytes) -> bytes:
        _check_size(packet)
        try:
            return self._session.unprotect(packet)
        except Error as error:
            raise NotGenuine(str(error)) from error

    def open_rtcp(self, packet: bytes) -> bytes:
        _check_size(packet)
        try:
            return self._session.unprotect_rtcp(packet)
        except Error as error:
            raise NotGenuine(str(error)) from error


@dataclass(slots=True)
class Secrets:
    """Both directions; None where a call is not encrypted.

    They outlive a renegotiation that keeps their keys: libsrtp counts packets along.
    """

    seal: Seal | None = None
    opener: Opener | None = None

    def agree(self, key_out: Crypto | None, key_in: Crypto | None) -> None:
        if key_out is None:
            self.seal = None
        elif self.seal is None or _differ(self.seal.crypto, key_out):
            self.seal = Seal(key_out)
        if key_in is None:
            self.opener = None
        elif self.opener is None or _differ(self.opener.crypto, key_in):
            self.opener = Opener(key_in)


def _check_size(packet: bytes) -> None:
    if len(packet) > _MAX_PACKET_BYTES:
        raise NotGenuine("it is too long")


def _differ(one: Crypto, other: Crypto) -> bool:
    return (one.suite, one.master) != (other.suite, other.master)


def _session(crypto: Crypto, ssrc_type: int) -> Session:
    return Session(Policy(crypto.master, ssrc_type, srtp_profile=_PROFILES[crypto.suite]))
