"""What start-up has to say of settings: which engines took them, or that nobody did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from parley.engines.found import FoundEngines
from parley.engines.options import SHARED_MODELS, SHARED_VOICES, takes
from parley.settings import SettingFact, Settings, setting_facts


def settings_notes(settings: Settings, found: FoundEngines) -> list[str]:
    """One line per setting that was set and either is shared by engines or has no effect."""
    explicit = settings.explicit()
    lines = [_note(fact, explicit, found) for fact in setting_facts() if fact.name in explicit]
    vain = [f"{name} has no effect without PARLEY_SIP=true." for name in settings.sip_in_vain]
    return [line for line in lines if line] + vain


def _note(fact: SettingFact, explicit: Mapping[str, Any], found: FoundEngines) -> str:
    value = explicit[fact.name]
    if fact.planned:
        return f"{fact.name} has no effect: {fact.planned} are not part of this version."
    if not fact.engines:
        return ""
    takers = [
        f"{s.kind} engine {s.name}" for s in found.all() if takes(s, fact.name, value, explicit)
    ]
    if fact.name in SHARED_MODELS | SHARED_VOICES:
        if takers:
            return f"{fact.name}={value} goes to {' and '.join(takers)}."
        own = "voice" if fact.name in SHARED_VOICES else "model"
        return f"{fact.name}={value} fits no engine of this version: each keeps its own {own}."
    if takers:
        return ""
    return f"{fact.name} has no effect: this version has no engine {_or(fact.engines)}."


def _or(names: tuple[str, ...]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
