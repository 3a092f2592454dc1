"""Whatever a server streams, reading it ends in deltas or in an error of ours."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from parley.core.errors import ParleyError
from parley.engines.llm.event_lines import JsonLines, ServerEvents
from parley.engines.llm.gathering import Gatherer
from parley.engines.remote.failures import told_plainly

KEYS = ("choices", "delta", "content", "tool_calls", "function", "name", "arguments", "index", "id")
scalars = (
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "x", "{}", '{"a":1}'])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*KEYS, "usage", "finish_reason", "message"]), inner)
    ),
    max_leaves=12,
)
choices = st.fixed_dictionaries({"delta": st.fixed_dictionaries({"tool_calls": values})})
chunks = st.lists(values | st.fixed_dictionaries({"choices": st.lists(choices, max_size=2)}))


def cut(data, places):
    ends = sorted({place % (len(data) + 1) for place in places})
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


@given(chunks)
def test_chunks_of_any_shape_give_deltas_or_our_error(story):
    events, gatherer = ServerEvents(), Gatherer()
    stream = b"".join(f"data: {json.dumps(each)}\n\n".encode() for each in story)

    try:
        with told_plainly("it", "http://it"):
            for event in [*events.push(stream), *events.end()]:
                list(gatherer.take(event))
            list(gatherer.end())
    except ParleyError:
        return


@given(st.lists(st.text(), max_size=5), st.lists(st.integers(0, 10_000), max_size=20))
def test_where_the_network_cuts_a_stream_changes_nothing(texts, places):
    told = [{"text": text} for text in texts]
    stream = "".join(f"data: {json.dumps(e, ensure_ascii=False)}\r\n\r\n" for e in told).encode()
    lines = "".join(f"{json.dumps(each, ensure_ascii=False)}\n" for each in told).encode()
    events, rows = ServerEvents(), JsonLines()

    got = [event for piece in cut(stream, places) for event in events.push(piece)]
    read = [row for piece in cut(lines, places) for row in rows.push(piece)]

    assert got == read == told


@given(st.binary(max_size=300))
def test_bytes_of_any_sort_give_events_or_our_error(data):
    try:
        with told_plainly("it", "http://it"):
            events, rows = ServerEvents(), JsonLines()
            list(events.push(data))
            list(events.end())
            list(rows.push(data))
            list(rows.end())
    except ParleyError:
        return
