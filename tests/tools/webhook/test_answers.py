"""Of a long answer the model gets the part that it needs, and is told of what was left out."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from parley.core.errors import ToolFailed
from parley.tools.webhook.answer import LARGEST_ANSWER_BYTES, AnswerOptions, shortened
from tests.tools.test_runs import Book
from tests.tools.webhook.desk import Desk
from tests.tools.webhook_server import Answer, good

ROOMS = {
    "data": {"rooms": [{"id": 1, "price": 90, "html": "<p>"}, {"id": 2, "price": 80}], "a.b": 1},
    "meta": {"page": 1},
}


@pytest.mark.parametrize(
    ("options", "result"),
    [
        ({"take": "data.rooms", "keep": ["id", "price"]},
         [{"id": 1, "price": 90}, {"id": 2, "price": 80}]),
        ({"take": "/data/rooms/1/price"}, 80),
        ({"take": "/data/a.b"}, 1),
        ({"take": "data.rooms.0", "keep": ["id", "sea"]}, {"id": 1}),
        ("meta.page", 1),
        ({"keep": ["meta"]}, {"meta": {"page": 1}}),
        ({"take": "data.rooms", "keep": ["id"], "most_items": 1},
         [{"id": 1}, "… and 1 more of 2"]),
    ],
)  # fmt: skip
async def test_what_is_taken_and_kept_is_all_that_the_model_gets(desk: Desk, options, result: Any):
    desk.server.answers = [good(ROOMS)]

    assert await desk.use(desk.tool(answer=options)) == result


@pytest.mark.parametrize("take", ["data.beds", "data.rooms.7", "meta.page.x", "/data/rooms/-1"])
async def test_an_answer_without_its_place_is_a_failure(desk: Desk, take: str):
    desk.server.answers = [good(ROOMS)]

    sentence = await desk.refused(desk.tool(answer=take))

    assert sentence == "The service for free rooms answered something that I can't read."


def test_lists_are_cut_with_a_note():
    short = shortened(list(range(812)), most_items=20, most_bytes=LARGEST_ANSWER_BYTES)

    assert short == [*range(20), "… and 792 more of 812"]


@pytest.mark.parametrize("most_bytes", [256, 2048, LARGEST_ANSWER_BYTES])
def test_what_is_too_large_is_shortened_until_it_fits(most_bytes: int):
    answer = [{"name": "ü" * 900, "rooms": [{"id": each} for each in range(400)]}] * 50

    short = shortened(answer, most_items=20, most_bytes=most_bytes)

    assert short is None or len(json.dumps(short, ensure_ascii=False).encode()) <= most_bytes


def test_what_fits_is_left_as_it_is():
    answer = {"a": [1.5, None, True, "x y " * 450], "b": {"c": []}}

    assert shortened(answer, most_items=20, most_bytes=LARGEST_ANSWER_BYTES) == answer


async def test_what_no_shortening_makes_small_enough_is_refused(desk: Desk):
    book = Book()
    desk.house.runs.keep_in(book)
    desk.server.answers = [good({f"field_{number}": "x" * 90 for number in range(500)})]

    sentence = await desk.refused(desk.tool())

    assert sentence == "The service for free rooms answered more than I can take in."
    assert [how for _, *how in book.closed_as] == [["failed", "too_large"]]


@pytest.mark.parametrize("lead", ["", "data:image/png;base64,"])
def test_files_in_disguise_are_left_out(lead: str):
    file = lead + base64.b64encode(bytes(range(256)) * 12).decode()

    short = shortened({"name": "a", "photo": file}, most_items=20, most_bytes=8192)

    assert short == {"name": "a", "photo": "(a file of about 4 KB was left out)"}


async def test_the_operator_says_how_much_the_model_can_take(desk: Desk):
    desk.server.answers = [good(["x" * 400] * 18)]

    short = await desk.use(desk.tool(max_answer_bytes=1024))

    assert short[-1] == "… and 15 more of 18"
    assert len(json.dumps(short)) <= 1024


def test_taking_nothing_takes_all():
    assert AnswerOptions().mapped({"a": 1}) == {"a": 1}


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (b'{"ok": true, "result": [NaN, -Infinity, 1]}', [None, None, 1]),
        (b'{"ok": true, "result": "a\\ud800b"}', "a?b"),
        (b'{"ok": true, "result": "\\u0000"}', "\0"),
    ],
)
async def test_what_json_cannot_hold_does_not_reach_the_model(desk: Desk, body: bytes, result):
    desk.server.answers = [Answer(200, body)]

    assert await desk.use(desk.tool()) == result


@pytest.mark.parametrize("depth", [300, 900, 5000, 100_000])
async def test_an_answer_that_is_nested_for_ever_does_no_harm(desk: Desk, depth: int):
    desk.server.answers = [Answer(200, b'{"ok":true,"result":%s}' % (b"[" * depth + b"]" * depth))]
    tool = desk.tool()

    answered = (await asyncio.gather(desk.use(tool), return_exceptions=True))[0]

    assert isinstance(answered, ToolFailed | list)
