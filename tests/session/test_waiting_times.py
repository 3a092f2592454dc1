"""When a caller who waits is told so."""

from __future__ import annotations

from parley.core.events import (
    AgentSpeechStarted,
    AgentSpeechStopped,
    AgentText,
    CallHeld,
    CallResumed,
    Event,
    UserSpeechStarted,
    UserSpeechStopped,
    UserTranscript,
)
from parley.session.waiting_times import BREATH_S, NEWS_BREATH_S, WaitingTimes

CALL = "call_1"
FIRST_S = 0.7


def spoken(times: WaitingTimes, from_s: float, to_s: float) -> None:
    times.note(AgentSpeechStarted(call_id=CALL), from_s)
    times.note(AgentSpeechStopped(call_id=CALL, played_ms=0), to_s)


def due(times: WaitingTimes, **news: bool) -> float | None:
    return times.due_s(first_after_s=FIRST_S, **news)


def test_a_caller_hears_something_soon_and_then_ever_more_rarely():
    times = WaitingTimes()
    times.begin(100.0)

    told = []
    while len(told) < 7:
        at_s = due(times)
        assert at_s is not None
        told.append(round(at_s - 100, 1))
        times.told(at_s)
        spoken(times, at_s + 0.1, at_s + 1.0)

    assert told == [0.7, 5.0, 13.0, 24.0, 40.0, 60.0, 80.0]


def test_nothing_is_due_while_anybody_speaks_or_the_call_is_on_hold():
    times = WaitingTimes()
    times.begin(0.0)
    pairs: list[tuple[Event, Event]] = [
        (AgentSpeechStarted(call_id=CALL), AgentSpeechStopped(call_id=CALL, played_ms=0)),
        (UserSpeechStarted(call_id=CALL), UserSpeechStopped(call_id=CALL)),
        (CallHeld(call_id=CALL), CallResumed(call_id=CALL)),
    ]

    dues = []
    for begins, ends in pairs:
        times.note(begins, 10.0)
        dues.append(due(times))
        times.note(ends, 20.0)
        dues.append(due(times))

    assert dues == [None, 20.0 + FIRST_S] * 3


def test_what_the_agent_says_when_the_wait_begins_stands_for_the_first_sentence():
    times = WaitingTimes()

    times.note(AgentText(call_id=CALL, text="Let me see."), 0.0)
    times.begin(0.1)
    is_first = times.is_first
    spoken(times, 0.3, 1.5)

    assert not is_first
    assert due(times) == 0.1 + 5.0


def test_a_sentence_that_is_not_yet_heard_keeps_the_next_one_back():
    times = WaitingTimes()
    times.begin(0.0)

    times.told(0.7)

    before_s = due(times, has_news=True)
    spoken(times, 1.0, 1.6)
    assert before_s == 3.7
    assert due(times, has_news=True) == 1.6 + NEWS_BREATH_S


def test_news_of_the_tool_does_not_put_off_what_comes_later():
    times = WaitingTimes()
    times.begin(0.0)
    times.told(0.7)
    spoken(times, 0.8, 1.4)

    times.told(2.0)
    spoken(times, 2.1, 3.0)
    after_early_news = due(times)
    times.told(4.9)
    spoken(times, 5.0, 6.0)

    assert after_early_news == 5.5
    assert due(times) == 6.0 + BREATH_S


def test_a_breath_is_left_behind_what_was_said_late():
    times = WaitingTimes()
    times.begin(0.0)
    times.told(0.7)

    spoken(times, 4.0, 4.9)

    assert due(times) == 4.9 + BREATH_S


def test_tools_that_follow_each_other_are_one_wait_until_somebody_says_something():
    times = WaitingTimes()
    times.begin(0.0)
    times.told(0.7)
    spoken(times, 0.8, 1.4)

    times.begin(2.0)
    of_the_same = due(times)
    times.note(UserTranscript(call_id=CALL, text="And?", final=True), 3.0)
    times.begin(4.0)

    assert of_the_same == 5.0
    assert due(times) == 4.0 + FIRST_S
