"""What a tool was asked is told without its secrets."""

from __future__ import annotations

from typing import Any

import pytest

from parley.tools.masking import masked, secret_values, without

PASSWORD = {"type": "string", "format": "password"}
SCHEMA: dict[str, Any] = {
    "properties": {
        "word": {"type": "string", "format": "password"},
        "code": {"type": "string", "x-secret": True},
        "said": {"type": "string", "writeOnly": True},
        "people": {"items": {"properties": {"word": {"format": "password"}}}},
    }
}


@pytest.mark.parametrize(
    "name",
    [
        *("password", "PIN", "card_number", "cardNumber", "accessToken", "api-key", "user_pin"),
        *("IBAN", "Passwort", "geheimzahl", "Kartennummer", "Prüfnummer", "neuesKennwort"),
        *("motDePasse", "mot_de_passe", "numéro_de_carte", "code_confidentiel"),
        *("contraseña", "contrasena", "número_de_la_tarjeta", "clave"),
    ],
)
def test_what_sounds_secret_is_masked(name: str) -> None:
    assert masked({name: "1234"}) == {name: "***"}


@pytest.mark.parametrize(
    "name",
    [
        *("name", "spinning", "pinned", "key", "number", "postcode", "cardinal", "opinion"),
        *("Karte", "Kontostand", "numéro", "mot", "número_de_personas", "clave_de_reserva"),
    ],
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


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": [PASSWORD, {"type": "null"}]},
        {"oneOf": [{"type": "integer"}, {"allOf": [{"x-secret": True}]}]},
    ],
)
def test_a_mark_counts_wherever_the_schema_lets_one_choose(schema: dict[str, Any]) -> None:
    inside = {"anyOf": [{"type": "null"}, {"properties": {"word": schema}}]}
    shape = {"properties": {"word": schema, "login": inside}, "additionalProperties": schema}

    told = masked({"word": "a", "login": {"word": "b"}, "more": 7}, shape)

    assert told == {"word": "***", "login": {"word": "***"}, "more": "***"}


def test_what_the_secrets_are_is_found_with_them() -> None:
    given = {"pin": 4711, "word": " a ", "name": "Ada", "token": ["x", {"y": 7}], "tan": None}

    assert secret_values(given, SCHEMA) == ("4711", "a", "x", "7")
    assert secret_values({"digits": "12", "more": {"a": 3}}, all_are=True) == ("12", "3")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("PIN 4711 is right.", "PIN *** is right."),
        ("PIN4711", "PIN***"),
        ("4 7 1 1, or 47-11", "***, or ***"),
        ("Booking 147110", "Booking 147110"),
        (4711, "***"),
        (14711, 14711),
        ("Öffne: SESAM!", "Öffne: ***!"),
        ("Sesamstraße", "Sesamstraße"),
        ("xlong-secret-x", "x***-x"),
        (
            {"seen": ["4711", True, None, 1.5], "4711": 1},
            {"seen": ["***", True, None, 1.5], "***": 1},
        ),
    ],
)
def test_an_answer_is_told_without_the_secrets_that_it_repeats(answer: Any, told: Any) -> None:
    secrets = secret_values({"pin": "4711", "word": "Sesam", "token": "long-secret"}, SCHEMA)

    assert without(answer, secrets) == told
    assert without(answer, ()) == answer
