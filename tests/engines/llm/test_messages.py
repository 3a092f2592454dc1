"""Conversations are made safe for servers that are strict or small."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from parley.engines.llm.messages import NO_RESULT, in_words, plain_messages

HELLO = {"role": "user", "content": "Hello?"}


def asks(*ids, content=None):
    calls = [{"id": each, "function": {"name": "f", "arguments": "{}"}} for each in ids]
    return {"role": "assistant", "content": content, "tool_calls": calls}


def result(call, content="ok"):
    return {"role": "tool", "tool_call_id": call, "content": content}


def roles(messages):
    return [each["role"] for each in messages]


def test_developers_speak_as_the_system():
    plain = plain_messages([{"role": "developer", "content": "Be brief."}, HELLO])

    assert plain == [{"role": "system", "content": "Be brief."}, HELLO]


def test_only_the_first_message_is_the_systems():
    later = {"role": "system", "content": "The caller is angry."}
    story = [{"role": "system", "content": "a"}, {"role": "system", "content": "b"}, HELLO, later]

    assert plain_messages(story) == [
        {"role": "system", "content": "a\nb"},
        {"role": "user", "content": "Hello?\nThe caller is angry."},
    ]
    assert plain_messages(story, smooth=False) == story


def test_parts_become_text_where_only_text_is_understood():
    picture = {"type": "image_url", "image_url": {"url": "data:,"}}
    mixed = {"role": "user", "content": [{"type": "text", "text": "See:"}, picture]}
    texts = {"role": "user", "content": [{"type": "text", "text": "a"}, "b"]}

    assert plain_messages([mixed])[0]["content"] == "See:"
    assert plain_messages([mixed], keeps_parts=True)[0]["content"] == mixed["content"]
    assert plain_messages([texts], keeps_parts=True)[0]["content"] == "a\nb"


def test_each_call_has_its_result_right_behind_it():
    story = [HELLO, asks("a", "b"), HELLO, result("b", "B"), result("x"), result("a", "A")]

    plain = plain_messages(story)

    assert roles(plain) == ["user", "assistant", "tool", "tool", "user"]
    assert [each["content"] for each in plain[2:4]] == ["A", "B"]


def test_a_call_without_a_result_gets_one_that_says_so():
    plain = plain_messages([HELLO, asks("a"), HELLO])

    assert plain[2] == {"role": "tool", "tool_call_id": "a", "content": NO_RESULT}


def test_the_last_result_of_a_call_counts():
    plain = plain_messages([asks("a"), result("a", "at work"), result("a", "done")])

    assert plain[1]["content"] == "done"


def test_nothing_that_was_handed_in_is_changed():
    story = [HELLO, asks(""), result("", "x"), HELLO]
    before = repr(story)

    plain = plain_messages(story)

    assert repr(story) == before
    assert plain[1]["tool_calls"][0]["id"] == plain[2]["tool_call_id"]
    assert plain[2]["content"] == "x"


def test_arguments_are_told_as_strings_and_foreign_fields_left_out():
    call = {"id": "a", "function": {"name": "f", "arguments": {"x": 1}}, "index": 0}
    message = {"role": "assistant", "tool_calls": [call], "audio": None, "name": "me"}

    plain = plain_messages([message, result("a")])

    assert plain[0] == {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
        ],
    }


def test_messages_that_say_nothing_are_left_out():
    assert plain_messages([{"role": "assistant", "content": ""}, HELLO]) == [HELLO]


ids = st.sampled_from(["a", "b", ""])
stories = st.lists(
    st.one_of(
        st.builds(lambda role, text: {"role": role, "content": text},
                  st.sampled_from(["system", "developer", "user", "assistant"]),
                  st.sampled_from(["", "x", None])),
        st.builds(lambda several: asks(*several), st.lists(ids, min_size=1, max_size=3)),
        st.builds(result, ids),
    )
)  # fmt: skip


@given(stories)
def test_any_conversation_becomes_one_that_a_strict_server_takes(story):
    plain = plain_messages(story)

    waiting: list[str] = []
    for place, message in enumerate(plain):
        assert (message["role"] == "system") <= (place == 0)
        if message["role"] == "tool":
            assert message["tool_call_id"] == waiting.pop(0)
        else:
            assert not waiting
            waiting = [call["id"] for call in message.get("tool_calls", ())]
    assert not waiting


@given(stories)
def test_told_in_words_a_conversation_has_three_roles_that_alternate(story):
    told = in_words(story, [])

    assert set(roles(told)) <= {"system", "user", "assistant"}
    assert all(one != other for one, other in zip(roles(told), roles(told)[1:], strict=False))
