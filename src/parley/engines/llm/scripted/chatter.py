"""The ``scripted`` engine: answers by a script of intents. It is not a language model."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from parley.core.errors import BadScript, BadSettings, ParleyError
from parley.core.log import get_logger
from parley.engines.llm.scripted.grammar import jsgf
from parley.engines.llm.scripted.hearing import Listener
from parley.engines.llm.scripted.reading import find_script, read_script
from parley.engines.llm.scripted.replay import next_turn
from parley.engines.llm.scripted.results import text_of
from parley.engines.llm.scripted.turn import Turn
from parley.engines.spec import (
    ChatOptions,
    Delta,
    EngineOptions,
    EngineSpec,
    Message,
    Status,
    ToolRequest,
    ToolSchema,
    Usage,
)

log = get_logger(__name__)

Clock = Callable[[], datetime]

_WORDS_PER_DELTA = 3
_GROUP = re.compile(rf"(?:\S+\s*){{1,{_WORDS_PER_DELTA}}}")


class ScriptedOptions(EngineOptions):
    """``script`` is the path of a YAML file, or the name of one that comes with Parley.

    ``time_zone`` is where "today" and "tomorrow" are seen from, such as Europe/Berlin; empty
    means the agent's time zone, and without one this machine's.
    """

    script: str | Path = "receptionist"
    time_zone: str = ""


class ScriptedChatter:
    """Follows a script; the same messages always give the same answer.

    A script that changes on disk is read again when a conversation starts. If it has a mistake,
    the log says so and the one in use stays.
    """

    def __init__(self, options: ScriptedOptions, clock: Clock | None = None) -> None:
        self._file = find_script(str(options.script))
        self._has_own_zone = bool(options.time_zone)
        self._clock = clock or _clock_of(options.time_zone)
        self._changed_ns = 0
        self._listener: Listener | None = None
        self._grammar = ""

    async def warm_up(self) -> None:
        await asyncio.to_thread(self._open)

    async def check(self) -> Status:
        try:
            listener = await asyncio.to_thread(self._open)
        except ParleyError as error:
            return Status(False, error.message, error.hint or "Correct the script.")
        count = len(listener.script.intents)
        return Status(True, f"script {listener.script.name}: {count} intents, no language model")

    async def chat(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], options: ChatOptions
    ) -> AsyncIterator[Delta]:
        """Stream the next reply in groups of a few words, then the tool it calls, then usage."""
        listener = self._listener
        if listener is None or (_is_start(messages) and self._is_stale()):
            listener = await asyncio.to_thread(self._open)
        names = frozenset(tool.name for tool in tools)
        turn = next_turn(messages, listener, names, self._now(options.time_zone))
        for group in _GROUP.findall(turn.text):
            yield Delta(text=group)
        if turn.call is not None:
            id = _call_id(messages, turn)
            # The script's writer decides what is asked before; nothing is made up on the way.
            request = ToolRequest(id, turn.call.name, turn.call.arguments, is_confirmed=True)
            yield Delta(tools=(request,))
        said = len(turn.text.split())
        heard = sum(len(text_of(message).split()) for message in messages)
        yield Delta(usage=Usage(prompt_tokens=heard, completion_tokens=said))

    def grammar(self) -> str:
        """What callers can say, in JSGF; for a script that has changed, the new one's."""
        self._open()
        return self._grammar

    async def close(self) -> None:
        return None

    def _now(self, time_zone: str) -> datetime:
        now = self._clock()
        return now.astimezone(ZoneInfo(time_zone)) if time_zone and not self._has_own_zone else now

    def _is_stale(self) -> bool:
        return self._modified_ns() != self._changed_ns

    def _modified_ns(self) -> int:
        try:
            return self._file.stat().st_mtime_ns
        except OSError:
            # An editor that is just saving has removed the file for a moment.
            return self._changed_ns

    def _open(self) -> Listener:
        """The script in use, read again if its file has changed."""
        changed_ns = self._modified_ns()
        if self._listener is not None and changed_ns == self._changed_ns:
            return self._listener
        try:
            script = read_script(self._file)
        except BadScript as error:
            if self._listener is None:
                raise
            log.error("script_rejected", file=str(self._file), error=str(error))
            self._changed_ns = changed_ns
            return self._listener
        self._grammar = jsgf(script)
        self._listener = Listener(script)
        self._changed_ns = changed_ns
        return self._listener


def _is_start(messages: Sequence[Message]) -> bool:
    """Whether the caller has said no more than one thing yet."""
    return sum(message.get("role") == "user" for message in messages) < 2


def _call_id(messages: Sequence[Message], turn: Turn) -> str:
    """An id that is the same when the same turn is asked for again, so that nothing runs twice."""
    what = json.dumps([list(messages), repr(turn)], default=str, sort_keys=True)
    return f"call_{hashlib.sha256(what.encode()).hexdigest()[:24]}"


def _clock_of(time_zone: str) -> Clock:
    if not time_zone:
        return _now_here
    try:
        return partial(datetime.now, ZoneInfo(time_zone))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadSettings(
            f'There is no time zone "{time_zone}" on this machine.',
            hint="Write it as Europe/Berlin; if that is right, install the tzdata package.",
        ) from error


def _now_here() -> datetime:
    return datetime.now().astimezone()


def _open_scripted(options: ScriptedOptions) -> ScriptedChatter:
    return ScriptedChatter(options)


def _always(options: ScriptedOptions) -> bool:
    return True


SPEC: EngineSpec[ScriptedChatter] = EngineSpec(
    kind="llm",
    name="scripted",
    options=ScriptedOptions,
    open=_open_scripted,
    summary="A deterministic dialogue script; not a language model.",
    available=_always,
    environment={"script": "PARLEY_SCRIPT"},
    is_offline=True,
    is_language_model=False,
)
