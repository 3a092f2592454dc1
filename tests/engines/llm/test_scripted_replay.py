"""The dialogue is read out of the messages alone, in every form that they can come in."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pipecat.processors.aggregators import async_tool_messages

from parley.engines.llm.scripted.hearing import Listener
from parley.engines.llm.scripted.reading import find_script, read_script
from parley.engines.llm.scripted.replay import next_turn
from parley.engines.spec import ToolRequest
from tests.engines.llm.conversation import MONDAY, tool_call_message, tool_message
from tests.engines.llm.sentences import wishes

SCRIPT = read_script(find_script("receptionist"))
LISTENER = Listener(SCRIPT)
TOOLS = frozenset(
    ["book_appointment", "free_times", "list_appointments", "hang_up", "adjust_speech"]
)
GREETING = "Good morning, this is Linden Dental Practice. How can I help you?"
BOOK = {"role": "user", "content": "book an appointment tomorrow at ten for anna"}
YES = {"role": "user", "content": "yes"}
CONFIRM = "Shall I book Tuesday, March 3rd at ten o'clock for Anna?"
BOOKED = "That is booked, Anna: Tuesday, March 3rd at ten o'clock. Is there anything else?"
CALLED = tool_call_message(ToolRequest("call_1", "book_appointment", {}))


def turn_after(*messages, tools=TOOLS):
    return next_turn(list(messages), LISTENER, tools, MONDAY)


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


# ── beginning ────────────────────────────────────────────────────────────────────────────────


def test_an_instruction_to_greet_is_answered_with_the_greeting_in_any_role():
    instruction = "Start by greeting the user warmly and introducing yourself."
    system = {"role": "system", "content": "You are a helpful assistant."}

    for messages in (
        [],
        [system],
        [system, user(instruction)],
        [system, {"role": "developer", "content": "Ask the caller how you can help."}],
        [{"role": "system", "content": instruction}],
    ):
        assert turn_after(*messages).text == GREETING


def test_a_caller_who_speaks_first_is_answered_not_greeted():
    turn = turn_after({"role": "system", "content": "x"}, user("what time is it"))

    assert turn.text == "It is ten oh seven."


def test_a_greeting_that_somebody_else_spoke_can_be_repeated():
    turn = turn_after(assistant("Welcome to the practice."), user("say that again"))

    assert turn.text == "Welcome to the practice."


def test_content_may_come_in_parts():
    parts = [{"type": "text", "text": "what time"}, {"type": "text", "text": "is it"}, 7, "x"]

    assert turn_after({"role": "user", "content": parts}).text == "It is ten oh seven."


def test_being_asked_to_speak_with_nothing_new_said_asks_again():
    idle = {"role": "developer", "content": "The caller has been silent for a while."}

    in_booking = turn_after(user("book an appointment"), assistant("When would you..."), idle)
    elsewhere = turn_after(user("what time is it"), assistant("It is ten oh seven."))

    assert in_booking.text == "Which day suits you?"
    assert elsewhere.text == "Are you still there?"


# ── tools ────────────────────────────────────────────────────────────────────────────────────


def test_a_result_is_put_into_words_once_it_is_there():
    done = tool_message("call_1", json.dumps({"status": "booked"}))

    turn = turn_after(BOOK, assistant(CONFIRM), YES, CALLED, done)

    assert turn.text == BOOKED
    assert turn.call is None


def test_a_failure_is_told_and_what_failed_is_asked_again():
    failed = tool_message("call_1", json.dumps({"error": "That time is taken."}))

    turn = turn_after(BOOK, YES, CALLED, failed)

    assert turn.text == "That time is taken. What time on Tuesday, March 3rd?"


def test_a_failure_without_a_sentence_gets_the_scripts_own():
    for content in (
        json.dumps("The function `book_appointment` failed and returned no result."),
        json.dumps({"error": {"code": 7}}),
        "CANCELLED",
    ):
        turn = turn_after(BOOK, YES, CALLED, tool_message("call_1", content))

        assert turn.text.startswith("I am sorry, that did not work just now.")


def test_a_call_that_was_stopped_by_the_caller_can_be_confirmed_again():
    stopped = tool_message("call_1", "CANCELLED")

    changed = turn_after(BOOK, YES, CALLED, stopped, user("wait, make it eleven"))
    again = turn_after(BOOK, YES, CALLED, stopped, YES)

    assert "eleven o'clock for Anna" in changed.text
    assert again.call is not None
    assert again.call.name == "book_appointment"


def test_a_call_that_was_never_made_is_made_at_the_next_yes():
    turn = turn_after(BOOK, YES, user("yes please"))

    assert turn.call is not None
    assert turn.call.arguments == {"name": "Anna", "day": "2026-03-03", "time": "10:00"}


def test_the_same_turn_asks_for_the_same_tool_again():
    first, second = turn_after(BOOK, YES), turn_after(BOOK, YES)

    assert first == second
    assert first.call is not None


def test_a_tool_that_runs_on_is_waited_for_while_the_caller_talks():
    running = async_tool_messages.build_started_message("call_1")

    asked = turn_after(BOOK, YES, CALLED, running, user("what time is it"))
    nothing_new = turn_after(BOOK, YES, CALLED, running)
    in_progress = turn_after(BOOK, YES, CALLED, tool_message("call_1", "IN_PROGRESS"))

    assert asked.text == "It is ten oh seven."
    assert nothing_new.text == in_progress.text == "One moment, please."


def test_a_late_result_is_told_when_it_comes():
    running = async_tool_messages.build_started_message("call_1")
    result = async_tool_messages.build_final_result_message("call_1", json.dumps({"ok": True}))
    talk = [BOOK, YES, CALLED, running, user("what time is it"), assistant("It is ten oh seven.")]

    assert turn_after(*talk, result).text == BOOKED


def test_a_result_that_the_caller_never_heard_is_told_before_the_answer():
    done = tool_message("call_1", json.dumps({"status": "booked"}))

    unheard = turn_after(BOOK, YES, CALLED, done, user("what time is it"))
    heard = turn_after(BOOK, YES, CALLED, done, assistant(BOOKED[:20]), user("what time is it"))

    assert unheard.text == f"{BOOKED} It is ten oh seven."
    assert heard.text == "It is ten oh seven."


def test_text_that_was_written_late_does_not_hide_the_result():
    done = tool_message("call_1", json.dumps({"status": "booked"}))

    turn = turn_after(BOOK, YES, CALLED, done, assistant("One moment."))

    assert turn.text == BOOKED


def test_a_tool_call_of_somebody_else_is_let_be():
    other = tool_call_message(ToolRequest("call_9", "weather", {}))

    silent = turn_after(user("hello"), other, tool_message("call_9", '{"sun": 1}'))
    failed = turn_after(user("hello"), other, tool_message("call_9", '{"error": "No weather."}'))
    after = turn_after(user("hello"), other, tool_message("call_9", '"x"'), user("where are you"))

    assert silent.text == ""
    assert failed.text == "No weather."
    assert after.text.endswith("next to the post office.")


def test_a_tool_that_leads_to_itself_is_not_called_for_ever(tmp_path):
    file = tmp_path / "loop.yaml"
    file.write_text(
        "name: loop\ngreeting: hi\nintents:\n  - name: go\n    say: go\n    call: spin\n"
        "    on_result: {then: go}\n"
    )
    listener = Listener(read_script(file))
    messages = [user("go")]
    calls = 0

    while (turn := next_turn(messages, listener, frozenset(["spin"]), MONDAY)).call:
        calls += 1
        request = ToolRequest(f"c{calls}", "spin", {})
        messages += [tool_call_message(request), tool_message(request.id, "{}")]

    assert calls == 5
    assert turn.text.startswith("I am sorry, that did not work")


# ── laws ─────────────────────────────────────────────────────────────────────────────────────

texts = st.one_of(
    st.text(max_size=40),
    wishes(SCRIPT, MONDAY).map(lambda wish: wish[1].text),
    st.sampled_from(["yes", "no", "tuesday", "at ten", "anna", "12:30", "", "um", "2026-02-31"]),
)
answers = st.one_of(
    st.sampled_from(['{"error": "No."}', "COMPLETED", "CANCELLED", "IN_PROGRESS", "[[[", "null"]),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2).map(json.dumps),
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(turns=st.lists(st.tuples(texts, answers), min_size=1, max_size=6), offered=st.booleans())
def test_whatever_is_said_and_answered_there_is_a_reply_and_never_an_error(turns, offered):
    tools = TOOLS if offered else frozenset()
    messages = []

    for number, (text, answer) in enumerate(turns):
        messages.append(user(text))
        turn = turn_after(*messages, tools=tools)

        assert turn.text or turn.call
        assert turn.call is None or turn.call.name in tools
        assert turn_after(*messages, tools=tools) == turn
        if turn.text:
            messages.append(assistant(turn.text))
        if turn.call:
            request = ToolRequest(f"call_{number}", turn.call.name, turn.call.arguments)
            messages += [tool_call_message(request), tool_message(request.id, answer)]
            turn_after(*messages, tools=tools)


@settings(max_examples=60, deadline=None)
@given(
    message=st.dictionaries(
        st.sampled_from(["role", "content", "tool_calls", "tool_call_id"]),
        st.recursive(
            st.sampled_from(["user", "assistant", "tool", "developer", None, 7, ""]),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(st.sampled_from(["id", "function", "text", "type"]), inner)
            ),
            max_leaves=5,
        ),
    )
)
def test_misshapen_messages_are_passed_over(message):
    turn = turn_after(message, user("what time is it"))

    assert turn.text.endswith("It is ten oh seven.")
