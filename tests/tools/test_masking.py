"""What a tool was asked is told without its secrets."""

from __future__ import annotations

import pytest

from parley.tools.masking import masked

SCHEMA = {
    "properties": {
        "word": {"type": "string", "format": "password"},
        "code": {"type": "string", "x-secret": True},
        "said": {"type": "string", "writeOnly": True},
        "people": {"items": {"properties": {"word": {"format": "password"}}}},
    }
}


@pytest.mark.parametrize(
    "name",
    ["password", "PIN", "card_number", "cardNumber", "accessToken", "api-key", "user_pin", "IBAN"],
)
def test_what_sounds_secret_is_masked(name: str) -> None:
    assert masked({name: "1234"}) == {name: "***"}


@pytest.mark.parametrize(
    "name", ["name", "spinning", "pinned", "key", "number", "postcode", "cardinal", "opinion"]
)
def test_what_only_looks_like_it_is_told(name: str) -> None:
    assert masked({name: "1234"}) == {name: "1234"}


def test_what_the_schema_calls_secret_is_masked_at_any_depth() -> None:
    given = {
        "word": "sesame",
        "code": 1234,
        "said": "open",
        "name": "Ada",
        "people": [{"word": "sesame", "name": "Bea"}],
        "login": {"password": "sesame", "user": "cleo"},
    }

    told = masked(given, SCHEMA)

    assert told == {
        "word": "***",
        "code": "***",
        "said": "***",
        "name": "Ada",
        "people": [{"word": "***", "name": "Bea"}],
        "login": {"password": "***", "user": "cleo"},
    }
    assert given["word"] == "sesame"
