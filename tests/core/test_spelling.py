"""What a text may hold is said in words, and is a pattern for programs."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import BaseModel, StringConstraints, ValidationError

from parley.core.spelling import LINE, MISSPELLED, Spelling

SOURCES = Path(__file__).parents[2] / "src/parley"
KEYS = Spelling(r"[0-9*#]+", "0-9, * and #")


class Order(BaseModel):
    keys: Annotated[str, StringConstraints(strip_whitespace=True, max_length=4), KEYS] = "1"
    named: dict[Annotated[str, Spelling("[a-z]", "one small letter")], int] = {}
    line: Annotated[str, LINE] = ""


@pytest.mark.parametrize("given", [{"keys": " 12# "}, {"named": {"a": 1}}, {"line": "héllo, you"}])
def test_what_fits_is_taken(given: dict[str, object]) -> None:
    assert Order.model_validate(given)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"keys": "12x"}, "takes 0-9, * and #"),
        ({"keys": "1\n2"}, "takes 0-9, * and #"),
        ({"named": {"ab": 1}}, "takes one small letter"),
        ({"line": "a\nb"}, "takes one line of text, without control characters"),
    ],
)
def test_what_does_not_fit_is_told_in_words_and_without_the_pattern(
    given: dict[str, object], says: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        Order.model_validate(given)

    (error,) = refused.value.errors()
    assert (error["type"], error["msg"]) == (MISSPELLED, says)


def test_programs_are_told_the_pattern() -> None:
    properties = Order.model_json_schema()["properties"]

    assert properties["keys"]["pattern"] == "^[0-9*#]+$"
    assert properties["keys"]["maxLength"] == 4
    assert list(properties["named"]["patternProperties"]) == ["^[a-z]$"]


def test_nobody_shows_people_a_bare_pattern() -> None:
    bare = [
        f"{file.relative_to(SOURCES)}:{call.lineno}"
        for file in SOURCES.rglob("*.py")
        if "pattern=" in (text := file.read_text()) or "regex=" in text
        for call in ast.walk(ast.parse(text))
        if isinstance(call, ast.Call)
        and _name(call.func) in {"Field", "StringConstraints", "Query", "Path", "Header", "InPath"}
        and any(keyword.arg in ("pattern", "regex") for keyword in call.keywords)
    ]

    assert bare == [], "give the field a Spelling of parley.core.spelling"


def _name(called: ast.expr) -> str:
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
