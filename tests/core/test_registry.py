"""Whoever misspells a name is told the nearest right one."""

from __future__ import annotations

import pytest

from parley.core.registry import did_you_mean


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("bultin", "Did you mean builtin?"),
        ("BUILTIN", "Did you mean builtin?"),
        ("sst", "Known: builtin, vosk."),
    ],
)
def test_a_near_name_is_named_and_otherwise_all(wrong: str, said: str) -> None:
    assert did_you_mean(wrong, ["vosk", "builtin"]) == said


def test_where_there_is_nothing_that_is_said() -> None:
    assert did_you_mean("x", []) == "There are none."
