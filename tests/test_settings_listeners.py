"""Settings: which doors are open, and that none opens to strangers by accident."""

from __future__ import annotations

import pytest

from parley.core.errors import BadSettings
from parley.settings.rustpbx import ANYBODYS
from tests.test_settings import complaint, load

OPENERS = (
    {"PARLEY_RUSTPBX": "true"},
    {"PIPECAT_SERVER_HOST": "127.0.0.1"},
    {"PIPECAT_SERVER_PORT": "8765"},
)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "parley.example"])
def test_other_machines_are_let_in_only_on_purpose(host: str) -> None:
    with pytest.raises(BadSettings, match="PARLEY_ALLOW_ANONYMOUS=web"):
        load({"SERVER_HOST": host}).require_safe_listener()

    load({"SERVER_HOST": host, "PARLEY_ALLOW_ANONYMOUS": "web"}).require_safe_listener()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_this_machine_may_always_call_itself(host: str) -> None:
    load({"SERVER_HOST": host}).require_safe_listener()


@pytest.mark.parametrize(
    ("given_values", "opens"),
    [
        ({}, False),
        ({"PARLEY_RUSTPBX": "true"}, True),
        ({"PIPECAT_SERVER_HOST": "127.0.0.1"}, True),
        ({"PIPECAT_SERVER_PORT": "8765"}, True),
        ({"PARLEY_RUSTPBX": "false", "PIPECAT_SERVER_PORT": "8765"}, False),
    ],
)
def test_rustpbx_has_a_listener_when_it_is_switched_on_or_given_an_address(
    given_values: dict[str, str], opens: bool
) -> None:
    settings = load(given_values)

    assert settings.opens_rustpbx is opens
    assert (settings.rustpbx_host, settings.rustpbx_port) == ("127.0.0.1", 8765)


def test_rustpbx_of_other_machines_is_let_in_only_on_purpose() -> None:
    far = {"PIPECAT_SERVER_HOST": "0.0.0.0"}
    with pytest.raises(BadSettings, match="PARLEY_ALLOW_ANONYMOUS=rustpbx"):
        load({**far, "PARLEY_ALLOW_ANONYMOUS": "web"}).require_safe_rustpbx()

    load(far).require_safe_rustpbx(has_keys=True)
    load({**far, "PARLEY_ALLOW_ANONYMOUS": "rustpbx"}).require_safe_rustpbx()
    load({**far, "PARLEY_RUSTPBX": "off"}).require_safe_rustpbx()


@pytest.mark.parametrize(("name", "value"), [("SAMPLE_RATE", "44100"), ("CHANNELS", "2")])
def test_sound_that_rustpbx_would_garble_is_refused_where_there_is_a_rustpbx(
    name: str, value: str
) -> None:
    load({name: value}).require_safe_rustpbx()

    with pytest.raises(BadSettings, match=f"{name}={value} is not allowed"):
        load({name: value, "PARLEY_RUSTPBX": "true"}).require_safe_rustpbx()


@pytest.mark.parametrize("name", ANYBODYS)
def test_names_that_other_programs_have_too_are_not_read_where_there_is_no_rustpbx(
    name: str,
) -> None:
    values = {name: "banana"}
    off = {"PARLEY_RUSTPBX": "off", "PIPECAT_SERVER_PORT": "8765"}

    assert load(values).explicit() == {}
    assert load({name: "160"}).explicit() == {}
    assert set(load({**values, **off}).explicit()) == set(off)


@pytest.mark.parametrize("opener", OPENERS, ids=["switch", "host", "port"])
@pytest.mark.parametrize("name", ANYBODYS)
def test_where_there_is_a_rustpbx_each_of_its_names_says_what_it_takes(
    name: str, opener: dict[str, str]
) -> None:
    said = complaint({name: "banana", **opener})

    assert said.startswith(f"{name}=banana is not allowed: it takes ")


def test_a_flag_that_opens_rustpbx_has_its_names_read() -> None:
    assert load({"SAMPLE_RATE": "8000"}, rustpbx="on").sample_rate == 8000


def test_a_switch_that_is_no_switch_is_the_one_thing_complained_of() -> None:
    said = complaint({"PARLEY_RUSTPBX": "perhaps", "SAMPLE_RATE": "banana"})

    assert said.startswith("PARLEY_RUSTPBX=perhaps is not allowed")
    assert "\n" not in said
