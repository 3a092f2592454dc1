"""A call behind RustPBX as its caller lives it: the greeting, and one turn after the other."""

from __future__ import annotations

import math

from bench.caller import CallFailed
from bench.latency import GREETING_LIMIT_S, SPEECH_LIMIT_S, Found
from bench.rustpbx_caller import RustPbxCaller
from bench.speech import PACKET_MS, Utterance
from bench.turns import PAUSE_S, REPLY_LIMIT_S, TURN_LIMIT_S, Turn


async def be_greeted(caller: RustPbxCaller, found: Found) -> None:
    """Raises ``CallFailed`` where nobody says anything."""
    greeted_s = await caller.ear.sound_after(caller.dialled_s, GREETING_LIMIT_S)
    if greeted_s is None:
        raise CallFailed("No greeting was heard.")
    found.greetings_ms.append((greeted_s - caller.dialled_s) * 1000)
    await caller.ear.quiet_for(PAUSE_S, SPEECH_LIMIT_S)


async def take_turn(caller: RustPbxCaller, speech: Utterance) -> Turn:
    """Say a sentence, wait for the reply and for its end."""
    position = len(caller.events)
    said_s = await caller.say(speech)
    began_s = said_s - speech.last_packet * PACKET_MS / 1000
    was_hasty = began_s < caller.ear.last_sound_s <= said_s
    heard_s = await caller.ear.sound_after(said_s, REPLY_LIMIT_S)
    if heard_s is not None:
        await caller.event("llm_response", position, TURN_LIMIT_S, is_complete=True)
    await caller.ear.quiet_for(PAUSE_S, TURN_LIMIT_S)
    told = caller.find("transcription", position, is_final=True)
    stages = {each["key"]: float(each["duration"]) for each in caller.find("metrics", position)}
    return Turn(
        said=speech.text,
        understood_as=" ".join(each["text"] for each in told),
        reply_ms=(heard_s - said_s) * 1000 if heard_s else math.nan,
        was_hasty=was_hasty,
        stages=stages,
    )
