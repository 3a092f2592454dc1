"""The model is told the language that the recogniser and the voice are told."""

from __future__ import annotations

import pytest

from parley.session.language import with_language


@pytest.mark.parametrize(
    ("language", "wish"),
    [
        ("de", "Answer in German (de)."),
        ("en-GB", "Answer in English (en-GB)."),
        ("auto", "Answer in the language that the caller speaks."),
        ("", "Answer in the language that the caller speaks."),
        ("tlh", "Answer in the language tlh."),
    ],
)
def test_the_language_comes_last_in_the_instructions(language: str, wish: str) -> None:
    assert with_language("Be kind.", language) == f"Be kind.\n\n{wish}"


def test_without_instructions_only_the_language_is_said() -> None:
    assert with_language("", "fr") == "Answer in French (fr)."
