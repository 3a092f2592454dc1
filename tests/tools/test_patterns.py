"""Expressions that strangers wrote cost no more time than we give them."""

from __future__ import annotations

from typing import Any

import pytest

from parley.core.errors import ToolFailed
from parley.tools.argument_check import checked_arguments
from parley.tools.json_schema import SchemaProblem, read_schema
from parley.tools.patterns import LARGEST, has_pattern, size_of, steps

# Each would keep Python's own engine busy for longer than any test lasts.
CATASTROPHES = ["^(a+)+$", "^(a|aa)+$", "^(a|a?)+$", "(x+x+)+y", "^(([a-z])+.)+[A-Z]([a-z])+$"]


def schema(pattern: str, **more: Any) -> dict[str, Any]:
    return read_schema({"properties": {"code": {"type": "string", "pattern": pattern, **more}}})


@pytest.mark.parametrize("pattern", CATASTROPHES)
def test_an_expression_with_many_ways_to_fit_is_decided_all_the_same(pattern: str):
    text = ("x" if "x" in pattern else "a") * 5000 + "!"

    with pytest.raises(ToolFailed, match="code must be as described"):
        checked_arguments(schema(pattern), {"code": text})


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("(?=a)b", "look-around"),
        (r"(a)\1", "backreferences are not supported"),
        ("[a", "unclosed character class"),
        ("(a{100}){100}", "is too large (10100 of at most 3000): use maxLength"),
        ("(?:){999999999}", "is too large"),
        ("[" * 100_000, "is too large (100000 of at most 3000)"),
        (r"[a\w]{200}", "is too large (8200 of at most 3000)"),
        ("(?x)# [\n(a{99}){99}", "the flag x"),
        ("(?i-x:a)", "the flag x"),
    ],
)
def test_an_expression_that_can_t_be_done_in_one_pass_is_the_tool_s_error(pattern: str, says: str):
    with pytest.raises(SchemaProblem) as problem:
        schema(pattern)

    assert says in problem.value.message
    assert problem.value.place == ("properties", "code", "pattern")


def test_many_expressions_are_held_to_the_same_size_together():
    one = {"type": "string", "pattern": f"a{{{LARGEST // 3 * 2}}}"}

    assert read_schema({"properties": {"a": one}})
    assert read_schema({"properties": {"a": one, "b": {"default": {"pattern": "["}}}})
    with pytest.raises(SchemaProblem, match="all taken together, too large"):
        read_schema({"properties": {"a": one, "b": {"items": {"anyOf": [one]}}}})


@pytest.mark.parametrize(
    "arguments",
    [
        {"code": "a" * 2000},
        {"code": "語" * 300},
        {"codes": ["a" * 200] * 10},
        {"inside": {"code": "a" * 2000}},
        {"other": "a" * 2000},
    ],
)
def test_a_text_that_would_take_too_long_to_check_is_not_checked_at_all(arguments: dict[str, Any]):
    code = {"type": "string", "pattern": "^(a|b){0,150}$"}
    properties = {
        "code": code,
        "codes": {"items": {"anyOf": [{"type": "null"}, code]}},
        "inside": {"properties": {"code": code}},
    }
    shape = read_schema({"properties": properties, "additionalProperties": code})

    with pytest.raises(ToolFailed, match="patterns are too large"):
        checked_arguments(shape, arguments)


@pytest.mark.parametrize(
    ("pattern", "size"),
    [
        ("^[0-9]{4}-[0-9]{2}$", 9),
        ("(a{10}){10}", 110),
        (r"(?P<next>\d|x){2,3}", 12),
        (r"\pL{9}\p{Greek}{2}", 11),
        ("a{ 7 , 9 }", 9),
        ("[^]{9}]", 1),
        (r"\(?x\)?", 5),
    ],
)
def test_an_expression_is_as_large_as_what_it_stands_for(pattern: str, size: int):
    assert size_of(pattern) == size


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        (r"^\+?[0-9 /-]{4,}$", "+49 30 1234", True),
        (r"^\d{4}$", "1234", True),
        ("^[A-Z]{2}$", "AB\n", False),
        ("b", "abc", True),
        (r"^\(?ext\.? ?[0-9]+\)?$", "(ext. 12)", True),
        ("^.$", "\ud83d", False),
    ],
)
def test_what_an_expression_means_is_what_every_schema_s_reader_expects(
    pattern: str, text: str, fits: bool
):
    read = schema(pattern)["properties"]["code"]["pattern"]

    assert has_pattern(read, text) is fits


def test_a_text_counts_in_bytes_for_each_place_of_its_expression():
    shape = schema("^[a-z]{8}$")

    assert steps(shape, {"code": "abcdefgh"}) == 10 * 8
    assert steps(shape, {"code": "語"}) == 10 * 3
    assert steps(shape, {"code": 7, "other": "x"}) == 0
