"""What the settings say of the telephone, and what they may not say."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import cast

import pytest

from parley.core.errors import BadSettings
from parley.engines.found import find_engines
from parley.engines.notes import settings_notes
from parley.settings import Settings, load_settings
from parley.transports.sip.options import SipOptions
from parley.transports.sip.telephone import Telephone, TelephoneHost, TelephoneOptions
from parley.transports.wheel import Wheel

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


@pytest.mark.parametrize("username", ["", "sip:501@pbx.example.org", "501@pbx.example.org"])
def test_an_extension_has_a_name_of_its_own(username: str) -> None:
    pbx = {"sip": "on", "sip_registrar": "sip:pbx.example.org"}
    wrong, right = load(**pbx, sip_username=username), load(**pbx, sip_username="501")

    with pytest.raises(BadSettings, match="PARLEY_SIP_USERNAME"):
        wrong.require_safe_telephone()
    right.require_safe_telephone()


def test_settings_of_a_telephone_that_is_off_are_told_of() -> None:
    given = {"sip_registrar": "sip:pbx.example.org", "sip_peers": "10.0.0.5"}

    notes = settings_notes(load(**given), find_engines())

    assert [note for note in notes if "PARLEY_SIP_REGISTRAR has no effect" in note]
    assert load(**given, mi_ip="127.0.0.1").sip_in_vain == ["PARLEY_SIP_REGISTRAR"]
    assert load(**given, sip="on").sip_in_vain == []


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ({"sip_host": "127.0.0.1"}, "sip:127.0.0.1:5060"),
        ({"sip_host": "0.0.0.0"}, "sip:localhost:5060"),
        ({"sip_host": "0.0.0.0", "sip_public_host": "voice.example"}, "sip:voice.example:5060"),
    ],
)
def test_the_address_that_a_start_names_can_be_dialled(
    settings: dict[str, str], shown: str
) -> None:
    options = TelephoneOptions.from_settings(load(**settings))

    # Nobody calls it.
    telephone = Telephone(options, cast(TelephoneHost, None), Wheel())

    assert telephone.address == shown
