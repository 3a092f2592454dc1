"""Voice activity with the shared model: short words count, quiet windows cost nothing."""

from __future__ import annotations

import numpy as np
import pytest
from pipecat.audio.vad.vad_analyzer import VADState

from parley.agents.schema import Vad
from parley.core.audio import Resampler
from parley.engines.vad.silero import RATE_HZ, CallVadAnalyzer, SileroVad
from tests.caller_voice import CallerVoice

PIECE = RATE_HZ // 50 * 2
WINDOW = 512
SECOND = bytes(RATE_HZ * 2)


@pytest.fixture(scope="module")
def silero() -> SileroVad:
    vad = SileroVad()
    vad.warm_up()
    return vad


def analyzer(silero: SileroVad, **wish: float) -> CallVadAnalyzer:
    """A call's analyzer with what agents have by default."""
    default = Vad(**wish)
    found = silero.analyzer(
        confidence=default.confidence,
        start_ms=default.start_ms,
        stop_ms=default.stop_ms,
        min_volume=default.min_volume,
    )
    found.set_sample_rate(RATE_HZ)
    return found


async def states(vad: CallVadAnalyzer, pcm: bytes) -> list[VADState]:
    pieces = (pcm[at : at + PIECE] for at in range(0, len(pcm), PIECE))
    return [await vad.analyze_audio(piece) for piece in pieces]


@pytest.mark.parametrize("voice", ["en-gb", "en-us"])
@pytest.mark.parametrize("word", ["anna", "no", "tom"])
async def test_a_short_word_is_speech_wherever_it_falls_between_the_windows(silero, voice, word):
    spoken = await CallerVoice()(word, voice)

    missed = [
        offset
        for offset in range(0, WINDOW, 32)
        if VADState.SPEAKING
        not in await states(analyzer(silero), SECOND + bytes(2 * offset) + spoken + SECOND)
    ]

    assert missed == []


async def test_who_speaks_from_the_first_packet_on_is_heard_as_soon_as_later(silero):
    spoken = await CallerVoice()("what are your opening hours")

    at_once = (await states(analyzer(silero), spoken)).index(VADState.SPEAKING)
    later = (await states(analyzer(silero), SECOND + spoken)).index(VADState.SPEAKING)

    assert at_once <= later - len(SECOND) // PIECE + 2


@pytest.mark.parametrize("amplitude", [0, 3, 30])
async def test_the_noise_of_a_quiet_room_is_no_speech(silero, amplitude):
    noise = np.random.default_rng(1).normal(0, amplitude, 3 * RATE_HZ).astype(np.int16).tobytes()

    assert set(await states(analyzer(silero), noise)) == {VADState.QUIET}


async def test_a_click_is_no_speech(silero):
    click = np.zeros(RATE_HZ, np.int16)
    click[8000:8080] = 20_000

    assert VADState.SPEAKING not in await states(analyzer(silero), click.tobytes())


async def test_a_long_silence_does_not_ask_the_model_and_speech_after_it_does(silero):
    vad = analyzer(silero)
    await states(vad, SECOND)
    asked = AskedModel(vad._model)
    vad._model = asked
    spoken = await CallerVoice()("what are your opening hours")

    await states(vad, 5 * SECOND)
    in_silence = asked.times
    heard = await states(vad, spoken)

    assert in_silence == 0
    assert asked.times > 10
    assert VADState.SPEAKING in heard


async def test_the_pause_grows_while_the_speaker_is_silent_and_is_none_while_they_speak(silero):
    vad = analyzer(silero, stop_ms=400)
    spoken = await CallerVoice()("what are your opening hours")
    await states(vad, SECOND)

    pauses: list[float] = []
    for piece in (spoken[at : at + PIECE] for at in range(0, len(spoken), PIECE)):
        if await vad.analyze_audio(piece) is VADState.SPEAKING:
            pauses.append(vad.pause_ms)
    after = [vad.pause_ms for _ in range(30) if await vad.analyze_audio(bytes(PIECE))]

    assert set(pauses) == {0.0}
    assert after == sorted(after)
    assert after[-1] == 400


async def test_calls_share_the_session_but_not_what_they_heard(silero):
    speaking, silent = analyzer(silero), analyzer(silero)
    spoken = await CallerVoice()("what are your opening hours")

    heard = [
        (await speaking.analyze_audio(spoken[at : at + PIECE]), await silent.analyze_audio(quiet))
        for at, quiet in ((at, bytes(PIECE)) for at in range(0, len(spoken), PIECE))
    ]

    assert VADState.SPEAKING in {first for first, _ in heard}
    assert {second for _, second in heard} == {VADState.QUIET}
    assert speaking._model.session is silent._model.session


async def test_a_telephone_s_rate_is_heard_as_well(silero):
    vad = silero.analyzer(confidence=0.7, start_ms=120, stop_ms=200, min_volume=0.6)
    vad.set_sample_rate(8000)
    down = Resampler(RATE_HZ, 8000)
    spoken = down.push(await CallerVoice()("what are your opening hours")) + down.flush()

    assert VADState.SPEAKING in await states(vad, spoken)


class AskedModel:
    """The analyzer's model, counted."""

    def __init__(self, model) -> None:
        self.session = model.session
        self._model = model
        self.times = 0

    def __call__(self, samples, rate_hz):
        self.times += 1
        return self._model(samples, rate_hz)

    def reset_states(self) -> None:
        self._model.reset_states()
