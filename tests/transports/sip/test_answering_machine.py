"""People and machines are told apart by what they do, not by what they say."""

from __future__ import annotations

import numpy as np
import pytest

from parley.session.dialling import Answerer
from parley.transports.sip.answering_machine import AnsweringMachine, AnswerRules
from tests.caller_voice import CALLER_HZ, CallerVoice

PIECE = CALLER_HZ // 50 * 2
MACHINE = (
    "hello you have reached the office we are away today and can not take your call "
    "please leave your name and number after the tone and we will call you back"
)


def silence(duration_ms: int, noise: int = 0) -> bytes:
    samples = CALLER_HZ * duration_ms // 1000
    return np.random.default_rng(1).integers(-noise, noise + 1, samples).astype(np.int16).tobytes()


def tone(duration_ms: int, *pitches_hz: float) -> bytes:
    at = np.arange(CALLER_HZ * duration_ms // 1000) / CALLER_HZ
    waves = sum(np.sin(2 * np.pi * pitch_hz * at) for pitch_hz in pitches_hz)
    return (6000 * waves).astype(np.int16).tobytes()


async def heard(sound: bytes, rules: AnswerRules | None = None) -> Answerer:
    ear = AnsweringMachine(CALLER_HZ, rules)
    for at in range(0, len(sound), PIECE):
        ear.take(sound[at : at + PIECE])
    assert ear.is_decided
    return await ear.verdict()


@pytest.mark.parametrize("words", ["hello", "hello this is anna speaking"])
@pytest.mark.parametrize("noise", [0, 100])
async def test_who_says_a_few_words_and_waits_is_a_person(words: str, noise: int):
    spoken = await CallerVoice().speak(words)

    answerer = await heard(silence(500, noise) + spoken + silence(1200, noise))

    assert (answerer.by, answerer.rule) == ("human", "short_greeting")


async def test_who_talks_on_is_a_machine():
    spoken = await CallerVoice().speak(MACHINE)

    answerer = await heard(silence(300) + spoken)

    assert (answerer.by, answerer.rule) == ("machine", "long_greeting")
    assert answerer.after_ms < 4000


@pytest.mark.parametrize("pitch_hz", [440, 1000, 1400, 2100])
async def test_a_tone_is_a_machine(pitch_hz: float):
    answerer = await heard(silence(200) + tone(300, pitch_hz) + silence(100))

    assert (answerer.by, answerer.rule) == ("machine", "beep")


async def test_two_tones_together_or_a_click_are_none():
    chord = await heard(tone(400, 440, 480) + silence(1200))
    click = await heard(tone(40, 1000) + silence(5000))

    assert chord.rule != "beep"
    assert (click.by, click.rule) == ("unsure", "silence")


async def test_a_vowel_is_no_tone():
    spoken = await CallerVoice().speak("ooo aaa eee")

    assert (await heard(spoken + silence(1200))).rule != "beep"


async def test_silence_is_nobody_in_particular():
    answerer = await heard(silence(4100, noise=60))

    assert (answerer.by, answerer.rule) == ("unsure", "silence")


async def test_a_line_on_which_nothing_comes_is_not_waited_for_for_ever():
    ear = AnsweringMachine(CALLER_HZ, AnswerRules(limit_ms=-950))

    assert await ear.verdict() == Answerer("unsure", "limit", 0)


async def test_a_message_may_be_left_when_the_tone_is_over_and_not_before():
    spoken = await CallerVoice().speak(MACHINE)
    ear = AnsweringMachine(CALLER_HZ)
    said = spoken + silence(600) + tone(500, 1000)
    for at in range(0, len(said), PIECE):
        ear.take(said[at : at + PIECE])
    before = ear.may_speak
    for _ in range(10):
        ear.take(silence(20))
    await ear.listens()

    assert (before, ear.may_speak) == (False, True)


async def test_without_a_tone_a_long_silence_will_do():
    spoken = await CallerVoice().speak(MACHINE)
    ear = AnsweringMachine(CALLER_HZ)
    said = spoken + silence(2500)
    for at in range(0, len(said), PIECE):
        ear.take(said[at : at + PIECE])

    assert ear.may_speak
