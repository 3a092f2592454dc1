"""When a number is complete, whichever way it comes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from parley.core.events import CallHeld, DtmfReceived
from parley.session.keypad import HIDDEN, DigitCollector, Keypad
from parley.tools.spec import DigitsGiven, DigitsWanted

PATIENT = DigitsWanted(count=4, first_s=30, between_s=30)
HASTY = DigitsWanted(count=4, first_s=0.02, between_s=0.02)


@dataclass
class Asking:
    """Somebody who asks the question, until told to stop."""

    collector: DigitCollector
    stops: int = 0

    async def stop(self) -> None:
        self.stops += 1

    async def number(self) -> DigitsGiven:
        async with asyncio.timeout(5):
            return await self.collector.collect(self.stop)


def asking(wanted: DigitsWanted, language: str = "en") -> Asking:
    return Asking(DigitCollector(wanted, language))


async def test_it_is_complete_with_its_last_digit():
    one = asking(PATIENT)
    for digit in "47119":
        one.collector.take_key(digit)

    assert await one.number() == DigitsGiven("4711", "count", "keys")
    assert one.stops == 1


async def test_its_terminator_ends_it_early():
    one = asking(PATIENT)
    for digit in "47#":
        one.collector.take_key(digit)

    assert await one.number() == DigitsGiven("47", "terminator", "keys")


async def test_without_a_terminator_the_key_is_one_like_others():
    one = asking(DigitsWanted(count=2, terminator=""))
    for digit in "4#":
        one.collector.take_key(digit)

    assert (await one.number()).digits == "4#"


async def test_half_may_be_typed_and_half_said():
    one = asking(PATIENT)
    one.collector.take_key("4")
    one.collector.take_words("seven and double one")

    assert await one.number() == DigitsGiven("4711", "count", "both")


async def test_silence_counts_only_once_the_question_was_heard():
    one = asking(HASTY)
    waiting = asyncio.create_task(one.number())

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(waiting), 0.1)
    one.collector.asked()

    assert await waiting == DigitsGiven("", "silence", "nobody")


async def test_nobody_who_is_speaking_is_hurried():
    one = asking(HASTY)
    one.collector.asked()
    one.collector.take_turn(is_open=True)
    waiting = asyncio.create_task(one.number())

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(waiting), 0.1)
    one.collector.take_words("four seven one one")

    assert (await waiting).digits == "4711"


async def test_what_comes_too_late_leaves_the_number_incomplete():
    one = asking(HASTY)
    one.collector.take_words("four seven")

    assert await one.number() == DigitsGiven("47", "silence", "voice")


async def test_words_without_a_digit_end_it_unless_it_has_begun():
    fresh, begun = asking(PATIENT), asking(HASTY)
    fresh.collector.take_words("I have lost my card")
    begun.collector.take_key("4")
    begun.collector.take_words("wait a moment")

    assert await fresh.number() == DigitsGiven("", "said", "nobody", "I have lost my card")
    assert await begun.number() == DigitsGiven("4", "silence", "keys")


async def test_numbers_are_heard_in_the_agents_language():
    one = asking(PATIENT, "de")
    one.collector.take_words("vier sieben eins eins")

    assert (await one.number()).digits == "4711"


def test_a_secret_is_hidden_from_everybody_but_the_collector():
    keypad, press = Keypad(), DtmfReceived(call_id="c", digit="4")
    before = keypad.take(press)

    async def secretly() -> None:
        keypad.collector = DigitCollector(DigitsWanted(is_secret=True))
        hidden = keypad.take(press)
        assert isinstance(hidden, DtmfReceived)
        assert (hidden.digit, hidden.is_secret) == ("", True)
        assert keypad.collector.shown("four seven") == HIDDEN
        assert keypad.take(held) is held

    held = CallHeld(call_id="c")
    asyncio.run(secretly())

    assert before is press
