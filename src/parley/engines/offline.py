"""Offline: nothing beyond this machine and its neighbours is asked, and nothing is fetched."""

from __future__ import annotations

from parley.engines.found import Spec
from parley.engines.remote.addresses import is_nearby
from parley.engines.spec import EngineOptions, Status

ADDRESS_OPTIONS = ("base_url", "ws_url", "uri", "url")


def addresses_of(options: EngineOptions) -> list[str]:
    """Where the engine would be asked; none for one that computes here."""
    value = next((v for name in ADDRESS_OPTIONS if (v := getattr(options, name, None))), ())
    return [value] if isinstance(value, str) else list(value)


def offline_status(spec: Spec, options: EngineOptions) -> Status | None:
    """Why the engine may not be asked while offline; None if it may."""
    far = [url for url in addresses_of(options) if not is_nearby(url)]
    if not far:
        return None
    return Status(
        False,
        "it is beyond this network, and Parley is offline",
        f"Start without --offline (PARLEY_OFFLINE) to use {spec.name}.",
    )


def may_pull(options: EngineOptions) -> bool:
    """Whether its missing model may be fetched unasked."""
    return bool(getattr(options, "pulls_model", True))


def kept_offline(options: EngineOptions) -> EngineOptions:
    """The options of an engine that must have its server fetch nothing either."""
    if "pulls_model" not in type(options).model_fields:
        return options
    return options.model_copy(update={"pulls_model": False})
