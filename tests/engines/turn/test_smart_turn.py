"""Smart Turn on the shared model: its verdict is begun while the caller only pauses."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from pipecat.audio.turn.base_turn_analyzer import EndOfTurnState

from parley.engines.turn.smart_turn import (
    EARLY_PAUSE_MS,
    RATE_HZ,
    CallTurnAnalyzer,
    SmartTurn,
)
from tests.caller_voice import CallerVoice

PIECE_MS = 20
PIECE = RATE_HZ * PIECE_MS // 1000 * 2
COMPLETE, INCOMPLETE = EndOfTurnState.COMPLETE, EndOfTurnState.INCOMPLETE


@pytest.fixture(scope="module")
def smart_turn() -> Iterator[SmartTurn]:
    smart_turn = SmartTurn(threads=1)
    smart_turn.warm_up()
    yield smart_turn
    smart_turn.close()


class Caller:
    """Speaks into one analyzer; voice activity counts its pauses as speech until ``stops``."""

    def __init__(self, smart_turn: SmartTurn) -> None:
        self.pause_ms = 0.0
        self.analyzer: CallTurnAnalyzer = smart_turn.analyzer(
            unsure_wait_ms=600, pause_ms=lambda: self.pause_ms
        )
        self.analyzer.set_sample_rate(RATE_HZ)
        self.judged = 0
        self._judge = self.analyzer._process_speech_segment
        self.analyzer._process_speech_segment = self._count

    def _count(self, heard):
        self.judged += 1
        return self._judge(heard)

    def speaks(self, pcm: bytes) -> None:
        self.pause_ms = 0.0
        for at in range(0, len(pcm), PIECE):
            self.analyzer.append_audio(pcm[at : at + PIECE], True)

    def pauses(self, duration_ms: int) -> None:
        for _ in range(duration_ms // PIECE_MS):
            self.pause_ms += PIECE_MS
            self.analyzer.append_audio(bytes(PIECE), True)

    async def stops(self) -> EndOfTurnState:
        self.analyzer.append_audio(bytes(PIECE), False)
        state, _ = await self.analyzer.analyze_end_of_turn()
        return state


@pytest.fixture
def caller(smart_turn: SmartTurn) -> Caller:
    return Caller(smart_turn)


@pytest.fixture
async def sentence() -> bytes:
    return await CallerVoice()("what are your opening hours")


async def test_the_early_verdict_is_the_verdict(caller, smart_turn, sentence):
    caller.speaks(sentence)
    caller.pauses(200)
    early = await caller.stops()
    late = Caller(smart_turn)
    late.speaks(sentence + bytes(PIECE * 10))

    assert early == await late.stops()
    assert caller.judged == late.judged == 1


async def test_a_pause_too_short_to_be_one_is_not_judged(caller, sentence):
    caller.speaks(sentence)
    caller.pauses(EARLY_PAUSE_MS - PIECE_MS)

    assert caller.analyzer._early is None


async def test_one_pause_is_judged_once(caller, sentence):
    caller.speaks(sentence)
    caller.pauses(180)
    await caller.stops()

    assert caller.judged == 1


async def test_who_goes_on_speaking_is_judged_anew_with_all_they_said(caller, sentence):
    caller.speaks(sentence)
    caller.pauses(120)
    first = caller.analyzer._early
    caller.speaks(sentence)
    forgotten = caller.analyzer._early
    caller.pauses(120)
    second = caller.analyzer._early
    await caller.stops()

    assert (first is not None and first.cancelled()) or first.done()
    assert forgotten is None
    assert second is not None and second is not first


async def test_a_verdict_is_used_for_one_turn_only(caller, sentence):
    caller.speaks(sentence)
    caller.pauses(200)
    await caller.stops()

    assert caller.analyzer._early is None


async def test_clearing_throws_the_early_verdict_away(caller, sentence):
    caller.speaks(sentence)
    caller.pauses(200)

    caller.analyzer.clear()

    assert caller.analyzer._early is None


async def test_a_sure_verdict_ends_the_turn_and_an_unsure_one_leaves_it_open(smart_turn, sentence):
    sure, unsure = Caller(smart_turn), Caller(smart_turn)
    sure.speaks(sentence)
    # What the model thinks of this synthetic "no", it would of no person's.
    unsure.speaks(await CallerVoice()("no."))
    sure.pauses(200)
    unsure.pauses(200)

    assert await sure.stops() is COMPLETE
    assert await unsure.stops() is INCOMPLETE
    assert not sure.analyzer.speech_triggered
    assert unsure.analyzer.speech_triggered


async def test_silence_alone_can_be_judged_at_any_length(smart_turn):
    analyzer = smart_turn.analyzer(unsure_wait_ms=600)

    found = [analyzer.judge(np.zeros(n, np.float32)) for n in (1, 1600, 20 * RATE_HZ)]

    assert all(0 <= probability <= 1 for probability in found)
