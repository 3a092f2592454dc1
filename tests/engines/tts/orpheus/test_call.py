"""Orpheus in a call: heard through LiveSpeech, its tags kept, and as a service of Pipecat's."""

from __future__ import annotations

import numpy as np
import pytest

from parley.core.errors import BadSettings
from parley.engines.services.orpheus import OrpheusTTSService
from parley.engines.tts.aggregation import SpeechAggregator
from parley.engines.tts.live import LiveSpeech
from parley.engines.tts.orpheus.script import TAGS
from parley.engines.tts.speakable import speakable
from tests.engines.servers.orpheus_talker import Playing, VllmServer
from tests.engines.tts.call import RATE_HZ, speaking_call
from tests.engines.tts.orpheus.sounds import PLAIN, TINY_SNAC, speech

TEXT = "Good morning <laugh> this is the practice."


async def test_a_reply_is_heard_and_kept_with_its_tags_and_the_model_sees_them():
    async with VllmServer(Playing(frames=12)) as server:
        engine = speech(server.url)
        live = LiveSpeech(engine, PLAIN, output_rate_hz=RATE_HZ, sentence_gap_ms=0)
        async with speaking_call(live) as call:
            await call.reply("Good morning <la", "ugh> this <b>is</b> the practice.")
            await call.kept()
            levels, said, errors = list(call.output.levels), call.said, call.errors
        await engine.close()

    prompt = "".join(chr(token - 1000) for token in server.asked[0]["prompt"][2:-4])
    assert prompt == f"tara: {TEXT}"
    assert (said, errors) == ([TEXT], [])
    assert len(levels) == -(-12 * 2048 // 480)
    assert np.abs(levels).max() > 1000


async def test_an_interruption_closes_the_request_at_the_server():
    async with VllmServer(Playing(frames=40, stalls_after=140)) as server:
        engine = speech(server.url)
        live = LiveSpeech(engine, PLAIN, output_rate_hz=RATE_HZ, sentence_gap_ms=0)
        async with speaking_call(live) as call:
            await call.output.hold_back()
            await call.reply("This is a sentence of a certain length, and it goes on.")
            await call.output.play(100)
            await call.interrupt_unheard()
            await server.client_left()
        await engine.close()

    assert server.busy == 0


async def test_as_a_service_it_speaks_in_any_pipeline():
    async with VllmServer(Playing(frames=12)) as server:
        service = OrpheusTTSService(base_url=server.url, voice="leo", snac=TINY_SNAC)
        async with speaking_call(service) as call:
            await call.reply("Good morning to you.")
            await call.kept()

            assert call.said == ["Good morning to you."]
            assert np.abs(call.output.levels).max() > 1000
    prompt = "".join(chr(token - 1000) for token in server.asked[0]["prompt"][2:-4])
    assert prompt == "leo: Good morning to you."


def test_a_service_with_wrong_options_says_which():
    with pytest.raises(BadSettings, match="temperature of the tts engine orpheus"):
        OrpheusTTSService(base_url="http://localhost:1", temperature=0)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Ha <laugh> ha.", "Ha <laugh> ha."),
        ("Ha <Sigh/> <b>ha</b>.", "Ha <Sigh/> ha ."),
        ("One <break time='1s'/> two.", "One <break time='1s'/> two."),
        ("<script>x</script>", "x"),
    ],
)
async def test_tags_that_an_engine_acts_out_survive_the_cleaning(text: str, kept: str):
    tags = TAGS | {"break"}
    aggregator = SpeechAggregator(lambda: False, tags=tags)

    cuts = [cut.text async for cut in aggregator.aggregate(text)]
    rest = await aggregator.flush()

    assert await speakable(text, tags=tags) == kept
    assert " ".join([*cuts, *([rest.text] if rest else [])]) == kept
