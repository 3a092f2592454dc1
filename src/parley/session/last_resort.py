"""A sentence and a next step where tools were used and the model has nothing to say about it."""

from __future__ import annotations

from typing import Any, cast

from pipecat.frames.frames import LLMMessagesAppendFrame
from pipecat.processors.aggregators.llm_context import LLMContextMessage

from parley.core.log import get_logger
from parley.session.control import CallControl
from parley.session.pipeline import CallPipeline
from parley.session.reply import ReplyOutcome

log = get_logger(__name__)

SPEAK_UP = (
    "The caller is waiting and has heard nothing. Say in one sentence what came of the tool, or "
    "what went wrong, and what they can do next."
)


class LastResort:
    """Watches what the model makes of tools. One that stays silent is asked once more, and then
    the agent's own sentence is said."""

    def __init__(self, control: CallControl, sentence: str) -> None:
        self._control = control
        self._sentence = sentence
        self._silent = 0
        self._line: CallPipeline | None = None

    def watch(self, line: CallPipeline) -> None:
        self._line = line
        line.agent.add_event_handler("on_model_answered", self._on_answered)

    async def give_up(self) -> None:
        """The model wants nothing but tools, or nothing at all."""
        log.warning("model_gave_no_answer")
        if self._sentence and not self._control.is_ending:
            await self._control.say(self._sentence)

    async def answer_now(self) -> None:
        """The caller waits for an answer, and nothing will come about by itself."""
        if not self._control.is_ending:
            await self._control.create_response()

    async def speak_up(self) -> None:
        """Something has come of a tool, and the model must not think that all is said."""
        if not self._control.is_ending:
            wish = cast(LLMContextMessage, {"role": "developer", "content": SPEAK_UP})
            await self._control.worker.queue_frame(LLMMessagesAppendFrame([wish], run_llm=True))

    async def _on_answered(self, _agent: Any, outcome: ReplyOutcome) -> None:
        assert self._line is not None
        is_answer = outcome.has_words or outcome.requests or outcome.error or outcome.was_cut
        if is_answer or self._line.llm.is_writing or self._control.is_ending:
            self._silent = 0
            return
        if not self._silent and not self._has_new_result():
            return
        self._silent += 1
        if self._silent == 1:
            await self.speak_up()
        else:
            self._silent = 0
            await self.give_up()

    def _has_new_result(self) -> bool:
        """Whether a tool's result was the last thing that the model was given."""
        assert self._line is not None
        messages = self._line.context.get_messages()
        last: object = messages[-1] if messages else None
        return isinstance(last, dict) and cast("dict[str, Any]", last).get("role") == "tool"
