"""One call from greeting to goodbye."""

from __future__ import annotations

import asyncio
import time
from typing import cast

from pipecat.frames.frames import LLMMessagesAppendFrame
from pipecat.processors.aggregators.llm_context import LLMContext, LLMContextMessage
from pipecat.workers.runner import WorkerRunner

from parley.agents.schema import HELPFUL, Agent
from parley.core.call import CallInfo, EndReason
from parley.core.errors import CallNotTaken, ParleyError
from parley.core.events import (
    CallAnsweredBy,
    CallEnded,
    CallFailed,
    CallStarted,
    EngineReplaced,
    MediaStarted,
)
from parley.core.log import bind_call, get_logger
from parley.engines.fallback.chain import Replacement
from parley.session.call_tools import CallTools
from parley.session.control import CallControl
from parley.session.house import House
from parley.session.idle import IdleWatch
from parley.session.language import with_language
from parley.session.last_words import SPOKEN_ENDS, speak_last_words, within
from parley.session.media import CallMedia
from parley.session.memory import Memory
from parley.session.metering import Note, free_of_charge, metered
from parley.session.mishaps import Mishaps
from parley.session.narrator import Announcer, Narrator
from parley.session.pipeline import build_pipeline
from parley.session.race import Race
from parley.session.terms import AS_THE_AGENT_IS, CallTerms
from parley.session.worker import CallWorker

log = get_logger(__name__)

TEARDOWN_LIMIT_S = 4.0


async def run_call(
    call: CallInfo,
    agent: Agent,
    media: CallMedia,
    control: CallControl,
    house: House,
    note: Note = free_of_charge,
    terms: CallTerms = AS_THE_AGENT_IS,
) -> None:
    """Hold the call; return when it is over and everything it opened is closed.

    The only place that catches everything: whatever breaks in here ends this call alone.
    """
    bind_call(call.id)
    turn_taking = agent.turn_taking
    idle = IdleWatch(turn_taking.idle_s if terms.is_agent else 0, turn_taking.hold_s)
    announcer = Announcer(call.id, house.bus, media, idle.note)
    delivery = asyncio.create_task(announcer.deliver_all(), name=f"deliver:{call.id}")
    log.info("call_started", agent=agent.name, transport=call.transport, caller=call.caller)
    announcer.announce(CallStarted(call_id=call.id, call=call))
    control.reach(media, announcer.announce)
    media.listen(control.hear)
    reason: EndReason = "error"
    try:
        reason = await _Session(
            call, agent, media, control, house, announcer, idle, note, terms
        ).hold()
    except CallNotTaken as error:
        # Nothing broke: nobody was there, or wanted to talk.
        reason = error.reason
        log.info("call_not_taken", reason=reason, why=error.message)
        announcer.announce(_failure(call, error))
    except ParleyError as error:
        log.error("call_failed", code=error.code, error=str(error))
        announcer.announce(_failure(call, error))
    except Exception:
        # Whatever breaks, it ends this call alone: nobody above could do more about it.
        log.exception("call_broke")
        announcer.announce(
            CallFailed(call_id=call.id, code="internal_error", message="The call broke.")
        )
    finally:
        duration_s = round(time.monotonic() - call.started_s, 3)
        ended = CallEnded(call_id=call.id, reason=reason, duration_s=duration_s)
        announcer.deliver_last(ended)
        await within(TEARDOWN_LIMIT_S, delivery)
        await within(TEARDOWN_LIMIT_S, media.hang_up(reason))
        log.info("call_ended", reason=reason, duration_s=duration_s)
        house.bus.publish(ended)


def _failure(call: CallInfo, error: ParleyError) -> CallFailed:
    return CallFailed(call_id=call.id, code=error.code, message=error.message, hint=error.hint)


class _Session:
    """The parts of one live call, opened in ``hold`` and closed there in reverse order."""

    def __init__(
        self,
        call: CallInfo,
        agent: Agent,
        media: CallMedia,
        control: CallControl,
        house: House,
        announcer: Announcer,
        idle: IdleWatch,
        note: Note,
        terms: CallTerms,
    ) -> None:
        self._call = call
        self._agent = agent
        self._media = media
        self._control = control
        self._house = house
        self._announcer = announcer
        self._idle = idle
        self._note = note
        self._terms = terms
        self._announce = announcer.announce
        self._is_heard = False
        self._tools = CallTools(call, agent, terms, media, control, house, announcer)

    async def hold(self) -> EndReason:
        shared = await self._house.engines.engines_for(self._agent, self._call.voice)
        engines = shared.for_call(self._call, self._agent.limits.seconds(), self._engine_replaced)
        engines = metered(engines, self._note)
        messages = [cast(LLMContextMessage, {"role": "system", "content": self._instructions()})]
        context = LLMContext(messages, tools=self._tools.schema)
        line = build_pipeline(self._media, engines, self._agent, context, self._house.listening)
        self._tools.hang_on(line)
        worker = CallWorker(
            line.pipeline,
            output_rate_hz=self._media.output_rate_hz,
            uses_rtvi=self._media.uses_rtvi,
            observers=[
                Narrator(self._announcer, self._media, line.caller, self._agent.budget),
            ],
        )
        self._control.take_over(worker, line, engines)
        memory = Memory(context, engines.llm, engines.thinking, engines.limits)
        memory.watch(line)
        mishaps = Mishaps(self._agent, self._control, self._house, self._announce)
        mishaps.watch(worker, line, speaks=self._terms.speaks)
        if self._media.uses_rtvi:
            worker.rtvi.add_event_handler("on_client_message", self._control.on_client_message)
        runner = WorkerRunner(handle_sigint=False, check_dangling_tasks=False)
        await runner.add_workers(worker)
        running = asyncio.create_task(runner.run(), name=f"pipeline:{self._call.id}")
        reason: EndReason = "error"
        try:
            reason = await self._converse(running)
        finally:
            await memory.close()
            await self._close(worker, running, reason)
        return reason

    def _instructions(self) -> str:
        own = self._agent.instructions if self._terms.is_agent else HELPFUL
        return with_language(own, self._agent.language)

    def _engine_replaced(self, told: Replacement) -> None:
        self._announce(
            EngineReplaced(
                call_id=self._call.id,
                kind=told.kind,
                failed=told.failed,
                replacement=told.replacement,
                reason=told.reason,
                after_ms=told.after_ms,
            )
        )

    async def _converse(self, running: asyncio.Task[None]) -> EndReason:
        """Greet when the caller can hear, then let the pipeline work until the call ends."""
        async with Race(running) as race:
            race.enter(self._control.ended())
            connected = race.enter(self._media.connected())
            await race.first()
            if not connected.done():
                return race.result()
            connected.result()
            race.leave(connected)
            self._is_heard = self._control.is_up = True
            self._announce(MediaStarted(call_id=self._call.id))
            race.enter(self._gone())
            race.enter(self._limit())
            opening = race.enter(self._open())
            await race.first()
            if not opening.done():
                return race.result()
            opening.result()
            race.leave(opening)
            race.enter(self._idle.too_long())
            await race.first()
            return race.result()

    async def _gone(self) -> EndReason:
        reason = await self._media.gone()
        if reason == "drain":
            # The transport itself goes down: no word of ours gets through any more.
            self._is_heard = False
        return reason

    async def _open(self) -> None:
        """Say the first words, once it is known to whom, where that was asked."""
        answerer = await self._media.answered_by()
        if answerer is not None:
            self._announce(
                CallAnsweredBy(
                    call_id=self._call.id,
                    by=answerer.by,
                    rule=answerer.rule,
                    after_ms=answerer.after_ms,
                )
            )
        opening = self._terms.opening
        if answerer is None or answerer.by != "machine" or opening.on_machine == "go_on":
            await self._greet(opening.greeting)
            return
        if opening.on_machine == "leave_message":
            await self._media.machine_listens()
            await self._greet(opening.message or opening.greeting)
        self._control.end("machine")

    async def _greet(self, text: str) -> None:
        greeting = self._agent.greeting
        if not self._terms.is_agent:
            return
        if text:
            await self._control.say(text)
        elif greeting.text:
            await self._control.say(greeting.text)
        elif greeting.instruction:
            wish = {"role": "developer", "content": greeting.instruction}
            await self._control.worker.queue_frame(
                LLMMessagesAppendFrame([cast(LLMContextMessage, wish)], run_llm=True)
            )

    async def _limit(self) -> EndReason:
        limit_s = self._agent.turn_taking.max_call_s
        if not limit_s:
            await asyncio.Event().wait()
        await asyncio.sleep(limit_s)
        return "limit"

    async def _close(
        self, worker: CallWorker, running: asyncio.Task[None], reason: EndReason
    ) -> None:
        # Where no sound ever flowed, or flows now, a goodbye would be waited for in vain.
        is_heard = self._is_heard and not self._idle.is_held_by_caller
        if is_heard and reason in SPOKEN_ENDS and not running.done():
            goodbye = self._agent.goodbye if self._terms.is_agent else ""
            await speak_last_words(self._control, self._media, running, reason, goodbye)
        if not running.done():
            await worker.cancel(reason=reason)
            await asyncio.wait([running], timeout=TEARDOWN_LIMIT_S)
        if not running.done():
            log.error("pipeline_stuck")
            running.cancel()
        await self._tools.close()
