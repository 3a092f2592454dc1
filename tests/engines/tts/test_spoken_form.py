"""What is written becomes what a person would say, and the conversation keeps what was written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.core.audio import Audio
from parley.engines.tts.aggregation import SpeechAggregator
from parley.engines.tts.spoken_form import spoken_form
from parley.engines.tts.utterance import SpeakingRate, Utterance


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("It's all words, isn't it?", "It's all words, isn't it?"),
        ("Mail ann.smith22@example.com.", "Mail ann dot smith two two at example dot com."),
        ("See https://www.example.org/help?x=1#a.", "See example dot org slash help."),
        ("Go to example.co.uk now", "Go to example dot co dot uk now"),
        ("On 2026-03-03.", "On March third, twenty twenty six."),
        ("At 2026-03-03T14:05.", "At March third, twenty twenty six at two oh five p.m."),
        ("On 3/4/2026.", "On March fourth, twenty twenty six."),
        ("On 25/12/2026.", "On December twenty fifth, twenty twenty six."),
        ("Tuesday, March 3rd", "Tuesday, March third"),
        ("3 March 2026", "the third of March twenty twenty six"),
        ("the 3rd of March", "the third of March"),
        ("at 9:30", "at nine thirty"),
        ("at 9:05 a.m. sharp", "at nine oh five a.m. sharp"),
        ("at 12:00, 14:00 and 0:30.", "at twelve o'clock, two p.m. and twelve thirty a.m."),
        ("7pm or 7 PM", "seven p.m. or seven p.m."),
        ("9am-5pm", "nine a.m. to five p.m."),
        ("9:00–17:30", "nine o'clock to five thirty p.m."),
        ("Call 555-123-4567.", "Call five five five, one two three, four five six seven."),
        ("+44 20 7946", "plus four four, two zero, seven nine four six"),
        ("(555) 123-4567", "five five five, one two three, four five six seven"),
        ("$5.50", "five dollars and fifty cents"),
        ("$1 or $0.99", "one dollar or ninety nine cents"),
        ("£3 million", "three million pounds"),
        ("5,50 € or 20 EUR", "five euros and fifty cents or twenty euros"),
        ("$1,234.00", "one thousand two hundred thirty four dollars"),
        ("10-20% off", "ten to twenty percent off"),
        ("5–10 kg for $10-$20", "five to ten kilograms for ten dollars to twenty dollars"),
        ("2.5% of 1,000,000", "two point five percent of one million"),
        ("5 kg, 1 km and -5 °C", "five kilograms, one kilometer and minus five degrees Celsius"),
        ("since 2005 and in 1999", "since two thousand five and in nineteen ninety nine"),
        ("1500 people", "one thousand five hundred people"),
        ("the 1st, 22nd and 30th", "the first, twenty second and thirtieth"),
        ("1/2 a cup, ½ an hour", "one half a cup, a half an hour"),
        ("3.14 and 1.2.3", "three point one four and one point two point three"),
        ("#5 and No. 7", "number five and number seven"),
        ("code 0042", "code zero zero four two"),
        ("A4, MP3 and 5G", "A4, MP3 and 5G"),
        ("Great 👍🏽! Family 👨‍👩‍👧 ok ❤️", "Great! Family ok"),
        ("e.g. Dr. Smith & Co", "for example Doctor Smith and Co"),
        ("5 + 5 = 10", "five plus five equals ten"),
        ('Hm <break time="500ms"/> 5', 'Hm <break time="500ms"/> five'),
        ("", ""),
    ],
)
def test_english_is_said_as_a_person_would(written: str, spoken: str):
    assert spoken_form(written, "en").spoken == spoken


def test_other_languages_lose_only_pictures_and_schemes():
    form = spoken_form("Um 9:30 👍 auf https://www.example.org, 5 €.", "de")

    assert form.spoken == "Um 9:30 auf example.org, 5 €."


@given(text=st.text(alphabet="ab .,:-/$€%@19#5&👍<>+\n", max_size=60))
def test_the_written_words_are_kept_and_places_go_forward(text: str):
    form = spoken_form(text, "en")

    places = [form.written_at(at) for at in range(len(form.spoken) + 1)]
    assert form.written == " ".join(text.split())
    assert places == sorted(places)
    assert all(0 <= place <= len(form.written) for place in places)


def test_the_conversation_keeps_the_written_words_as_far_as_they_were_spoken():
    form = spoken_form("Come at 9:30 on March 3rd please", "en")
    utterance = Utterance(form.written, 16_000, SpeakingRate(), form)
    kept: list[str] = []

    for word in utterance.spoken.split():
        sound = Audio(bytes(640), 16_000, f"{word} ")
        for portion in utterance.take(sound, is_hurried=True):
            kept.append(utterance.row.between(0, portion.words_done).strip())
    kept += [utterance.row.between(0, p.words_done).strip() for p in utterance.end()]

    assert utterance.spoken == "Come at nine thirty on March third please"
    assert "Come at" in kept
    assert "Come at 9:30" in kept
    assert not any("nine" in text for text in kept)
    assert kept == sorted(kept, key=len)
    assert kept[-1] == form.written


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Dr. Smith is in. He has time.", ["Dr. Smith is in.", "He has time."]),
        ("It costs 3.50 today. Fine.", ["It costs 3.50 today.", "Fine."]),
        ("See www.example.org/a.b now. Good.", ["See www.example.org/a.b now.", "Good."]),
        ("At 9 a.m. we open. Come in.", ["At 9 a.m. we open.", "Come in."]),
        ("Bring fruit, e.g. apples. Thanks.", ["Bring fruit, e.g. apples.", "Thanks."]),
        ("Write to a.b@example.com. Bye.", ["Write to a.b@example.com.", "Bye."]),
    ],
)
async def test_sentences_are_cut_where_they_end(text: str, sentences: list[str]):
    aggregator = SpeechAggregator(lambda: False)

    cut = [each.text for token in text for each in [a async for a in aggregator.aggregate(token)]]
    rest = await aggregator.flush()

    assert cut + ([rest.text] if rest else []) == sentences
