"""What can be set about the telephone's signalling."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from parley.core.errors import BadSettings
from parley.settings import Settings
from parley.transports.sip.addresses import SipUri
from parley.transports.sip.digest import EVERY
from parley.transports.sip.grammar import Malformed

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_DIGESTS: Mapping[str, tuple[str, ...]] = {
    "md5": ("MD5",),
    "sha256": ("SHA-256",),
    "both": EVERY,
}


@dataclass(frozen=True, slots=True)
class Account:
    """Who we are to a PBX that asks: for registering and for calls going out.

    ``registrar`` is a SIP URI; "" means that we register nowhere. A PBX that refuses is asked
    again after ``retry_s``, then less and less often; one that grants little time is asked no
    sooner than if it had granted ``least_s``.
    """

    registrar: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    refresh_s: int = 300
    retry_s: float = 5.0
    least_s: float = 10.0


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: our certificate with its key, and whom we trust when we connect elsewhere."""

    certificate: Path | None = None
    key: Path | None = None
    authorities: Path | None = None

    def for_listening(self) -> ssl.SSLContext | None:
        if self.certificate is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise BadSettings(
                f"The certificate for SIP over TLS can't be used: {error}.",
                hint="PARLEY_SIP_TLS_CERT and PARLEY_SIP_TLS_KEY are PEM files that belong "
                "together.",
            ) from error
        return context

    def for_calling(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self.authorities)
        except (OSError, ssl.SSLError) as error:
            raise BadSettings(
                f"The authorities for SIP over TLS can't be used: {error}.",
                hint="PARLEY_SIP_TLS_CA is a PEM file with certificates.",
            ) from error


@dataclass(frozen=True, slots=True)
class SipOptions:
    """Where the telephone listens, whom it lets in and how patient it is.

    ``port`` 0 takes any free one. ``public_host`` is what peers are told instead of the address
    listened on. Callers from ``peers`` need no password; others need one of ``users`` (name to
    password), proven by one of ``digests``; with neither, everybody may call. ``calls_per_s`` 0
    sets no limit. ``t1_s`` is RFC 3261's; every other time of the protocol follows from it.
    """

    host: str = "127.0.0.1"
    port: int = 5060
    public_host: str = ""
    tls_port: int = 5061
    tls: TlsFiles = TlsFiles()
    peers: tuple[Network, ...] = ()
    users: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    realm: str = "parley"
    digests: tuple[str, ...] = ("MD5",)
    account: Account = Account()
    proxy: str = ""
    calls_per_s: float = 0.0
    max_head_bytes: int = 16_384
    max_body_bytes: int = 65_536
    max_connections: int = 500
    idle_connection_s: float = 1800.0
    half_message_s: float = 30.0
    transfer_limit_s: float = 60.0
    closing_s: float = 2.0
    t1_s: float = 0.5

    @classmethod
    def from_settings(cls, settings: Settings) -> SipOptions:
        """What the settings say; the rest keeps its default. Raises ``BadSettings``."""
        options = cls(
            host=settings.sip_host,
            port=settings.sip_port,
            public_host=settings.sip_public_host,
            tls_port=settings.sip_tls_port,
            tls=TlsFiles(settings.sip_tls_cert, settings.sip_tls_key, settings.sip_tls_ca),
            peers=settings.sip_peers,
            users=settings.sip_accounts,
            realm=settings.sip_realm,
            digests=_DIGESTS[settings.sip_digest],
            account=Account(
                settings.sip_registrar,
                settings.sip_username,
                settings.sip_password.get_secret_value(),
                settings.sip_register_s,
            ),
            proxy=settings.sip_proxy,
            calls_per_s=settings.sip_calls_per_s,
        )
        require_uri("PARLEY_SIP_REGISTRAR", options.account.registrar)
        require_uri("PARLEY_SIP_PROXY", options.proxy)
        return options


def require_uri(name: str, text: str) -> None:
    """Refuse a setting that is no SIP URI with a host."""
    try:
        if text and not SipUri.read(text).host:
            raise Malformed("it names no host")
    except Malformed as error:
        raise BadSettings(
            f"{name}={text} is not allowed ({error}).",
            hint="It looks like sip:pbx.example.org or sip:10.0.0.5:5060;transport=tcp.",
        ) from error
