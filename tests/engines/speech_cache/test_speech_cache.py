"""What was spoken before costs nothing, and only what is whole is kept."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.core.audio import Audio
from parley.core.errors import EngineFailed
from parley.engines.spec import EngineOptions, SpeechOptions, TagPerformer
from parley.engines.speech_cache.cache import SpeechCache
from parley.engines.speech_cache.cached import CachedSpeech, cached_speech
from parley.engines.speech_cache.shelf import Shelf
from parley.engines.speech_cache.take import Take
from parley.testing.speech import FakeSynthesizer

PLAIN = SpeechOptions()


class GatedVoice(FakeSynthesizer):
    """Speaks its first piece and waits to be let on."""

    def __init__(self) -> None:
        super().__init__(word_ms=40)
        self.gate = asyncio.Event()

    async def synthesize(self, text: str, options: SpeechOptions) -> AsyncGenerator[Audio]:
        async with aclosing(super().synthesize(text, options)) as sounds:
            async for sound in sounds:
                yield sound
                await self.gate.wait()


def cached(voice: FakeSynthesizer, cache: SpeechCache, identity: str = "fake") -> CachedSpeech:
    return CachedSpeech(voice, identity, cache)


async def said(voice: CachedSpeech, text: str, options: SpeechOptions = PLAIN) -> list[Audio]:
    return [sound async for sound in voice.synthesize(text, options)]


async def test_what_is_asked_twice_is_kept_and_comes_back_in_the_same_pieces():
    engine, cache = FakeSynthesizer(), SpeechCache(1_000_000)
    voice = cached(engine, cache)

    takes = [await said(voice, "One moment please.") for _ in range(3)]

    assert takes[0] == takes[1] == takes[2]
    assert "".join(sound.words for sound in takes[2]) == "One moment please."
    assert len(engine.texts) == 2
    assert (cache.figures.hits, cache.figures.misses, cache.figures.stored) == (1, 2, 1)


async def test_what_is_spoken_in_advance_is_kept_at_once_for_every_tenant():
    engine, cache = FakeSynthesizer(), SpeechCache(1_000_000)
    voice = cached(engine, cache)

    kept = await voice.keep(["Hello there.", "Hello there.", ""], PLAIN)
    await said(voice, "Hello  there.", SpeechOptions(tenant="a"))
    await said(voice, "Hello there.", SpeechOptions(tenant="b"))

    assert kept == 1
    assert len(engine.texts) == 1


@pytest.mark.parametrize(
    "other",
    [
        SpeechOptions(voice="x"),
        SpeechOptions(speed=1.1),
        SpeechOptions(language="de"),
        SpeechOptions(instructions="Whisper."),
        SpeechOptions(pitch=1.1),
        SpeechOptions(volume=0.5),
        SpeechOptions(tenant="other"),
    ],
)
async def test_what_sounds_different_or_is_somebody_elses_is_spoken_anew(other: SpeechOptions):
    engine, cache = FakeSynthesizer(), SpeechCache(1_000_000)
    voice = cached(engine, cache)

    for options in (PLAIN, PLAIN, other, PLAIN):
        await said(voice, "Hello", options)

    assert len(engine.texts) == 3


async def test_two_engines_do_not_speak_with_each_others_voice():
    one, two, cache = FakeSynthesizer(), FakeSynthesizer(), SpeechCache(1_000_000)

    await cached(one, cache, "one").keep(["Hello"], PLAIN)
    await said(cached(two, cache, "two"), "Hello")

    assert two.texts == ["Hello"]


async def test_equal_requests_at_once_are_one_synthesis_that_all_hear_as_it_grows():
    engine, cache = GatedVoice(), SpeechCache(1_000_000)
    voice = cached(engine, cache)
    streams = [voice.synthesize("Two words", PLAIN) for _ in range(5)]

    firsts = [await anext(stream) for stream in streams]
    engine.gate.set()
    rests = [[sound async for sound in stream] for stream in streams]

    assert engine.texts == ["Two words"]
    assert all(first == firsts[0] for first in firsts)
    assert all(rest == rests[0] and rest for rest in rests)
    assert cache.figures.joined == 4


async def test_when_the_first_listener_leaves_the_others_hear_it_to_the_end():
    engine, cache = GatedVoice(), SpeechCache(1_000_000)
    voice = cached(engine, cache)
    leader, follower = (voice.synthesize("Two words", PLAIN) for _ in range(2))
    await anext(leader)
    await anext(follower)

    await leader.aclose()
    engine.gate.set()
    rest = [sound async for sound in follower]

    assert rest[-1].words == "words"
    assert engine.open_iterators == 0
    assert cache.figures.stored == 1


async def test_an_interrupted_take_is_not_kept_and_its_engine_stops_at_once():
    engine, cache = GatedVoice(), SpeechCache(1_000_000)
    voice = cached(engine, cache)

    for _ in range(3):
        stream = voice.synthesize("Two words", PLAIN)
        await anext(stream)
        await stream.aclose()
        assert engine.open_iterators == 0

    assert cache.figures.stored == 0
    assert len(engine.texts) == 3


async def test_a_failed_take_is_not_kept_and_all_are_told():
    engine, cache = FakeSynthesizer(fails_on="two", fails_after_words=1), SpeechCache(1_000_000)
    voice = cached(engine, cache)

    for _ in range(3):
        with pytest.raises(EngineFailed):
            await said(voice, "one two")

    assert await voice.keep(["one two", "fine"], PLAIN) == 0
    assert cache.figures.stored == 0
    assert len(engine.texts) == 4


async def test_long_texts_pass_by():
    engine, cache = FakeSynthesizer(word_ms=20), SpeechCache(1_000_000, longest_text=10)
    voice = cached(engine, cache)

    for _ in range(3):
        await said(voice, "longer than ten")

    assert len(engine.texts) == 3
    assert cache.figures.misses == 0


@given(numbers=st.lists(st.integers(0, 9), max_size=30))
async def test_memory_stays_within_its_bound_whatever_is_asked(numbers: list[int]):
    cache = SpeechCache(60_000)
    voice = cached(FakeSynthesizer(word_ms=100), cache)

    for number in numbers:
        await said(voice, f"Number {number}")

    assert cache.figures.memory_bytes <= 60_000
    assert cache.figures.hits + cache.figures.misses == len(numbers)


async def test_what_is_on_disk_survives_a_restart(tmp_path: Path):
    before, after = FakeSynthesizer(), FakeSynthesizer()
    cache = SpeechCache(1_000_000, tmp_path, disk_bytes=1_000_000)
    await cached(before, cache).keep(["Good day."], PLAIN)
    await cache.close()

    again = SpeechCache(1_000_000, tmp_path, disk_bytes=1_000_000)
    sounds = await said(cached(after, again), "Good day.")

    assert after.texts == []
    assert "".join(sound.words for sound in sounds) == "Good day."
    assert (again.figures.disk_hits, again.figures.hits) == (1, 1)


TAKE = Take((Audio(b"\x01\x02" * 500, 16_000, "one "), Audio(b"", 16_000, "two")))


@given(where=st.integers(0, 10_000), how=st.sampled_from(["cut", "flip", "empty"]))
def test_a_damaged_file_is_never_played(where: int, how: str):
    data = bytearray(TAKE.to_file())
    at = where % len(data)
    if how == "flip":
        data[at] ^= 0x40
    else:
        del data[at if how == "cut" else 0 :]

    with pytest.raises(ValueError):
        Take.from_file(bytes(data))


def test_a_damaged_file_on_the_shelf_is_ignored_and_swept_away(tmp_path: Path):
    (tmp_path / "bad.take").write_bytes(b"PARLEY-TAKE 1\nrubbish")
    (tmp_path / "torn.part").write_bytes(b"half")
    shelf = Shelf(tmp_path, 1_000_000)

    take = shelf.read("bad")

    assert take is None
    assert list(tmp_path.iterdir()) == []


def test_the_disk_keeps_what_was_used_last_within_its_bound_and_time(tmp_path: Path):
    size = len(TAKE.to_file())
    shelf = Shelf(tmp_path, size * 2, kept_for_s=1000)
    for age_s, key in enumerate(("a", "b")):
        shelf.write(key, TAKE)
        os.utime(tmp_path / f"{key}.take", (1000 + age_s, 1000 + age_s))

    fresh = Shelf(tmp_path, size * 2, kept_for_s=1e12)
    fresh.write("c", TAKE)
    old = Shelf(tmp_path, size * 2, kept_for_s=1000)

    assert "a" not in fresh
    assert fresh.read("c") == TAKE
    assert ("b" in old, "c" in old) == (False, True)


def test_a_disk_that_refuses_is_no_failure(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    shelf = Shelf(tmp_path / "file" / "folder", 1_000_000)

    shelf.write("a", TAKE)

    assert shelf.read("a") is None


def test_a_voice_that_acts_out_tags_still_says_so_and_without_a_cache_nothing_stands_between():
    class Actor(FakeSynthesizer):
        tags = frozenset({"laugh"})

    actor, options = Actor(), EngineOptions()

    behind = cached_speech(actor, "actor", options, SpeechCache(1000))

    assert isinstance(behind, TagPerformer)
    assert behind.tags == {"laugh"}
    assert not isinstance(
        cached_speech(FakeSynthesizer(), "f", options, SpeechCache(1)), TagPerformer
    )
    assert cached_speech(actor, "actor", options, None) is actor


async def test_what_is_spoken_in_advance_for_a_tenant_is_at_hand_for_it_alone():
    engine, cache = FakeSynthesizer(), SpeechCache(10_000_000)
    voice = cached(engine, cache)
    greeting = "Welcome to the secret shop. " * 20

    await voice.keep([greeting], SpeechOptions(tenant="acme"))
    await said(voice, greeting, SpeechOptions(tenant="acme"))
    spoken_for_acme = len(engine.texts)
    await said(voice, greeting, SpeechOptions(tenant="bee"))

    assert (spoken_for_acme, len(engine.texts)) == (1, 2)


async def test_no_name_of_a_tenant_means_everybody():
    engine, cache = FakeSynthesizer(), SpeechCache(1_000_000)
    voice = cached(engine, cache)

    for tenant in ("*", "*", "", "None", "acme"):
        await said(voice, "Hello", SpeechOptions(tenant=tenant))

    assert len(engine.texts) == 5


async def test_two_tenants_at_once_do_not_hear_one_synthesis():
    engine, cache = GatedVoice(), SpeechCache(1_000_000)
    voice = cached(engine, cache)
    engine.gate.set()

    await asyncio.gather(
        *(said(voice, "Hello there.", SpeechOptions(tenant=tenant)) for tenant in "ab")
    )

    assert (len(engine.texts), cache.figures.joined) == (2, 0)
