"""Voices: OpenAI's names mean a voice wherever they are used, and the engine's own names too."""

from __future__ import annotations

import httpx2
import pytest

from parley.api.openai.engines import SpeakingEngine
from parley.api.openai.voices import local_voice
from parley.core.errors import InvalidValue
from parley.engines.spec import Voice
from parley.engines.tts.builtin import SPEC as BUILTIN
from parley.engines.tts.openai_voices import OPENAI_VOICES
from parley.testing.speech import FakeSynthesizer
from tests.api.openai.served import OneEngine, serving


class Choir(FakeSynthesizer):
    """A voice per language, and four English ones."""

    def voices(self) -> tuple[Voice, ...]:
        english = [Voice(f"en-{number}", f"Singer {number}", "en-US") for number in range(4)]
        return (*english, Voice("de-1", "Sängerin", "de"))


def choir(name: str = "choir") -> SpeakingEngine:
    return SpeakingEngine(Choir(), name)


def test_openai_names_are_spread_over_the_voices_of_the_language() -> None:
    english = [local_voice(choir(), name) for name in OPENAI_VOICES]
    german = {local_voice(choir(), name, "de-AT") for name in OPENAI_VOICES}

    assert set(english) == {"en-0", "en-1", "en-2", "en-3"}
    assert english == [local_voice(choir(), name) for name in OPENAI_VOICES]
    assert german == {""}


def test_the_engines_own_ids_and_names_are_known() -> None:
    assert local_voice(choir(), "de-1") == "de-1"
    assert local_voice(choir(), "singer 2") == "en-2"
    assert local_voice(choir(), "") == ""


def test_an_engine_that_knows_openai_names_is_given_them() -> None:
    assert local_voice(choir("orpheus"), "nova") == "nova"


def test_a_voice_that_nobody_has_is_refused_with_the_nearest() -> None:
    with pytest.raises(InvalidValue, match="Did you mean en-3"):
        local_voice(choir(), "en_3")


async def test_each_openai_name_is_a_voice_of_its_own_in_the_built_in_engine() -> None:
    engine = BUILTIN.open(BUILTIN.options())
    builtin = SpeakingEngine(engine, "builtin", owns_voice=BUILTIN.owns_voice)

    mapped = {local_voice(builtin, name) for name in OPENAI_VOICES}

    assert len(mapped) == len(OPENAI_VOICES)
    assert mapped <= {voice.id for voice in engine.voices()}
    await engine.close()


async def test_the_list_holds_every_name_that_can_be_asked_for() -> None:
    async with serving(OneEngine(speaks=Choir())) as (server, _), httpx2.AsyncClient() as http:
        listed = (await http.get(f"{server.url}/v1/audio/voices")).json()["voices"]

    assert [each["id"] for each in listed] == [
        "en-0", "en-1", "en-2", "en-3", "de-1", *OPENAI_VOICES
    ]  # fmt: skip
    assert listed[-1]["alias_of"].startswith("en-")
