"""Speaks in advance what every call of an agent may need at once: greeting, apologies, goodbye."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from parley.agents.schema import Agent
from parley.core.log import get_logger
from parley.engines.fallback.speaking import FallbackSpeech
from parley.engines.spec import SpeechOptions, performed_tags
from parley.engines.speech_cache.cached import CachedSpeech
from parley.engines.tts.speakable import speakable
from parley.engines.tts.spoken_form import spoken_form
from parley.session.waiting_words import waiting_words
from parley.tools.spec import Tool

log = get_logger(__name__)

WARMING_LIMIT_S = 30.0
SPARE_VOICE_RATE_HZ = 24_000


def first_words(agent: Agent) -> list[str]:
    """What is said as it stands in the agent's file, the greeting first."""
    sorry = agent.sorry
    texts = (agent.greeting.text, sorry.llm, sorry.stt, agent.safety.sentence, agent.goodbye)
    needed = [text for text in texts if text]
    return [t for t in needed if t != agent.safety.sentence or agent.safety.refuse]


def waiting_texts(agent: Agent, tools: Sequence[Tool]) -> list[str]:
    """What callers hear who wait for those tools, or in vain."""
    if not tools:
        return []
    words = waiting_words(agent)
    own = [tool.filler for tool in tools if tool.filler]
    texts = [*words.fillers, *own, *words.still_working, agent.sorry.tool]
    return list(dict.fromkeys(text for text in texts if text))


async def warm_speech(
    agent: Agent, speech: FallbackSpeech, options: SpeechOptions, tools: Sequence[Tool] = ()
) -> None:
    """Have it spoken by the voice that serves first, as a call would hear it.

    A voice that is slow is given up after a while: what is missing is spoken when it is needed.
    """
    voice = speech.members[0].engine
    if not isinstance(voice, CachedSpeech):
        return
    tags = performed_tags(voice)
    texts = [
        spoken_form(await speakable(text, tags=tags), options.language).spoken
        for text in [*first_words(agent), *waiting_texts(agent, tools)]
    ]
    try:
        async with asyncio.timeout(WARMING_LIMIT_S):
            kept = await voice.keep(texts, replace(options, tenant=agent.tenant))
    except TimeoutError:
        log.warning("speech_warming_slow", agent=agent.name, limit_s=WARMING_LIMIT_S)
    else:
        log.info("speech_warmed", agent=agent.name, texts=kept)
