"""Exactly one answer of a run reaches its call; the others are told what they are."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.core.errors import BadRequest, NotFound, StoreFailed
from parley.tools.runs import RememberedRun, RunState, ToolRun, ToolRuns
from parley.tools.webhook.envelope import RunAnswer

FIELDS = st.sampled_from(
    ["ok", "result", "say", "error", "code", "message", "retryable", "pending"]
)
OK = {"ok": True, "result": {"booked": 1}}
RUN = ToolRun("call_1", "default", "", "front", "book", "tool_1", "key", id="run_1")


@dataclass
class Book:
    """Remembers what it is told, as a store does."""

    runs: dict[str, RememberedRun] = field(default_factory=dict)
    closed_as: list[tuple[str, RunState, str]] = field(default_factory=list)
    kept: list[Mapping[str, Any]] = field(default_factory=list)
    is_away: bool = False

    def opened(self, run: ToolRun) -> None:
        self.runs[run.id] = RememberedRun(run, "open")

    def closed(self, run: ToolRun, state: RunState, error: str) -> None:
        self.closed_as.append((run.id, state, error))
        self.runs[run.id] = RememberedRun(run, state)

    async def recall(self, run_id: str) -> RememberedRun | None:
        return self.runs.get(run_id)

    async def late(self, run: ToolRun, answer: Mapping[str, Any]) -> bool:
        if self.is_away:
            raise StoreFailed("The database is away.")
        self.kept.append(answer)
        self.runs[run.id] = RememberedRun(run, "late")
        return True


async def nobody(_: str) -> None:
    return None


async def test_the_first_answer_counts_and_the_next_is_a_duplicate():
    runs = ToolRuns(Book())
    opened = runs.open(RUN, nobody)

    delivered = [await runs.answer("run_1", OK), await runs.answer("run_1", OK)]

    assert delivered == ["call", "duplicate"]
    assert await opened.answer == RunAnswer(True, {"booked": 1})


async def test_an_answer_that_came_before_the_http_answer_makes_that_one_the_duplicate():
    runs = ToolRuns(Book())
    opened = runs.open(RUN, nobody)
    await runs.answer("run_1", OK)

    was_first = opened.take(RunAnswer(True, "later"))

    assert not was_first
    assert opened.answer.result().result == {"booked": 1}


@pytest.mark.parametrize(
    ("state", "delivered"),
    [("answered", ["duplicate", "duplicate"]), ("failed", ["late", "duplicate"]),
     ("cancelled", ["late", "duplicate"])],
)  # fmt: skip
async def test_after_the_end_an_answer_is_late_or_a_duplicate(
    state: RunState, delivered: list[str]
):
    book = Book()
    runs = ToolRuns(book)
    runs.close(runs.open(RUN, nobody), state, "timeout")

    assert [await runs.answer("run_1", OK), await runs.answer("run_1", OK)] == delivered
    assert book.kept == [OK] * delivered.count("late")
    assert book.closed_as == [("run_1", state, "timeout")]


async def test_after_a_restart_an_answer_finds_its_run_in_the_book():
    book = Book()
    ToolRuns(book).open(RUN, nobody)
    after_restart = ToolRuns(book)

    delivered = [await after_restart.answer("run_1", OK) for _ in range(2)]

    assert delivered == ["late", "duplicate"]
    assert await after_restart.find("run_1") == RUN


async def test_many_late_answers_at_once_are_kept_once():
    book = Book()
    runs = ToolRuns(book)
    runs.close(runs.open(RUN, nobody), "failed")

    delivered = await asyncio.gather(*(runs.answer("run_1", OK) for _ in range(20)))

    assert sorted(delivered) == ["duplicate"] * 19 + ["late"]
    assert book.kept == [OK]


async def test_a_late_answer_that_could_not_be_kept_may_come_again():
    book = Book(is_away=True)
    runs = ToolRuns(book)
    runs.close(runs.open(RUN, nobody), "failed")
    with pytest.raises(StoreFailed):
        await runs.answer("run_1", OK)
    book.is_away = False

    assert await runs.answer("run_1", OK) == "late"


async def test_progress_reaches_the_caller_while_the_run_is_open():
    told: list[str] = []

    async def hear(text: str) -> None:
        told.append(text)

    runs = ToolRuns(Book())
    opened = runs.open(RUN, hear)

    first = await runs.progress("run_1", "Still looking.")
    runs.close(opened, "answered")
    second = await runs.progress("run_1", "Still looking.")

    assert (first, second, told) == ("call", "late", ["Still looking."])


@pytest.mark.parametrize("run_id", ["run_2", "", "run_1' or 1=1", "x" * 5000])
async def test_a_run_that_nobody_remembers_is_not_found(run_id: str):
    runs = ToolRuns(Book())
    runs.open(RUN, nobody)

    for asked in (runs.answer(run_id, OK), runs.progress(run_id, "x"), runs.find(run_id)):
        with pytest.raises(NotFound):
            await asked


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(FIELDS, inner)),
    max_leaves=8,
)


@given(JSON)
def test_whatever_comes_is_an_answer_or_is_told_what_it_lacks(body: object):
    try:
        answer = RunAnswer.read(body)
    except BadRequest as refused:
        assert refused.hint
    else:
        assert RunAnswer.read({**answer.fields(), "pending": answer.is_pending}) == answer


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ([], None), ("x", None), (None, None), ({}, "ok"), ({"ok": 1}, "ok"),
        ({"ok": False}, "error"), ({"ok": False, "error": "x"}, "error"),
        ({"ok": True, "say": 1}, "say"), ({"ok": True, "pending": "yes"}, "pending"),
        ({"ok": True, "pending": True}, None),
        ({"ok": False, "error": {"message": 1}}, "message"),
    ],
)  # fmt: skip
async def test_what_is_no_answer_is_told_and_changes_nothing(body: object, param: str | None):
    runs = ToolRuns(Book())
    opened = runs.open(RUN, nobody)

    with pytest.raises(BadRequest) as refused:
        await runs.answer("run_1", body)

    assert refused.value.param == param
    assert not opened.answer.done()


@pytest.mark.parametrize(
    ("secrets", "kept"),
    [
        (("4711",), {"text": "PIN *** is right.", "pin": "***"}),
        # As after a restart: what they were is known no more.
        ((), {"text": "PIN 4711 is right.", "pin": "***"}),
    ],
)
async def test_a_late_answer_is_kept_without_secrets(secrets: tuple[str, ...], kept: object):
    book = Book()
    runs, run = ToolRuns(book), replace(RUN, secrets=secrets)
    runs.close(runs.open(run, nobody), "failed", "timeout")

    result = {"text": "PIN 4711 is right.", "pin": "4711"}
    await runs.answer("run_1", {"ok": True, "result": result})

    assert book.kept == [{"ok": True, "result": kept}]
    assert "4711" not in repr(run)


async def test_a_late_answer_that_is_nested_too_deep_is_refused():
    runs = ToolRuns(Book())
    runs.close(runs.open(RUN, nobody), "failed", "timeout")
    deep: object = 1
    for _ in range(5000):
        deep = [deep]

    with pytest.raises(BadRequest, match="nested too deep"):
        await runs.answer("run_1", {"ok": True, "result": deep})

    assert await runs.answer("run_1", OK) == "late"
