"""The settings of the telephone: where SIP listens, who may call, which PBX it belongs to."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, cast

from pydantic import BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from parley.core.errors import BadSettings
from parley.settings.agent_rules import AgentRules, Network
from parley.settings.field import setting
from parley.settings.rtp import RtpSettings
from parley.settings.values import Folder, words

Secrecy = Literal["off", "allowed", "required"]
Digest = Literal["md5", "sha256", "both"]

_URI = "a SIP URI such as sip:pbx.example.org or sip:10.0.0.5:5060;transport=tcp"
_SIP = "PARLEY_SIP_"
_EXTENSION = re.compile(r"[^\s@:;<>\"?]+")
_WITHOUT_SIP = frozenset({"sip_peers", "sip_agents", "sip_calls_per_s", "sip_srtp"})
"""What OpenSIPS' calls and sound without SIP go by as well."""


def _networks(value: object) -> object:
    """``10.0.0.5, 192.168.0.0/24`` → networks; an address is a network of one."""
    listed = words(value)
    if not isinstance(listed, list | tuple):
        return value
    return tuple(ipaddress.ip_network(str(each)) for each in cast("Iterable[object]", listed))


def read_accounts(text: str) -> dict[str, str]:
    """``alice=secret,bob=hidden`` → names and passwords; raises ``ValueError`` without a word of
    either."""
    found: dict[str, str] = {}
    for pair in filter(None, (each.strip() for each in text.split(","))):
        name, equals, password = pair.partition("=")
        if not (name and equals and password):
            raise ValueError("a name or a password is missing")
        found[name] = password
    return found


def _accounts(value: object) -> object:
    if isinstance(value, str):
        read_accounts(value)
    return value


def _sip_uri(value: object) -> object:
    if isinstance(value, str) and value:
        scheme, _, place = value.partition(":")
        if scheme not in ("sip", "sips") or not place:
            raise ValueError
    return value


Networks = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_networks)]
Accounts = Annotated[SecretStr, BeforeValidator(_accounts)]
SipAddress = Annotated[str, BeforeValidator(_sip_uri)]


class TelephoneSettings(RtpSettings):
    """What SIP needs to know before the first call."""

    sip: bool = setting(
        "PARLEY_SIP", False, "Whether telephones, proxies and PBXs can call.", "telephone"
    )
    sip_host: str = setting(
        "PARLEY_SIP_HOST",
        "127.0.0.1",
        "The address that SIP listens on; `::` is every address, of IPv4 and of IPv6.",
        "telephone",
        allowed="an address or a host name",
    )
    sip_port: int = setting(
        "PARLEY_SIP_PORT",
        5060,
        "The port for SIP over UDP and TCP; 0 takes any free one.",
        "telephone",
        ge=0,
        le=65535,
    )
    sip_public_host: str = setting(
        "PARLEY_SIP_PUBLIC_HOST",
        "",
        "What peers are to call this server, where it isn't the address that it sends from: "
        "behind a NAT.",
        "telephone",
        allowed="an address or a host name",
        shown="the address it sends from",
        example="203.0.113.7",
    )
    sip_peers: Networks = setting(
        "PARLEY_SIP_PEERS",
        (),
        "Addresses that may call without a password, and whose headers are believed.",
        "telephone",
        allowed="addresses and networks with commas between",
        shown="none",
        example="10.0.0.5,192.168.0.0/24",
    )
    sip_users: Accounts = setting(
        "PARLEY_SIP_USERS",
        SecretStr(""),
        "Names and passwords; once there are any, whoever isn't a listed peer needs one to call.",
        "telephone",
        allowed="NAME=PASSWORD pairs with commas between",
        shown="none",
        hides_value=True,
        example="door=a-long-password",
    )
    sip_agents: AgentRules = setting(
        "PARLEY_SIP_AGENTS",
        (),
        "Which agent answers which call; the first rule that fits counts.",
        "telephone",
        allowed="NUMBER=AGENT rules with commas between, such as +4930*=sales",
        shown="none; agents answer to their names, the default one to numbers",
        example="+49301234567=receptionist,+4930* from:+49171*=sales,200=acme:desk",
    )
    sip_realm: str = setting(
        "PARLEY_SIP_REALM",
        "parley",
        "What callers' telephones are told that their password is for.",
        "telephone",
        allowed="any text",
    )
    sip_digest: Digest = setting(
        "PARLEY_SIP_DIGEST",
        "md5",
        "How callers prove their password. Every telephone knows md5; not a few give up where "
        "they are offered sha256, even beside it.",
        "telephone",
    )
    sip_calls_per_s: float = setting(
        "PARLEY_SIP_CALLS_PER_S",
        50.0,
        "How many new calls are taken in a second, from all callers together. 0 sets no limit.",
        "telephone",
        ge=0,
        le=10_000,
    )
    sip_tls_cert: Folder | None = setting(
        "PARLEY_SIP_TLS_CERT",
        None,
        "The certificate (PEM, with its chain) for SIP over TLS.",
        "telephone",
        shown="none; TLS is off",
        example="/etc/parley/sip.pem",
    )
    sip_tls_key: Folder | None = setting(
        "PARLEY_SIP_TLS_KEY",
        None,
        "The certificate's private key.",
        "telephone",
        shown="in the certificate's file",
        example="/etc/parley/sip-key.pem",
    )
    sip_tls_ca: Folder | None = setting(
        "PARLEY_SIP_TLS_CA",
        None,
        "Whom to trust when this server calls by TLS.",
        "telephone",
        shown="what the system trusts",
        example="/etc/parley/pbx-ca.pem",
    )
    sip_tls_port: int = setting(
        "PARLEY_SIP_TLS_PORT",
        5061,
        "The port for SIP over TLS; 0 takes any free one.",
        "telephone",
        ge=0,
        le=65535,
    )
    sip_srtp: Secrecy = setting(
        "PARLEY_SIP_SRTP",
        "allowed",
        "Whether sound is encrypted (SRTP) in calls over TLS; `required` has no others.",
        "telephone",
    )
    sip_proxy: SipAddress = setting(
        "PARLEY_SIP_PROXY",
        "",
        "Where calls that go out are sent through.",
        "telephone",
        allowed=_URI,
        shown="none; calls go straight to their target",
        example="sip:10.0.0.5:5060",
    )
    sip_registrar: SipAddress = setting(
        "PARLEY_SIP_REGISTRAR",
        "",
        "The PBX to register with as an extension; it may then call, too.",
        "telephone",
        allowed=_URI,
        shown="none",
        example="sip:pbx.example.org",
    )
    sip_username: str = setting(
        "PARLEY_SIP_USERNAME",
        "",
        "The extension's name at the PBX, also for calls that go out.",
        "telephone",
        allowed="any text",
        shown="none",
        example="501",
    )
    sip_password: SecretStr = setting(
        "PARLEY_SIP_PASSWORD",
        SecretStr(""),
        "The extension's password.",
        "telephone",
        allowed="any text",
        shown="none",
        hides_value=True,
        example="a-long-password",
    )
    sip_register_s: int = setting(
        "PARLEY_SIP_REGISTER_S",
        300,
        "How long the PBX is asked to remember the registration; it is renewed before.",
        "telephone",
        ge=30,
        le=86_400,
    )

    @property
    def takes_bare_sound(self) -> bool:
        """Whether sound at ``RTP_PORT`` is a call by itself."""
        return self.rtp_port is not None and not self.sip and not self.mi_ip

    key: SecretStr = setting(
        "PARLEY_KEY",
        SecretStr(""),
        "The key that `parley call` shows to the server; it needs the scopes outbound and calls.",
        "telephone",
        allowed="a key",
        shown="none",
        hides_value=True,
        example="pk_…",
    )

    @property
    def sip_in_vain(self) -> list[str]:
        """The names of settings that mean nothing because SIP is off."""
        if self.sip:
            return []
        others = _WITHOUT_SIP if self.mi_ip or self.takes_bare_sound else frozenset[str]()
        names = {
            str(type(self).model_fields[field].validation_alias)
            for field in self.model_fields_set - others
        }
        return sorted(name for name in names if name.startswith(_SIP))

    def require_usable_sip(self) -> None:
        """Refuse an extension without a name. Raises ``BadSettings``."""
        if not self.sip or not self.sip_registrar:
            return
        if not _EXTENSION.fullmatch(self.sip_username):
            given = f"={self.sip_username}" if self.sip_username else " isn't set"
            raise BadSettings(
                f"PARLEY_SIP_REGISTRAR needs the extension's name, and PARLEY_SIP_USERNAME{given}.",
                hint="It is the name alone, without sip: and the PBX, such as "
                "PARLEY_SIP_USERNAME=501.",
            )

    @property
    def rtp_host(self) -> str:
        """The address that takes telephone audio."""
        return self.rtp_bind_ip or self.sip_host

    @property
    def sip_accounts(self) -> Mapping[str, str]:
        """The callers' names and passwords."""
        return read_accounts(self.sip_users.get_secret_value())
