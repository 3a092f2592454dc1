"""One spoken turn as the caller lived it, beside what the server says of its stages."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from bench.caller import Caller, Mouth
from bench.speech import PACKET_MS, Utterance

REPLY_LIMIT_S = 8.0
TURN_LIMIT_S = 30.0
PAUSE_S = 0.6
"""Silence on the line before the caller speaks again, as a listener leaves."""


@dataclass(frozen=True)
class Turn:
    """``reply_ms``: last audible sample sent to first audible sample heard, ``nan`` if none came.

    ``transport_out_ms``: the agent began to speak, says the server, to first sample heard (both
    processes read the same clock). ``was_hasty``: the agent spoke before the caller had finished.
    """

    said: str
    understood_as: str
    reply_ms: float
    was_hasty: bool = False
    transport_out_ms: float = math.nan
    stages: dict[str, float] = field(default_factory=dict[str, float])

    @property
    def is_answered(self) -> bool:
        return not math.isnan(self.reply_ms)

    @property
    def is_understood(self) -> bool:
        return _words(self.said) == _words(self.understood_as)

    @property
    def is_unsure(self) -> bool:
        """Turn detection was unsure and waited: then all of the endpointing was silence."""
        silence_ms = self.stages.get("silence_ms")
        return silence_ms is not None and silence_ms >= self.stages["endpointing_ms"]

    @property
    def work_ms(self) -> float:
        """The reply less the silence that endpointing waits for on purpose."""
        return self.reply_ms - self.stages.get("silence_ms", math.nan)

    @property
    def overhead_ms(self) -> float:
        """The work less what the engines took.

        Recognition runs while endpointing waits: only what it adds to the wait counts as its own.
        """
        stages = self.stages
        if "tts_ms" not in stages:
            return math.nan
        rest_ms = stages["endpointing_ms"] - stages["silence_ms"]
        stt_ms = min(stages.get("stt_ms", 0.0), rest_ms)
        return self.work_ms - stt_ms - stages.get("llm_ms", 0.0) - stages["tts_ms"]

    @property
    def transport_in_ms(self) -> float:
        """What the caller waited beyond the way out and what the server counts: from the last
        sample sent to when voice activity detection takes it that speech ended."""
        return self.reply_ms - self.stages.get("reply_ms", math.nan) - self.transport_out_ms

    def stage_ms(self, name: str) -> float:
        return self.stages.get(name, math.nan)


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", text.lower())


async def take_turn(caller: Caller, mouth: Mouth, speech: Utterance) -> Turn:
    """Say a sentence, wait for the reply and for its end."""
    position = len(caller.events)
    last_packet = await mouth.say(speech)
    sent_s = caller.microphone.left_s[last_packet]
    began_s = sent_s - speech.last_packet * PACKET_MS / 1000
    was_hasty = began_s < caller.ear.last_sound_s <= sent_s
    heard_s = await caller.ear.sound_after(sent_s, REPLY_LIMIT_S)
    ended = await caller.event("turn_ended", position, TURN_LIMIT_S) if heard_s else None
    await caller.ear.quiet_for(PAUSE_S, TURN_LIMIT_S)
    events = caller.events[position:]
    transcripts = [
        str(event.get("text", ""))
        for event in events
        if event.get("event") == "user_transcript" and event.get("final")
    ]
    started_s = next(
        (float(e["at_s"]) for e in events if e.get("event") == "agent_speech_started"), math.nan
    )
    return Turn(
        said=speech.text,
        understood_as=" ".join(transcripts),
        reply_ms=(heard_s - sent_s) * 1000 if heard_s else math.nan,
        was_hasty=was_hasty,
        transport_out_ms=(heard_s - started_s) * 1000 if heard_s else math.nan,
        stages=dict(ended["stages"]) if ended else {},
    )
