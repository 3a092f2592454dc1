"""An engine's options: those that somebody wished for, those that settings hold, its defaults."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from parley.core.errors import BadSettings
from parley.core.registry import did_you_mean
from parley.engines.found import Spec
from parley.engines.spec import EngineOptions
from parley.engines.wish import EngineWish

# Requirement documents give each of these more than one meaning: it reaches only engines whose
# model (or voice) it can be.
SHARED_MODELS = frozenset({"STT_MODEL", "LLM_MODEL", "TTS_MODEL"})
SHARED_VOICES = frozenset({"TTS_VOICE"})


def takes(spec: Spec, name: str, value: Any, names_set: Container[str] = ()) -> bool:
    """Whether the environment name's value is meant for this engine.

    ``names_set`` are the environment names that have a value.
    """
    if name not in spec.environment.values():
        return False
    if spec.owns_any_with and spec.owns_any_with in names_set:
        return True
    if name in SHARED_MODELS:
        return spec.owns_model(str(value))
    if name in SHARED_VOICES:
        return spec.owns_voice(str(value))
    return True


def options_for(spec: Spec, wish: EngineWish, values: Mapping[str, Any]) -> EngineOptions:
    """The options to open the engine with; ``values`` are settings by environment name.

    Raises ``BadSettings`` naming the option, who set it, and what it may be.
    """
    from_settings = {
        option: values[name]
        for option, name in spec.environment.items()
        if name in values and takes(spec, name, values[name], values)
    }
    try:
        return spec.options.model_validate({**from_settings, **wish.options})
    except ValidationError as error:
        lines = [_complaint(spec, wish, details) for details in error.errors()]
        raise BadSettings("\n".join(dict.fromkeys(lines))) from error


def option_problem(spec: Spec, details: ErrorDetails) -> str:
    """What is wrong with one option, without its value, which may be a secret."""
    option = str(details["loc"][0]) if details["loc"] else ""
    engine = f"{spec.kind} engine {spec.name}"
    if details["type"] == "extra_forbidden":
        hint = did_you_mean(option, spec.options.model_fields)
        return f"the {engine} has no option {option}. {hint}"
    if details["type"] == "missing":
        return f"the {engine} needs {option}."
    what = details["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return f"{option} of the {engine}: {what}."


def _complaint(spec: Spec, wish: EngineWish, details: ErrorDetails) -> str:
    option = str(details["loc"][0]) if details["loc"] else ""
    name = spec.environment.get(option, "")
    who = wish.by if option in wish.options or not name else name
    return f"{who}: {option_problem(spec, details)}" if who else option_problem(spec, details)
