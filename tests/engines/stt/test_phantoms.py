"""What Whisper invents in silence is dropped, and what callers say is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.engines.stt.phantoms import Scores, is_phantom, may_be_phantom

CLEAR = Scores(no_speech=0.01, avg_logprob=-0.2, compression=1.1)
NO_SPEECH = Scores(no_speech=0.9, avg_logprob=-0.8, compression=0.8)
DOUBTFUL = Scores(no_speech=0.8, avg_logprob=-1.4, compression=0.9)
LOOP = Scores(no_speech=0.1, avg_logprob=-0.2, compression=9.0)


@pytest.mark.parametrize(
    "text",
    [
        "Thanks for watching!",
        "Thank you for watching. Thank you for watching. Thank you for watching.",
        "Please subscribe to my channel.",
        "Subtitles by the Amara.org community",
        "[BLANK_AUDIO]",
        "(applause)",
        "♪ ♪",
        "* sighs *",
        "Untertitel der Amara.org-Community",
        "Untertitel im Auftrag des ZDF für funk, 2017",
        "Vielen Dank fürs Zuschauen!",
        "Sous-titrage ST' 501",
        "Sous-titrage Société Radio-Canada",
        "¡Gracias por ver el video!",
        "Sottotitoli e revisione a cura di QTSS",
        "Ondertiteld door de Amara.org gemeenschap",
        "Dziękuję za oglądanie.",
        "Субтитры сделал DimaTorzok",
        "Продолжение следует...",
        "Abone olmayı unutmayın.",
        "Altyazı M.K.",
        "ترجمة نانسي قنقر",
        "ご視聴ありがとうございました。",
        "次の動画でお会いしましょう",
        "시청해주셔서 감사합니다!",
        "MBC 뉴스 이덕영입니다.",
        "请不吝点赞 订阅 转发 打赏支持明镜与点点栏目",
        "Terima kasih telah menonton!",
        "Cảm ơn các bạn đã theo dõi và hẹn gặp lại.",
        "ขอบคุณที่รับชม",
    ],
)
def test_credits_and_farewells_to_viewers_are_dropped_whatever_the_sound(text: str) -> None:
    assert is_phantom(text, spoken_ms=2000, scores=[CLEAR])
    assert may_be_phantom(text)


@pytest.mark.parametrize(
    "text",
    ["Thank you.", "Thanks.", "Bye.", "you", "Okay. Bye.", "Danke.", "Merci.", "はい。", "谢谢。"],
)
def test_courtesies_need_a_voice_in_the_sound(text: str) -> None:
    assert is_phantom(text, spoken_ms=0)
    assert not is_phantom(text, spoken_ms=300)
    assert not is_phantom(text, spoken_ms=300, scores=[CLEAR])
    assert is_phantom(text, spoken_ms=300, scores=[NO_SPEECH])


@pytest.mark.parametrize(
    "text",
    [
        "Thank you, that is all I need.",
        "I watch your channel and want to subscribe to your newsletter.",
        "The subtitles on my television don't work.",
        "No, thanks for asking.",
        "Yes.",
        "No.",
        "Untertitel brauche ich keine, danke.",
        "Ich möchte das Abo kündigen.",
        "字幕をつけてください。今すぐお願いします。",
        "My website is www.example.com.",
        "Music, please (the loud one).",
    ],
)
def test_what_callers_say_is_kept(text: str) -> None:
    assert not is_phantom(text, spoken_ms=900)
    assert not is_phantom(text, spoken_ms=900, scores=[CLEAR])


def test_a_phantom_at_the_end_of_real_words_drops_nothing() -> None:
    assert not is_phantom("A table for two. Thanks for watching!", spoken_ms=1500)


def test_words_that_the_model_itself_doubts_are_dropped() -> None:
    assert is_phantom("The cat is in the garden.", spoken_ms=400, scores=[DOUBTFUL])
    assert not is_phantom("The cat is in the garden.", spoken_ms=400, scores=[DOUBTFUL, CLEAR])


def test_circling_words_are_dropped_when_nobody_could_have_said_them_so_fast() -> None:
    circling = "and then " * 60

    assert is_phantom(circling, spoken_ms=800, scores=[LOOP])
    assert not is_phantom(circling, spoken_ms=30_000, scores=[LOOP])


def test_nothing_is_no_phantom() -> None:
    assert not is_phantom("", spoken_ms=0, scores=[DOUBTFUL])


@given(text=st.text(max_size=200), spoken_ms=st.integers(0, 10_000))
def test_any_text_gets_a_verdict(text: str, spoken_ms: int) -> None:
    assert is_phantom(text, spoken_ms) in (True, False)
    assert may_be_phantom(text) in (True, False)
