"""What the settings say of the telephone, and what they may not say."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from parley.core.errors import BadSettings
from parley.settings import Settings, load_settings
from parley.transports.sip.options import SipOptions

NOWHERE = Path("/nowhere/.env")


def load(**flags: str) -> Settings:
    return load_settings(flags, env_file=NOWHERE)


def test_the_settings_reach_the_endpoint() -> None:
    settings = load(
        sip_port="5070",
        sip_peers="10.0.0.5, 192.168.0.0/24",
        sip_users="ann=open sesame, bob=a=b",
        sip_registrar="sip:pbx.example.org",
        sip_username="501",
        sip_password="hidden",
        sip_proxy="sip:10.0.0.5:5060;transport=tcp",
    )

    options = SipOptions.from_settings(settings)

    assert options.port == 5070 and options.host == "127.0.0.1"
    assert options.peers == tuple(map(ipaddress.ip_network, ("10.0.0.5", "192.168.0.0/24")))
    assert options.users == {"ann": "open sesame", "bob": "a=b"}
    assert options.account.username == "501" and options.account.password == "hidden"
    assert "hidden" not in repr(options) and "sesame" not in repr(options)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sip_peers", "10.0.0.5/8"),
        ("sip_peers", "pbx.example.org"),
        ("sip_users", "ann"),
        ("sip_users", "=secret-word"),
        ("sip_proxy", "http://10.0.0.5"),
        ("sip_registrar", "pbx.example.org"),
        ("sip_register_s", "5"),
        ("sip_port", "70000"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(name: str, value: str) -> None:
    with pytest.raises(BadSettings, match=f"PARLEY_{name.upper()}") as caught:
        load(**{name: value})

    assert "secret-word" not in str(caught.value)


def test_a_proxy_without_a_host_is_named() -> None:
    settings = load(sip_proxy="sip:@:")

    with pytest.raises(BadSettings, match="PARLEY_SIP_PROXY"):
        SipOptions.from_settings(settings)


@pytest.mark.parametrize(
    "guarded",
    [
        {"sip_host": "127.0.0.1"},
        {"sip_peers": "10.0.0.5"},
        {"sip_users": "ann=secret"},
        {"sip_registrar": "sip:pbx.example.org"},
        {"allow_anonymous": "sip"},
    ],
)
def test_a_telephone_that_is_guarded_may_be_reached(guarded: dict[str, str]) -> None:
    load(**{"sip_host": "0.0.0.0", **guarded}).require_safe_telephone()


@pytest.mark.parametrize("anonymous", ["", "web"])
def test_an_unguarded_telephone_is_refused(anonymous: str) -> None:
    flags = {"allow_anonymous": anonymous} if anonymous else {}

    with pytest.raises(BadSettings, match="PARLEY_SIP_PEERS"):
        load(sip_host="0.0.0.0", **flags).require_safe_telephone()
