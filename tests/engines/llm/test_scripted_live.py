"""The scripted engine behind Pipecat's own context: what it writes is what the replay reads."""

from __future__ import annotations

import asyncio

from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import EndFrame, LLMMessagesAppendFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.workers.runner import WorkerRunner

from parley.core.errors import ToolFailed
from parley.engines.llm.live import LiveChat
from parley.engines.spec import ChatOptions
from parley.tools.spec import ToolCall
from tests.engines.llm.conversation import FakeActions, office_tools, receptionist


class Line:
    """A call without sound: texts go in, texts come out, tools run."""

    def __init__(self, survive_interruptions: bool) -> None:
        self.tools = {tool.name: tool for tool in office_tools()}
        schemas = [
            FunctionSchema(
                tool.name, tool.description, tool.parameters["properties"],
                tool.parameters.get("required", []),
            )
            for tool in self.tools.values()
        ]  # fmt: skip
        self.context = LLMContext([], tools=ToolsSchema(standard_tools=schemas))
        self.llm = LiveChat(receptionist(), ChatOptions())
        for tool in self.tools.values():
            self.llm.register_function(
                tool.name,
                self._run,
                cancel_on_interruption=not survive_interruptions,
                timeout_secs=tool.timeout_s,
            )
        self.said: asyncio.Queue[str] = asyncio.Queue()
        caller, agent = LLMContextAggregatorPair(self.context)
        agent.add_event_handler("on_assistant_turn_stopped", self._heard)
        self.worker = PipelineWorker(
            Pipeline([caller, self.llm, agent]), cancel_on_idle_timeout=False, enable_rtvi=False
        )

    async def _run(self, params):
        tool = self.tools[params.function_name]
        call = ToolCall(params.tool_call_id, params.arguments, FakeActions())
        try:
            result = await tool.run(call)
        except ToolFailed as error:
            result = {"error": str(error)}
        await params.result_callback(result)

    async def _heard(self, _aggregator, message):
        if message.content:
            await self.said.put(message.content)

    async def say(self, text):
        message = {"role": "user", "content": text}
        await self.worker.queue_frame(LLMMessagesAppendFrame([message], run_llm=True))
        return await self.said.get()


async def booked_on(line):
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(line.worker)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(runner.run())
        replies = [
            await line.say(text)
            for text in ("book an appointment tomorrow", "at half past nine", "Anna", "yes")
        ]
        await line.worker.queue_frame(EndFrame())
    return replies


async def test_a_booking_through_pipecats_context():
    replies = await booked_on(Line(survive_interruptions=False))

    assert replies[2:] == [
        "Shall I book Tuesday, March 3rd at half past nine for Anna?",
        "That is booked, Anna: Tuesday, March 3rd at half past nine. Is there anything else?",
    ]


async def test_a_booking_by_tools_that_survive_interruptions():
    replies = await booked_on(Line(survive_interruptions=True))

    assert replies[-1].startswith("That is booked, Anna")
