"""Who speaks: published voices, OpenAI's names, voices of one's own, and the manner of it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from parley.core.errors import NotFound
from parley.engines.options import options_for
from parley.engines.spec import SpeechOptions, voices_for
from parley.engines.tts.orpheus import SPEC, OrpheusOptions
from parley.engines.tts.orpheus.manner import manner_of
from parley.engines.tts.orpheus.talker import Sampling
from parley.engines.tts.orpheus.voices import (
    CHECKPOINTS,
    OPENAI_NAMES,
    PUBLISHED,
    OwnVoice,
    Speaker,
    VoiceBook,
    languages_of,
)
from parley.engines.wish import EngineWish

ENGLISH = VoiceBook(["en"])
ANNA = OwnVoice(name="Anna", prompt_name="spk_7", model="anna-lora", temperature=0.4, speed=1.2)


@pytest.mark.parametrize("language", PUBLISHED)
def test_every_published_voice_speaks_where_its_checkpoint_is_loaded(language: str):
    book = VoiceBook(languages_of(CHECKPOINTS[language]))

    for name in PUBLISHED[language]:
        assert book.find(name, "", "") == Speaker(name, language)
    assert set(PUBLISHED[language]) <= {voice.id for voice in book.listed()}


def test_a_checkpoint_lists_the_voices_of_its_languages_only():
    book = VoiceBook(languages_of("canopylabs/3b-es_it-ft-research_release"))

    assert {voice.language for voice in book.listed()} == {"es", "it"}
    assert [voice.id for voice in ENGLISH.listed()] == list(PUBLISHED["en"])


@pytest.mark.parametrize(
    ("model", "languages"),
    [
        ("", ("en",)), ("unsloth/orpheus-3b-0.1-ft", ("en",)), ("orpheus:q8_0", ("en",)),
        ("3b-de-ft-research_release-Q8_0.gguf", ("de",)), ("orpheus-fr-7", ("fr",)),
    ],
)  # fmt: skip
def test_a_checkpoints_name_tells_its_language(model: str, languages: tuple[str, ...]):
    assert languages_of(model) == languages


def test_a_voice_of_another_checkpoint_is_refused_and_the_checkpoint_named():
    with pytest.raises(NotFound, match=r"pierre speaks 'fr'.*tara.*3b-fr-ft"):
        ENGLISH.find("pierre", "", "")


def test_an_unknown_voice_is_refused_and_those_there_are_listed():
    with pytest.raises(NotFound, match=r"no voice 'bob'.*tara, leah, .*zoe"):
        ENGLISH.find("bob", "", "")


def test_a_language_that_is_not_loaded_is_refused():
    with pytest.raises(NotFound, match=r"does not speak 'de'.*3b-de-ft"):
        ENGLISH.find("", "de-AT", "")


@pytest.mark.parametrize(
    ("voice", "language", "default", "name"),
    [
        ("", "", "", "javi"), ("", "it", "", "pietro"), ("", "it-IT", "maria", "pietro"),
        ("", "es", "maria", "maria"), ("", "", "carlo", "carlo"), ("GIULIA", "es", "", "giulia"),
        ("", "auto", "", "javi"),
    ],
)  # fmt: skip
def test_who_speaks_when_voice_language_and_default_say_different_things(
    voice: str, language: str, default: str, name: str
):
    assert VoiceBook(["es", "it"]).find(voice, language, default).name == name


def test_openais_names_stand_for_voices_of_the_loaded_checkpoint():
    german = VoiceBook(["de"], aliases={"nova": "max"})

    assert {name: ENGLISH.find(name, "", "").name for name in OPENAI_NAMES} == OPENAI_NAMES
    assert {german.find(name, "", "").language for name in OPENAI_NAMES} == {"de"}
    assert german.find("Nova", "", "").name == "max"


def test_ones_own_voice_is_listed_beside_the_others_and_found_by_its_name():
    book = VoiceBook(["en"], [ANNA])

    speaker = book.find("anna", "", "tara")

    assert speaker == Speaker("spk_7", "en", ANNA)
    assert [voice.id for voice in book.listed()][-1] == "Anna"


def test_a_checkpoint_of_ones_own_has_ones_own_voices_only():
    book = VoiceBook(["nl"], [OwnVoice(name="piet", language="nl-NL")])

    assert book.find("", "nl", "").name == "piet"
    assert [voice.id for voice in book.listed()] == ["piet"]


def test_the_request_counts_on_top_of_the_voice_and_the_voice_on_top_of_the_engine():
    speaker = Speaker("spk_7", "en", ANNA)

    manner = manner_of(speaker, Sampling(top_p=0.8), SpeechOptions(speed=1.5))

    assert manner.speed == pytest.approx(1.8)
    assert (manner.sampling.temperature, manner.sampling.top_p) == (0.4, 0.8)


@pytest.mark.parametrize(
    ("instructions", "speed", "volume", "prompt"),
    [
        ("Speak slowly.", 0.85, 1.0, "tara: Hi."),
        ("whisper softly", 1.0, 0.35, "tara: Hi."),
        ("Laugh first", 1.0, 1.0, "tara: <laugh> Hi."),
        ("like a pirate", 1.0, 1.0, "tara: Hi."),
    ],
)
def test_a_few_words_of_an_instruction_are_understood_and_others_passed_over(
    instructions: str, speed: float, volume: float, prompt: str
):
    options = SpeechOptions(instructions=instructions)

    manner = manner_of(Speaker("tara", "en"), Sampling(), options)

    assert (manner.speed, manner.volume) == (pytest.approx(speed), pytest.approx(volume))
    assert manner.prompt("Hi.", is_first=True) == prompt
    assert manner.prompt("Hi.", is_first=False) == "tara: Hi."


@pytest.mark.parametrize(("text", "tokens"), [("Hi.", 186), ("x" * 100, 902), ("你" * 100, 2000)])
def test_the_bound_on_tokens_follows_the_text(text: str, tokens: int):
    manner = manner_of(Speaker("tara", "en"), Sampling(max_tokens=2000), SpeechOptions())

    assert manner.sampling_for(text, 7).max_tokens == tokens


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0}, {"temperature": 0.1}, {"repetition_penalty": 1.0}, {"top_p": 0},
        {"look_ahead": 4}, {"languages": "english"}, {"base_url": "ws://x"}, {"nonsense": 1},
        {"backend": "ollama", "base_url": "http://x"}, {"voices": [{"name": "a", "speed": 3}]},
    ],
)  # fmt: skip
def test_options_that_make_the_model_fail_are_refused(options: dict[str, object]):
    with pytest.raises(ValidationError):
        OrpheusOptions.model_validate(options)


def test_settings_reach_the_options_by_their_names():
    settings = {
        "PARLEY_ORPHEUS_BASE_URL": "http://one:8001,http://two:8001",
        "PARLEY_ORPHEUS_BACKEND": "llama_cpp",
        "PARLEY_ORPHEUS_LANGUAGES": "es, it",
        "PARLEY_ORPHEUS_API_KEY": "secret",
        "TTS_MODEL": "speaches-ai/Kokoro-82M-v1.0-ONNX",
        "TTS_VOICE": "maria",
    }

    options = options_for(SPEC, EngineWish("orpheus"), settings)

    assert isinstance(options, OrpheusOptions)
    assert options.base_url == ("http://one:8001", "http://two:8001")
    assert (options.backend, options.languages) == ("llama_cpp", ("es", "it"))
    assert (options.model, options.voice) == ("", "maria")
    assert "secret" not in repr(options)


def test_shared_names_are_taken_when_they_are_ours():
    assert SPEC.owns_model("canopylabs/orpheus-3b-0.1-ft")
    assert not SPEC.owns_model("speaches-ai/Kokoro-82M-v1.0-ONNX")
    assert SPEC.owns_voice("tara") and SPEC.owns_voice("长乐")
    assert not SPEC.owns_voice("alloy") and not SPEC.owns_voice("af_heart")


HOUSE_BOSS = OwnVoice(name="Boss", prompt_name="house_boss")
ACMES = (
    OwnVoice(name="Jingle", prompt_name="spk_9", model="acme-lora", tenant="acme"),
    OwnVoice(name="boss", prompt_name="acme_boss", tenant="acme"),
    OwnVoice(name="tara", prompt_name="acme_tara", tenant="acme"),
)


def test_a_tenants_voice_is_there_for_that_tenant_alone() -> None:
    book = VoiceBook(["en"], [HOUSE_BOSS, *ACMES], {"hold music": "jingle", "nova": "jingle"})
    acme, bee = book.seen_by("acme"), book.seen_by("bee")

    assert acme.find("jingle", "", "").own == ACMES[0]
    assert acme.find("nova", "", "").own == ACMES[0]
    assert bee.find("nova", "", "").name == "jess"
    for name in ("jingle", "Jingle", "hold music"):
        with pytest.raises(NotFound) as caught:
            bee.find(name, "", "")
        assert "jingle" not in str(caught.value).lower().replace(f"{name.lower()!r}", "")


def test_a_tenants_voice_goes_before_the_houses_of_the_same_name_for_it() -> None:
    book = VoiceBook(["en"], [HOUSE_BOSS, *ACMES])

    assert book.seen_by("acme").find("Boss", "", "").name == "acme_boss"
    assert book.seen_by("bee").find("Boss", "", "").name == "house_boss"
    assert book.seen_by("acme").find("tara", "", "").name == "acme_tara"
    assert book.seen_by("bee").find("tara", "", "").name == "tara"


def test_the_list_of_a_tenant_has_each_name_once_and_none_of_anothers() -> None:
    listed = VoiceBook(["en"], [HOUSE_BOSS, *ACMES]).listed()
    acme = [voice.id.lower() for voice in voices_for("acme", listed)]
    bee = [voice.id.lower() for voice in voices_for("bee", listed)]

    assert len(set(acme)) == len(acme)
    assert set(acme) - set(bee) == {"jingle"}
    assert {voice.tenant for voice in voices_for("bee", listed)} == {""}
