"""What a model passes is held against the tool's schema, and it is told what to mend."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.core.errors import ToolFailed
from parley.tools.argument_check import checked_arguments, problem_of
from parley.tools.json_schema import DEEPEST, SchemaProblem, read_schema

STAY = {
    "type": "object",
    "properties": {
        "day": {"type": "string", "format": "date", "description": "The first day, YYYY-MM-DD"},
        "nights": {"type": "integer", "minimum": 1, "maximum": 30},
        "kind": {"type": "string", "enum": ["single", "double"]},
        "guest": {"type": "object", "properties": {"name": {"type": "string", "minLength": 2}},
                  "required": ["name"], "additionalProperties": False},
        "extras": {"type": "array", "items": {"type": "string"}, "maxItems": 2,
                   "uniqueItems": True},
        "note": {"type": ["string", "null"], "maxLength": 5},
        "mail": {"type": "string", "format": "email"},
        "price": {"type": "number", "exclusiveMinimum": 0, "multipleOf": 0.1},
        "code": {"type": "string", "pattern": "^[A-Z]{2}$"},
        "at": {"anyOf": [{"type": "string", "format": "time"}, {"type": "integer"}]},
    },
    "required": ["day"],
}  # fmt: skip
DAY = {"day": "2026-03-03"}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "day is missing: The first day, YYYY-MM-DD."),
        ({"day": "tomorrow"}, "day must be a date such as 2026-03-03, not 'tomorrow'."),
        ({"day": "20260303"}, "day must be a date such as 2026-03-03"),
        ({"day": None}, "day must be text, not empty."),
        ({"nights": "2"}, "nights must be a whole number, not '2'."),
        ({"nights": True}, "nights must be a whole number, not True."),
        ({"nights": 1.5}, "nights must be a whole number, not 1.5."),
        ({"nights": 0}, "nights must be at least 1, not 0."),
        ({"nights": 31}, "nights must be at most 30, not 31."),
        ({"kind": "suite"}, "kind must be one of single, double, not 'suite'."),
        ({"guest": {"name": "A"}}, "guest.name is too short: at least 2 letters."),
        ({"guest": {}}, "guest.name is missing."),
        ({"guest": {"name": "Ada", "age": 3}}, "There is no argument 'guest.age'; it takes name."),
        ({"guest": "Ada"}, "guest must be an object, not 'Ada'."),
        ({"extras": ["a", 2]}, "extras[1] must be text, not 2."),
        ({"extras": ["a", "b", "c"]}, "extras may have at most 2 items."),
        ({"extras": ["a", "a"]}, "extras holds the same thing twice."),
        ({"note": "too long"}, "note is too long: at most 5 letters."),
        ({"mail": "ada at home"}, "mail must be an e-mail address"),
        ({"price": 0}, "price must be above 0, not 0."),
        ({"price": 0.25}, "price must be a multiple of 0.1, not 0.25."),
        ({"code": "abc"}, "code must be as described (of the form ^[A-Z]{2}$), not 'abc'."),
        ({"at": "noon"}, "at must be a time such as 09:30, not 'noon'."),
        ({"colour": "red"}, "There is no argument 'colour'; it takes day, nights, kind"),
        ({"x" * 999: 1}, "…; it takes day"),
    ],
)
def test_a_model_is_told_what_to_mend(given: dict[str, Any], says: str):
    arguments = {**DAY, **given} if given else {}

    with pytest.raises(ToolFailed) as told:
        checked_arguments(read_schema(STAY), arguments)

    assert says in str(told.value)


@pytest.mark.parametrize(
    "given",
    [
        {}, {"nights": 2}, {"nights": 2.0}, {"kind": "double"}, {"guest": {"name": "Zoë"}},
        {"extras": []}, {"note": None}, {"mail": "ada@example.org"}, {"price": 0.3},
        {"code": "AB"}, {"at": "09:30"}, {"at": 9},
    ],
)  # fmt: skip
def test_good_arguments_are_sent_as_they_are(given: dict[str, Any]):
    assert checked_arguments(read_schema(STAY), {**DAY, **given}) == {**DAY, **given}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"])
def test_what_json_cannot_hold_is_not_sent(value: object):
    with pytest.raises(ToolFailed, match="can't be sent"):
        checked_arguments(read_schema({"properties": {"a": {}}}), {"a": value})


def test_null_for_nothing_is_left_out():
    given = {**DAY, "nights": None, "note": None}

    assert checked_arguments(read_schema(STAY), given) == {**DAY, "note": None}


def test_what_a_schema_does_not_name_may_be_allowed_by_it():
    schema = read_schema({"additionalProperties": {"type": "integer"}})

    assert checked_arguments(schema, {"any": 1}) == {"any": 1}
    with pytest.raises(ToolFailed, match="any must be a whole number"):
        checked_arguments(schema, {"any": "1"})


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ([], ()),
        ({"type": "string"}, ("type",)),
        ({"properties": []}, ("properties",)),
        ({"properties": {"a": 1}}, ("properties", "a")),
        ({"properties": {"a": {"type": []}}}, ("properties", "a", "type")),
        ({"properties": {"a": {"enum": []}}}, ("properties", "a", "enum")),
        ({"properties": {"a": {"anyOf": []}}}, ("properties", "a", "anyOf")),
        ({"properties": {"a": {"minimum": "1"}}}, ("properties", "a", "minimum")),
        ({"properties": {"a": {"minLength": -1}}}, ("properties", "a", "minLength")),
        ({"properties": {"a": {"multipleOf": 0}}}, ("properties", "a", "multipleOf")),
        ({"properties": {"a": {"items": [1]}}}, ("properties", "a", "items")),
        ({"properties": {"a": {"uniqueItems": 1}}}, ("properties", "a", "uniqueItems")),
        ({"required": "a"}, ("required",)),
        ({"required": ["b"]}, ("required",)),
        ({"description": 1}, ("description",)),
    ],
)
def test_a_broken_schema_says_where(schema: object, place: tuple[object, ...]):
    with pytest.raises(SchemaProblem) as broken:
        read_schema(schema)

    assert broken.value.place == place


def test_a_schema_has_an_end():
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(DEEPEST + 1):
        deep = {"type": "array", "items": deep}

    with pytest.raises(SchemaProblem, match="deep"):
        read_schema({"properties": {"a": deep}})


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 40), st.sampled_from(["", "a", "single"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["name", "x"]), inner)
    ),
    max_leaves=6,
)


@given(st.sampled_from([name for name in STAY["properties"] if name != "price"]), VALUES)
def test_the_reference_implementation_agrees(name: str, value: object):
    schema = STAY["properties"][name]
    checker = jsonschema.FormatChecker(["date", "email"])
    theirs = jsonschema.Draft202012Validator(schema, format_checker=checker)

    ours = problem_of(schema, value, name)

    if name not in ("at", "mail"):
        assert (ours == "") == theirs.is_valid(value)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("pin", {"type": "string", "pattern": "^[0-9]{4}$"}),
        ("pin", {"type": "integer", "maximum": 9999}),
        ("word", {"type": "string", "pattern": "^[0-9]{4}$", "x-secret": True}),
    ],
)
def test_what_is_wrong_with_a_secret_is_said_without_it(name: str, shape: dict[str, Any]):
    with pytest.raises(ToolFailed, match=f"{name} must be .*, not what was given") as failed:
        checked_arguments(read_schema({"properties": {name: shape}}), {name: "48151"})

    assert "48151" not in str(failed.value)


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 10**400, 1e308])
def test_a_number_beyond_all_counting_is_told_like_any_other(value: float):
    schema = read_schema({"properties": {"price": {"type": "number", "multipleOf": 0.1}}})

    with pytest.raises(ToolFailed, match=r"price must be a multiple of 0\.1, not "):
        checked_arguments(schema, {"price": value})
