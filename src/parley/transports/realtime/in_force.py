"""Makes a running call be as its session says, where it isn't already."""

from __future__ import annotations

from typing import Any

from parley.agents.schema import Agent
from parley.core.errors import ParleyError
from parley.session.control import SessionControl
from parley.transports.realtime.line import FindVoice
from parley.transports.realtime.session_config import SessionConfig
from parley.transports.realtime.wire import Fault

_VOICE = "session.audio.output.voice"


class InForce:
    """``voice`` is the engine's own name for the session's voice."""

    def __init__(
        self, control: SessionControl, agent: Agent, config: SessionConfig, find_voice: FindVoice
    ) -> None:
        self._control = control
        self._agent = agent
        self._config = config
        self._find_voice = find_voice
        self._applied: tuple[Any, ...] = ()
        self.voice = control.conversation.voice

    async def apply(self) -> None:
        """Change what has changed since the last time. Raises ``Fault``."""
        config, form = self._config, self._config.form
        conversation = self._control.conversation
        conversation.set_usual_reply(config.usual_reply())
        output, heard = form.audio.output, form.audio.input.transcription
        listening = (config.turn_taking(), config.answers, config.preroll_ms)
        now = (form.instructions, output.voice, output.speed, heard, *listening)
        was = self._applied or (None,) * len(now)
        if now[0] != was[0] and (self._applied or form.instructions):
            await self._control.set_instructions(form.instructions)
        if now[1] != was[1] and output.voice:
            self.voice = await self.found(output.voice, _VOICE)
            conversation.set_voice(self.voice)
        if now[2] != was[2]:
            conversation.set_speed(self._agent.speech_speed * output.speed)
        if now[3] != was[3] and heard is not None:
            conversation.set_hearing(heard.language or self._agent.language, heard.prompt or "")
        if now[4:] != was[4:]:
            await conversation.listen(
                config.turn_taking(), answers=config.answers, preroll_ms=config.preroll_ms
            )
        self._applied = now

    async def found(self, voice: str, param: str = _VOICE) -> str:
        """The engine's own name for a voice. Raises ``Fault``."""
        if not voice:
            return ""
        try:
            return await self._find_voice(self._agent, voice, self._config.tenant)
        except ParleyError as error:
            raise Fault(str(error), code=error.code, param=param) from error
