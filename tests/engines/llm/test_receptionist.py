"""The shipped receptionist, talked to as callers talk."""

from __future__ import annotations

import pytest

from tests.engines.llm.conversation import Conversation


async def test_the_greeting_comes_without_a_word_from_the_caller():
    conversation = Conversation()

    greeting = await conversation.turn()

    assert greeting == "Good morning, this is Linden Dental Practice. How can I help you?"


@pytest.mark.parametrize(
    ("question", "part_of_answer"),
    [
        ("Hello!", "What can I do for you?"),
        ("what are your opening hours", "Monday to Friday, from nine to five"),
        ("so, um, when do you open?", "Monday to Friday"),
        ("Opening hours please", "Monday to Friday"),
        ("What time is it?", "It is ten oh seven."),
        ("what's the date today", "Today is Monday, March 2nd."),
        ("where are you located", "Linden Street"),
        ("Could I have, I mean what's your phone number?", "five five five"),
        ("how much is a check-up", "sixty pounds"),
        ("How much does a cleaning cost?", "forty five pounds"),
        ("are you a robot", "not a person"),
        ("who are you", "script"),
        ("my tooth hurts", "sorry to hear"),
        ("thanks a lot", "You are welcome."),
        ("what can you do", "book, move or cancel"),
        ("what are your opening hours and where are you", "Linden Street"),
    ],
)
async def test_a_question_gets_its_answer(question, part_of_answer):
    conversation = Conversation()

    answer = await conversation.say(question)

    assert part_of_answer in answer


async def test_booking_asks_for_what_is_missing_and_books_after_a_yes():
    conversation = Conversation()

    replies = [
        await conversation.say(text)
        for text in (
            "I'd like to book an appointment", "tomorrow", "half past nine",
            "my name is Anna", "yes please",
        )
    ]  # fmt: skip

    assert replies == [
        "When would you like to come?",
        "What time on Tuesday, March 3rd?",
        "May I have your name, please?",
        "Shall I book Tuesday, March 3rd at half past nine for Anna?",
        "That is booked, Anna: Tuesday, March 3rd at half past nine. Is there anything else?",
    ]
    assert [(call.name, call.arguments) for call in conversation.calls] == [
        ("book_appointment", {"name": "Anna", "day": "2026-03-03", "time": "09:30"})
    ]


async def test_everything_said_at_once_needs_only_a_yes():
    conversation = Conversation()

    question = await conversation.say("Book a check-up next Friday at 2:30 pm for Peter, please.")

    assert question == "Shall I book Friday, March 13th at half past two for Peter?"


async def test_a_correction_changes_only_what_was_said():
    conversation = Conversation()
    await conversation.say("book an appointment tomorrow at ten for anna")

    corrected = await conversation.say("no, make it half past ten")
    declined = await conversation.say("no")
    changed = await conversation.say("Wednesday")

    assert "Tuesday, March 3rd at half past ten for Anna" in corrected
    assert declined == "All right. What should I change?"
    assert "Wednesday, March 4th at half past ten for Anna" in changed
    assert conversation.calls == []


async def test_a_question_in_between_is_answered_and_booking_goes_on():
    conversation = Conversation()
    await conversation.say("I want to make an appointment")

    aside = await conversation.say("how much does it cost?")
    answer = await conversation.say("on thursday at nine")

    assert aside == (
        "A check-up is sixty pounds. A cleaning is forty five pounds. Which day suits you?"
    )
    assert answer == "May I have your name, please?"


async def test_a_name_that_no_list_holds_is_taken_when_asked_for():
    conversation = Conversation()
    await conversation.say("book an appointment tomorrow at ten")

    question = await conversation.say("It's Xenia Okonkwo")

    assert question == "Shall I book Tuesday, March 3rd at ten o'clock for Xenia Okonkwo?"


async def test_a_taken_time_is_refused_with_the_nearest_free_ones():
    conversation = Conversation()
    for text in ("book tuesday at ten for ben", "book an appointment tuesday at ten", "Ben", "yes"):
        await conversation.say(text)

    await conversation.say("book an appointment on tuesday at ten for anna")
    refusal = await conversation.say("yes")
    question = await conversation.say("half past ten then")

    assert refusal == (
        "Tuesday, March 3rd at ten o'clock is already taken. The nearest free times are "
        "nine o'clock, half past nine and half past ten. What time on Tuesday, March 3rd?"
    )
    assert "half past ten for Anna" in question


async def test_free_times_lead_on_to_a_booking():
    conversation = Conversation()

    closed = await conversation.say("when are you free on saturday")
    free = await conversation.say("then friday")
    await conversation.say("at eleven")
    question = await conversation.say("Lucy")
    booked = await conversation.say("sure")

    assert closed.startswith("We are closed on Saturday.")
    assert closed.endswith("For which day?")
    assert free == (
        "On Friday, March 6th you could come from nine o'clock to half past four. "
        "Which time would you like?"
    )
    assert question == "Shall I book Friday, March 6th at eleven o'clock for Lucy?"
    assert booked.startswith("That is booked, Lucy")


async def test_asking_what_is_free_while_booking_keeps_the_day():
    conversation = Conversation()
    await conversation.say("book an appointment tomorrow")

    free = await conversation.say("what times are free?")
    other_day = await conversation.say("what about wednesday?")

    assert free.startswith("On Tuesday, March 3rd you could come from nine o'clock")
    assert other_day == "At what time?"
    assert (
        "Wednesday, March 4th at ten o'clock"
        in [await conversation.say(text) for text in ("ten", "Anna")][-1]
    )


async def test_an_appointment_is_moved():
    conversation = Conversation()
    for text in ("book an appointment tomorrow at ten for anna", "yes"):
        await conversation.say(text)

    found = await conversation.say("can you move my appointment")
    await conversation.say("to friday")
    question = await conversation.say("at three o'clock")
    moved = await conversation.say("yes")

    assert found == (
        "Your appointment is on Tuesday, March 3rd at ten o'clock. Which day should I move it to?"
    )
    assert question == "Shall I move it to Friday, March 6th at three o'clock?"
    assert moved.startswith("Done. We expect you on Friday, March 6th at three o'clock.")


async def test_an_appointment_is_cancelled_only_after_a_yes():
    conversation = Conversation()
    for text in ("book an appointment tomorrow at ten for anna", "yes"):
        await conversation.say(text)

    await conversation.say("cancel my appointment")
    kept = await conversation.say("no")
    question = await conversation.say("I want to cancel my appointment")
    cancelled = await conversation.say("yes")
    none_left = await conversation.say("when is my appointment?")

    assert kept == "All right, it stays as it is. Is there anything else?"
    assert question == "Shall I cancel your appointment on Tuesday, March 3rd?"
    assert cancelled.startswith("Your appointment on Tuesday, March 3rd at ten o'clock is canc")
    assert none_left == "I can find no appointment for Anna."


async def test_the_last_reply_is_repeated_as_often_as_asked():
    conversation = Conversation()
    answer = await conversation.say("where are you?")

    repeats = [await conversation.say("Sorry, can you repeat that?") for _ in range(2)]

    assert repeats == [answer, answer]


async def test_speech_is_adjusted_through_the_tool_in_the_midst_of_booking():
    conversation = Conversation()
    question = await conversation.say("book an appointment tomorrow at ten")

    louder = await conversation.say("speak a bit louder please")

    assert question == "May I have your name, please?"
    assert louder == "Is this better? What is your name?"
    assert conversation.actions.done == [("adjust_speech", 1.0, 1.5)]


async def test_goodbye_is_said_before_the_line_is_hung_up():
    conversation = Conversation()

    goodbye = await conversation.say("that's all, goodbye")

    assert goodbye == "Thank you for calling. Goodbye!"
    assert conversation.actions.done == ["hang_up"]
    assert conversation.messages[-3]["content"] == goodbye


async def test_a_no_to_anything_else_ends_the_call_but_not_within_a_booking():
    conversation = Conversation()
    await conversation.say("book an appointment")

    within = await conversation.say("no")
    await conversation.say("never mind")
    outside = await conversation.say("no thank you")

    assert "When would you like to come?" in within or "Which day suits you?" in within
    assert outside == "Thank you for calling. Goodbye!"


async def test_what_is_not_understood_gets_more_help_each_time():
    conversation = Conversation()

    replies = [await conversation.say("purple monkey dishwasher") for _ in range(4)]

    assert replies[0] == "Sorry, I did not get that."
    assert "You can book, move or cancel an appointment" in replies[1]
    assert "my colleagues" in replies[2]
    assert replies[3] == replies[2]


async def test_a_question_that_is_never_answered_is_given_up():
    conversation = Conversation()
    await conversation.say("book an appointment")

    for _ in range(3):
        last = await conversation.say("purple monkey dishwasher")
    after = await conversation.say("what time is it")

    assert last.startswith("I am sorry, I could not get that.")
    assert after == "It is ten oh seven."


async def test_without_the_tool_the_script_says_that_it_cannot():
    conversation = Conversation(tools=[])

    await conversation.say("book an appointment tomorrow at ten for anna")
    refused = await conversation.say("yes")
    goodbye = await conversation.say("goodbye")

    assert refused.startswith("I am sorry, I can't do that here.")
    assert goodbye == "Thank you for calling. Goodbye!"
