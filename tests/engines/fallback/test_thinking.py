"""A model that fails is replaced in the middle of its reply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from parley.core.errors import EngineFailed, EngineRefusedRequest, EngineUnavailable
from parley.engines.fallback.chain import Chain, Link
from parley.engines.fallback.thinking import FallbackChat
from parley.engines.spec import ChatOptions, Delta, ToolRequest
from parley.testing.engines import FakeChatter
from parley.testing.faults import Fault
from tests.engines.fallback.chains import FAULTS, QUICK, Clock, Told, chain_of, member

ASKED = [{"role": "user", "content": "What is it?"}]


def letters(text: str) -> Sequence[Delta]:
    return [Delta(text=letter) for letter in text]


async def reply(chat: Any, options: ChatOptions | None = None) -> list[Delta]:
    return [delta async for delta in chat.chat(ASKED, [], options or ChatOptions())]


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_whatever_is_wrong_with_a_model_its_reply_is_finished_by_the_next(fault: Fault):
    first = FakeChatter(lambda _: letters("It is forty two."), fault=fault)
    second = FakeChatter(lambda _: "It is forty two.")
    told = Told()

    deltas = await reply(chain_of("llm", first, second).for_call(told))

    assert text_of(deltas).strip() == "It is forty two."
    assert told.names == [("first", "second")]
    assert told.all[0].kind == "llm" and told.all[0].reason
    assert first.open_iterators == second.open_iterators == 0


async def test_the_next_model_is_shown_what_was_said_already():
    first = FakeChatter(lambda _: "It is five.", fault=FAULTS["dies in mid-stream"])
    second = FakeChatter(lambda _: "forty two.")

    deltas = await reply(chain_of("llm", first, second))

    assert text_of(deltas) == "It is forty two. "
    assert [m["role"] for m in second.asked[0]] == ["user", "assistant", "system"]
    assert second.asked[0][1]["content"] == "It is "


async def test_a_tool_that_was_asked_for_is_asked_for_once():
    request = ToolRequest("call_1", "book", {})
    first = FakeChatter(
        lambda _: [Delta(tools=(request,)), Delta(text="x")],
        fault=Fault(after=1, error=EngineFailed("It died.")),
    )
    second = FakeChatter(lambda _: Delta(tools=(request,)))

    deltas = await reply(chain_of("llm", first, second))

    assert [delta.tools for delta in deltas] == [(request,)]
    assert second.asked == []


@pytest.mark.parametrize("torn", ["<think>Let me see", '{"name": "bo', "```json\n{"])
async def test_what_a_model_left_half_written_does_not_swallow_the_next_ones_words(torn: str):
    first = FakeChatter(
        lambda _: letters(torn), fault=Fault(after=len(torn) - 1, error=EngineFailed("It died."))
    )
    second = FakeChatter(lambda _: "It is noon.")

    deltas = await reply(chain_of("llm", first, second).spoken().for_call(Told()))

    assert text_of(deltas).strip() == "It is noon."
    assert second.asked == [ASKED]


async def test_a_model_that_is_out_is_not_asked_again_until_a_probe_has_found_it_well():
    clock = Clock()
    first = FakeChatter(lambda _: "From the first.", fault=FAULTS["dies in mid-stream"])
    second = FakeChatter(lambda _: "From the second.")
    chat = chain_of("llm", first, second, clock=clock)
    await reply(chat)
    first.fault = None

    during = await reply(chat)
    clock.now_s = 100.0
    at_the_probe = await reply(chat)
    is_well = await chat.members[0].recovered()
    after = await reply(chat)

    assert text_of(during).strip() == text_of(at_the_probe).strip() == "From the second."
    assert is_well
    assert text_of(after).strip() == "From the first."


async def test_a_model_that_stays_sick_costs_no_caller_anything():
    clock = Clock()
    first = FakeChatter(lambda _: "Never.", fault=FAULTS["dies at connect"])
    chat = chain_of("llm", first, FakeChatter(lambda _: "Here."), clock=clock)
    await reply(chat)
    asked = len(first.asked)

    clock.now_s = 100.0
    await reply(chat)
    is_well = await chat.members[0].recovered()
    deltas = await reply(chat)

    assert not is_well
    assert text_of(deltas).strip() == "Here."
    # Only the probe's own question.
    assert len(first.asked) == asked + 1
    assert chat.members[0].breaker.retry_in_s > 2.0


async def test_a_call_is_told_once_when_its_model_failed_in_another_call():
    first = FakeChatter(lambda _: "One.")
    chat = chain_of("llm", first, FakeChatter(lambda _: "Two."))
    told = Told()
    mine = chat.for_call(told)
    await reply(mine)
    first.fault = FAULTS["dies in mid-stream"]
    await reply(chat.for_call(Told()))

    await reply(mine)
    await reply(mine)

    assert told.names == [("first", "second")]
    assert told.all[0].after_ms == 0


async def test_a_refused_connection_is_tried_again_before_another_model_is_asked():
    answers = [EngineUnavailable("Connection refused."), "Here."]
    first = FakeChatter(lambda _: answers.pop(0))
    second = FakeChatter(lambda _: "Second.")
    told = Told()

    deltas = await reply(chain_of("llm", first, second).for_call(told))

    assert text_of(deltas).strip() == "Here."
    assert told.all == []


async def test_a_request_that_is_wrong_counts_against_nobody():
    wrong = EngineRefusedRequest("No such parameter.")
    chat = chain_of("llm", *(FakeChatter(lambda _: wrong) for _ in range(2)))

    with pytest.raises(EngineRefusedRequest):
        await reply(chat)

    assert all(each.is_well for each in chat.members)


async def test_when_all_fail_the_error_names_each_and_the_next_request_asks_them_again():
    first = FakeChatter(lambda _: "Back.", fault=FAULTS["answers 429"])
    second = FakeChatter(lambda _: "Back.", fault=FAULTS["answers 500"])
    chat = chain_of("llm", first, second)

    with pytest.raises(EngineUnavailable, match=r"first: .*429.*second: .*500") as caught:
        await reply(chat)
    first.fault = second.fault = None
    deltas = await reply(chat)

    assert caught.value.retry_after_s == 1
    assert text_of(deltas).strip() == "Back."


async def test_a_script_stands_in_only_while_no_model_has_ever_worked():
    model = FakeChatter(lambda _: "Model.", fault=FAULTS["dies in mid-stream"])
    script = FakeChatter(lambda _: "Script.")
    real = member("llm", "model", model)
    links = [Link(real), Link(member("llm", "script", script), is_stand_in=True)]
    chat = FallbackChat(Chain("llm", links, QUICK))
    real.failed("It is not there yet.")

    before = await reply(chat)
    real.worked(was_well=False)
    with pytest.raises(EngineFailed):
        await reply(chat)

    assert text_of(before).strip() == "Script."
    assert len(script.asked) == 1


async def test_a_models_own_name_goes_to_no_other_engine():
    first = FakeChatter(lambda _: "No.", fault=FAULTS["dies in mid-stream"])
    second = FakeChatter(lambda _: "Yes.")

    await reply(chain_of("llm", first, second), ChatOptions(model="gpt", tenant="acme"))

    assert first.options[0].model == "gpt"
    assert second.options[0] == ChatOptions(tenant="acme")


async def test_an_interrupted_reply_closes_the_model_and_blames_it_for_nothing():
    first = FakeChatter(lambda _: "One two three.")
    chat = chain_of("llm", first, FakeChatter(lambda _: "No."))

    deltas = chat.chat(ASKED, [], ChatOptions())
    await anext(deltas)
    await deltas.aclose()

    assert first.open_iterators == 0
    assert chat.members[0].is_well


async def test_signs_of_life_keep_a_model_that_works_on_a_tool_call():
    looks = Delta(tools=(ToolRequest("call_1", "look", {}),))
    works = [Delta(text="Let me see. "), *[Delta()] * 6, looks]
    slow = FakeChatter(lambda _: works, fault=Fault(drip_s=0.1))
    told = Told()
    chat = chain_of("llm", slow, FakeChatter(lambda _: "No.")).for_call(told)

    deltas = await reply(chat)

    assert told.all == []
    assert [bool(delta.tools) for delta in deltas] == [False, True]
