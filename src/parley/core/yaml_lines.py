"""YAML with its line numbers kept, so that an error can say where it is.

The types are those of YAML 1.2: only ``true`` and ``false`` are booleans, so that ``yes``, ``on``
and ``9:30`` stay the words that people typed. A key given twice in one mapping is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import yaml

Path_ = tuple[Any, ...]
LineOf = Callable[[Sequence[Any]], int]

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_CONSTANTS: dict[str, bool | None] = {
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    "null": None, "Null": None, "NULL": None, "~": None, "": None,
}  # fmt: skip
_STARTS_WITH_BRACKET = re.compile(r"\s*(-\s+|[\w.]+:\s+)*[\[{]")


class YamlProblem(ValueError):
    """A file that is no YAML, or repeats a key. ``line`` counts from 1; 0 means the whole file."""

    def __init__(self, message: str, line: int, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.hint = hint


def load_yaml(path: Path) -> tuple[Any, LineOf]:
    """Read a YAML file.

    Returns its data and ``line_of``, which gives the line of a place in the data, such as
    ``("intents", 2, "say")``. Parts of a place that don't exist are passed over, so that the
    locations of pydantic's errors can be used as they are.

    Raises ``YamlProblem``, and ``OSError`` when the file can't be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise YamlProblem("The file is not UTF-8 text.", 0, "Save it as UTF-8.") from error
    return parse_yaml(text)


def parse_yaml(text: str) -> tuple[Any, LineOf]:
    """The same for text that has been read already."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        root = yaml.compose(text, loader)
    except yaml.YAMLError as error:
        raise _problem(error, text) from error
    reader = _Reader()
    data = None if root is None else reader.read(root, ())
    return data, reader.line_of


def _problem(error: yaml.YAMLError, text: str) -> YamlProblem:
    if not isinstance(error, yaml.MarkedYAMLError):
        return YamlProblem(f"This is not YAML: {error}", 0)
    mark = error.problem_mark or error.context_mark
    line = mark.line if mark else 0
    lines = text.splitlines()
    hint = ""
    if "mapping values" in str(error.problem):
        hint = 'Text that holds ": " must be in quotes.'
    # YAML notices a bracket that it took for its own only on the line after it, at times.
    for number in (line, line - 1):
        if 0 <= number < len(lines) and _STARTS_WITH_BRACKET.match(lines[number]):
            line = number
            hint = 'Text that starts with [ or { must be in quotes: "[what are] your hours".'
            break
    return YamlProblem(f"This is not YAML: {error.problem or error.context}.", line + 1, hint)


class _Reader:
    """Builds the data of a node and notes the line of every place in it."""

    def __init__(self) -> None:
        self._lines: dict[Path_, int] = {(): 1}
        self._open: set[int] = set()

    def line_of(self, place: Sequence[Any]) -> int:
        known: Path_ = ()
        for part in place:
            if (*known, part) in self._lines:
                known = (*known, part)
        return self._lines[known]

    def read(self, node: yaml.Node, place: Path_) -> Any:
        line = _line(node)
        self._lines.setdefault(place, line)
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        if id(node) in self._open:
            raise YamlProblem("An alias contains itself.", line, "Write the part out.")
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                items = cast("list[yaml.Node]", node.value)
                return [self.read(item, (*place, number)) for number, item in enumerate(items)]
            return self._mapping(cast(yaml.MappingNode, node), place)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, place: Path_) -> dict[Any, Any]:
        data: dict[Any, Any] = {}
        for key_node, value_node in cast("list[tuple[yaml.Node, yaml.Node]]", node.value):
            line = _line(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                raise YamlProblem(
                    "A key must be a word.", line, "Put text that starts with [ or { in quotes."
                )
            key = _scalar(key_node)
            if key in data:
                first = self._lines[(*place, key)]
                raise YamlProblem(
                    f'"{key}" is already given on line {first}.', line, "Keep one of the two."
                )
            self._lines[(*place, key)] = line
            data[key] = self.read(value_node, (*place, key))
        return data


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1 if node.start_mark else 1


def _scalar(node: yaml.ScalarNode) -> Any:
    text = cast(str, node.value)
    if node.style:
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.match(text):
        # Python refuses to read integers of thousands of digits; such a thing is text.
        return int(text) if len(text) < 100 else text
    if _NUMBER.match(text):
        return float(text)
    return text
