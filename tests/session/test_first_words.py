"""What every call may need at once is spoken before the first call."""

from __future__ import annotations

from collections.abc import Mapping

from parley.engines.catalog import EngineCatalog
from parley.engines.found import engines_from
from parley.engines.spec import EngineOptions, EngineSpec, SpeechOptions
from parley.engines.speech_cache.cache import SpeechCache
from parley.engines.wish import EngineWish
from parley.session.first_words import first_words, warm_speech
from parley.testing.speech import FakeSynthesizer
from parley.tools.spec import Tool, ToolCall
from tests.session.fakes import agent_with

NOTHING: Mapping[str, object] = {}


def catalog_of(voice: FakeSynthesizer, speech: SpeechCache | None) -> EngineCatalog:
    spec: EngineSpec[FakeSynthesizer] = EngineSpec(
        kind="tts",
        name="fake",
        options=EngineOptions,
        open=lambda _: voice,
        summary="A fake.",
        available=lambda _: True,
    )
    return EngineCatalog(engines_from([spec]), NOTHING, speech=speech)


async def test_the_greeting_and_the_apologies_are_spoken_in_advance_as_a_call_will_say_them():
    voice = FakeSynthesizer()
    catalog = catalog_of(voice, SpeechCache(10_000_000))
    agent = agent_with(greeting="**Welcome!** We open at 9:30.", goodbye="Bye.")
    speech = catalog.chain(await catalog.choose("tts", (EngineWish("fake"),)))

    await warm_speech(agent, speech, SpeechOptions())
    asked = list(voice.texts)
    sounds = [
        sound
        async for sound in speech.synthesize(
            "Welcome! We open at nine thirty.", SpeechOptions(tenant="ann")
        )
    ]
    await catalog.close()

    assert asked == ["Welcome! We open at nine thirty.", agent.sorry.llm, agent.sorry.stt, "Bye."]
    assert voice.texts == asked
    assert sounds


async def test_what_callers_hear_who_wait_for_tools_is_spoken_in_advance():
    async def look(_: ToolCall) -> str:
        return "ten"

    voice = FakeSynthesizer()
    catalog = catalog_of(voice, SpeechCache(10_000_000))
    agent = agent_with(fillers=["Hm."], still_working=["Still hm."])
    speech = catalog.chain(await catalog.choose("tts", (EngineWish("fake"),)))

    await warm_speech(agent, speech, SpeechOptions())
    without_tools = list(voice.texts)
    tools = [Tool("look", "Looks.", look, filler="I look."), Tool("see", "Sees.", look)]
    await warm_speech(agent, speech, SpeechOptions(), tools)
    await catalog.close()

    assert "Hm." not in without_tools
    assert set(voice.texts) - set(without_tools) >= {"Hm.", "I look.", "Still hm."}


async def test_a_voice_that_fails_does_not_keep_the_house_closed():
    voice = FakeSynthesizer(fails_on="Welcome")
    catalog = catalog_of(voice, SpeechCache(10_000_000))
    speech = catalog.chain(await catalog.choose("tts", (EngineWish("fake"),)))

    await warm_speech(agent_with(greeting="Welcome!"), speech, SpeechOptions())
    await catalog.close()

    assert voice.texts == ["Welcome!"]


async def test_without_a_cache_nothing_is_spoken_in_advance():
    voice = FakeSynthesizer()
    catalog = catalog_of(voice, None)
    speech = catalog.chain(await catalog.choose("tts", (EngineWish("fake"),)))

    await warm_speech(agent_with(), speech, SpeechOptions())
    await catalog.close()

    assert voice.texts == []


def test_the_refusal_is_among_the_first_words_of_an_agent_that_may_need_it():
    safety = {"refuse": ["secret"], "sentence": "No."}

    assert "No." in first_words(agent_with(safety=safety))
    assert "No." not in first_words(agent_with(safety={"sentence": "No."}))


async def test_a_tenants_greeting_is_spoken_in_advance_for_that_tenant_alone():
    voice = FakeSynthesizer()
    catalog = catalog_of(voice, SpeechCache(10_000_000))
    agent = agent_with(greeting="Welcome to acme!", tenant="acme")
    speech = catalog.chain(await catalog.choose("tts", (EngineWish("fake"),)))

    await warm_speech(agent, speech, SpeechOptions())
    for tenant in ("acme", "bee"):
        async for _ in speech.synthesize("Welcome to acme!", SpeechOptions(tenant=tenant)):
            pass
    await catalog.close()

    assert voice.texts.count("Welcome to acme!") == 2
