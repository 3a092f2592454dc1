"""Voices by the names that people give them."""

from __future__ import annotations

import pytest

from parley.core.errors import NotFound
from parley.engines.tts.espeak import EspeakVoice
from parley.engines.tts.espeak_voices import VoiceBook

DEFAULT = "en-us+f3"


@pytest.fixture
def book() -> VoiceBook:
    return VoiceBook(
        [
            EspeakVoice("gmw/de", "German", (("de", 5),)),
            EspeakVoice("gmw/en", "English (Great Britain)", (("en-gb", 2), ("en", 2))),
            EspeakVoice("gmw/en-GB-x-rp", "English (RP)", (("en-gb-x-rp", 5), ("en-gb", 4))),
            EspeakVoice("gmw/en-US", "English (America)", (("en-us", 2), ("en", 3))),
            EspeakVoice("roa/pt", "Portuguese (Portugal)", (("pt", 5), ("pt-pt", 5))),
            EspeakVoice("roa/pt-BR", "Portuguese (Brazil)", (("pt-br", 5), ("pt", 6))),
            EspeakVoice("sit/yue", "Cantonese", (("yue", 5), ("zh", 8))),
            EspeakVoice("sit/yue-Latn", "Cantonese, latin", (("yue", 5), ("zh", 8))),
        ],
        ["Alex", "f2", "f3", "m1"],
    )


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("en-us+f3", "gmw/en-US+f3"),
        ("EN-US+F3", "gmw/en-US+f3"),
        ("en_US", "gmw/en-US"),
        ("de", "gmw/de"),
        ("German+alex", "gmw/de+Alex"),
        ("English (America)", "gmw/en-US"),
        ("gmw/en", "gmw/en"),
        ("en", "gmw/en"),
        ("pt", "roa/pt"),
        ("yue-latn", "sit/yue-Latn"),
    ],
)
def test_a_voice_is_known_by_its_id_its_name_and_its_language(
    book: VoiceBook, name: str, identifier: str
):
    assert book.find(name, "", DEFAULT).identifier == identifier


@pytest.mark.parametrize(
    ("language", "voice_id"),
    [
        ("", "en-us+f3"),
        ("en", "en-us+f3"),
        ("en-AU", "en-us+f3"),
        ("en-GB", "en-gb+f3"),
        ("de-AT", "de+f3"),
        ("pt_BR", "pt-br+f3"),
        ("zh-HK", "yue+f3"),
    ],
)
def test_without_a_name_the_language_chooses_and_the_default_keeps_its_variant(
    book: VoiceBook, language: str, voice_id: str
):
    assert book.find("", language, DEFAULT).id == voice_id


def test_a_named_voice_wins_over_the_language(book: VoiceBook):
    assert book.find("de", "pt", DEFAULT).id == "de"


def test_a_variant_alone_speaks_the_language_or_the_default(book: VoiceBook):
    assert book.find("m1", "", DEFAULT).id == "en-us+m1"
    assert book.find("+m1", "de", DEFAULT).id == "de+m1"


@pytest.mark.parametrize(
    ("name", "near"), [("en-us+f9", "en-us+f3"), ("Germn", "German"), ("en-su", "en-us")]
)
def test_what_is_not_there_is_not_found_and_what_is_near_is_named(
    book: VoiceBook, name: str, near: str
):
    with pytest.raises(NotFound) as caught:
        book.find(name, "", DEFAULT)

    assert near in caught.value.hint
    assert caught.value.param == "voice"


def test_a_language_that_no_voice_speaks_is_not_found(book: VoiceBook):
    with pytest.raises(NotFound) as caught:
        book.find("", "tlh", DEFAULT)

    assert caught.value.param == "language"


def test_english_is_listed_in_the_variants_that_exist(book: VoiceBook):
    ids = [voice.id for voice in book.listed()]

    assert len(ids) == len(set(ids))
    assert [i for i in ids if "+" in i] == [
        "en-gb+f2", "en-gb+f3", "en-gb+m1", "en-us+f2", "en-us+f3", "en-us+m1",
    ]  # fmt: skip
