"""A model in a live call: its text streams, its tools run, an interruption stops it at once."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    FunctionCallsStartedFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    MetricsFrame,
)
from pipecat.metrics.metrics import LLMUsageMetricsData, TTFBMetricsData
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext, LLMSpecificMessage
from pipecat.tests.utils import run_test
from pipecat.workers.runner import WorkerRunner

from parley.core.errors import BadRequest, EngineFailed
from parley.engines.llm.live import LiveChat
from parley.engines.spec import ChatOptions, Delta, ToolRequest, Usage

HELLO = {"role": "user", "content": "hello"}


class FakeModel:
    """Gives the deltas it was told to, and notes what it was asked and whether it was closed."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []
        self.closed = asyncio.Event()
        self.started = asyncio.Event()

    async def chat(self, messages, tools, options):
        self.asked.append((messages, tools, options))
        try:
            for delta in self.answers.pop(0):
                if isinstance(delta, BaseException):
                    raise delta
                self.started.set()
                if delta is None:
                    await asyncio.Event().wait()
                yield delta
        finally:
            self.closed.set()


async def frames_of(llm, *contexts, params=None):
    down, up = await run_test(
        llm,
        frames_to_send=[LLMContextFrame(context) for context in contexts],
        pipeline_params=params or PipelineParams(),
        start_timeout=10,
    )
    return list(down), list(up)


def texts(frames):
    return [frame.text for frame in frames if isinstance(frame, LLMTextFrame)]


def kinds(frames):
    wanted = (LLMFullResponseStartFrame, LLMTextFrame, LLMFullResponseEndFrame)
    return [type(frame) for frame in frames if isinstance(frame, wanted)]


async def test_text_streams_between_the_start_and_the_end_of_a_response():
    model = FakeModel([Delta(text="Hello "), Delta(text="there.")])

    down, up = await frames_of(LiveChat(model, ChatOptions(model="m")), LLMContext([HELLO]))

    assert kinds(down) == [
        LLMFullResponseStartFrame, LLMTextFrame, LLMTextFrame, LLMFullResponseEndFrame,
    ]  # fmt: skip
    assert texts(down) == ["Hello ", "there."]
    assert not [frame for frame in up if isinstance(frame, ErrorFrame)]
    assert model.closed.is_set()


async def test_the_model_is_asked_in_plain_messages_and_schemas():
    model = FakeModel([Delta(text="x")])
    foreign = LLMSpecificMessage(llm="anthropic", message={"thinking": "…"})
    tool = FunctionSchema("add", "Adds.", {"a": {"type": "number"}}, ["a"])
    context = LLMContext([HELLO, foreign], tools=ToolsSchema(standard_tools=[tool]))
    llm = LiveChat(model, ChatOptions(model="m", temperature=0.1))
    llm.append_system_instruction("Be brief.")

    await frames_of(llm, context)

    messages, tools, options = model.asked[0]
    assert messages == [{"role": "system", "content": "Be brief."}, HELLO]
    assert messages[1] is not HELLO
    assert [(each.name, each.description) for each in tools] == [("add", "Adds.")]
    assert tools[0].parameters == {
        "type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"],
    }  # fmt: skip
    assert options == ChatOptions(model="m", temperature=0.1)


async def test_tools_run_through_pipecat_with_their_parsed_arguments():
    request = ToolRequest("call_1", "add", {"a": 2})
    model = FakeModel([Delta(text="One moment."), Delta(tools=(request,))])
    llm = LiveChat(model, ChatOptions())
    seen = []

    async def add(params):
        seen.append((params.tool_call_id, dict(params.arguments)))
        await params.result_callback({"sum": 3})

    llm.register_function("add", add, cancel_on_interruption=True, timeout_secs=5)
    down, _ = await frames_of(llm, LLMContext([HELLO]))

    results = [frame for frame in down if isinstance(frame, FunctionCallResultFrame)]
    assert seen == [("call_1", {"a": 2})]
    assert [frame.result for frame in results] == [{"sum": 3}]
    assert [frame for frame in down if isinstance(frame, FunctionCallsStartedFrame)]
    assert [frame for frame in down if isinstance(frame, FunctionCallInProgressFrame)]
    assert texts(down) == ["One moment."]


async def test_time_to_first_delta_and_usage_are_measured():
    model = FakeModel([Delta(text="x"), Delta(usage=Usage(7, 3))])
    params = PipelineParams(enable_metrics=True, enable_usage_metrics=True)

    down, _ = await frames_of(LiveChat(model, ChatOptions()), LLMContext([HELLO]), params=params)

    data = [each for frame in down if isinstance(frame, MetricsFrame) for each in frame.data]
    usage = [each.value for each in data if isinstance(each, LLMUsageMetricsData)]
    assert [(u.prompt_tokens, u.completion_tokens, u.total_tokens) for u in usage] == [(7, 3, 10)]
    assert [each for each in data if isinstance(each, TTFBMetricsData)]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (EngineFailed("The model is down.", hint="Start it."), "The model is down. Start it."),
        (BadRequest("Too long."), "Too long."),
        (KeyError("choices"), "The model broke: KeyError: 'choices'"),
    ],
)
async def test_a_failure_is_reported_and_the_next_turn_tries_again(error, message):
    model = FakeModel([Delta(text="Well"), error], [Delta(text="Better.")])
    llm = LiveChat(model, ChatOptions())
    context = LLMContext([HELLO])

    down, up = await frames_of(llm, context, context)

    errors = [frame for frame in up if isinstance(frame, ErrorFrame)]
    assert [(frame.error, frame.exception) for frame in errors] == [(message, error)]
    assert llm.is_usable
    assert texts(down) == ["Well", "Better."]
    assert kinds(down).count(LLMFullResponseEndFrame) == 2
    assert context.get_messages() == [HELLO]


async def test_a_model_that_says_nothing_in_time_is_given_up_and_closed():
    model = FakeModel([None])
    llm = LiveChat(model, ChatOptions(), first_delta_timeout_s=0.01)

    down, up = await frames_of(llm, LLMContext([HELLO]))

    errors = [frame.error for frame in up if isinstance(frame, ErrorFrame)]
    assert errors == ["The model gave no answer within 0.01 seconds."]
    assert kinds(down) == [LLMFullResponseStartFrame, LLMFullResponseEndFrame]
    assert model.closed.is_set()


async def test_a_models_own_time_out_is_not_taken_for_ours():
    model = FakeModel([TimeoutError("the socket slept")])

    _, up = await frames_of(LiveChat(model, ChatOptions()), LLMContext([HELLO]))

    errors = [frame.error for frame in up if isinstance(frame, ErrorFrame)]
    assert errors == ["The model broke: TimeoutError: the socket slept"]


async def test_an_interruption_closes_the_model_at_once_and_the_next_turn_is_answered():
    model = FakeModel([Delta(text="A long"), None, Delta(text=" story")], [Delta(text="Yes?")])
    worker = PipelineWorker(
        Pipeline([LiveChat(model, ChatOptions())]), cancel_on_idle_timeout=False, enable_rtvi=False
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    context = LLMContext([HELLO])

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(runner.run())
        await worker.queue_frame(LLMContextFrame(context))
        await model.started.wait()
        await worker.queue_frame(InterruptionFrame())
        await model.closed.wait()
        was_asked_once = len(model.asked) == 1
        await worker.queue_frames([LLMContextFrame(context), EndFrame()])

    assert was_asked_once
    assert len(model.asked) == 2
    assert model.answers == []


def test_making_one_does_not_import_the_openai_package():
    code = (
        "import sys; from parley.engines.llm.live import LiveChat; "
        "from parley.engines.spec import ChatOptions; LiveChat(None, ChatOptions()); "
        "sys.exit('openai' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)

    assert done.returncode == 0, done.stderr.decode()
