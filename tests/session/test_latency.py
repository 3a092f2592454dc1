"""The stages of a turn add up to what the caller waited."""

from parley.session.latency import TurnClock


def test_stages_follow_each_other():
    clock = TurnClock(
        speech_ended_s=10.0,
        vad_stopped_s=10.2,
        transcript_s=10.23,
        turn_ended_s=10.26,
        first_text_s=10.27,
        first_sound_s=10.3,
        sure=True,
    )

    stages = clock.stages()

    assert stages == {
        "endpointing_ms": 260.0,
        "silence_ms": 200.0,
        "stt_ms": 30.0,
        "llm_ms": 10.0,
        "tts_ms": 30.0,
        "reply_ms": 300.0,
    }


def test_an_unsure_verdict_makes_all_endpointing_deliberate():
    clock = TurnClock(speech_ended_s=10.0, vad_stopped_s=10.2, turn_ended_s=10.8, sure=False)

    assert clock.stages()["silence_ms"] == 800.0


def test_a_reply_to_nobody_has_no_stages():
    assert TurnClock(first_sound_s=3.0).stages() == {}
