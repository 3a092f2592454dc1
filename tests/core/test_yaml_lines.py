"""YAML with line numbers: places are found, ambiguities stay text, mistakes have a line."""

from __future__ import annotations

import pytest

from parley.core.yaml_lines import YamlProblem, load_yaml, parse_yaml

TEXT = """\
# a comment
name: x
intents:
  - name: a
    say:
      - one
      - two
  - {name: b, say: three}
text: |
  long
  text
"""


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ((), 1),
        (("name",), 2),
        (("intents",), 3),
        (("intents", 0), 4),
        (("intents", 0, "say"), 5),
        (("intents", 0, "say", 1), 7),
        (("intents", 1, "say"), 8),
        (("text",), 9),
    ],
)
def test_every_place_has_its_line(place, line):
    data, line_of = parse_yaml(TEXT)

    assert data["intents"][1] == {"name": "b", "say": "three"}
    assert data["text"] == "long\ntext\n"
    assert line_of(place) == line


def test_parts_that_are_no_keys_are_passed_over_as_in_pydantics_locations():
    _, line_of = parse_yaml(TEXT)

    assert line_of(("intents", 0, "list[str]", "say", 1, "constrained-str")) == 7
    assert line_of(("intents", 0, "missing")) == 4


def test_only_true_and_false_are_booleans_and_times_stay_text():
    data, _ = parse_yaml(
        "[yes, no, on, off, 9:30, 2026-03-03, 0x10, 010, 1_000, true, False, null, ~, 7, -7, "
        "1.5, 1e3, '7', \"true\", .5, v1.2]"
    )

    assert data == [
        "yes", "no", "on", "off", "9:30", "2026-03-03", "0x10", "010", "1_000", True, False,
        None, None, 7, -7, 1.5, 1000.0, "7", "true", 0.5, "v1.2",
    ]  # fmt: skip


def test_anchors_are_followed():
    data, line_of = parse_yaml("a: &x {b: 1}\nc: *x\n")

    assert data == {"a": {"b": 1}, "c": {"b": 1}}
    assert line_of(("c",)) == 2


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, '"a" is already given on line 1'),
        ("a: 1\n b: 2\n", 2, "mapping values are not allowed"),
        ("say:\n  - [what are] your hours\nreply: x\n", 2, "not YAML"),
        ("a: {b: 1}: 2\n", 1, "not YAML"),
        ("? [a, b]\n: 1\n", 1, "A key must be a word"),
        ("a: &x [*x]\n", 1, "An alias contains itself"),
        ("a: 1\n---\nb: 2\n", 2, "not YAML"),
        ("a: \x07\n", 0, "not YAML"),
    ],
)
def test_a_mistake_is_reported_with_its_line(text, line, words):
    with pytest.raises(YamlProblem) as problem:
        parse_yaml(text)

    assert words in problem.value.message
    assert problem.value.line == line


def test_a_bracket_that_yaml_takes_for_its_own_is_explained():
    with pytest.raises(YamlProblem) as problem:
        parse_yaml("say:\n  - name: x\n  - [what are] your hours\n")

    assert 'must be in quotes: "[what are] your hours"' in problem.value.hint


def test_a_file_is_read_and_must_be_utf8(tmp_path):
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("a: é", encoding="utf-8")
    bad.write_bytes(b"a: \xff")

    data, _ = load_yaml(good)

    assert data == {"a": "é"}
    with pytest.raises(YamlProblem, match="UTF-8"):
        load_yaml(bad)
    with pytest.raises(FileNotFoundError):
        load_yaml(tmp_path / "none.yaml")


def test_an_empty_file_holds_nothing():
    data, line_of = parse_yaml("# only a comment\n")

    assert data is None
    assert line_of(("anything",)) == 1
