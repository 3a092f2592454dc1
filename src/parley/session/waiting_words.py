"""What a caller hears who waits for a tool: short sentences, in the agent's language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from parley.agents.schema import Agent

_FILLERS: dict[str, tuple[str, ...]] = {
    "en": ("One moment, please.", "Let me check that for you.", "Just a second."),
    "de": ("Einen Moment, bitte.", "Ich sehe kurz nach.", "Einen Augenblick."),
    "es": ("Un momento, por favor.", "Déjeme comprobarlo.", "Un segundo."),
    "fr": ("Un instant, s'il vous plaît.", "Je vérifie tout de suite.", "Une seconde."),
}
_STILL_WORKING: dict[str, tuple[str, ...]] = {
    "en": ("I'm still working on it.", "Thank you for waiting, it takes a little longer."),
    "de": ("Ich bin noch dabei.", "Danke für Ihre Geduld, es dauert etwas länger."),
    "es": ("Sigo en ello.", "Gracias por esperar, tarda un poco más."),
    "fr": ("Je m'en occupe toujours.", "Merci de patienter, cela prend un peu plus de temps."),
}


@dataclass(frozen=True, slots=True)
class WaitingWords:
    """``fillers`` when a tool takes longer, ``still_working`` when it takes much longer."""

    fillers: Sequence[str]
    still_working: Sequence[str]


def waiting_words(agent: Agent) -> WaitingWords:
    """The agent's own, or its language's. One whose language has none here, and that brings none,
    says nothing rather than something foreign."""
    language = agent.language.lower().partition("-")[0]
    if language in ("", "auto"):
        language = "en"
    return WaitingWords(
        _FILLERS.get(language, ()) if agent.fillers is None else agent.fillers,
        _STILL_WORKING.get(language, ()) if agent.still_working is None else agent.still_working,
    )
