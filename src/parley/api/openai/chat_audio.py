"""Chat with the ear: recordings in messages are written down, replies are spoken."""

from __future__ import annotations

import asyncio
import base64
import io
import re
import secrets
import struct
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

from parley.api.openai.chat_body import ChatBody
from parley.api.openai.cutting import PauseCutter
from parley.api.openai.decoding import SoundFile
from parley.api.openai.encoders import SpeechEncoder, SpeechFormat
from parley.api.openai.engines import HearingDesk, SpeakingDesk, SpeakingEngine
from parley.api.openai.hearing import Listener
from parley.api.openai.voices import local_voice
from parley.core.base64_pieces import decoded_pieces
from parley.core.errors import InvalidValue, UnsupportedValue
from parley.engines.fallback.timing import closing
from parley.engines.spec import (
    Message,
    SpeechOptions,
    TranscribeOptions,
    performed_tags,
)
from parley.engines.tts.speakable import speakable

KEPT_S = 3600
MOST_KEPT = 1000
# Shorter pieces sound chopped: each sentence is spoken by itself.
_SENTENCE = re.compile(r".{20,}?[.!?…](?=\s)", re.DOTALL)
_DATA_URL = re.compile(r"data:[^,]{0,100},")
_RIFF_SIZE_AT, _DATA_SIZE_AT, _WAV_HEADER_BYTES = 4, 40, 44

AudioFields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Kept:
    tenant: str
    transcript: str
    expires_s: float


class ChatAudio:
    """Hears and speaks for chat completions, with the engines of the audio routes."""

    def __init__(
        self, hearing: HearingDesk, speaking: SpeakingDesk, *, longest_s: float = 600.0
    ) -> None:
        self._hearing = hearing
        self._speaking = speaking
        self._longest_s = longest_s
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    async def hear(self, messages: list[Message], tenant: str) -> None:
        """Put words in the place of every recording, and of every spoken reply of before."""
        for number, message in enumerate(messages):
            if "audio" in message:
                transcript = self._transcript(number, str(message["audio"]["id"]), tenant)
                messages[number] = {"role": "assistant", "content": transcript}
            elif isinstance(message["content"], list):
                parts = cast("list[dict[str, Any]]", message["content"])
                heard = [await self._heard(number, part, tenant) for part in parts]
                is_text = all(part["type"] == "text" for part in heard)
                content = "\n".join(part["text"] for part in heard) if is_text else heard
                messages[number] = {**message, "content": content}

    async def voice(self, body: ChatBody, tenant: str) -> Speaker:
        """Who speaks the reply. Raises for a voice or a form that isn't to be had."""
        speaking = await self._speaking.speaking("", tenant)
        wanted = body.audio.voice if body.audio else ""
        name = str(wanted.get("id", "")) if isinstance(wanted, dict) else wanted
        form = _form(body)
        options = SpeechOptions(voice=local_voice(speaking, name), tenant=tenant)
        return Speaker(speaking, options, form)

    def keep(self, speaker: Speaker, tenant: str) -> None:
        """A later request may refer to the spoken reply by its id."""
        self._kept[speaker.id] = _Kept(tenant, speaker.transcript, speaker.expires_at)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)

    def _transcript(self, number: int, id: str, tenant: str) -> str:
        kept = self._kept.get(id)
        if kept is None or kept.tenant != tenant or kept.expires_s < time.time():
            raise InvalidValue(
                f"messages.{number}.audio: there is no spoken reply {id!r}.",
                hint="They are kept for an hour; send its transcript as content.",
                param=f"messages.{number}.audio",
            )
        return kept.transcript

    async def _heard(self, number: int, part: dict[str, Any], tenant: str) -> dict[str, Any]:
        if part["type"] != "input_audio":
            return part
        hearing = await self._hearing.hearing("", tenant)
        options = TranscribeOptions(language="", tenant=tenant)
        said: list[str] = []
        with await asyncio.to_thread(
            self._opened, number, str(part["input_audio"]["data"])
        ) as file:
            listener = Listener(file, PauseCutter(), hearing, options)
            async with closing(listener.segments()) as segments:
                async for segment in segments:
                    said.append(segment.text.strip())
        return {"type": "text", "text": " ".join(said)}

    def _opened(self, number: int, data: str) -> SoundFile:
        try:
            sound = b"".join(decoded_pieces(_DATA_URL.sub("", data[:128]) + data[128:]))
        except ValueError as error:
            where = f"messages.{number}.content"
            message = f"{where}: the data of input_audio is no base64."
            raise InvalidValue(message, param=where) from error
        return SoundFile(io.BytesIO(sound), longest_s=self._longest_s)


class Speaker:
    """Speaks one reply, sentence by sentence, while it is being written."""

    def __init__(
        self, speaking: SpeakingEngine, options: SpeechOptions, form: SpeechFormat
    ) -> None:
        self.id = f"audio_{secrets.token_hex(16)}"
        self.expires_at = int(time.time()) + KEPT_S
        self.transcript = ""
        self._engine = speaking.engine
        self._options = options
        self._form = form
        self._encoder = SpeechEncoder(form)
        self._unspoken = ""

    async def pieces(self, text: str) -> AsyncGenerator[AudioFields]:
        """What a stream tells of these words: the words, then the sound of whole sentences."""
        # A client puts the pieces together, so that the id may come only once.
        yield {"transcript": text} if self.transcript else {"id": self.id, "transcript": text}
        self.transcript += text
        self._unspoken += text
        for sentence in self._sentences():
            async with aclosing(self._sound(sentence)) as sound:
                async for data in sound:
                    yield {"data": base64.b64encode(data).decode()}

    async def rest(self) -> AsyncGenerator[AudioFields]:
        async with aclosing(self._sound(self._unspoken)) as sound:
            async for data in sound:
                yield {"data": base64.b64encode(data).decode()}
        if data := await self._encoder.finish():
            yield {"data": base64.b64encode(data).decode()}
        yield {"expires_at": self.expires_at}

    async def whole(self, text: str) -> AudioFields:
        """All of a reply that is complete."""
        self.transcript = text
        sound = bytearray()
        async for data in self._sound(text):
            sound += data
        sound += await self._encoder.finish()
        if self._form == "wav":
            struct.pack_into("<I", sound, _RIFF_SIZE_AT, len(sound) - 8)
            struct.pack_into("<I", sound, _DATA_SIZE_AT, len(sound) - _WAV_HEADER_BYTES)
        return {
            "id": self.id,
            "data": base64.b64encode(sound).decode(),
            "transcript": text,
            "expires_at": self.expires_at,
        }

    def _sentences(self) -> Iterator[str]:
        while found := _SENTENCE.match(self._unspoken):
            self._unspoken = self._unspoken[found.end() :]
            yield found[0]

    async def _sound(self, text: str) -> AsyncGenerator[bytes]:
        spoken = await speakable(text, tags=performed_tags(self._engine))
        if not spoken:
            return
        async with closing(self._engine.synthesize(spoken, self._options)) as sounds:
            async for sound in sounds:
                if data := await self._encoder.add(sound):
                    yield data


def _form(body: ChatBody) -> SpeechFormat:
    """Only raw samples can be cut anywhere, which is what OpenAI's streams are made of."""
    wanted = body.audio.format if body.audio else ("pcm16" if body.stream else "wav")
    if body.stream and wanted != "pcm16":
        raise UnsupportedValue(
            "audio.format: a stream is pcm16.", hint="Or don't stream.", param="audio.format"
        )
    return "pcm" if wanted == "pcm16" else wanted
