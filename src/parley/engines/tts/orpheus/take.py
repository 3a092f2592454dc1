"""One request to the talker on its way to sound: tokens, frames, decoded slices."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from parley.core.errors import EngineFailed
from parley.core.log import get_logger
from parley.engines.remote.instances import Instances
from parley.engines.tts.orpheus.codes import FIRST_AUDIO, FRAME_MS, FrameParser
from parley.engines.tts.orpheus.talker import Talker, TalkRequest, Tokens
from parley.engines.tts.orpheus.window import LOOK_AHEAD, Codes, FrameWindow, Slice, Sound

log = get_logger(__name__)

CHATS = "It writes text in place of audio tokens."
CHATS_HINT = (
    "Serve an Orpheus checkpoint there, without a chat template, and with its custom tokens shown."
)

MOST_CHARACTERS = 100
"""Of plain text before the first frame, and the model is not one that speaks."""


class Decoder(Protocol):
    """Gives the sound of one slice."""

    async def decode(self, codes: Codes) -> Sound: ...


@dataclass(frozen=True, slots=True)
class WindowSetup:
    """How many frames to wait for before one is decoded, and when to give a model up."""

    look_ahead: int = LOOK_AHEAD
    first_look_ahead: int = LOOK_AHEAD
    most_resyncs: int = 5


class Take:
    """What one request gives. ``sound`` runs once."""

    def __init__(
        self,
        talkers: Instances[Talker],
        decoder: Decoder,
        request: TalkRequest,
        setup: WindowSetup,
    ) -> None:
        self._talkers = talkers
        self._decoder = decoder
        self._request = request
        self._parser = FrameParser(setup.most_resyncs)
        self._window = FrameWindow(
            look_ahead=setup.look_ahead, first_look_ahead=setup.first_look_ahead
        )
        self._finish = ""
        self._characters = 0
        self._began_s = time.monotonic()
        self._first_token_s = 0.0

    async def sound(self) -> AsyncGenerator[Sound]:
        """Sound as soon as it can be decoded; without noise, what a decode of the whole gives.

        Raises ``EngineFailed`` after the last of it when the model has lost its way.
        """
        try:
            async with aclosing(self._slices()) as slices:
                async for part in slices:
                    yield part.cut(await self._decoder.decode(part.codes))
        finally:
            self._report()
        if self._is_chatting:
            raise EngineFailed(f"The Orpheus talker can't speak. {CHATS}", hint=CHATS_HINT)
        if self._parser.is_derailed:
            raise EngineFailed(
                "The Orpheus model lost its way: its audio tokens came in the wrong order.",
                hint="Q8_0, FP8 and finer quantizations do so less, and a lower temperature.",
            )

    async def _slices(self) -> AsyncGenerator[Slice]:
        async with aclosing(self._tokens()) as stream:
            async for tokens in stream:
                self._finish = tokens.finish
                for frame in self._parser.push(tokens.ids):
                    self._window.push(frame)
                    if part := self._window.ready():
                        yield part
                if self._parser.is_over or self._is_chatting:
                    break
        # The request is over at the server; what is known is decoded to its end.
        if part := self._window.flush():
            yield part

    async def _tokens(self) -> AsyncGenerator[Tokens]:
        async with (
            self._talkers.lease() as instance,
            aclosing(instance.client.talk(self._request)) as stream,
        ):
            async for tokens in stream:
                if tokens.ids and not self._first_token_s:
                    self._first_token_s = time.monotonic()
                self._characters = tokens.characters
                yield tokens

    @property
    def _is_chatting(self) -> bool:
        """It answers in words: the wrong model, or the right one behind a chat template."""
        is_text = self._characters > MOST_CHARACTERS or self._parser.is_derailed
        return is_text and not self._parser.frames

    def _report(self) -> None:
        parser = self._parser
        if not parser.tokens:
            return
        now_s = time.monotonic()
        talked_s = now_s - (self._first_token_s or now_s)
        log.info(
            "orpheus_take",
            tokens=parser.tokens,
            tokens_per_s=round(parser.tokens / talked_s) if talked_s > 0 else 0,
            first_token_ms=round((self._first_token_s - self._began_s) * 1000),
            sound_ms=round(parser.frames * FRAME_MS),
            resyncs=parser.resyncs,
            is_derailed=parser.is_derailed,
            has_hit_limit=self._finish == "length",
        )


async def speaks(talker: Talker, request: TalkRequest) -> bool:
    """Whether the talker answers a short request with audio tokens."""
    async with aclosing(talker.talk(request)) as stream:
        async for tokens in stream:
            if any(token >= FIRST_AUDIO for token in tokens.ids):
                return True
    return False
